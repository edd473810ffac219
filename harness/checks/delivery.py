"""Delivery: every event that a subscriber is entitled to, once, in order, whole."""

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from harness import attempts, ledger
from harness.check import Finding, check, failed, passed, skipped, unknown
from harness.history import History
from harness.ledger import Anomaly, Fate
from harness.stats import upper_rate
from harness.testevent import ALL

_SETTLED = 0.2  # seconds on each side of an opening or an end in which a stream is neither open nor closed
_GAPS = "the records of what was published have gaps"
_NOTHING = "nothing was published that a subscriber could demand"


def _of(history: History, *fates: str) -> list[Anomaly]:
    return [one for one in ledger.settled(history)[1] if one.fate in fates]


def _sums(history: History) -> dict[str, float]:
    accounts, _ = ledger.settled(history)
    names = ("entitled", "delivered", "announced", "lost", "unseen")
    sums = {name: float(sum(getattr(one, name) for one in accounts)) for name in names}
    return {
        **sums,
        "deliveries": float(ledger.of(history).deliveries),
        "users": float(len({life.user for life in attempts.lives(history).values() if _opens(life)})),
        "minutes": round((history.end - history.start) / 60, 3),
        "reconnects": float(sum(max(0, _opens(life) - 1) for life in attempts.lives(history).values())),
    }


def _opens(life: attempts.Life) -> int:
    return sum(one.t_open is not None for one in life.attempts)


def _by_fate(history: History, fate: Fate, expected: str) -> Finding:
    """FAIL on any event of this fate, PASS if something was delivered, else SKIP."""
    sums, number = _sums(history), ledger.count(history, fate)
    if number:
        return failed(expected, f"{number} {fate}", map(str, _of(history, fate)), **sums)
    if not sums["deliveries"]:
        return skipped("no test event was delivered")
    return passed(expected, f"none of {sums['deliveries']:.0f} deliveries", (), **sums)


@check("delivery.nothing_lost", "QA-1", "QA-2", "EDGE-3")
def nothing_lost(history: History) -> Finding:
    """Every event that a subscriber is entitled to is dispatched, or the server says that it is missing."""
    expected, sums = "entitled = delivered + announced", _sums(history)
    lost, unseen = _of(history, "lost"), _of(history, "unseen")
    drained = [one for one in history.of("drain") if one["state"] == "end"]
    missing = [str(name) for one in drained for name in one.get("missing", ())]
    if not sums["entitled"] and not missing:
        return skipped(_NOTHING)
    account = ", ".join(f"{sums[name]:.0f} {name}" for name in ("entitled", "delivered", "announced", "lost", "unseen"))
    if lost:
        return failed(expected, account, map(str, lost), **sums)
    if missing:
        silent = [f"{name}: its sentinels did not come" for name in missing]
        return unknown(expected, f"{account}; the drain missed {len(missing)}", [*silent, *map(str, unseen)], **sums)
    if unseen:
        return unknown(expected, f"{account}; the sentinel was not seen", map(str, unseen), **sums)
    if not drained:
        return unknown(expected, f"{account}; the run did not come to its drain", (), **sums)
    if gaps := ledger.of(history).published.gaps():
        return unknown(expected, f"{account}; {_GAPS}", gaps, **sums)
    return passed(expected, account, (), **sums, upper_rate=upper_rate(0, int(sums["entitled"])))


@check("delivery.nothing_twice", "QA-2")
def nothing_twice(history: History) -> Finding:
    """No event is dispatched twice, neither on one connection nor by the replay on a later one."""
    return _by_fate(history, "duplicated", "each event once")


@check("delivery.in_order", "QA-1", "SSE-78")
def in_order(history: History) -> Finding:
    """The events of a channel are dispatched in the order in which they were published."""
    return _by_fate(history, "reordered", "seq rises within each channel")


