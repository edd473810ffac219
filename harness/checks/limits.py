"""The limit of streams per user: exact under races, refused with 429 and Retry-After, given back in time.

Theory.  A stream occupies a slot for certain while the server says that it is open, or, where the server says nothing,
while its client still gets something on it.  It may occupy a slot from its request on, until the promised time after
its last sign of an end.  A limit is exceeded if more streams than N are open for certain; a refusal is wrong if
fewer than N may have occupied a slot.  Which rule a wrong refusal breaks, the count of streams so far tells: while
fewer than N have ever been admitted the limit itself is too low, afterwards slots are not given back.
"""

from collections import defaultdict
from dataclasses import dataclass
from math import inf

from harness import attempts, declared, retryafter
from harness.attempts import Attempt
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, waived
from harness.history import History
from harness.timing import allowance, fault_windows, quiet, too_late

MARGIN = 0.05  # seconds that the end of a stream may take to be written down
IDLE = 1.0  # a client that hears of no end for so long, with nothing broken, has an open stream
REFUSAL = 429


@dataclass(frozen=True, slots=True)
class Wrong:
    """A refusal of a user that had fewer streams than the limit; `ever` streams had been admitted before.

    `freed`: when the stream ended whose slot would have sufficed.
    """

    attempt: Attempt
    ever: int
    maybe: int
    freed: float

    def __str__(self) -> str:
        one = self.attempt
        return (
            f"{one.sub} attempt {one.number} refused at {one.t_response or one.t_request:.6f}, "
            f"with at most {self.maybe} streams open of {self.ever} ever admitted"
        )


def _by_user(history: History) -> dict[str, list[Attempt]]:
    users: dict[str, list[Attempt]] = defaultdict(list)
    for one in attempts.attempts(history):
        if not attempts.lives(history)[one.sub].borrows:
            users[_user(history, one)].append(one)
    return users


def _user(history: History, one: Attempt) -> str:
    """Whose slot an attempt takes: the user's as whom it came, else its own."""
    return one.came_as or attempts.lives(history)[one.sub].user


def _certain(history: History, one: Attempt) -> tuple[float, float] | None:
    """From when until when a stream was open for certain."""
    if one.t_open is None:
        return None
    gone = attempts.lives(history)[one.sub].gone
    told = min(t for t in (one.told_end, gone, history.end) if t is not None)
    if one.conns and one.conns[-1].t_response is not None:
        begin = max(one.t_open, one.conns[-1].t_response)
        server_end = one.conns[-1].t_end
        return begin, min(inf if server_end is None else server_end - MARGIN, told)
    alive = (one.t_last or one.t_open) - MARGIN - min(IDLE, allowance(history, one.t_open, told))
    idle = told - IDLE if quiet(history, one.t_open, told) else alive
    return one.t_open, min(told, max(alive, idle))


def _exceeded(history: History, limit: int) -> list[str]:
    wrong = []
    for user, tried in _by_user(history).items():
        spans = [span for one in tried if (span := _certain(history, one)) is not None and span[0] < span[1]]
        marks = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
        count = most = 0
        at = 0.0
        for t, change in marks:
            count += change
            if count > most:
                most, at = count, t
        if most > limit:
            wrong.append(f"user {user}: {most} streams open at {at:.6f}")
    return wrong


def wrong_refusals(history: History, limit: int) -> list[Wrong]:
    """All refusals of a user that cannot have had as many streams as the limit."""
    return history.memo("limits.wrong", lambda one: _wrong_refusals(one, limit))


def _wrong_refusals(history: History, limit: int) -> list[Wrong]:
    wrong = []
    for tried in _by_user(history).values():
        for refused in (one for one in tried if _refused(one)):
            ends, probing = _held(history, tried, refused)
            maybe = probing + sum(end + _grace(history) >= refused.t_request for end in ends)
            if maybe < limit:
                freed = ends[limit - 1 - probing] if len(ends) >= limit else -inf
                wrong.append(Wrong(refused, len(ends), maybe, freed))
    return wrong


def at_limit(history: History, one: Attempt) -> bool:
    """Whether the user of an attempt may have had as many streams as the limit when it asked for this one, or was
    refused for that reason, which the checks of this file judge."""
    limit = declared.of(history).promises.limit_per_user
    if limit is None:
        return False
    ends, probing = _held(history, _by_user(history)[_user(history, one)], one)
    return _refused(one) or probing + sum(end + _grace(history) >= one.t_request for end in ends) >= limit


def _grace(history: History) -> float:
    grace = declared.of(history).promises.frees_slot_within
    return inf if grace is None else grace


def _held(history: History, tried: list[Attempt], refused: Attempt) -> tuple[list[float], int]:
    """When each stream ended that may have been admitted before a refusal, the latest first, and how many requests of
    the run's own may have occupied slots then."""
    others = [one for one in tried if one is not refused and not _refused(one)]
    until = refused.t_response or refused.t_request
    before = [one for one in others if one.t_request <= until and _may_hold(one)]
    ends = sorted((end for one in before for end in _ends(history, one)), reverse=True)
    return ends, _probing(history, refused.t_request, until, _grace(history))


