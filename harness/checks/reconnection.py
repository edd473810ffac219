"""Reconnection: that a client comes back, with what, when, and when it must not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf

from harness import declared, retryafter
from harness.attempts import Attempt, Life, attempts, lives, pairs
from harness.check import Finding, Outcome, check, failed, passed, skipped, waived, weighed
from harness.checks.flag import REFUSED, off
from harness.history import History
from harness.timing import REQUEST, RESOLUTION, heard, quiet, too_late

DEFAULT = 5.0  # the standard leaves the first reconnection time open: "a few seconds"
SLACK = 0.25  # what a client may need beyond its law to make a request
EARLY = 0.002  # what timers of a browser may round off
BURST = 10
NOWHERE = 3  # attempts in a row that do not arrive show that a client cannot ask
LEAST_SPAN = 0.1  # seconds between attempts on average, where no reconnection time is known


@dataclass(frozen=True, slots=True)
class _Return:
    """The end of an attempt after which a client has to come back, and how that went."""

    text: str
    outcome: Outcome


@check("reconnection.happens", "QA-2", "EDGE-3", "PATH-3", "SSE-12", "SSE-29", "SSE-34", "SSE-39", "SSE-40", subject="client")  # fmt: skip  # noqa: E501
def happens(history: History) -> Finding:
    """After every end of a stream and every network error a client tries again, in time, and gets through to the server
    where nothing stands in the way."""
    judged = [found for life in lives(history).values() for found in _returns(history, life)]
    if not judged:
        return skipped("no stream ended, or none long enough before the end of the run")
    return weighed(
        [(one.outcome, one.text) for one in judged], "another attempt within reconnection time and backoff",
        fails=f"{{n}} of {len(judged)} ends were not followed by one", passes=f"{len(judged)} ends",
        reconnects=len(judged),
    )  # fmt: skip


def _returns(history: History, life: Life) -> Iterator[_Return]:
    times = declared.reconnection_times(life, history)
    for number, one in enumerate(life.attempts):
        nearest = life.attempts[number + 1] if number + 1 < len(life.attempts) else None
        time = times[number]
        floor = max(DEFAULT if time is None else time, _asked(one))
        bound = (floor + declared.of(history).cap) * 1.1 + SLACK
        end = _noticed(history, one, bound)
        polled = nearest is not None and life.anew(number + 1)
        if end is not None and not polled and _has_to_return(history, one, life):
            yield from _came_back(history, life, one, end, bound, nearest)
            yield from _nowhere(history, one, end, bound, life.attempts[number + 1 :])


def _has_to_return(history: History, one: Attempt, life: Life) -> bool:
    """Whether a client may not stop after this attempt, by the standard or by its own word."""
    if not one.fatal:
        return True
    declares = declared.of(history)
    if not declares.retries_refusals or one.status is None or _final(history, one, life):
        return False
    return one.status == 429 or one.status >= 500 or (one.status == 401 and declares.can("token-refresh"))


def _asked(one: Attempt) -> float:
    """The seconds for which a refusal asks the client to stay away; for ever where only the client knows how long."""
    asked = retryafter.seconds(one.headers)
    if asked is None:
        return inf if retryafter.valid(one.headers.get("retry-after", "")) else 0.0
    return asked


def _noticed(history: History, one: Attempt, bound: float) -> float | None:
    """When the client noticed the end of an attempt, or had to, at the latest."""
    told = [t for t in (one.t_end, one.t_wait) if t is not None]
    if told:
        return min(told)
    last = one.conns[-1] if one.conns else None
    if last is None or last.t_end is None or last.by != "server":
        return None
    return last.t_end if heard(history, last.t_end, last.t_end + bound, asks=one.source != "client") else None


def _came_back(
    history: History, life: Life, one: Attempt, end: float, bound: float, nearest: Attempt | None
) -> Iterator[_Return]:
    name = f"{one.sub} attempt {one.number}, which ended at {end:.6f} ({one.end_reason or 'by the server'})"
    if nearest is not None:
        wait = nearest.t_request - end
        late = too_late(history, wait - bound, end, nearest.t_request, turns=REQUEST)
        yield _Return(f"{name}: next after {wait:.3f} s", late)
    elif life.left:
        yield _Return(f"{name}: gave up, {life.closed_reason}", Outcome.FAIL)
    else:
        until = history.end if life.t_close is None else life.t_close
        if until - end > bound:
            text = f"{name}: none within {until - end:.3f} s"
            yield _Return(text, too_late(history, until - end - bound, end, until, turns=REQUEST))


def _nowhere(history: History, one: Attempt, end: float, bound: float, following: list[Attempt]) -> Iterator[_Return]:
    """A client whose attempts after this one all failed, in quiet, though the server, which tells of each request that
    it gets, got none of them: it says that it asks, and does not.
    """
    known = bool(one.conns) and len(following) >= NOWHERE
    if not known or any(other.conns or other.answer is not None or other.t_end is None for other in following):
        return
    last = following[-1].t_end or end
    if last - end > bound and quiet(history, end, last):
        text = f"{one.sub}: none of {len(following)} attempts since {end:.6f} arrived ({following[-1].end_reason})"
        yield _Return(text, too_late(history, last - end - bound, end, last, turns=REQUEST))


@check("reconnection.last_event_id", "QA-2", "SSE-6", "SSE-36", "SSE-37", "SSE-64", "SSE-70", "SSE-77", "SSE-82", subject="client")  # fmt: skip  # noqa: E501
def last_event_id(history: History) -> Finding:
    """Each attempt carries the last event ID of the last complete block, and none while there is none."""
    known = {str(one["id"]) for one in history.of("published") if one["id"]}
    tells = bool(history.of("sub.id"))
    judged, reconnects, wrong = 0, 0, []
    for life in lives(history).values():
        last = ""
        for number, one in enumerate(life.attempts):
            if number and life.anew(number):
                last = one.header or ""  # it goes on where polling ended, which rollback.state_cleared judges
            elif one.source != "open":
                judged, reconnects = judged + 1, reconnects + (one.number > 0)
                if _empty(one) or not _right(life, one, last, known, tells=tells):
                    wrong.append(f"{one.sub} attempt {one.number}: sent {one.header!r}, the last was {last!r}")
            last = _last_id(one, last)
    expected = "Last-Event-ID is the id of the last complete block"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} attempts sent another", wrong, reconnects=reconnects)
    if not reconnects:
        return skipped("nobody saw the header of a reconnect")
    return passed(expected, f"{reconnects} reconnects", (), reconnects=reconnects)


def _empty(one: Attempt) -> bool:
    """Whether the server got the header without a value: it says "I have had nothing" where there should be none."""
    return bool(one.conns) and one.conns[-1].last_event_id == ""


def _last_id(one: Attempt, last: str) -> str:
    """The last event ID after this attempt, as its blocks set it."""
    for record in one.seen:
        if record.kind in ("sub.event", "sub.id", "sub.run"):
            last = str(record["id"])
    # An id which the server set last goes before the client's word, if that told of as many events as came.
    told = sum(record.kind == "sub.event" for record in one.seen)
    sent = [record for conn in one.conns for record in conn.sent if record["what"] in ("event", "raw", "reset")]
    by_server = sent[-1].get("id") if sent and len(sent) == told and sent[-1]["what"] == "raw" else None
    return last if by_server is None else str(by_server)


def _right(life: Life, one: Attempt, last: str, known: set[str], *, tells: bool) -> bool:
    header = one.header or ""
    if header == last or _as_utf8(header) == last or not _sendable(last):
        return True
    if header in _silently_set(life, one, last):
        return True
    # an id that no event had can have come with a block without data, of which this client does not tell
    return bool(header) and not tells and header not in known and not any(earlier.conns for earlier in life.attempts)


def _silently_set(life: Life, one: Attempt, last: str) -> set[str]:
    """Ids that the server sent, on earlier connections, in whole blocks that are no events."""
    return {
        str(record["id"])
        for earlier in life.attempts[: life.attempts.index(one)]
        for conn in earlier.conns
        for record in conn.sent
        if record.get("id") and record["what"] != "event"
    } - {last}


def _as_utf8(header: str) -> str:
    """The header's value where its UTF-8 bytes were read as Latin-1."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _sendable(id: str) -> bool:
    """Whether an id can stand in a header as it is: no control characters, no blank at either end."""
    return id == id.strip() and not any(ord(char) < 32 or ord(char) == 127 for char in id)


