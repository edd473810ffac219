"""Signals: that the user of a client hears of what went wrong, and of nothing that was never sent."""

from bisect import bisect_left
from collections.abc import Iterator

from harness import attempts
from harness.attempts import Attempt, Life
from harness.check import Finding, check, failed, passed, skipped
from harness.history import History, Record
from harness.timing import RESOLUTION


@check("signals.error", "QA-4", "SSE-30", subject="client")
def error(history: History) -> Finding:
    """Whenever a client has lost its connection, or has given up for good, its user hears of an error: before the next
    attempt, or at the end."""
    errors: dict[str, list[float]] = {}
    for record in history.of("sub.error"):
        errors.setdefault(str(record["sub"]), []).append(record.t)
    if not errors:
        return skipped("no error was signalled: nothing was lost, or this client does not tell of its errors")
    judged, wrong = 0, []
    for life in attempts.lives(history).values():
        for one, lost, until in _losses(life):
            judged += 1
            if not _any_within(errors.get(life.sub, []), lost - RESOLUTION, until + RESOLUTION):
                wrong.append(f"{one.sub} attempt {one.number}, lost at {lost:.6f}, and no error until {until:.6f}")
    expected = "an error between each loss and the next attempt or the end"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} losses were silent", wrong)
    if not judged:
        return skipped("no client that had lost its connection came back")
    return passed(expected, f"{judged} losses were signalled", (), losses=judged)


def _losses(life: Life) -> Iterator[tuple[Attempt, float, float]]:
    """Each attempt that was lost, when the client noticed, and by when its user has to have heard of it."""
    for one, following in attempts.pairs(life) if not life.borrows else ():
        if (lost := _lost(one)) is not None:
            yield one, lost, following.t_request
    last = life.attempts[-1] if life.attempts and not life.borrows else None
    # 204 is the server's wish that nobody comes back: a client may take that as an end in order.
    if last is not None and last.source == "client" and life.left and last.status != 204 and life.t_closed is not None:
        known = [t for t in (last.t_response, last.t_end, last.t_wait) if t is not None]
        yield last, min(known, default=last.t_request), life.t_closed


def _lost(one: Attempt) -> float | None:
    """When the client itself noticed that this attempt was over; a 401 asks for a new token and is no loss yet."""
    if one.source != "client" or one.status == 401:
        return None
    return min((t for t in (one.t_end, one.t_wait) if t is not None), default=None)


def _any_within(times: list[float], begin: float, end: float) -> bool:
    at = bisect_left(times, begin)
    return at < len(times) and times[at] <= end


@check("signals.nothing_invented", "QA-1", "SSE-54", "SSE-71", subject="client")
def nothing_invented(history: History) -> Finding:
    """A comment or a block without data is no event: nothing is dispatched that the server did not send as one."""
    if not history.of("conn.sent"):
        return skipped("what the server sent was not seen")
    if any(not one.get("defect") for one in history.of("server.fault")):
        return skipped("the server was made to send other bytes than its own")
    events = history.of("sub.event")
    wrong = [
        f"{one['sub']} at {one.t:.6f}: an event of type {one['type']!r} with no data, id {one['id']!r}"
        for one in events
        if one.get("channel") is None and one.get("data") == ""
    ]
    wrong += [text for one in attempts.attempts(history) if (text := _more_than_sent(one))]
    judged = len(events) + sum(map(_events_of, history.of("sub.run")))
    if not judged:
        return skipped("nothing was dispatched")
    expected = "only events that the server sent"
    if wrong:
        return failed(expected, f"{len(wrong)} times there was one more", wrong)
    return passed(expected, f"none of {judged} was invented", (), deliveries=judged)


def _more_than_sent(one: Attempt) -> str:
    """How many more events a client dispatched than it was sent on a stream of which every record is there."""
    sent = [record["what"] for conn in one.conns for record in conn.sent]
    if not sent or "raw" in sent or any(conn.t_end is None for conn in one.conns):
        return ""
    told = sum(_events_of(record) for record in one.seen if record.kind in ("sub.event", "sub.run"))
    whole = sent.count("event") + sent.count("reset")
    return "" if told <= whole else f"{one.sub} attempt {one.number}: dispatched {told} events, was sent {whole}"


def _events_of(record: Record) -> int:
    """How many events a record of the client stands for."""
    return int(record["last"] - record["first"] + 1) if record.kind == "sub.run" else 1
