"""The product rules between publisher and streams: ids, replay buffer, entitlement, slots.

No I/O and no clock.  Everything is decided synchronously, so nothing can come between a replay and the live events
that follow it: `resume` picks the replay and `join` makes the stream live before anybody else can publish.
Ids are `EPOCH-N`, N total over all channels of the epoch; seq is dense per channel and epoch.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from harness import testevent
from mock_server import frames, schemas, validation
from mock_server.frames import Frame
from mock_server.settings import Settings

MOST_NAMES: Final = 100
_HIGHEST_DIGITS: Final = 15

Reset = Literal["too-old", "epoch", "unknown"]


class Sink(Protocol):
    """What an event is delivered to."""

    def deliver(self, frame: Frame, /) -> None: ...


class Resume(NamedTuple):
    """How a connection begins: the id it continues after, the replay, why it is incomplete, live events to lose."""

    after: str
    replay: tuple[Frame, ...]
    reset: Reset | None
    skip: int = 0


@dataclass(slots=True)
class Slots:
    """How many streams each user has."""

    held: Counter[str]

    def take(self, user: str, limit: int) -> bool:
        if self.held[user] >= limit:
            return False
        self.held[user] += 1
        return True

    def free(self, user: str) -> None:
        self.held[user] -= 1
        if self.held[user] == 0:
            del self.held[user]


class Hub:
    """What is published, who hears it, and what a resume gets. `defects` is shared with the rest of the server."""

    def __init__(self, settings: Settings, epoch: str, defects: set[str]) -> None:
        self.settings = settings
        self.epoch = epoch
        self.defects = defects
        self.number = 0
        self.seqs: Counter[str] = Counter()
        self.buffer: deque[Frame] = deque(maxlen=settings.replay_events)
        self.metrics: dict[str, dict[str, Any]] = {}
        self.slots = Slots(Counter())
        self.sinks: dict[str, dict[Sink, None]] = {}

    # publishing

    def publish(self, user: str | None, type: str | None, body: Mapping[str, Any] | None, at: float) -> Frame:
        """Commit one event at this wall-clock time and deliver it to every entitled stream. Raises HarnessError."""
        frame = self._commit(user, type, body, at)
        self.buffer.append(frame)
        for sink in self._listening(frame):
            sink.deliver(frame)
        return frame

    def _commit(self, user: str | None, type: str | None, body: Mapping[str, Any] | None, at: float) -> Frame:
        channel, number = testevent.channel_of(user), self.number + 1
        kind = type or schemas.type_of(number)
        chosen = schemas.example(kind, number) if body is None else body
        if "breaks-schema" in self.defects:
            chosen = schemas.spoiled(chosen)
        payload = testevent.make(user, epoch=self.epoch, seq=self.seqs[channel] + 1, at=at, body=chosen)
        if "breaks-schema" in self.defects:
            pass
        elif body is not None or kind not in schemas.PUBLISHED:
            validation.demand(kind, payload)
        frame = self._frame(number, kind, payload)
        self.number = number
        self.seqs[channel] += 1
        self._remember(channel, kind, chosen)
        return frame

    def _frame(self, number: int, kind: str, payload: Mapping[str, Any]) -> Frame:
        return frames.frame(
            number,
            payload,
            id=self.id_of(number),
            type=kind,
            bare_lf="bare-lf" in self.defects,
            nul_in_id="nul-in-id" in self.defects,
        )

    def _remember(self, channel: str, kind: str, body: Mapping[str, Any]) -> None:
        known = self.metrics.setdefault(channel, {})
        if kind == "metric" and "name" in body and (len(known) < MOST_NAMES or str(body["name"]) in known):
            known[str(body["name"])] = body.get("value")

    def _listening(self, frame: Frame) -> list[Sink]:
        everybody = frame.owner is None or "leaks-to-other-user" in self.defects
        groups = self.sinks.values() if everybody else (self.sinks.get(frame.owner or "", {}),)
        only = -1 if "serves-one-stream" in self.defects else 0
        return [sink for sinks in groups for sink in list(sinks)[only:]]

    # resuming

    def id_of(self, number: int) -> str:
        return f"{self.epoch}-{number}"

    def entitled(self, frame: Frame, user: str) -> bool:
        return frame.owner is None or frame.owner == user or "leaks-to-other-user" in self.defects

    def resume(self, user: str, last_event_id: str | None) -> Resume:
        """What a connection of this user gets that last saw this id (None or '': its first connection)."""
        now = self.id_of(self.number)
        if not last_event_id or "ignores-last-event-id" in self.defects:
            return Resume(now, (), None)
        skip = 1 if "loses-handover" in self.defects else 0
        found = self._position(last_event_id)
        if isinstance(found, str):
            silent = found == "too-old" and "silent-loss-when-too-old" in self.defects
            return Resume(now, (), None if silent else found, skip)
        if "replays-one-too-many" in self.defects:
            found -= 1
        replay = tuple(one for one in self.buffer if one.number > found and self.entitled(one, user))
        if not replay and "repeats-the-last-event" in self.defects:
            replay = tuple(one for one in self.buffer if one.number == found and self.entitled(one, user))
        if "replays-one-too-few" in self.defects:
            replay = replay[1:]
        if "replays-twice" in self.defects:
            replay = replay * 2
        return Resume(last_event_id, replay, None, skip)

    def _position(self, last_event_id: str) -> int | Reset:
        """The number of the event with this id, or why nothing after it can be replayed completely."""
        epoch, _, digits = last_event_id.rpartition("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _HIGHEST_DIGITS):
            return "unknown"
        if epoch != self.epoch:
            return "epoch" if epoch else "unknown"
        number = int(digits)
        if number > self.number:
            return "unknown"
        if number < self.number - len(self.buffer) or "resets-needlessly" in self.defects:
            return "too-old"
        return number

    # streams

    def limit(self) -> int:
        limit = self.settings.limit_per_user
        if "limit-one-too-many" in self.defects:
            limit += 1
        if "limit-one-too-few" in self.defects:
            limit -= 1
        return limit

    def take_slot(self, user: str) -> bool:
        """Count one more stream of this user, unless the limit is reached."""
        return self.slots.take(user, self.limit())

    def free_slot(self, user: str, *, resumed: bool = False) -> None:
        """Give back the slot of a stream that ended; `resumed`: it began with a last event ID."""
        if "never-frees-slot" in self.defects:
            return
        self.slots.free(user)
        if resumed and "resume-frees-slot-twice" in self.defects:
            self.slots.free(user)

    def join(self, user: str, sink: Sink) -> None:
        """From now on this stream gets every live event of its user."""
        self.sinks.setdefault(user, {})[sink] = None

    def leave(self, user: str, sink: Sink) -> None:
        sinks = self.sinks.get(user, {})
        sinks.pop(sink, None)
        if not sinks:
            self.sinks.pop(user, None)

    # over a restart

    def save(self) -> dict[str, Any]:
        """What a graceful restart hands over: epoch, numbers and the replay buffer, as plain JSON."""
        kept = [[one.number, one.type, one.payload] for one in self.buffer]
        return {
            "epoch": self.epoch,
            "number": self.number,
            "seqs": dict(self.seqs),
            "metrics": self.metrics,
            "buffer": kept,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on where `save` was called."""
        self.epoch, self.number = saved["epoch"], saved["number"]
        self.seqs.update(saved["seqs"])
        self.metrics.update(saved["metrics"])
        self.buffer.extend(self._frame(number, kind, payload) for number, kind, payload in saved["buffer"])


class Wheel:
    """One timer for all heartbeats: `parts` groups, one due at each tick; a full turn is the heartbeat interval."""

    def __init__(self, parts: int = 20) -> None:
        self._groups: list[dict[Any, None]] = [{} for _ in range(parts)]
        self._at = 0

    @property
    def parts(self) -> int:
        return len(self._groups)

    def add(self, member: Any) -> dict[Any, None]:
        """Put a member in; it is due after one full turn. Returns its group, to take it out again."""
        group = self._groups[self._at - 1]
        group[member] = None
        return group

    def tick(self, beat: Callable[[Any], None]) -> None:
        """Call `beat` for every member of the group that is due."""
        due: Iterable[Any] = list(self._groups[self._at])
        self._at = (self._at + 1) % len(self._groups)
        for member in due:
            beat(member)