def _refused(one: Attempt) -> bool:
    """Whether the limit refused this attempt; a refusal that names another reason is not its."""
    return one.status == REFUSAL and one.headers.get("x-refused", "limit") in ("limit", "per-user-limit")


def _may_hold(one: Attempt) -> bool:
    """Whether this attempt may have been given a slot: it was admitted, or nobody knows."""
    return one.status in (None, 200)


def _ended(history: History, one: Attempt) -> float:
    """The last sign of a stream's end that a server can have seen."""
    gone = attempts.lives(history)[one.sub].gone
    ends = [end for end in (one.t_end, *(conn.t_end for conn in one.conns)) if end is not None]
    return _noticed(history, max(ends) if ends else inf if gone is None else gone)


def _ends(history: History, one: Attempt) -> list[float]:
    """The last sign of the end of each stream of an attempt: a client may have opened several beside one another."""
    streams = [conn for conn in one.conns if conn.status == 200]
    if len(streams) < 2:
        return [_ended(history, one)]
    return [_noticed(history, inf if conn.t_end is None else conn.t_end) for conn in streams]


def _noticed(history: History, end: float) -> float:
    """When a server can know of an end at the latest: a network that is broken on purpose may keep it back."""
    return max([end, *(one.end for one in fault_windows(history) if one.start <= end <= one.end)])


def _probing(history: History, t0: float, t1: float, grace: float) -> int:
    """How many requests of the run's own may occupy slots, whichever user's they are."""
    return sum(one.get("began", one.t) <= t1 and one.t + grace >= t0 for one in history.of("probe"))


@check("limits.exact", "PM-3", "SRV-10", "SRV-11", subject="server")
def exact(history: History) -> Finding:
    """A user has at most as many streams as the limit, is refused none below it, and is told when to come back."""
    limit = declared.of(history).promises.limit_per_user
    if limit is None:
        return waived("the target promises no limit per user")
    refusals = [one for one in attempts.attempts(history) if _refused(one)]
    early = [str(one) for one in wrong_refusals(history, limit) if one.ever < limit]
    silent = [text for one in refusals if one.headers and (text := _silent(one))]
    wrong = [*_exceeded(history, limit), *early, *silent, *_refused_otherwise(history, limit)]
    most = max((len(tried) for tried in _by_user(history).values()), default=0)
    expected = f"{limit} streams of a user, then 429 with Retry-After"
    if wrong:
        return failed(expected, f"{len(wrong)} breaches", wrong, refusals=len(refusals))
    if most <= limit and not refusals:
        return skipped("no user asked for more streams than the limit")
    if not refusals and not _asked_beyond(history, limit):
        return skipped("no user had as many streams open as the limit when it asked for another")
    return passed(expected, f"{len(refusals)} refusals, none wrong", (), refusals=len(refusals))


def _silent(one: Attempt) -> str:
    """What is wrong with a refusal that does not say when to come back."""
    said = one.headers.get("retry-after", "").strip()
    if not said:
        return f"{one.sub}: 429 without Retry-After"
    return f"{one.sub}: 429 with Retry-After: {said[:80]}" if not retryafter.valid(said) else ""


def _asked_beyond(history: History, limit: int) -> list[Attempt]:
    """The attempts made while the user had as many streams as the limit open for certain."""
    beyond = []
    for tried in _by_user(history).values():
        spans = [span for one in tried if (span := _certain(history, one)) is not None]
        beyond += [one for one in tried if sum(begin <= one.t_request < end for begin, end in spans) >= limit]
    return beyond


def _refused_otherwise(history: History, limit: int) -> list[str]:
    """Refusals beyond the limit that have another status, though nothing else was in the way of a stream."""
    known = {None, 200, REFUSAL, *declared.of(history).promises.unauthorized}
    return [
        f"{one.sub} attempt {one.number}: status {one.status}"
        for one in _asked_beyond(history, limit)
        if one.status not in known and quiet(history, one.t_request, one.t_response or one.t_request)
    ]


@check("limits.slot_freed", "PM-3", "PM-2", "SRV-9", subject="server")
def slot_freed(history: History) -> Finding:
    """The slot of a stream that ended is given back within the promised time."""
    promises = declared.of(history).promises
    limit, within = promises.limit_per_user, promises.frees_slot_within
    if limit is None or within is None:
        return waived("the target promises no limit per user or no time to free a slot")
    kept = [(_kept(history, one, within), str(one)) for one in wrong_refusals(history, limit) if one.ever >= limit]
    expected = f"a slot is free {within:g} s after its stream ended"
    if certain := [text for outcome, text in kept if outcome is Outcome.FAIL]:
        return failed(expected, f"{len(certain)} refusals though a slot had to be free", certain)
    if kept:
        return unknown(expected, "late by no more than our own lag", [text for _, text in kept])
    reused = sum(max(0, sum(one.t_open is not None for one in tried) - limit) for tried in _by_user(history).values())
    if not reused:
        return skipped("no user opened more streams over time than the limit")
    return passed(expected, f"{reused} slots used again", (), reused=reused)


def _kept(history: History, one: Wrong, within: float) -> Outcome:
    """Whether the slot that was not free is late by more than our own lag."""
    asked = one.attempt.t_request
    return max(Outcome.UNKNOWN, too_late(history, asked - one.freed - within, one.freed, asked))
