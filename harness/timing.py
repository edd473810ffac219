"""Time in a history: our own lag, the windows in which something was broken, and when late is too late.

Theory.  *Too early* needs no help: a clock never runs fast.  *Too late* may be our own doing: each process of a run
has a ticker whose worst overshoot of each second is a record `lag`.  A delay passes through several processes, so the
overshoots of all roles in a window add up; an excess that is not larger proves nothing (UNKNOWN).  A window in which
some process lived and its ticker did not cover it proves nothing either.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from math import inf
from typing import Final

from harness.check import Outcome
from harness.history import History, Record

REQUEST: Final = 3  # turns of a request: to connect, to send it, to answer it
RESOLUTION: Final = 2e-6  # two records, each rounded to 1 µs
SETTLE: Final = 1.0  # after a fault has been healed its backlog still drains
_SECOND: Final = 1.05  # what one record of lag covers, beside its own overshoot
_HOLE: Final = 0.25
_BREAKING: Final = ("restart", "drop", "disable", "network", "streamfault", "flag", "rollout")
_MOMENTARY: Final = ("server drop:", "server restart:")
_BY_SERVER: Final = ("server ", "away", "step drop", "step restart", "step streamfault")
_BY_FLAG: Final = ("step flag", "step rollout")
_NO_ANSWER: Final = ("server drop:", "step drop")
RECOVERY: Final = 5.0  # a server that was away or told to misbehave may answer strangely for so long afterwards


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which something was broken on purpose."""

    start: float
    end: float
    what: str


def lag(history: History, t0: float, t1: float) -> float:
    """The worst lag of any role in the seconds that touch the window; infinite where no ticker covers it."""
    return max(_lags(history, t0, t1).values(), default=inf)


def allowance(history: History, t0: float, t1: float) -> float:
    """What our own processes may have added to a delay in this window: the lags of all roles, and the clock error."""
    lags = _lags(history, t0, t1)
    return sum(lags.values()) + history.clock_error + RESOLUTION if lags else inf


def too_late(history: History, excess: float, t0: float, t1: float, *, turns: int = 1) -> Outcome:
    """PASS if nothing is in excess of the bound, FAIL if more than our own lag is, else UNKNOWN.

    `turns`: how often each process had to come to its turn one after the other within this wait.
    """
    if excess <= RESOLUTION:
        return Outcome.PASS
    return Outcome.FAIL if excess > turns * allowance(history, t0, t1) else Outcome.UNKNOWN


def _lags(history: History, t0: float, t1: float) -> dict[str, float]:
    """The worst lag by role in the window; empty if the window has a stretch that somebody who lived did not cover."""
    times, records, longest = history.memo("timing.lags", _index)
    worst: dict[str, float] = {}
    covered: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at in range(bisect_left(times, t0), bisect_right(times, t1 + longest)):
        record = records[at]
        begin = record.t - _SECOND - record["worst"]
        if begin <= t1:
            worst[record.role] = max(worst.get(record.role, 0.0), float(record["worst"]))
            covered[record.role].append((begin, record.t))
    lived = ((max(t0, begin), min(t1, end), role) for role, begin, end in history.memo("timing.lived", _lived))
    whole = all(_no_hole(covered[role], begin, end) for begin, end, role in lived if begin < end)
    return worst if whole and any(_no_hole(one, t0, t1) for one in covered.values()) else {}


def _lived(history: History) -> list[tuple[str, float, float]]:
    """Each process by its role, from its first sign of life until its last second: of that a crash keeps no record."""
    lived: list[tuple[str, float, float]] = []
    present: dict[str, int] = {}
    for record in history:
        at = present.get(record.role)
        if at is None or record.kind == "history":
            present[record.role] = len(lived)
            lived.append((record.role, record.t, record.t))
        else:
            lived[at] = (record.role, lived[at][1], record.t)
    return [(role, begin, end - _SECOND) for role, begin, end in lived]


def _index(history: History) -> tuple[list[float], list[Record], float]:
    records = history.of("lag")
    longest = max((record["worst"] for record in records), default=0.0) + _SECOND
    return [record.t for record in records], records, longest


def _no_hole(covered: list[tuple[float, float]], t0: float, t1: float) -> bool:
    reached = t0
    for begin, end in sorted(covered):
        if begin > reached + _HOLE:
            return False
        reached = max(reached, end)
    return bool(covered) and reached + _HOLE >= t1


