"""Backoff and jitter of a client's waits, judged only where it declares them.

Theory.  The k-th wait is the one after k attempts in a row that did not become a stream.  What a client adds to the
reconnection time has to grow with k and to differ between clients.  A stream that was open only for a moment may or
may not count as a success: waits after it are left out unless the client says after what time it is stable.  One that
says so begins anew after a stream that lasted longer, however many attempts had failed before.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

from harness import declared
from harness.attempts import Attempt, Life, lives
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, waived
from harness.history import History
from harness.timing import allowance

ENOUGH = 8
LATE = 3  # from the third failure on, waits have to be ...
FACTOR = 2.0  # ... so many times those after the first
FLAT = 1.5
STABLE = 5.0
# A client without jitter spreads by 0.0 %.  The least of 100 000 simulated runs of the reference law was 19 % for the
# 24 clients of `refuse`, 8 % for 8 of them, and 1.5 % for 8 whose reconnection time is 30 s and whose base 0.25 s.
SPREAD = 0.01
LITTLE = 0.1  # of a wait: a jitter of less is measured by what the client adds, else a long `retry` would hide it
EARLY = 0.002  # what timers may round off


@dataclass(frozen=True, slots=True)
class _Wait:
    """One wait of a client: its index, how long, how much of it is the reconnection time, how exactly that is known.

    `asked`: its length was the server's wish. `again`: it is a first one, after a stable stream that came after a late
    one.
    """

    sub: str
    index: int
    delay: float
    reconnection: float
    error: float
    asked: bool
    again: bool = False

    @property
    def beyond(self) -> float:
        return max(0.0, self.delay - self.reconnection)


def _waits(history: History) -> list[_Wait]:
    return history.memo("backoff.waits", _of_all)


def _of_all(history: History) -> list[_Wait]:
    # Those that share a connection wait as one.
    return [wait for life in lives(history).values() if not life.borrows for wait in _of(history, life)]


def _of(history: History, life: Life) -> Iterator[_Wait]:
    stable = declared.of(history).number("stable_after")
    times = declared.reconnection_times(life, history)
    index: int | None = 0
    highest = 0
    believed = True  # until what the client does belies what it says
    for number, one in enumerate(life.attempts):
        index = _next_index(index, one, stable, first=life.anew(number))
        highest = 0 if life.anew(number) else max(highest, index or 0)
        returns = number + 1 < len(life.attempts) and not life.anew(number + 1)
        following = life.attempts[number + 1] if returns else None
        delay, error = _delay(history, one, following)
        believed = believed and one.delay in (None, delay)
        if delay is not None and index is not None and (believed or following is not None):
            asked = bool(one.headers.get("retry-after")) or one.status == 401  # which asks for a new token, at once
            again = index == 0 and highest >= LATE
            yield _Wait(life.sub, index, delay, times[number] or 0.0, error, asked, again)


def _next_index(index: int | None, one: Attempt, stable: float | None, *, first: bool) -> int | None:
    """How many attempts in a row have failed before the wait that follows this one; None if that is open."""
    if one.t_open is None:
        return 0 if first else None if index is None else index + 1
    lasted = (one.told_end or one.t_open) - one.t_open
    if first or lasted >= (STABLE if stable is None else stable):
        return 0
    return None if stable is None or index is None else index + 1


def _delay(history: History, one: Attempt, following: Attempt | None) -> tuple[float | None, float]:
    """How long a client waited after an attempt, and how exactly that is known.

    What it did counts, the gap, which our own lag blurs; its own word is more exact, unless it came back sooner.
    """
    since = one.told_end if one.t_wait is None else one.t_wait
    if since is None or following is None:
        return one.delay, 0.0
    gap, error = following.t_request - since, allowance(history, since, following.t_request)
    if one.delay is not None and gap >= one.delay - EARLY:
        return one.delay, 0.0
    return gap, error


@check("reconnection.backoff", "PM-1", "QA-4", subject="client")
def backoff(history: History) -> Finding:
    """A client that declares backoff waits longer the more attempts have failed, up to its declared cap, and begins
    anew after a stream that lasted as long as it declares to be stable."""
    declares = declared.of(history)
    if not declares.can("backoff"):
        return waived("the client does not declare backoff")
    waits = _waits(history)
    beyond_cap = [one for one in waits if _beyond_cap(one, declares.number("backoff_cap"))]
    expected = f"waits grow at least {FACTOR:g}-fold up to the {LATE}rd failure, and stay below the cap"
    if beyond_cap:
        rows = [f"{one.sub}: waited {one.delay:.3f} s after failure {one.index}" for one in beyond_cap]
        return failed(expected, f"{len(rows)} waits exceed the cap", rows)
    first = [one.beyond for one in waits if one.index == 0 and not one.asked and not one.again]
    again = [one.beyond for one in waits if one.again and not one.asked]
    late = [one.beyond for one in waits if one.index >= LATE and not one.asked]
    if min(len(first), len(late)) < ENOUGH:
        return skipped(f"{len(first)} first waits and {len(late)} late ones; {ENOUGH} of each are needed")
    if (room := _room(declares)) < 2 * FACTOR:
        return waived(f"the declared cap is {room:g} times the base, too little to see growth")
    growth = _growth(expected, "at first", mean(first), mean(late), len(first) + len(late))
    if growth.outcome is not Outcome.PASS or declares.number("stable_after") is None or len(again) < ENOUGH:
        return growth
    expected = f"after a stable stream they begin anew, {FACTOR:g} times shorter than from failure {LATE} on"
    return _growth(expected, "after a stable stream", mean(again), mean(late), len(first) + len(again) + len(late))


def _growth(expected: str, when: str, first: float, late: float, samples: int) -> Finding:
    actual = f"{first:.3f} s beyond the reconnection time {when}, {late:.3f} s from failure {LATE} on"
    ratio = late / first if first > 0 else float("inf") if late > 0 else 1.0
    if ratio >= FACTOR:
        return passed(expected, actual, (), samples=samples)
    if ratio > FLAT:
        return unknown(expected, f"{actual}: too few samples to tell", (), samples=samples)
    return failed(expected, actual, (), samples=samples)


def _beyond_cap(one: _Wait, cap: float | None) -> bool:
    return cap is not None and not one.asked and one.delay - one.reconnection - cap > one.error + 1e-3


def _room(declares: declared.Declared) -> float:
    base, cap = declares.number("backoff_base"), declares.number("backoff_cap")
    return float("inf") if not base or cap is None else cap / base


@check("reconnection.jitter", "PM-1", subject="client")
def jitter(history: History) -> Finding:
    """The waits of several clients after the same number of failures differ, so that they do not come all at once."""
    if not declared.of(history).can("jitter"):
        return waived("the client does not declare jitter")
    by_index: dict[int, dict[str, _Wait]] = defaultdict(dict)
    for one in _waits(history):
        if not one.asked:
            by_index[one.index].setdefault(one.sub, one)
    enough = {index: [*waits.values()] for index, waits in by_index.items() if len(waits) >= ENOUGH}
    if not enough:
        return skipped(f"fewer than {ENOUGH} clients waited after the same number of failures")
    hidden = [index for index, waits in enough.items() if _spread(waits, sign=1) > SPREAD >= _spread(waits)]
    told = {index: waits for index, waits in enough.items() if index not in hidden}
    samples = sum(map(len, enough.values()))
    expected = f"after each number of failures the waits of {ENOUGH} clients or more spread by more than {SPREAD:.0%}"
    if not told:
        return unknown(expected, "our own lag may hide how they spread", (), samples=samples)
    # Whose law is the longer of reconnection time and backoff adds nothing at first, and has nothing to jitter.
    told = {index: waits for index, waits in told.items() if not all(map(_adds_nothing, waits))} or told
    flat = {index: waits for index, waits in told.items() if _spread(waits) <= SPREAD}
    worst = min(map(_spread, told.values()))
    if not flat:
        return passed(expected, f"they spread by {worst:.1%} or more", (), samples=samples, spread=worst)
    rows = [f"failure {index}: {[round(one.delay, 4) for one in waits][:ENOUGH]}" for index, waits in flat.items()]
    return failed(expected, f"they spread by {worst:.1%} after {len(flat)} of {len(told)}", rows, samples=samples)


def _adds_nothing(one: _Wait) -> bool:
    return one.beyond <= one.error + SPREAD * one.reconnection


def _spread(waits: list[_Wait], sign: int = -1) -> float:
    """How far the waits lie apart, as a share of their mean: at least, whatever our lag has done, or (1) at most."""
    delays, blur = [one.delay for one in waits], max(one.error for one in waits)
    middle, added = mean(delays), mean(one.beyond for one in waits)
    if added > blur:
        middle = min(middle, added / LITTLE)
    apart = max(delays) - min(delays) + sign * blur
    return max(0.0, apart) / middle if middle > 0 else 0.0