@check("reconnection.credentials", "QA-2", "SSE-35", subject="client")
def credentials(history: History) -> Finding:
    """A client comes back with credentials, those of the same user, if it came with some."""
    judged, wrong = 0, []
    for life in lives(history).values():
        asked = [one for one in life.attempts if one.conns]
        for one in asked[1:] if asked and asked[0].conns[0].carries else ():
            judged += 1
            if reason := _other_credentials(asked[0], one):
                wrong.append(f"{one.sub} attempt {one.number} at {one.t_request:.6f}: {reason}")
    if not judged:
        return skipped("no client with credentials was seen to come back")
    expected = "credentials on each attempt"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} reconnects had none, or another user's", wrong)
    return passed(expected, f"{judged} reconnects", (), reconnects=judged)


def _other_credentials(first: Attempt, one: Attempt) -> str:
    if not one.conns[0].carries:
        return "none"
    users = (first.conns[0].user, one.conns[0].user)
    return f"those of {users[1]}, not of {users[0]}" if None not in users and users[0] != users[1] else ""


@check("reconnection.refreshes_token", "QA-2", "SEC-2", subject="client")
def refreshes_token(history: History) -> Finding:
    """A client that declares it comes back with a fresh token after a 401."""
    if not declared.of(history).can("token-refresh"):
        return waived("the client does not declare token-refresh")
    noted = {str(one["sub"]) for one in history.of("sub.start") if one.get("refreshes") == "told"}
    fresh = [(str(one["sub"]), one.t) for one in history.of("sub.token")]
    back = [two for sub in noted for two in pairs(lives(history)[sub]) if two[0].status == 401]
    wrong = [
        f"{one.sub} attempt {following.number} at {following.t_request:.6f}: with the token that had been refused"
        for one, following in back
        if not any(sub == one.sub and one.t_request <= t <= following.t_request for sub, t in fresh)
    ]
    if not back:
        return skipped("no client whose fresh tokens are noted came back after 401")
    expected = "a fresh token after each 401"
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(back)} came back with the old one", wrong)
    return passed(expected, f"{len(back)} refusals", (), refusals=len(back))


