"""Nothing stays behind: sockets, descriptors, tasks, slots, memory, and silence after close()."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from harness import attempts
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, weighed
from harness.history import History, Record
from harness.stats import mann_kendall, theil_sen
from harness.timing import too_late

WARM_UP, LEAST_CYCLES = 20, 30
PROBE = "run"  # the process in which subscribers live
LEAK = 100.0  # bytes per connection
SURE = 0.01
STRETCHES = 5  # in each of which a leak grows; what settles stands still in some of them, and slows down
STEADY = 0.25  # the slope of the last stretch over that of the first, from which on growth is lasting
AT_ONCE = 1.0  # seconds that a client may take to end once it has been closed
LAST_WORD = 0.1  # seconds in which a client in another process may still tell of what it got before it was closed


def _counts(history: History, name: str, expected: str) -> Finding:
    """Whether every process holds no more of something after the run than before."""
    pairs = _before_and_after(history, name)
    grown = [f"{role}: {before[name]} before, {after[name]} after" for role, before, after in pairs
             if after[name] > before[name]]  # fmt: skip
    if not pairs:
        return skipped("nothing was metered before and after")
    figures = {"after": float(sum(after[name] for _, _, after in pairs)), "cycles": float(len(_cycles(history)))}
    if grown:
        return _growing(history, expected, grown, pairs[0][1].t, pairs[0][2].t, figures)
    return passed(expected, f"{len(pairs)} processes as before", (), **figures)


def _growing(
    history: History, expected: str, grown: list[str], t0: float, t1: float, figures: Mapping[str, float]
) -> Finding:
    """More is held than before: a leak, unless more connections were under way when it was read."""
    before, after = _under_way(history, t0), _under_way(history, t1)
    if after > before:
        told = f"{'; '.join(grown)}, with {before} connections under way before and {after} after"
        return unknown(expected, told, grown, **figures)
    return failed(expected, "; ".join(grown), grown, **figures)


def _under_way(history: History, t: float) -> int:
    """How many connections were asked for or open at this moment, as their clients have it."""
    return sum(
        one.t_request <= t < min(told for told in (one.t_end, one.t_wait, life.gone, inf) if told is not None)
        for life in attempts.lives(history).values()
        for one in life.attempts
    )


def _before_and_after(history: History, name: str) -> list[tuple[str, Record, Record]]:
    """Role and meters "baseline" and "after" of every process of which both know `name`."""
    read: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in history.of("meter"):
        value = record[name]
        if record["label"] in ("baseline", "after") and value is not None and value >= 0:
            read[_role(record)][str(record["label"])] = record
    return [(role, two["baseline"], two["after"]) for role, two in read.items() if len(two) == 2]


def _role(record: Record) -> str:
    """Whose holdings a meter shows: the process it names, else the one that wrote it."""
    return str(record.get("role") or record.role)


def _cycles(history: History) -> list[Record]:
    return [one for one in history.of("meter") if ":" in str(one["label"]) or str(one["label"]).startswith("cycle")]


@check("cleanup.client_sockets", "QA-3", "EDGE-1", "PM-2", subject="client")
def client_sockets(history: History) -> Finding:
    """After every subscriber has been closed the client holds no more sockets than before."""
    return _counts(history, "sockets", "as many sockets as before")


@check("cleanup.descriptors", "QA-3", "EDGE-1", subject="client")
def descriptors(history: History) -> Finding:
    """After every subscriber has been closed the client holds no more descriptors than before."""
    return _counts(history, "descriptors", "as many descriptors as before")


@check("cleanup.tasks", "QA-3", "EDGE-1", subject="client")
def tasks(history: History) -> Finding:
    """After every subscriber has been closed no task of it is left."""
    return _counts(history, "tasks", "as many tasks as before")


@check("cleanup.server_slots", "QA-3", "PM-2", "PM-3", "SRV-9", subject="server")
def server_slots(history: History) -> Finding:
    """After every subscriber has been closed the server holds no stream and no slot of it."""
    stats = {str(one.get("label")): one for one in history.of("server.stats")}
    if not {"baseline", "after"} <= set(stats):
        return skipped("the server's own counts were not read before and after")
    before, after = stats["baseline"], stats["after"]
    counts = [(name, _held(before[name]), _held(after[name])) for name in ("open", "slots")]
    known = [(name, b, a) for name, b, a in counts if b is not None and a is not None]
    if not known:
        return skipped("the server tells neither its open streams nor its slots")
    grown = [f"{name}: {b} before, {a} after" for name, b, a in known if a > b]
    expected, figures = "as many streams and slots as before", {"cycles": float(len(_cycles(history)))}
    if grown:
        return _growing(history, expected, grown, before.t, after.t, figures)
    return passed(expected, ", ".join(f"{name}: {a}" for name, _, a in known), (), **figures)


def _held(told: object) -> int | None:
    """How many a server says it holds: a number, or numbers by user; None if it is neither."""
    if isinstance(told, Mapping):
        numbers = [_held(one) for one in told.values()]
        return None if None in numbers else sum(one for one in numbers if one is not None)
    return told if isinstance(told, int) and not isinstance(told, bool) else None


@check("cleanup.memory", "QA-3", subject="both")
def memory(history: History) -> Finding:
    """Memory does not grow with the number of connections that have been opened and closed."""
    by_role: dict[str, list[Record]] = defaultdict(list)
    for record in _cycles(history):
        by_role[_role(record)].append(record)
    long = {role: rows for role, rows in by_role.items() if len(rows) >= WARM_UP + LEAST_CYCLES}
    if not long:
        return skipped(f"fewer than {WARM_UP + LEAST_CYCLES} cycles of opening and closing")
    growth = {role: _growth(history, rows[WARM_UP:]) for role, rows in long.items()}
    expected = f"no lasting trend above {LEAK:g} B per connection"
    leaks = [f"{role}: {one}" for role, one in growth.items() if one.lasting]
    ours = [one for one in leaks if one.startswith(f"{PROBE}: ")] if _probing(history) else []
    figures = {"bytes_per_connection": max(one.low for one in growth.values()), "cycles": float(len(_cycles(history)))}
    if ours and ours == leaks:
        return unknown(expected, f"the harness's own process grew: {'; '.join(ours)}", ours, **figures)
    if leaks:
        return failed(expected, "; ".join(leaks), leaks, **figures)
    return passed(expected, f"{len(long)} processes", (), **figures)


def _probing(history: History) -> bool:
    """Whether our own client is but the probe of a server that is not ours."""
    target, client = (history.header.get(name) or {} for name in ("target", "client"))
    return bool(client.get("own")) and not target.get("own", True)


@dataclass(frozen=True, slots=True)
class _Growth:
    """A trend of memory: its p-value, its slope's lower bound, and slope and lower bound in each stretch; in bytes per
    connection.

    What settles (caches, arenas) flattens out, with a step now and then; a leak goes on. Of 65 churns of the good
    client with 80 cycles of 8 connections after the warm-up (100 with it), none grew in each of five stretches; with a
    leak of 300 B per connection on top 64 did, with 400 B all. After a warm-up of 10 cycles one of the good ones did.
    """

    p: float
    low: float
    stretches: tuple[tuple[float, float], ...]

    @property
    def lasting(self) -> bool:
        """Whether it is sure, large, and goes on to the end."""
        first, last = self.stretches[0][0], self.stretches[-1][0]
        return self.p < SURE and min(low for _, low in self.stretches) > LEAK and last > STEADY * first

    def __str__(self) -> str:
        last, _ = self.stretches[-1]
        return f"at least {self.low:.0f} B per connection, p {self.p:.1e}, {last:.0f} B in the last fifth"


def _growth(history: History, rows: list[Record]) -> _Growth:
    opened = [record.t for record in history.of("sub.start") if rows[0].t < record.t <= rows[-1].t]
    per_cycle = max(1.0, len(opened) / (len(rows) - 1))
    sizes = [float(record["rss"]) for record in rows]
    borders = [number * len(sizes) // STRETCHES for number in range(STRETCHES + 1)]
    trends = [theil_sen(sizes[begin:end], confidence=0.99) for begin, end in pairwise(borders)]
    whole = theil_sen(sizes, confidence=0.99)
    stretches = tuple((one.slope / per_cycle, one.low / per_cycle) for one in trends)
    return _Growth(mann_kendall(sizes), whole.low / per_cycle, stretches)


@check("cleanup.ends", "QA-3", "EDGE-1", "SSE-83", subject="client")
def ends(history: History) -> Finding:
    """close() ends a subscriber: nothing of it runs on."""
    closed = [life for life in attempts.lives(history).values() if life.t_close is not None]
    if not closed:
        return skipped("no subscriber was closed")
    judged = [
        (
            too_late(history, _after(life) - AT_ONCE, life.t_close or 0.0, _end(life)),
            f"{life.sub}: still running {_after(life):.3f} s after close()",
        )
        for life in closed
    ]
    return weighed(
        judged, f"closed subscribers end within {AT_ONCE:g} s", fails=f"{{n}} of {len(closed)} did not",
        passes=f"{len(closed)} subscribers", closed=len(closed),
    )  # fmt: skip


def _end(life: attempts.Life) -> float:
    return life.t_closed if life.t_closed is not None else life.t_close or 0.0


def _after(life: attempts.Life) -> float:
    """How long a subscriber went on after it had been closed."""
    return _end(life) - (life.t_close or 0.0)


@check("cleanup.silent_after_close", "SSE-78", "SSE-83", "SSE-32", "QA-3", subject="client")
def silent_after_close(history: History) -> Finding:
    """After close() there is no event, no connection attempt and no opening."""
    closed = [
        life for life in attempts.lives(history).values() if life.t_close is not None or life.t_closed is not None
    ]
    if not closed:
        return skipped("no subscriber was closed")
    judged = [
        (_spoke(history, life, record), f"{life.sub}: {record.kind} at {record.t:.6f}, gone at {life.gone}")
        for life in closed
        for record in life.after
    ]
    return weighed(
        judged, "silence after close()", fails="{n} records", doubts="{n} records, within our own lag",
        passes=f"{len(closed)} subscribers", closed=len(closed),
    )  # fmt: skip


def _spoke(history: History, life: attempts.Life, record: Record) -> Outcome:
    if life.t_closed is not None and record.t > life.t_closed:
        return Outcome.FAIL
    gone = life.gone or record.t
    return too_late(history, record.t - gone - LAST_WORD, gone, record.t)
