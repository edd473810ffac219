"""Who may see what: tokens, their expiry, one's own events, and data that stays data."""

from collections.abc import Iterator
from itertools import zip_longest
from math import inf

from harness import attempts, declared, ledger
from harness.attempts import Attempt, Life
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown
from harness.history import History, Record
from harness.ledger import Anomaly
from harness.testevent import ALL
from harness.timing import scripted, too_late

BAD_TOKENS = ("none", "forged", "truncated", "tampered")
ROUNDED = 1.0  # seconds by which a token may expire earlier or later that counts in whole seconds
_PIECES = ('"digest"', '"owner"', '"epoch"', '"channel"')


def _admits(history: History) -> bool:
    """Whether a good token was let in: where nobody is, a refusal proves nothing."""
    good = (one for one in history.of("probe") if one.get("token") == "good")
    return bool(attempts.streams(history)) or any(one["status"] == 200 for one in good)


def _probes(history: History, tokens: tuple[str, ...], expected: str) -> Finding:
    allowed = declared.of(history).promises.unauthorized
    probes = [one for one in history.of("probe") if one.get("token") in tokens and one["status"] is not None]
    wrong = [f"{one['name']}: status {one['status']} at {one.t:.6f}" for one in probes if one["status"] not in allowed]
    if not probes:
        return skipped("no request with such a token was answered")
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(probes)} requests were not refused", wrong, probes=len(probes))
    if not _admits(history):
        return unknown(expected, "a good token was not let in either")
    return passed(expected, f"{len(probes)} requests refused", (), probes=len(probes))


@check("security.token_required", "SEC-2", subject="server")
def token_required(history: History) -> Finding:
    """Without a valid token there is no stream."""
    allowed = declared.of(history).promises.unauthorized
    return _probes(history, BAD_TOKENS, f"status {' or '.join(map(str, allowed))} without a valid token")


@check("security.token_expiry", "SEC-2", "SRV-14", subject="server")
def token_expiry(history: History) -> Finding:
    """An expired token opens no stream, and a stream does not outlive its token by more than promised."""
    expected = "no stream with an expired token"
    outcomes = [*_outliving(history)]
    probed = _probes(history, ("expired",), expected)
    worst = max((outcome for outcome, _ in outcomes), default=Outcome.SKIP)
    rows = [text for outcome, text in outcomes if outcome is worst]
    if Outcome.FAIL in (worst, probed.outcome):
        late = rows if worst is Outcome.FAIL else []
        bad = probed.evidence if probed.outcome is Outcome.FAIL else ()
        return failed(expected, f"{len(late) + len(bad)} streams with an expired token", [*bad, *late])
    if Outcome.UNKNOWN in (worst, probed.outcome):
        return unknown(expected, rows[0] if worst is Outcome.UNKNOWN else probed.actual, rows)
    if Outcome.PASS not in (worst, probed.outcome):
        return skipped("no token expired")
    if worst is Outcome.SKIP and declared.of(history).promises.token_expiry_within is not None:
        return skipped(
            "expired tokens were refused, but no stream was there when its token had expired for long enough"
        )
    probes = probed.measured.get("probes", 0.0)
    return passed(expected, f"{len(outcomes)} streams ended in time", (), streams=len(outcomes), probes=probes)


def _outliving(history: History) -> Iterator[tuple[Outcome, str]]:
    """Of each stream with a token that expired while it was open, or before, whether it may have been there."""
    within = declared.of(history).promises.token_expiry_within
    for life in attempts.lives(history).values():
        if life.ttl is None:
            continue
        expires, exact = life.t_start + life.ttl, life.sub in refreshes(history)
        used = _with_first_token(history, life, expires)
        for one, following in zip_longest(used, used[1:]):
            name = f"{one.sub} attempt {one.number}"
            if one.t_open is None:
                continue
            if exact and one.t_request > expires + ROUNDED:
                yield Outcome.FAIL, f"{name}: opened {one.t_request - expires:.3f} s after its token had expired"
            elif within is not None:
                refused = following is not None and following.status == 401
                yield from _ended(history, one, expires, within, refused=refused)


def refreshes(history: History) -> dict[str, float]:
    """Of each subscriber whose fresh tokens are on record, when it got the first one; infinite for none."""
    return history.memo("security.refreshes", _first_fresh)


def _first_fresh(history: History) -> dict[str, float]:
    told = {str(one["sub"]): inf for one in history.of("sub.start") if one.get("refreshes") == "told"}
    for one in history.of("sub.token"):
        told[str(one["sub"])] = min(one.t, told.get(str(one["sub"]), inf))
    return told