@check("reconnection.not_too_early", "QA-4", "SSE-31", "SSE-65", "SSE-66", subject="client")
def not_too_early(history: History) -> Finding:
    """No attempt is made before the reconnection time has passed since the stream ended."""
    judged, wrong = 0, []
    shortest = float("inf")
    for life in lives(history).values():
        times = declared.reconnection_times(life, history)
        for (one, following), time in zip(pairs(life), times, strict=False):
            end = one.told_end
            if not time or end is None or one.fatal or one.status in range(300, 400):
                continue
            judged += 1
            waited = following.t_request - end
            shortest = min(shortest, waited / time)
            if waited < time - EARLY - RESOLUTION - history.clock_error:
                wrong.append(f"{life.sub} attempt {following.number}: after {waited:.6f} s of {time:g} s")
    if not judged:
        return skipped("no client with a known reconnection time came back")
    expected = "at least the reconnection time between the end of a stream and the next attempt"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} came earlier", wrong, reconnects=judged, shortest=shortest)
    return passed(expected, f"{judged} reconnects", (), reconnects=judged, shortest=shortest)


@check("reconnection.stops_on_204", "RB-1", "SSE-14", subject="client")
def stops_on_204(history: History) -> Finding:
    """After 204 No Content a client does not come back, unless it says that it polls and does so in between."""
    if not any(one.status == 204 for one in attempts(history)) and (others := _refused_while_off(history)):
        return waived(f"the flag's answer is {others[0]}, not 204: see reconnection.stops_on_refusal")
    return _stops(history, lambda one, _: one.status == 204, "no attempt after 204")


def _refused_while_off(history: History) -> list[int]:
    """The statuses of refusals, other than 204, while the flag was off for everybody."""
    return [
        one.status
        for stage in off(history)
        for one in attempts(history)
        if one.status in REFUSED and stage.start <= one.t_request <= stage.end
    ]


@check("reconnection.stops_on_refusal", "QA-4", "SSE-13", "SSE-15", "SSE-16", "SSE-84", subject="client")
def stops_on_refusal(history: History) -> Finding:
    """After a refusal that is final a client does not come back; it may after 5xx, 429 and one 401 if it says so.  What
    is no event stream is a refusal: nothing of it is dispatched."""
    return _stops(
        history, lambda one, life: _final(history, one, life), "no attempt after a final refusal, nor an event of it"
    )


def _final(history: History, one: Attempt, life: Life) -> bool:
    if not one.fatal or one.status == 204:
        return False
    if not declared.of(history).retries_refusals or one.status is None:
        return True
    if one.status == 401:
        number = life.attempts.index(one)
        return number > 0 and life.attempts[number - 1].status == 401
    return one.status not in (408, 425, 429) and one.status < 500


def _stops(history: History, final: Callable[[Attempt, Life], bool], expected: str) -> Finding:
    ended = [
        (life, number)
        for life in lives(history).values()
        for number, one in enumerate(life.attempts)
        if final(one, life)
    ]
    wrong = [
        f"{life.sub}: attempt {life.attempts[number + 1].number} followed status {life.attempts[number].status}"
        for life, number in ended
        if number + 1 < len(life.attempts) and not life.anew(number + 1)
    ]
    wrong += [
        f"{life.sub}: attempt {life.attempts[number].number}, with {_type(life.attempts[number])}, dispatched {count}"
        for life, number in ended
        if (count := _dispatched(life.attempts[number]))
    ]
    if not ended:
        return skipped("no client got such a response")
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(ended)} were not the end", wrong)
    return passed(expected, f"{len(ended)} responses", (), responses=len(ended))


