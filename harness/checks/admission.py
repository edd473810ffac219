"""Admission: a valid token gets a stream, at first and again after each end, wherever nothing stands in the way.

Theory.  One refusal proves little: a server may be at its limit for a moment, and clients come back.  What is judged is
how each subscriber was left: let in at last, or refused on every attempt since it had a stream, if ever.  Excused is a
refusal that a fault can have caused (the network makes no 404), one while the flag was not on for everybody, at the
limit per user, or of a token that had expired or that the request did not carry.  Of the others one is enough if its
status is final (a 4xx that does not ask to come back); a 5xx has to last.  What can be the client's or the target
file's own fault, and a client that never got any answer, prove nothing (UNKNOWN).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness import attempts, declared
from harness.accept import admits
from harness.attempts import Attempt, Life
from harness.check import Finding, Outcome, check, skipped, weighed
from harness.checks.flag import REFUSED, stages
from harness.checks.limits import at_limit
from harness.checks.security import refreshes
from harness.history import History
from harness.timing import excuses

PATIENCE = 5.0  # seconds for which a server may ask a client to come back later
AGAIN = (408, 425, 429)
SPOILT = 400
EXPIRING = 1.0  # seconds that the clocks of who minted a token and who reads it may lie apart


@dataclass(frozen=True, slots=True)
class _Left:
    """How a subscriber was left, and by which refusals."""

    outcome: Outcome
    text: str
    refusals: int = 0


@check("admission.valid_token", "VAL-1", subject="server")
def valid_token(history: History) -> Finding:
    """Who has a valid token is given a stream, unless a fault, the flag or the limit per user stands in the way."""
    found = [one for life in _lives(history) for one in _first(history, life)]
    return _finding(found, "every subscriber with a valid token is let in", "no subscriber asked in a quiet window")


@check("admission.resume", "QA-2", subject="server")
def resume(history: History) -> Finding:
    """Who comes back after its stream has ended is let in again, unless a fault, the flag or the limit stands in the
    way."""
    found = [one for life in _lives(history) for one in _again(history, life)]
    return _finding(found, "every subscriber that comes back is let in again", "no subscriber came back")


def _finding(found: list[_Left], expected: str, nobody: str) -> Finding:
    if not found:
        return skipped(nobody)
    of = f"{{n}} of {len(found)} were"
    return weighed(
        [(one.outcome, one.text) for one in found], expected, fails=f"{of} kept out", doubts=f"{of} not let in",
        passes=f"{len(found)} subscribers", subscribers=len(found), refusals=sum(one.refusals for one in found),
    )  # fmt: skip


def _lives(history: History) -> list[Life]:
    return [life for life in attempts.lives(history).values() if not life.borrows]


def _first(history: History, life: Life) -> Iterator[_Left]:
    if life.first_open is not None:
        yield _Left(Outcome.PASS, life.sub)
    elif life.attempts:
        yield from _left(history, life, life.attempts, again=False)
    else:
        yield from _unheard(history, life)


def _again(history: History, life: Life) -> Iterator[_Left]:
    opened = [number for number, one in enumerate(life.attempts) if one.t_open is not None]
    since = life.attempts[opened[-1] + 1 :] if opened else []
    if since:
        yield from _left(history, life, since, again=True)
    elif len(opened) > 1:
        yield _Left(Outcome.PASS, life.sub)


def _left(history: History, life: Life, tried: list[Attempt], *, again: bool) -> Iterator[_Left]:
    """How a subscriber was left that these attempts, its last ones, did not bring a stream; nothing if excused."""
    counted = [one for one in tried if not _excused(history, life, one)]
    if not counted:
        return
    doubts = {one.number: _doubt(history, life, one, again=again) for one in counted}
    sure = [one for one in counted if not doubts[one.number]]
    final = [one for one in sure if not _asks_again(one)]
    lasted = sure[-1].t_request - sure[0].t_request if sure else 0.0
    name = f"{life.sub}, user {life.user}: {'not let in again' if again else 'never let in'}"
    if final or lasted >= PATIENCE:
        worst = (final or sure)[-1]
        text = f"{name}, status {worst.status} at {worst.t_request:.6f}, {len(counted)} refusals in all"
        yield _Left(Outcome.FAIL, text, len(counted))
    elif doubted := [doubts[one.number] for one in counted if one.status is not None and doubts[one.number]]:
        yield _Left(Outcome.UNKNOWN, f"{name}: {doubted[-1]}", len(counted))
    elif not _closed_early(life, counted[0].t_request):
        why = doubts[counted[-1].number] or f"status {counted[-1].status}, but not for long"
        yield _Left(Outcome.UNKNOWN, f"{name}: {why}", len(counted))


def _unheard(history: History, life: Life) -> Iterator[_Left]:
    """A subscriber that nobody saw ask for a stream, or be given one."""
    end = history.end if life.gone is None else life.gone
    excused = excuses(history, life.t_start, end, network=True) or _gated(history, life, end)
    if not excused and not _closed_early(life, life.t_start):
        yield _Left(Outcome.UNKNOWN, f"{life.sub}, user {life.user}: nobody saw it ask for a stream or get one")


def _closed_early(life: Life, since: float) -> bool:
    """Whether the run closed a subscriber too early to say that it had waited in vain."""
    return life.t_close is not None and life.t_close == life.gone and life.t_close - since < PATIENCE


def _asks_again(one: Attempt) -> bool:
    return one.status is not None and (one.status >= 500 or one.status in AGAIN)


def _excused(history: History, life: Life, one: Attempt) -> bool:
    """Whether something was in the way of a stream."""
    until = next((t for t in (one.t_response, one.told_end) if t is not None), history.end)
    if one.status == 200 or (one.status is None and one.told_end is None):
        return True  # it got a stream, of which others judge the type, or is still under way
    if one.status in attempts.REDIRECTS and "location" in one.headers:
        return True  # the client did not go where it was sent, which is its own affair
    if excuses(history, one.t_request, until, network=one.status in (None, SPOILT) or _asks_again(one)):
        return True
    return at_limit(history, one) or _gated(history, life, one.t_request) or _expired(history, life, one)


def _gated(history: History, life: Life, t: float) -> bool:
    """Whether the run had switched the flag to anything but on for everybody, for so long that it can be demanded."""
    if any(one.get("user") == life.user for one in history.of("flag.set")):
        return True
    stage = next((one for one in reversed(stages(history)) if one.start <= t), None)
    return stage is not None and (stage.percent < 100 or t < stage.settled)


def _expired(history: History, life: Life, one: Attempt) -> bool:
    """Whether an attempt had no valid token: it did not arrive with one, or that had expired and was not renewed."""
    if one.conns and one.conns[-1].user != life.user:
        return True
    known = declared.of(history)
    if life.ttl is None or one.status not in known.promises.unauthorized:
        return False
    return not _renewed(history, life, one) and one.t_request >= life.t_start + life.ttl - EXPIRING


def _renewed(history: History, life: Life, one: Attempt) -> bool:
    """Whether an attempt came with a fresh token: as the run noted it, else as the client's own word has it."""
    if (fresh := refreshes(history).get(life.sub)) is not None:
        return fresh <= one.t_request
    before = [other.status for other in life.attempts if other.number < one.number][-1:]
    return declared.of(history).can("token-refresh") and before == [one.status]


