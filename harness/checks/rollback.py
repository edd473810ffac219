"""A rollback leaves nothing behind: polling takes over, no stale state comes back, errors are as rare as before.

Theory.  *State is cleared*: while streaming is off a client may go on another way (it polls) and its last event ID
moves on.  When streaming returns, its first request may carry no Last-Event-ID or the one that it has now; one that it
had before the flag went off and that it has passed since is cached connection state.  A client that got nothing in
between has nothing newer, so nothing is judged.  *Errors* are answers of 400 and above and requests without an answer,
of streams, polls and the run's own probes; a 204 is none.  Their rate in the stage after the rollback, once settled,
is held against that of all the time before it, by the exact test of two Poisson rates.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness import attempts, declared
from harness.attempts import Attempt, Life
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, waived, weighed
from harness.checks.flag import REFUSED, Stage, off, stages
from harness.history import History
from harness.stats import rate_excess
from harness.timing import REQUEST, allowance, fault_windows, too_late

SLACK = 1.0  # what a client may need beyond its own interval to begin to poll
LEAST = 3.0  # seconds before and after a rollback that a comparison needs
RARE = 0.001
LAGGING = 2.0  # seconds of our own lag that may have made requests time out
_CHANGES = ("step flag", "step rollout")  # what is judged, and no fault that excuses


@check("rollback.falls_back", "UX-2", subject="client")
def falls_back(history: History) -> Finding:
    """Where streaming is not to be had a client that declares it polls instead, from its next interval on.

    A 204 says so, and so does whatever else the server answers to those for whom the flag is off.
    """
    every = declared.of(history).number("poll_every")
    if not declared.of(history).can("polling") or every is None:
        return waived("the client does not declare polling, or the run offers none")
    judged = [found for life in attempts.lives(history).values() for found in _fallen(history, life, every + SLACK)]
    if not judged:
        return skipped("no client was told that there is no stream for it")
    polled = sum(len(life.polled) for life in attempts.lives(history).values())
    return weighed(
        judged, f"a poll within {every + SLACK:g} s", fails=f"{{n}} of {len(judged)} refusals were not followed by one",
        passes=f"{len(judged)} refusals, {polled} events polled", deliveries=polled,
    )  # fmt: skip


def _fallen(history: History, life: Life, bound: float) -> Iterator[tuple[Outcome, str]]:
    """Of each answer that there is no stream whether a poll followed in time; nothing where the subscriber was closed
    before it was due."""
    until = history.end if life.t_close is None else life.t_close
    for one in life.attempts:
        if one.t_response is None or not (one.status == 204 or _gated(history, one)):
            continue
        poll = next((record.t for record in life.polls if record.t >= one.t_response), None)
        if poll is None and until - one.t_response <= bound:
            continue
        end = until if poll is None else poll
        told = f"{one.status} at {one.t_response:.6f}, {'no' if poll is None else 'a'} poll"
        text = f"{one.sub} attempt {one.number}: {told}"
        late = too_late(history, end - one.t_response - bound, one.t_response, end, turns=1 + REQUEST)
        yield late, f"{text} until {end:.6f}"


def _gated(history: History, one: Attempt) -> bool:
    """Whether a refusal came while the flag was off for some or all."""
    found = (stage for stage in stages(history) if stage.percent < 100)
    return one.status in REFUSED and any(stage.start <= one.t_request <= stage.end for stage in found)


@check("rollback.state_cleared", "RB-2", subject="client")
def state_cleared(history: History) -> Finding:
    """When streaming returns a client goes on from the last event it has, not from one of before the rollback."""
    judged, wrong = 0, []
    for stage in off(history):
        for life in attempts.lives(history).values():
            first = next((one for one in life.attempts if one.t_request >= stage.end), None)
            if first is None or not _moved_on(life, stage, first):
                continue
            judged += 1
            if first.header and first.header in _outdated(life, stage, first):
                wrong.append(f"{life.sub} attempt {first.number}: resumes from {first.header!r} of before the rollback")
    if not judged:
        return skipped("no client that got events while streaming was off came back to a stream")
    expected = "no Last-Event-ID from before the rollback"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} clients sent one", wrong, clients=judged)
    return passed(expected, f"{judged} clients", (), clients=judged)


def _ids(life: Life) -> list[tuple[float, str]]:
    """Every id that the client got, by stream or poll, in order."""
    seen = [record for one in life.attempts for record in one.seen if record.kind in ("sub.event", "sub.id", "sub.run")]
    return [(record.t, str(record["id"])) for record in sorted([*seen, *life.polled], key=lambda record: record.t)]


def _moved_on(life: Life, stage: Stage, first: Attempt) -> bool:
    """Whether a client that had streamed before got an event after its stream ended and before its next one."""
    streamed = any(one.t_open is not None and one.t_open < stage.start for one in life.attempts)
    return streamed and any(stage.start <= record.t <= first.t_request for record in life.polled)


def _outdated(life: Life, stage: Stage, first: Attempt) -> set[str]:
    known = [(t, id) for t, id in _ids(life) if t <= first.t_request]
    return {id for t, id in known if t < stage.start} - {id for t, id in known if t >= stage.start}


@dataclass(frozen=True, slots=True)
class _Count:
    """Requests and errors of a stretch of time; `lag`: what our own processes may have added to an answer in it."""

    seconds: float
    lag: float
    requests: int
    errors: int

    def __str__(self) -> str:
        return f"{self.errors} errors of {self.requests} requests in {self.seconds:.1f} s"


@check("rollback.error_rate", "RB-3", subject="server")
def error_rate(history: History) -> Finding:
    """After a rollback errors are no more frequent than before it."""
    judged = [pair for stage in off(history) if (pair := _compared(history, stage)) is not None]
    if not judged:
        return skipped(f"no rollback with {LEAST:g} s before it, {LEAST:g} s after it, requests and no other fault")
    expected, outcomes = "errors as rare as before", []
    for before, after in judged:
        rare = rate_excess(after.errors, after.seconds, before.errors, before.seconds) < RARE
        able = rate_excess(after.requests, after.seconds, before.errors, before.seconds) < RARE
        text = f"{after}; before: {before}"
        if rare:
            outcomes.append((Outcome.FAIL if after.lag < LAGGING else Outcome.UNKNOWN, text))
        else:
            outcomes.append((Outcome.PASS, text) if able else (Outcome.UNKNOWN, f"{text}: too few requests to tell"))
    worst = max(outcome for outcome, _ in outcomes)
    rows = [text for outcome, text in outcomes if outcome is worst]
    match worst:
        case Outcome.FAIL:
            return failed(expected, rows[0], rows)
        case Outcome.UNKNOWN:
            return unknown(expected, rows[0], rows)
        case _:
            seconds = sum(before.seconds + after.seconds for before, after in judged)
            return passed(expected, rows[0], rows, minutes=seconds / 60)


def _compared(history: History, stage: Stage) -> tuple[_Count, _Count] | None:
    """Errors before a rollback and after it; None where it ended no stream or there is too little of either."""
    streams = attempts.streams(history)
    if not any((one.t_open or 0) < stage.start and (one.told_end or history.end) >= stage.start for one in streams):
        return None
    begin = min((life.t_start for life in attempts.lives(history).values()), default=stage.start)
    end = min([stage.end, *(one.t for one in history.of("drain", "sub.close") if one.t >= stage.start)])
    faults = [one for one in fault_windows(history) if not one.what.startswith(_CHANGES)]
    broken = any(one.start <= end and one.end >= begin for one in faults)
    if broken or stage.start - begin < LEAST or end - stage.settled < LEAST:
        return None
    before, after = _count(history, begin, stage.start), _count(history, stage.settled, end)
    return (before, after) if after.requests else None


def _count(history: History, t0: float, t1: float) -> _Count:
    answered = [(t, status) for t, status in history.memo("rollback.answers", _answers) if t0 <= t <= t1]
    errors = sum(status is None or status >= 400 for _, status in answered)
    return _Count(t1 - t0, allowance(history, t0, t1), len(answered), errors)


def _answers(history: History) -> list[tuple[float, int | None]]:
    """When each request of streams, polls and probes was answered, and how; None: not at all."""
    told = [(one.t, one["status"]) for one in history.of("sub.poll", "probe.flag", "probe.rest")]
    for one in attempts.attempts(history):
        t = one.t_response if one.status is not None else one.t_end
        told += [] if t is None else [(t, one.status)]
    return told