@check("delivery.no_phantom", "QA-1", subject="server")
def no_phantom(history: History) -> Finding:
    """Nothing is dispatched that was never published."""
    if not history.of("published"):
        return skipped("the run published nothing")
    expected, unrecorded = "each event dispatched was published", _of(history, "unrecorded")
    if unrecorded:
        return unknown(expected, f"{_GAPS} of {len(unrecorded)}", map(str, unrecorded), **_sums(history))
    return _by_fate(history, "phantom", expected)


@check("delivery.untorn", "QA-1", "SSE-81", "SSE-82")
def untorn(history: History) -> Finding:
    """Each event arrives whole: its digest is right, and a block cut before its empty line is discarded."""
    unfinished = [text for one in attempts.attempts(history) for text in _unfinished(one)]
    if unfinished:
        torn, number = [*map(str, _of(history, "torn")), *unfinished], ledger.count(history, "torn") + len(unfinished)
        return failed("no event is torn", f"{number} torn", torn, **_sums(history))
    return _by_fate(history, "torn", "no event is torn")


def _unfinished(one: attempts.Attempt) -> list[str]:
    """Events that the client dispatched though the server sent only a part of them on this connection."""
    parts = [record for conn in one.conns for record in conn.sent if record.get("torn")]
    return [
        f"{one.sub}: dispatched {seen['id']!r} at {seen.t:.6f}, of which only a part was sent at {part.t:.6f}"
        for part in parts
        for seen in one.seen
        # In a summary it is the last one: nothing follows on a connection that was cut.
        if seen.kind in ("sub.event", "sub.run") and seen.t >= part.t and seen["id"] == part["torn"]
    ]


@check("delivery.every_stream", "EDGE-2", subject="server")
def every_stream(history: History) -> Finding:
    """Of several open streams of one user each gets an event that any of them gets."""
    shared = _shared(history)
    if not shared:
        return skipped("no user had several streams at once")
    lost = {(one.sub, one.epoch, one.channel, one.seq) for one in _of(history, "lost", "unseen")}
    wrong, judged = [], 0
    for name, subs in _addressed(history, shared):
        without = [sub for sub in subs if (sub, *name) in lost]
        judged += len(subs)
        if without and len(without) < len(subs):
            wrong.append(f"{name[1]} #{name[2]} of {name[0]} did not reach {', '.join(without)}, but other streams")
    expected = "each open stream of a user gets all of its events"
    figures = {"deliveries": float(judged), "users": float(len(shared))}
    if wrong:
        return failed(expected, f"{len(wrong)} events reached some streams only", wrong, **figures)
    if not judged:
        return skipped("nothing was published while a user had several streams open")
    return passed(expected, f"{judged} deliveries to several streams of a user", (), **figures)


def _addressed(
    history: History, shared: dict[str, list[attempts.Life]]
) -> Iterator[tuple[tuple[str, str, int], list[str]]]:
    """Each event with the streams of one user that were connected when it was published (several)."""
    for user, lives in shared.items():
        for channel in (ALL, f"user:{user}"):
            for one in ledger.of(history).published.by_channel.get(channel, ()):
                subs = [life.sub for life in lives if _connected(life, one.t)]
                if len(subs) > 1:
                    yield (one.epoch, channel, one.seq), subs


def _connected(life: attempts.Life, t: float) -> bool:
    """Whether the subscriber had an open stream at this moment, and for a second on each side."""
    return any(
        one.t_open is not None
        and one.t_open + _SETTLED < t
        and t + _SETTLED < min(end for end in (one.told_end, life.gone, inf) if end is not None)
        for one in life.attempts
    )


def _shared(history: History) -> dict[str, list[attempts.Life]]:
    """The subscribers of each user that has several."""
    users: dict[str, list[attempts.Life]] = defaultdict(list)
    for life in attempts.lives(history).values():
        if life.first_open is not None:
            users[life.user].append(life)
    return {user: lives for user, lives in users.items() if len(lives) > 1}