def _doubt(history: History, life: Life, one: Attempt, *, again: bool) -> str:
    """Why a refusal proves nothing against the server, if so."""
    offers, promises = history.header.get("capabilities") or (), declared.of(history).promises
    own = bool((history.header.get("client") or {}).get("own"))
    minted = "mint" in offers or bool((history.header.get("target") or {}).get("own"))
    if one.status is None:
        return f"no answer came ({one.end_reason or 'nobody knows why'})"
    if one.status >= 500:
        return ""
    if not own and not one.conns:
        return f"status {one.status}, and nobody but this client knows what it asked"
    if one.conns and not admits(one.conns[-1].accept):
        return f"status {one.status}: what the client accepts is no event stream"
    if not minted and one.status in promises.unauthorized and not (again and one.status == 403):
        return f"status {one.status}: is the token that the target file gives still valid?"
    if not again and one.status in REFUSED and {"flag", "rollout"} & set(offers) and not stages(history):
        return f"status {one.status}: is the flag on for this user?"
    if one.status == 429 and promises.limit_per_user is None and _beside(history, life, one):
        return "status 429 with another stream open: is there a limit per user that the target does not promise?"
    return ""


def _beside(history: History, life: Life, one: Attempt) -> bool:
    """Whether the user may have had another stream when it asked for this one."""
    others = (other for other in attempts.streams(history) if other.sub != life.sub)
    return any(
        attempts.lives(history)[other.sub].user == life.user
        and (other.t_open or 0.0) <= one.t_request <= (other.told_end or history.end)
        for other in others
    )
