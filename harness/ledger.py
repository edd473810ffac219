"""Fates and accounts: what became of every event that a subscriber is entitled to.

Theory.  The ledger is fed record by record, in the order of time.  Of each subscriber it keeps, per (epoch, channel),
the set of sequence numbers dispatched, as ranges; and a list of announcements, each of which says from which position
on and up to which moment the server owned up to missing events.  Nothing is decided before `accounts` is asked for:

    entitled    published after the first open (the last one before its first event), up to the sentinel, or, for a
                subscriber that was closed before the drain, up to the last event of the channel that it dispatched;
                and on a stream that ended before the subscriber had got anything, what had to come on it (`owed`)
    missing     entitled and never dispatched; announced if an announcement covers it, lost if something later of its
                channel was dispatched, else unseen

What was dispatched without a record of its publication is a phantom; `unrecorded` where such records are missing.

Where no replay is promised, a new stream owes nothing of what was published since the one before it ended; nor where
the run had an event reset the last event ID, so that the client could not say where to go on.
A refusal of a resume is an announcement only if no later attempt with the same id was accepted: that one has to
bring what the refused one did not.  A subscriber that gives up stays entitled: what a last refusal keeps from it is
announced, the rest is unseen.  Of a client that tells no attempts nobody knows why it gave up, so it counts as closed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Final, Literal

from harness.check import Outcome
from harness.history import History, Record
from harness.published import SENTINEL, Publication, Publications, Ranges
from harness.target import Promises
from harness.testevent import ALL, channel_of
from harness.timing import quiet, too_late

Fate = Literal["lost", "unseen", "announced", "duplicated", "reordered", "phantom", "torn", "cross-user", "unrecorded"]
DROPPED: Final = "dropped"
KEPT: Final = 1000
PROMPT: Final = 0.25  # seconds that an event may take unseen, where no latency is promised
LATER: Final = (408, 425, 429)  # these say when, and nothing of events
_SEQ_WINDOW: Final = 64


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One event with a fate worth telling. `again` says where a duplicate came: "live" or "replay"."""

    fate: Fate
    sub: str
    channel: str
    epoch: str
    seq: int
    t: float
    attempt: int = 0
    again: str = ""
    detail: str = ""

    def __str__(self) -> str:
        name = f"{self.fate}{' (' + self.again + ')' if self.again else ''}"
        where = f"{self.epoch} {self.channel} #{self.seq}"
        return f"{self.sub}: {name} {where} at {self.t:.6f}{': ' + self.detail if self.detail else ''}"


@dataclass(slots=True)
class Account:
    """One subscriber and channel: entitled = delivered + announced + lost + unseen."""

    sub: str
    channel: str
    entitled: int = 0
    delivered: int = 0
    announced: int = 0
    lost: int = 0
    unseen: int = 0

    @property
    def adds_up(self) -> bool:
        return self.entitled == self.delivered + self.announced + self.lost + self.unseen


@dataclass(frozen=True, slots=True)
class Announcement:
    """The server owned up: what was published until `until`, beyond what had been dispatched (`floor`), is missing.

    `since`: only what was published from then on.
    """

    until: float
    floor: Mapping[tuple[str, str], int]
    since: float = -inf


@dataclass(slots=True)
class _Track:
    """What one subscriber got of one (epoch, channel): over all its connections, and on the present one."""

    all: Ranges = field(default_factory=Ranges)
    present: Ranges = field(default_factory=Ranges)
    connection: int = -1


@dataclass(slots=True)
class _Sub:
    sub: str
    user: str = ""
    first_open: float | None = None
    gone: float | None = None
    connections: int = 0
    header: str | None = None
    status: int | None = None
    has_id: bool = False
    last_id: str = ""
    unset: bool = False  # the last event ID was reset on purpose
    tells: bool = False
    open_since: float | None = None
    ended: float = -inf
    heard: float = 0.0
    barren: list[tuple[float, float]] = field(default_factory=list)
    refused: tuple[str | None, Mapping[tuple[str, str], int]] | None = None
    floor: Mapping[tuple[str, str], int] = field(default_factory=dict)
    tracks: dict[tuple[str, str], _Track] = field(default_factory=dict)
    epoch: dict[str, str] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)

    def tops(self) -> dict[tuple[str, str], int]:
        return {name: track.all.top for name, track in self.tracks.items()}


