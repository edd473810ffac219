"""What the parties of a run declare of themselves in its header: the client's law and the target's promises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harness.attempts import Attempt, Life
from harness.history import History
from harness.target import Promises

ROUNDED: Final = 0.02  # share of its deadline by which a client may count from an earlier moment than it tells of
LONGEST_DEFAULT: Final = 30.0  # a client that declares no cap has to be back after this long at the latest


@dataclass(frozen=True, slots=True)
class Declared:
    """The client's capabilities and options, and the target's promises; seconds as float."""

    capabilities: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    promises: Promises = field(default_factory=Promises)

    def can(self, capability: str) -> bool:
        return capability in self.capabilities

    def number(self, option: str) -> float | None:
        """An option of the client that is a number of seconds."""
        value = self.options.get(option)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def cap(self) -> float:
        cap = self.number("backoff_cap")
        return LONGEST_DEFAULT if cap is None else cap

    @property
    def retries_refusals(self) -> bool:
        """Whether this client says that it tries again after some refusals."""
        return self.can("status-retry") and self.options.get("policy", "resilient") != "spec"


def of(history: History) -> Declared:
    """What the header of this history declares."""
    return history.memo("declared", _read)


def _read(history: History) -> Declared:
    client = history.header.get("client") or {}
    capabilities, options = client.get("capabilities") or (), client.get("options") or {}
    return Declared(frozenset(capabilities), options, Promises.of(history.header))


def hung_up(one: Attempt, history: History) -> bool:
    """Whether a stream ended because the client's own patience did: nothing came for as long as it declares to wait."""
    limit, own = of(history).number("heartbeat_deadline"), [t for t in (one.t_end, one.t_wait) if t is not None]
    if limit is None or not own or one.t_last is None:
        return False
    first = min(own)
    by_server = any(conn.by == "server" and conn.t_end is not None and conn.t_end <= first for conn in one.conns)
    return not by_server and first - one.t_last >= limit * (1 - ROUNDED)


def reconnection_times(life: Life, history: History, *, own: bool = True) -> list[float | None]:
    """Per attempt of a subscriber the reconnection time in force when it ended; None while nobody has set one.

    What the server sent and the client got counts, or what the client says it read if that is more, or came later: a
    client that reads a `retry` which is none, or passes one over, is what is judged.  `own`: until then the time that
    the client declares is in force.
    """
    current, times = of(history).number("reconnection_time") if own else None, []
    for one in life.attempts:
        got, later = _sent(one)
        if one.retry is not None and (got is None or one.retry >= got or one.retry in later):
            current = one.retry
        elif got is not None:
            current = got
        times.append(current)
    return times


def _sent(one: Attempt) -> tuple[float | None, list[float]]:
    """The reconnection time that a client got for certain on an attempt, as it got something after it; those after it.

    A stream keeps its order: who was told of more than was sent before the field got the field as well.
    """
    runs = sum(record["last"] - record["first"] + 1 for record in one.seen if record.kind == "sub.run")
    seen = runs + sum(record.kind in ("sub.event", "sub.comment") for record in one.seen)
    got: float | None = None
    later: list[float] = []
    before = 0
    for record in (record for conn in one.conns for record in conn.sent):
        if (retry := record.get("retry_ms")) is None:
            before += 1
        elif before < seen:
            got = float(retry) / 1000
        else:
            later.append(float(retry) / 1000)
    return got, later
