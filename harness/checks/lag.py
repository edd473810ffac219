"""Lag: how long an event takes from its commitment to its dispatch, where nothing was broken on purpose."""

from dataclasses import dataclass

from harness import attempts, declared, ledger
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, waived
from harness.history import History
from harness.published import Publication
from harness.stats import percentile
from harness.timing import quiet, too_late


@dataclass(frozen=True, slots=True)
class Delay:
    """One live delivery (or one that is overdue): who, what, how long from commitment to dispatch, and until when."""

    sub: str
    event: Publication
    delay: float
    until: float
    came: bool

    def __str__(self) -> str:
        what = "after" if self.came else "not even after"
        return f"{self.sub}: {self.event.channel} #{self.event.seq} came {what} {self.delay:.3f} s, at {self.until:.6f}"


@check("lag.live", "PATH-1", "QA-1", subject="path")
def live(history: History) -> Finding:
    """A live event is dispatched within the promised latency where nothing is broken on purpose."""
    bound = declared.of(history).promises.max_latency
    if bound is None:
        return waived("the target promises no latency")
    if not (delays := judged(history)):
        return skipped("no live delivery in a quiet window")
    worst = max(outcome for outcome, _ in delays)
    late = [str(one) for outcome, one in delays if outcome is worst]
    came = [one.delay for _, one in delays if one.came]
    figures = {"p50": percentile(came, 50), "p99": percentile(came, 99), "worst": max(came)} if came else {}
    actual = f"p99 {figures['p99']:.3f} s, worst {figures['worst']:.3f} s" if came else "none came"
    expected = f"at most {bound:g} s"
    match worst:
        case Outcome.FAIL:
            return failed(
                expected, f"{len(late)} stale of {len(delays)}; {actual}", late, samples=len(delays), **figures
            )
        case Outcome.UNKNOWN:
            return unknown(expected, f"late by no more than our own lag; {actual}", late, samples=len(delays))
        case _:
            return passed(expected, actual, (), samples=len(delays), **figures)


def judged(history: History) -> list[tuple[Outcome, Delay]]:
    """Each live delivery in a quiet window, with FAIL where it is stale; none where no latency is promised."""
    return history.memo("lag.judged", _judged)


def _judged(history: History) -> list[tuple[Outcome, Delay]]:
    bound = declared.of(history).promises.max_latency
    delays = [] if bound is None else _delays(history, bound)
    return [(too_late(history, one.delay - (bound or 0.0), one.event.done, one.until), one) for one in delays]


def _delays(history: History, bound: float) -> list[Delay]:
    """All events committed while a stream was open, dispatched on it or overdue, in quiet windows.

    Of one whose publication took longer than the bound nobody knows how long it waited: its server may have passed it
    on to one stream after the other before it answered.
    """
    published = ledger.of(history).published
    found: list[Delay] = []
    for one in attempts.streams(history):
        came = _dispatched(history, one)
        open_from = one.t_open or 0.0
        until = min(history.end, one.told_end or history.end, attempts.lives(history)[one.sub].gone or history.end)
        user = one.came_as or attempts.lives(history)[one.sub].user
        for channel in ("all", f"user:{user}"):
            for event in published.slice(channel, open_from):
                if event.done >= until:
                    break
                if event.done - event.t <= bound:
                    found += _delay(history, one.sub, event, came, until, bound)
    return found


def _delay(
    history: History, sub: str, event: Publication, came: dict[tuple[str, str, int], float], until: float, bound: float
) -> list[Delay]:
    t = came.get((event.epoch, event.channel, event.seq))
    end = until if t is None else t
    if not quiet(history, event.t, min(end, event.done + bound)):
        return []
    if t is None:
        overdue = end - event.done > bound and not _elsewhere(history, sub, event)
        return [Delay(sub, event, end - event.done, end, False)] if overdue else []
    return [Delay(sub, event, max(0.0, t - event.done), t, True)]


def _dispatched(history: History, one: attempts.Attempt) -> dict[tuple[str, str, int], float]:
    """When each test event was first dispatched on this stream, by its name; of a summary only the slowest is known."""
    published = ledger.of(history).published
    came: dict[tuple[str, str, int], float] = {}
    for record in one.seen:
        if record.kind == "sub.event" and record.get("channel") is not None:
            name = published.name(str(record["epoch"]), record["channel"], int(record["seq"]), record.get("digest"))
            came.setdefault(name, record.t)
        elif record.kind == "sub.run":
            for seq in range(int(record["first"]), int(record["last"]) + 1):
                name = (str(record["epoch"]), str(record["channel"]), seq)
                event = published.by_name.get(name)
                came.setdefault(name, record.t if event is None else min(record.t, event.done + record["slowest"]))
    return came


def _elsewhere(history: History, sub: str, event: Publication) -> bool:
    """Whether the ledger has this missing event as announced or lost: then it is told there."""
    told = history.memo("lag.told", _told)
    return (sub, event.epoch, event.channel, event.seq) in told


def _told(history: History) -> set[tuple[str, str, str, int]]:
    fates = ("announced", "lost")
    return {(one.sub, one.epoch, one.channel, one.seq) for one in ledger.settled(history)[1] if one.fate in fates}