def _type(one: Attempt) -> str:
    return f"content type {one.headers.get('content-type', 'missing')}"


def _dispatched(one: Attempt) -> int:
    """How many events a client dispatched that it was sent with this response: others come late from one before."""
    sent = {record["id"] for conn in one.conns for record in conn.sent if record["what"] == "event"}
    return sum(record.kind == "sub.event" and record["id"] in sent for record in one.seen)


@check("reconnection.survives", "QA-2", "QA-4", "SSE-34", subject="client")
def survives(history: History) -> Finding:
    """A subscriber ends when it is closed or has been refused for good: it neither crashes nor just stops."""
    judged = [life for life in lives(history).values() if life.t_start < (life.t_closed or history.end)]
    wrong = [f"{life.sub} at {life.t_closed:.6f}: {life.closed_reason}" for life in judged if _died(history, life)]
    if not judged:
        return skipped("nobody subscribed")
    expected = "subscribers live until they are closed or refused for good"
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(judged)} did not", wrong)
    return passed(expected, f"{len(judged)} subscribers", (), subscribers=len(judged))


def _died(history: History, life: Life) -> bool:
    """Whether a subscriber left without a reason that the standard knows."""
    if not life.left:
        return False
    last = life.attempts[-1] if life.attempts else None
    if last is None:
        return life.crashed
    if last.status is None and last.t_open is None:
        # The client does not tell what it was answered: only if nobody answered it is known that it gave up too soon.
        return last.answer is None and (last.t_end or last.t_wait) is not None
    return _has_to_return(history, last, life)


@check("reconnection.retry_after", "PM-3", level="SHOULD", subject="client")
def retry_after(history: History) -> Finding:
    """A client that declares it waits after a refusal for as long as Retry-After says."""
    if not declared.of(history).can("retry-after"):
        return waived("the client does not declare retry-after")
    judged, wrong = 0, []
    for life in lives(history).values():
        for one, following in pairs(life):
            asked = one.headers.get("retry-after", "")
            if one.status in (429, 503) and asked.isdecimal() and one.t_response is not None:
                judged += 1
                waited = following.t_request - one.t_response
                if waited < min(int(asked), declared.of(history).cap) - EARLY:
                    wrong.append(f"{life.sub} attempt {following.number}: after {waited:.3f} s of {asked} s")
    if not judged:
        return skipped("no client came back after a refusal with Retry-After")
    if wrong:
        return failed("Retry-After is obeyed", f"{len(wrong)} of {judged} came earlier", wrong)
    return passed("Retry-After is obeyed", f"{judged} refusals", (), refusals=judged)


@check("reconnection.no_hammering", "QA-4", "PM-3", subject="client")
def no_hammering(history: History) -> Finding:
    """A client that is refused or fails does not ask again and again without a pause."""
    judged, wrong, fastest = 0, [], 0.0
    for life in lives(history).values():
        pauses = _pauses(history, life)
        judged += len(life.attempts) > 1 and any(pauses)
        for number, (first, last) in enumerate(zip(life.attempts, life.attempts[BURST:], strict=False)):
            span = last.t_request - first.t_request
            fastest = max(fastest, BURST / max(span, 1e-6))
            if span < sum(pauses[number : number + BURST]) - RESOLUTION:
                wrong.append(f"{life.sub}: attempts {first.number} to {last.number} within {span:.3f} s")
    if not judged:
        return skipped("no client made a second attempt")
    expected = f"{BURST} attempts in a row take at least {BURST} reconnection times, or {BURST} s"
    if wrong:
        return failed(expected, f"{len(wrong)} bursts", wrong, attempts_per_second=fastest)
    return passed(expected, f"{judged} clients", (), clients=judged, attempts_per_second=fastest)


def _pauses(history: History, life: Life) -> list[float]:
    """How long a client has to leave a server alone after each attempt, in seconds.

    Only the server can ask for less than LEAST_SPAN: a client's own word is what is judged.
    """
    own = declared.of(history).number("reconnection_time")
    law = LEAST_SPAN if own is None else max(LEAST_SPAN, 0.9 * min(1.0, own))
    told = declared.reconnection_times(life, history, own=False)
    return [law if time is None else 0.9 * min(1.0, time) for time in told]