def _with_first_token(history: History, life: Life, expires: float) -> list[Attempt]:
    """The attempts that a subscriber made for certain with the token that it began with."""
    if (fresh := refreshes(history).get(life.sub)) is not None:
        return [one for one in life.attempts if one.t_request < fresh]
    if not declared.of(history).can("token-refresh"):
        return life.attempts
    # Whoever can refresh its token may have done so once it was refused, or once it knew that it had expired.
    refused = next((number for number, one in enumerate(life.attempts) if one.status == 401), len(life.attempts))
    return [
        one
        for number, one in enumerate(life.attempts)
        if number <= refused and (one.t_open is None or one.t_open < expires)
    ]


def _ended(
    history: History, one: Attempt, expires: float, within: float, *, refused: bool
) -> Iterator[tuple[Outcome, str]]:
    """Whether a stream ended in time; nothing where nothing was due. `refused`: the next attempt was, with 401."""
    due = max(expires, one.t_open or expires) + within
    gone = attempts.lives(history)[one.sub].gone
    end = min(t for t in (one.told_end, gone, history.end) if t is not None)
    text = f"{one.sub} attempt {one.number}: ran until {end:.3f}, due {due:.3f}"
    if end < due and one.told_end is None:
        return  # closed, or the run was over, before anything was due
    if one.told_end is not None and one.told_end < expires and not (refused and expires - one.told_end <= ROUNDED):
        return  # it ended for another reason while its token was good
    if end < due and declared.hung_up(one, history):
        yield Outcome.UNKNOWN, f"{text}: the client itself hung up"
        return
    yield too_late(history, end - due, due, end), text


@check("security.own_events", "SEC-3", "SRV-13", subject="server")
def own_events(history: History) -> Finding:
    """A subscriber gets its own user's events and those for all, and nobody else's."""
    users = {life.user for life in attempts.lives(history).values() if life.first_open is not None}
    deliveries = ledger.of(history).deliveries
    accounts, anomalies = ledger.settled(history)
    foreign = [one for one in anomalies if one.fate == "cross-user"]
    own = sum(one.delivered for one in accounts if one.channel != ALL)
    expected = "no event of another user"
    if number := ledger.count(history, "cross-user"):
        told, text = [str(one) for one in foreign], f"{number} of {deliveries} deliveries"
        if all(_asked_for(history, one) for one in foreign):
            return unknown(expected, f"{text}, each to a client that had come as another user", told)
        return failed(expected, text, told, deliveries=deliveries)
    if not own or len(users) < 2:
        return skipped("nobody got a test event of its own beside another user")
    return passed(expected, f"none of {deliveries} to {len(users)} users", (), deliveries=deliveries, users=len(users))


def _asked_for(history: History, one: Anomaly) -> bool:
    """Whether a client got another user's event on a stream that it had asked for as another user than its own."""
    life = attempts.lives(history)[one.sub]
    tried = next((tried for tried in life.attempts if tried.number == one.attempt), None)
    return tried is not None and tried.came_as not in (None, life.user)


@check("security.framing", "SEC-4", "SRV-2", subject="server")
def framing(history: History) -> Finding:
    """What the server sends is framed: UTF-8, no NUL in an id, every line of the data in a field of its own."""
    expected, wrong = "no byte of an event outside its fields", [*_unframed(history)]
    if wrong:
        return failed(expected, f"{len(wrong)} breaches", wrong)
    deliveries = ledger.of(history).deliveries
    if not deliveries:
        return skipped("no test event was delivered")
    if not _tells(history):
        return skipped("the client does not tell of lines that it ignores: an id with NUL would not be seen")
    several = sum(one.get("lines", 1) > 1 for one in history.of("sub.event"))
    shown = f"{several} of several lines" if several else "none seen of several lines, so their splitting was not tried"
    return passed(expected, f"{deliveries} deliveries, {shown}", (), deliveries=deliveries, multiline=several)


def _tells(history: History) -> bool:
    """Whether this client tells of what it read beside events."""
    return declared.of(history).can("comments") or bool(history.of("sub.ignored"))


def _unframed(history: History) -> Iterator[str]:
    for one in attempts.attempts(history):
        if scripted(history, one.told_end or history.end):
            continue  # the mock plays broken streams on purpose
        if one.invalid_utf8:
            yield f"{one.sub} attempt {one.number}: {one.invalid_utf8} bytes were no UTF-8"
        for record in one.seen:
            if reason := _breach(record):
                yield f"{one.sub} at {record.t:.6f}: {reason}"


def _breach(record: Record) -> str:
    if record.kind == "sub.ignored":
        line, reason = str(record["line"]), str(record["reason"])
        if "nul" in reason.lower():
            return f"an id with NUL: {line[:80]!r}"
        if any(piece in line for piece in _PIECES):
            return f"a piece of data as a line of its own: {line[:80]!r}"
    if record.kind == "sub.event" and record.get("channel") is None:
        text = str(record.get("data", ""))
        if text.startswith("{") and '"channel"' in text and '"digest"' not in text and "size" not in record.data:
            return f"data that ends in the middle: {text[-60:]!r}"
    return ""