Owed = Callable[[Publication, float], Fate | None]


class Ledger:
    """Folds records into fates and accounts; `feed` each record in the order of time, then ask.

    `owed` says what became of an event if its stream ended at a moment and had brought nothing by then; `replays`: the
    server promises to bring on a later stream what was published in between; `resets_ids`: by this moment
    the run had told it to send ids of the run's own.
    """

    def __init__(
        self,
        promises: Promises | None = None,
        *,
        clock_error: float = 0.0,
        owed: Owed = lambda _, __: None,
        replays: bool = True,
        resets_ids: Callable[[float], bool] = lambda _: False,
    ) -> None:
        self.published = Publications()
        self.anomalies: list[Anomaly] = []  # those that are known when the event comes
        # By subscriber, channel and fate: anomalies beyond the first thousand of their fate.
        self.untold: Counter[tuple[str, str, str]] = Counter()
        self.deliveries = 0
        self._reset = (promises or Promises()).reset_event
        self._prompt = (promises or Promises()).max_latency or PROMPT
        self._replays, self._resets_ids = replays, resets_ids
        self._clock_error = clock_error
        self._owed = owed
        self._subs: dict[str, _Sub] = {}
        self._drain: float = inf
        self._counts: Counter[str] = Counter()

    def feed(self, record: Record) -> None:
        match record.kind:
            case "published":
                self.published.feed(record)
            case "drain" if record["state"] == "begin":
                self._drain = record.t
            case "sub.event":
                self._event(self._sub(record), record)
            case "sub.run":
                self._run(self._sub(record), record)
            case "untold":
                self.untold[str(record["sub"]), str(record["channel"]), str(record["fate"])] += int(record["count"])
                self.deliveries += int(record["count"])
            case kind if kind.startswith("sub."):
                self._life(self._sub(record), record)
            case _:
                pass

    def _sub(self, record: Record) -> _Sub:
        return self._subs.setdefault(str(record["sub"]), _Sub(str(record["sub"])))

    def _life(self, sub: _Sub, record: Record) -> None:
        match record.kind:
            case "sub.start":
                sub.user = str(record["user"])
            case "sub.attempt":
                sub.header, sub.status, sub.tells = record["last_event_id"], None, True
            case "sub.response":
                self._answered(sub, int(record["status"]))
            case "sub.poll" if record["status"] == 200:
                sub.refused = None  # polling goes on where the refused stream would have
            case "sub.open":
                self._opened(sub, record.t)
            case "sub.end" | "sub.error" | "sub.wait":
                self._over(sub, record.t)
            case "sub.close" | "sub.closed":
                self._over(sub, record.t)
                self._gone(sub, record)
            case _:
                sub.heard = record.t

    @staticmethod
    def _answered(sub: _Sub, status: int) -> None:
        sub.status = status
        resumes = sub.first_open is not None and (sub.header is not None or not sub.has_id)
        if status in LATER:
            sub.refused = None
        elif resumes and (400 <= status < 500 or status == 204):
            sub.refused = (sub.header, sub.tops())

    @staticmethod
    def _gone(sub: _Sub, record: Record) -> None:
        """It was closed, or has given up, perhaps because of a refusal."""
        if sub.gone is not None:
            return
        if record.kind == "sub.close" or not sub.tells:
            sub.gone = record.t
        elif sub.status not in (None, 200):
            sub.announcements.append(Announcement(inf, sub.tops()))

    @staticmethod
    def _over(sub: _Sub, t: float) -> None:
        if sub.open_since is not None and not sub.tracks:
            sub.barren.append((sub.open_since, t))
        if sub.open_since is not None:
            sub.open_since, sub.ended = None, t

    def _opened(self, sub: _Sub, t: float) -> None:
        self._over(sub, sub.heard)  # if nobody told of the end of the stream before
        sub.open_since = sub.heard = t
        if sub.first_open is None or not sub.tracks:
            sub.first_open = t  # nobody can resume before its first event: until then each opening is a first one
        elif not self._replays or (sub.unset and sub.tells and not sub.header):
            sub.announcements.append(Announcement(t, sub.tops(), sub.ended - self._prompt))
        sub.connections += 1
        sub.floor = sub.tops()
        if sub.refused is not None:
            header, floor = sub.refused
            if header != sub.header:
                sub.announcements.append(Announcement(t, floor))
            sub.refused = None

    def _event(self, sub: _Sub, record: Record) -> None:
        sub.has_id = sub.has_id or bool(record["id"])
        channel = record.get("channel")
        if record["id"] or (channel is None and sub.last_id):
            sub.unset = not record["id"] and self._resets_ids(record.t)
        sub.last_id = str(record["id"])
        if channel is None:
            self._control(sub, record)
            return
        epoch, seq, digest = str(record["epoch"]), int(record["seq"]), record.get("digest")
        self.deliveries += 1
        if not record.get("intact", True):
            self._note("torn", sub, record, epoch, seq, detail="its digest is wrong")
        elif self.published.differs(epoch, channel, seq, digest):
            self._note("torn", sub, record, epoch, seq, detail="another payload was published under this name")
        elif record.get("owner") is not None and str(record["owner"]) != sub.user:
            self._note("cross-user", sub, record, epoch, seq, detail=f"it belongs to {record['owner']}")
        else:
            epoch = self.published.name(epoch, channel, seq, digest)[0]
            one = self.published.by_name.get((epoch, channel, seq))
            if one is not None and one.type != record["type"] and record.get("via") != "poll":
                self._note("torn", sub, record, epoch, seq, detail=f"a {one.type} came as a {record['type']}")
            self._take(sub, record, (epoch, channel), seq)

    def _control(self, sub: _Sub, record: Record) -> None:
        """An event that is no test event: an announcement, a broken test event, or somebody else's business."""
        if record["type"] == self._reset:
            sub.announcements.append(Announcement(record.t, sub.floor))
        elif record["type"] == DROPPED:
            sub.announcements.append(Announcement(record.t, sub.tops()))
        elif looks_torn(record, self.published.types):
            self._note("torn", sub, record, "?", 0, detail=f"data {str(record.get('data', ''))[:60]!r}")

    def _take(self, sub: _Sub, record: Record, name: tuple[str, str], seq: int) -> None:
        track = self._track(sub, name)
        if seq in track.all:
            again = "live" if seq in track.present else "replay"
            self._note("duplicated", sub, record, name[0], seq, again=again)
        elif seq < track.all.top and not self._together(name, seq, track):
            self._note("reordered", sub, record, name[0], seq, detail=f"after #{track.all.top}")
        elif track.all.highs and sub.epoch[name[1]] != name[0]:
            self._note("reordered", sub, record, name[0], seq, detail=f"after epoch {sub.epoch[name[1]]}")
        sub.epoch[name[1]] = name[0]
        track.all.add(seq, seq)
        track.present.add(seq, seq)

    def _run(self, sub: _Sub, record: Record) -> None:
        """A summary: first..last in order on one connection, nothing else to tell."""
        name, first, last = (str(record["epoch"]), str(record["channel"])), int(record["first"]), int(record["last"])
        sub.has_id, sub.last_id = sub.has_id or bool(record["id"]), str(record["id"])
        sub.unset = sub.unset and not sub.last_id
        track = self._track(sub, name)
        top = track.all.top
        fresh = first > top and (not track.all.highs or sub.epoch[name[1]] == name[0])
        if not fresh:
            for seq in range(first, last + 1):
                self._take(sub, record, name, seq)
        else:
            track.all.add(first, last)
            track.present.add(first, last)
            sub.epoch[name[1]] = name[0]
        self.deliveries += last - first + 1
        known = Counter(self.published.type_of(*name, seq) for seq in range(first, last + 1))
        # Of those whose type is not known nobody can say that theirs is wrong.
        for _ in range((Counter(record["types"]) - known).total() - known[None]):
            self._note(
                "torn", sub, record, name[0], last, detail="this one or one before it came as another type than its own"
            )

    @staticmethod
    def _track(sub: _Sub, name: tuple[str, str]) -> _Track:
        track = sub.tracks.setdefault(name, _Track())
        if track.connection != sub.connections:
            track.connection, track.present = sub.connections, Ranges()
        return track

    def _together(self, name: tuple[str, str], seq: int, track: _Track) -> bool:
        """Whether all later events dispatched so far may have been committed before this one: then no order is due."""
        this = self.published.by_name.get((*name, seq))
        for later in range(seq + 1, min(track.all.top, seq + _SEQ_WINDOW) + 1):
            other = self.published.by_name.get((*name, later))
            if later in track.all and (this is None or other is None or this.done <= other.t):
                return False
        return track.all.top <= seq + _SEQ_WINDOW

    def _note(
        self, fate: Fate, sub: _Sub, record: Record, epoch: str, seq: int, *, again: str = "", detail: str = ""
    ) -> None:
        channel, attempt = str(record.get("channel", "?")), int(record.get("attempt", 0))
        self._counts[fate] += 1
        if self._counts[fate] > KEPT:
            self.untold[sub.sub, channel, fate] += 1
            return
        self.anomalies.append(Anomaly(fate, sub.sub, channel, epoch, seq, record.t, attempt, again, detail))

    def accounts(self) -> tuple[list[Account], list[Anomaly]]:
        """The accounts per subscriber and channel, and the anomalies that only the end can tell (lost, unseen ...)."""
        accounts: list[Account] = []
        told: list[Anomaly] = []
        unknown: Fate = "unrecorded" if self.published.gaps() else "phantom"
        for sub in self._subs.values():
            if sub.refused is not None:
                sub.announcements.append(Announcement(inf, sub.refused[1]))
                sub.refused = None
            told += self._phantoms(sub, unknown)
            for channel in (ALL, channel_of(sub.user)):
                if sub.first_open is not None and channel in self.published.by_channel:
                    account = Account(sub.sub, channel)
                    told += self._settle(sub, account, sub.first_open + self._clock_error)
                    told += self._settle_barren(sub, account, sub.first_open)
                    accounts.append(account)
        return accounts, told

    def _settle(self, sub: _Sub, account: Account, since: float) -> Iterator[Anomaly]:
        dispatched = self._last(sub, account.channel)
        due = self.published.slice(account.channel, since)
        end = self._due_until(sub, due, dispatched)
        for one in due:
            if one.position > end:
                break
            account.entitled += 1
            track = sub.tracks.get((one.epoch, one.channel))
            if track is not None and one.seq in track.all:
                account.delivered += 1
            elif any(self._covers(announced, one) for announced in sub.announcements):
                account.announced += 1
                yield self._missing("announced", sub, one)
            elif one.position < dispatched:
                account.lost += 1
                yield self._missing("lost", sub, one)
            else:
                account.unseen += 1
                yield self._missing("unseen", sub, one)

    def _settle_barren(self, sub: _Sub, account: Account, first_open: float) -> Iterator[Anomaly]:
        """What the streams owed that ended before anything had come on any of them."""
        closed = sub.gone is not None and sub.gone < self._drain
        for opened, ended in sub.barren if closed else [one for one in sub.barren if one[0] < first_open]:
            for one in self.published.slice(account.channel, opened + self._clock_error):
                if one.done >= ended:
                    break
                track = sub.tracks.get((one.epoch, one.channel))
                fate = None if track is not None and one.seq in track.all else self._owed(one, ended)
                if fate is not None:
                    account.entitled += 1
                    account.lost += fate == "lost"
                    account.unseen += fate == "unseen"
                    yield self._missing(fate, sub, one)

    def _due_until(self, sub: _Sub, due: list[Publication], dispatched: int) -> float:
        """The position of the last event that this subscriber can demand."""
        if sub.gone is not None and sub.gone < self._drain:
            return dispatched
        return next((one.position for one in due if one.type == SENTINEL and one.t >= self._drain), inf)

    def _last(self, sub: _Sub, channel: str) -> int:
        """The latest position of the channel that this subscriber dispatched, or -1."""
        return self._highest({name: track.all.top for name, track in sub.tracks.items()}, channel)

    def _highest(self, tops: Mapping[tuple[str, str], int], channel: str) -> int:
        known = (self.published.by_name.get((epoch, chan, top)) for (epoch, chan), top in tops.items())
        return max((one.position for one in known if one is not None and one.channel == channel), default=-1)

    def _covers(self, announced: Announcement, one: Publication) -> bool:
        published = announced.since <= one.done and one.t <= announced.until
        return published and one.position > self._highest(announced.floor, one.channel)

    @staticmethod
    def _missing(fate: Fate, sub: _Sub, one: Publication) -> Anomaly:
        return Anomaly(
            fate, sub.sub, one.channel, one.epoch, one.seq, one.t, detail=f"published as {one.id or 'no id'}"
        )

    def _phantoms(self, sub: _Sub, fate: Fate) -> Iterator[Anomaly]:
        for (epoch, channel), track in sub.tracks.items():
            for low, high in zip(track.all.lows, track.all.highs, strict=True):
                for seq in range(low, high + 1):
                    if (epoch, channel, seq) not in self.published.by_name:
                        yield Anomaly(fate, sub.sub, channel, epoch, seq, 0.0, detail="no record of its publication")