def fault_windows(history: History) -> list[Window]:
    """Every stretch with a fault of the network or the server, or a step that breaks something, in order."""
    return history.memo("timing.faults", _fault_windows)


def _fault_windows(history: History) -> list[Window]:
    open_since: dict[str, float] = {}
    windows: list[Window] = []
    for record in history:
        if (mark := _mark(record)) is None:
            continue
        what, begins = mark
        if what.startswith(_MOMENTARY):
            windows.append(Window(record.t, record.t, what))
        elif begins:
            open_since.setdefault(what, record.t)
        else:
            ended = [one for one in open_since if one == what or (what == "server all" and one.startswith("server "))]
            windows += [Window(open_since.pop(one), record.t, one) for one in ended]
    windows += [Window(since, inf, what) for what, since in open_since.items()]
    return sorted(windows, key=lambda one: one.start)


def _mark(record: Record) -> tuple[str, bool] | None:
    """What a record says about faults: (its name, whether it begins there), or None."""
    match record.kind:
        case "net.fault":
            return f"{record['proxy']} {record['fault']}", record["state"] != "off"
        # a defect of the mock is what is judged, never an excuse
        case "server.fault" if not is_defect(record):
            return f"server {record['name']}", record["state"] != "off"
        case "server.stop":
            return "away", True
        case "server.start":
            return "away", False
        case "step" if str(record["step"]).lower().startswith(_BREAKING):
            return f"step {record['step']}", record["state"] in ("begin", "start")
        case _:
            return None


def quiet(history: History, t0: float, t1: float) -> bool:
    """Whether nothing was broken on purpose in the window, nor so shortly before that its effect may last."""
    return not any(one.start <= t1 and one.end + SETTLE >= t0 for one in fault_windows(history))


def settled(history: History, t0: float, t1: float) -> float | None:
    """From when on the window counts: from its begin, or when no effect of a fault before it can last any more; None if
    something was broken on purpose in it."""
    near = [one for one in fault_windows(history) if one.start <= t1 and one.end + SETTLE >= t0]
    return None if any(one.end > t0 for one in near) else max([t0, *(one.end + _lasting(one) for one in near)])


def _lasting(fault: Window) -> float:
    """How long the effect of a fault may last: a server that was away or misbehaved may be slow for longer."""
    by_server = fault.what.startswith((*_BY_SERVER, *_BY_FLAG)) and not fault.what.startswith(_NO_ANSWER)
    return RECOVERY if by_server else SETTLE


def heard(history: History, t0: float, t1: float, *, asks: bool) -> bool:
    """Whether nothing kept the end of a stream by its server from its client, nor (`asks`) the client from its server.

    The network does both while it is broken; a server that is away only the latter, and the drop itself neither.
    """
    lost = (one for one in fault_windows(history) if one.start <= t1 and one.end + SETTLE >= t0)
    return all(
        one.what.startswith(_NO_ANSWER) or (not asks and one.what.startswith((*_BY_SERVER, *_BY_FLAG))) for one in lost
    )


def excuses(history: History, t0: float, t1: float, *, network: bool) -> bool:
    """Whether a refusal in this window may be the doing of a fault, or of what it left behind for RECOVERY.

    Neither a drop of streams nor the network makes answers, but a network may spoil a request (`network`).
    """
    for one in fault_windows(history):
        answers = one.what.startswith((*_BY_SERVER, *_BY_FLAG)) and not one.what.startswith(_NO_ANSWER)
        near = one.start <= t1 and one.end + RECOVERY + history.clock_error >= t0
        if near and (network or answers):
            return True
    return False


def is_defect(record: Record) -> bool:
    """Whether a server.fault record tells of a defect of the mock: that is what is judged, never an excuse."""
    return bool(record.get("defect")) or str(record["name"]).startswith("defect:")


def scripted(history: History, until: float) -> bool:
    """Whether the mock had been told to play something broken before this moment: its frames then prove nothing."""
    faults = (record for record in history.of("server.fault") if not is_defect(record) and record["state"] != "off")
    return any(one.t <= until for one in faults if not str(one["name"]).startswith(("drop:", "restart:")))


def disturbed(history: History, t0: float, t1: float) -> float:
    """When the stream that was open from t0 to t1 was first broken on purpose by its own server; t1 if it was not."""
    breaks = (one.start for one in fault_windows(history) if one.what.startswith(_BY_SERVER))
    return min((t for t in breaks if t0 <= t <= t1), default=t1)
