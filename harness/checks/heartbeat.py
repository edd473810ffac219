"""Heartbeats: the server breaks its silence, and a client that promises to notice silence does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from harness import attempts, declared
from harness.attempts import Attempt
from harness.check import OUR_LAG, Finding, check, failed, passed, skipped, waived, weighed
from harness.history import History, Record
from harness.timing import RESOLUTION, allowance, disturbed, quiet, scripted, settled, too_late

PATIENCE = 1.5  # the path may add its own delay to a heartbeat; idle timeouts have to exceed twice the promise
BEATS = 3  # so many comments on a stream that is never silent for long show that it beats more often than promised
REACTION = 0.1  # share of its deadline that a client may need beyond it, for a timer of its own
ROUNDED = 0.02  # share of its deadline by which a client may count from an earlier moment than it tells of


@dataclass(frozen=True, slots=True)
class _Silence:
    """A stretch of an open stream in which the client got nothing."""

    sub: str
    attempt: int
    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.sub} attempt {self.attempt}: silent for {self.length:.3f} s from {self.start:.6f}"


def _silences(history: History, one: Attempt) -> Iterator[_Silence]:
    """Every silence of one open stream, the last one up to its end (or the subscriber's, or the run's)."""
    gone = attempts.lives(history)[one.sub].gone
    until = min(t for t in (one.told_end, gone, history.end) if t is not None)
    reached = one.t_open or one.t_request
    for start, end in sorted((float(record.get("since", record.t)), record.t) for record in one.seen):
        if start > reached:
            yield _Silence(one.sub, one.number, reached, start)
        if end > start:
            yield _Silence(one.sub, one.number, end, end)  # a summary: in between it was silent too short to matter
        reached = max(reached, end)
    if until > reached:
        yield _Silence(one.sub, one.number, reached, until)


def _beats(one: Attempt) -> int:
    """How many comments came on a stream, or events that a server sends in their place."""
    return sum(map(_beat, one.seen))


def _beat(record: Record) -> bool:
    return record.kind == "sub.comment" or (record.kind == "sub.event" and record.get("channel") is None)


def _hears(history: History) -> bool:
    """Whether this client tells of comments: of one that does not, silence cannot be told from heartbeats."""
    return declared.of(history).can("comments") or bool(history.of("sub.comment"))


@check("heartbeat.patience", "PM-1", "QA-4", subject="client")
def patience(history: History) -> Finding:
    """A client ends no stream on which events or heartbeats arrive in time."""
    promise = declared.of(history).promises.heartbeat
    if promise is None:
        return waived("the target promises no heartbeat")
    if not _hears(history):
        return skipped("the client does not tell of comments")
    judged, wrong = 0, []
    for one in attempts.streams(history):
        silence = _last_silence(history, one, promise)
        if silence is None:
            continue
        judged += 1
        ended = _gave_up(one, silence) and one.conns[-1].by == "client"
        allowed = PATIENCE * promise if (limit := _deadline(history)) is None else limit * (1 - REACTION)
        if ended and silence.length + allowance(history, silence.start, silence.end) < allowed:
            wrong.append(f"{silence}, and ended by the client")
    if not judged:
        return skipped("no stream that nothing disturbed was open for as long as a heartbeat, or the server saw none")
    expected = "streams that are not silent stay open"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} were ended by their client", wrong)
    return passed(expected, f"{judged} streams", (), streams=judged)


def _last_silence(history: History, one: Attempt, promise: float) -> _Silence | None:
    """For how long the client had got nothing when an undisturbed stream, open for a while, came to its end."""
    life = attempts.lives(history)[one.sub]
    end = min(t for t in (one.told_end, life.gone, history.end) if t is not None)
    opened = one.t_open if one.t_open is not None else end
    if life.left and one is life.attempts[-1]:
        return None  # what ended its whole life is judged elsewhere
    if not one.conns or end - opened < promise / 2 or not quiet(history, opened, end) or scripted(history, end):
        return None
    return _Silence(one.sub, one.number, max(opened, one.t_last or opened), end)


def _deadline(history: History) -> float | None:
    return declared.of(history).number("heartbeat_deadline")


def _gave_up(one: Attempt, silence: _Silence) -> bool:
    """Whether it was the client that ended its stream at the end of a silence: the server may notice that sooner than
    the client tells of it."""
    if one.told_end is None or silence.end < one.told_end - RESOLUTION or (one.t_end or one.t_wait) is None:
        return False
    return not any(conn.by == "server" and (conn.t_end or inf) <= silence.end for conn in one.conns)


@check("heartbeat.cadence", "PM-1", "PATH-2", "SRV-3", subject="server")
def cadence(history: History) -> Finding:
    """An idle stream is never silent for much longer than the heartbeat that the server promises."""
    promise = declared.of(history).promises.heartbeat
    if promise is None:
        return waived("the target promises no heartbeat")
    if not _hears(history):
        return skipped("the client does not tell of comments")
    bound = PATIENCE * promise
    silences = [
        rest
        for one in attempts.streams(history)
        for silence in _silences(history, one)
        if disturbed(history, one.t_open or 0.0, silence.end) >= silence.end
        and (rest := _settled(history, silence)) is not None
    ]
    long = [one for one in silences if one.length >= promise * 0.75]
    if not long and not (silences and max(map(_beats, attempts.streams(history)), default=0) >= BEATS):
        return skipped("no stream was idle for as long as a heartbeat")
    long = long or silences  # it beats more often than it promises
    worst = max(long, key=lambda one: one.length)
    judged = [(too_late(history, one.length - bound, one.start, one.end), str(one)) for one in long]
    actual = f"longest {worst.length:.3f} s of {len(long)} idle stretches"
    return weighed(
        judged, f"at most {bound:g} s of silence", fails=actual, doubts=f"{actual}: no more than our own lag",
        passes=actual, worst=worst.length, silences=len(long),
    )  # fmt: skip


def _settled(history: History, silence: _Silence) -> _Silence | None:
    """The part of a silence in which no fault before it can last any more; None if there is none."""
    begin = settled(history, silence.start, silence.end)
    return None if begin is None or begin > silence.end else replace(silence, start=begin)


@check("heartbeat.deadline", "PM-1", subject="client")
def deadline(history: History) -> Finding:
    """A client that declares a deadline for heartbeats ends a stream that has been silent for so long."""
    limit = declared.of(history).number("heartbeat_deadline")
    if limit is None or not declared.of(history).can("heartbeat-deadline"):
        return waived("the client declares no deadline for heartbeats")
    if not _hears(history):
        return skipped("the client does not tell of comments")
    bound = limit * (1 + REACTION)
    judged = []
    for one in attempts.streams(history):
        for silence in _silences(history, one):
            if silence.length > bound or (silence.length >= limit * (1 - ROUNDED) and _gave_up(one, silence)):
                judged.append((too_late(history, silence.length - bound, silence.start, silence.end), str(silence)))
    if not judged:
        return skipped("no stream was silent for as long as the deadline")
    actual = f"{len(judged)} silent streams"
    return weighed(
        judged, f"a stream silent for {limit:g} s is ended", fails=f"{{n}} of {actual} were not ended in time",
        doubts=f"{actual}, {OUR_LAG}", passes=f"{actual} were ended in time", reconnects=len(judged),
    )  # fmt: skip