def looks_torn(record: Record, types: set[str]) -> bool:
    """Whether an event that is no test event has data that only a piece of a test event would have."""
    text = str(record.get("data", ""))
    if record["type"] not in types or '"channel"' not in text:
        return False
    try:
        return not isinstance(json.loads(text), dict)
    except ValueError:
        return True


def of(history: History) -> Ledger:
    """The ledger of a whole history."""
    return history.memo("ledger", _of)


def settled(history: History) -> tuple[list[Account], list[Anomaly]]:
    """The accounts of a whole history, and all its anomalies."""
    return history.memo("ledger.settled", _settled)


def count(history: History, fate: Fate) -> int:
    """How many events had this fate, with those that are not told one by one."""
    untold = (number for (_, _, other), number in of(history).untold.items() if other == fate)
    return sum(one.fate == fate for one in settled(history)[1]) + sum(untold)


def _of(history: History) -> Ledger:
    promises = Promises.of(history.header)
    owed = partial(_owed, history, promises.max_latency)
    # A header without promises says nothing; one whose target promises no replay does.
    replays = promises.replay_events is not None or "promises" not in history.header
    resets = partial(_resets_ids, history)
    ledger = Ledger(promises, clock_error=history.clock_error, owed=owed, replays=replays, resets_ids=resets)
    for record in history:
        ledger.feed(record)
    return ledger


def _resets_ids(history: History, t: float) -> bool:
    """Whether the mock had been told to play the fault `id`."""
    return any(one["name"] == "id" and one.t <= t for one in history.of("server.fault"))


def _owed(history: History, promised: float | None, one: Publication, ended: float) -> Fate | None:
    """What became of an event that had not come when its stream ended; None if it need not have come by then."""
    within = PROMPT if promised is None else promised
    late = too_late(history, ended - one.done - within, one.done, ended)
    if late is Outcome.PASS or not quiet(history, one.t, min(ended, one.done + within)):
        return None
    return "lost" if late is Outcome.FAIL and promised is not None else "unseen"


def _settled(history: History) -> tuple[list[Account], list[Anomaly]]:
    ledger = of(history)
    accounts, told = ledger.accounts()
    return accounts, sorted([*ledger.anomalies, *told], key=lambda one: one.t)
