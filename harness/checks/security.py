"""Who may see what: tokens, their expiry, one's own events, and data that stays data."""

from collections.abc import Iterator

from harness import attempts, declared, ledger
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown
from harness.history import History, Record
from harness.testevent import ALL
from harness.timing import scripted, too_late

BAD_TOKENS = ("none", "forged", "truncated")
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
    probes = probed.measured.get("probes", 0.0)
    return passed(expected, f"{len(outcomes)} streams ended in time", (), streams=len(outcomes), probes=probes)


def _outliving(history: History) -> Iterator[tuple[Outcome, str]]:
    """Of each stream whose token expired while it was open (or before it was opened), whether it ended in time."""
    promises = declared.of(history).promises
    if promises.token_expiry_within is None:
        return
    refreshes = declared.of(history).can("token-refresh")
    for life in attempts.lives(history).values():
        for one in life.attempts:
            if life.ttl is None or one.t_open is None:
                continue
            if refreshes and one.t_open >= life.t_start + life.ttl:
                break  # from here on it may have a fresh token
            due = max(life.t_start + life.ttl, one.t_open) + promises.token_expiry_within
            end = min(t for t in (one.told_end, life.gone, history.end) if t is not None)
            if end < due and one.told_end is None:
                continue  # closed, or the run was over, before anything was due
            if one.told_end is not None and one.told_end < life.t_start + life.ttl:
                continue  # it ended for another reason while its token was good
            text = f"{one.sub} attempt {one.number}: ran until {end:.3f}, due {due:.3f}"
            yield too_late(history, end - due, due, end), text


@check("security.own_events", "SEC-3", "SRV-13", subject="server")
def own_events(history: History) -> Finding:
    """A subscriber gets its own user's events and those for all, and nobody else's."""
    users = {life.user for life in attempts.lives(history).values() if life.first_open is not None}
    deliveries = ledger.of(history).deliveries
    accounts, anomalies = ledger.settled(history)
    foreign = [str(one) for one in anomalies if one.fate == "cross-user"]
    own = sum(one.delivered for one in accounts if one.channel != ALL)
    expected = "no event of another user"
    if number := ledger.count(history, "cross-user"):
        return failed(expected, f"{number} of {deliveries} deliveries", foreign, deliveries=deliveries)
    if not own or len(users) < 2:
        return skipped("nobody got a test event of its own beside another user")
    return passed(expected, f"none of {deliveries} to {len(users)} users", (), deliveries=deliveries, users=len(users))


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
    return passed(expected, f"{deliveries} deliveries", (), deliveries=deliveries)


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
