"""Tokens, own events, framing: what proves something and what does not."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from random import Random

from harness import checks, simulate
from harness.check import REGISTRY, Outcome, judge

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent.parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)
checks.load()


def verdict(name, *records, **header):
    [one] = judge(planted.history(records, **header), [REGISTRY[name]])
    return one.outcome


def sub(t, kind, name="s", **data):
    return (t, f"sub.{kind}", {"sub": name, **data})


def lags(until, worst=0.001):
    return [(float(t), "lag", {"worst": worst}) for t in range(until + 1)]


def probe(token, status):
    return (1.0, "probe", {"name": token, "token": token, "status": status, "headers": {}})


def test_refusals_prove_nothing_where_nobody_is_let_in():
    assert verdict("security.token_required", probe("none", 401)) is Outcome.UNKNOWN
    assert verdict("security.token_required", probe("none", 401), probe("good", 200)) is Outcome.PASS
    assert verdict("security.token_required", probe("none", 500), probe("good", 200)) is Outcome.FAIL
    assert verdict("security.token_required", probe("none", None)) is Outcome.SKIP


def test_a_token_with_one_character_changed_is_no_token():
    assert verdict("security.token_required", probe("tampered", 401), probe("good", 200)) is Outcome.PASS
    assert verdict("security.token_required", probe("tampered", 200), probe("good", 200)) is Outcome.FAIL


PROMISE = {"promises": {"token_expiry_within": 1.0}}
SHORT = sub(0, "start", user="u", options={}, ttl=2.0)


def expiry(*records, **header):
    return verdict("security.token_expiry", *records, **{**PROMISE, **header})


def test_a_stream_must_not_outlive_its_token():
    opened = sub(1, "open", attempt=0)
    assert expiry(SHORT, opened, *lags(9)) is Outcome.FAIL
    assert expiry(SHORT, opened, sub(2.5, "end", attempt=0, reason="x"), *lags(9)) is Outcome.PASS
    assert expiry(SHORT, opened, sub(8, "end", attempt=0, reason="x")) is Outcome.UNKNOWN
    assert expiry(SHORT, opened, sub(1.5, "end", attempt=0, reason="x"), *lags(9)) is Outcome.SKIP
    assert expiry(SHORT, opened, sub(2.2, "close"), *lags(9)) is Outcome.SKIP
    assert expiry(sub(0, "start", user="u", options={}), opened, *lags(9)) is Outcome.SKIP
    assert verdict("security.token_expiry", SHORT, opened, *lags(9)) is Outcome.SKIP


def test_who_made_no_attempt_shows_nothing():
    assert expiry(SHORT, *lags(9)) is Outcome.SKIP


def test_an_expired_token_of_a_probe():
    assert expiry(probe("expired", 200)) is Outcome.FAIL
    assert expiry(probe("expired", 401)) is Outcome.UNKNOWN
    assert verdict("security.token_expiry", probe("expired", 401), probe("good", 200)) is Outcome.PASS
    # That a stream does not outlive its token is promised, and none was seen.
    assert expiry(probe("expired", 401), probe("good", 200)) is Outcome.SKIP


def test_a_client_that_refreshes_its_token_may_come_back():
    fresh = {"client": {"capabilities": ["token-refresh"], "options": {}}}
    records = [
        SHORT,
        sub(1, "open", attempt=0),
        sub(2.2, "end", attempt=0, reason="x"),
        sub(3, "open", attempt=1),
        *lags(9),
    ]
    assert expiry(*records, **fresh) is Outcome.PASS
    assert expiry(*records) is Outcome.FAIL


REFRESHES = {"client": {"capabilities": ["token-refresh"], "options": {}}}


def refused(t, attempt):
    return sub(t, "response", attempt=attempt, status=401, headers={"x": "y"})


def test_a_token_that_expires_a_little_early_was_refreshed_once_it_was_refused():
    ended = [SHORT, sub(0.1, "attempt", attempt=0, last_event_id=None), sub(0.2, "open", attempt=0)]
    ended += [sub(1.4, "end", attempt=0, reason="x"), sub(1.6, "attempt", attempt=1, last_event_id=None)]
    again = [refused(1.61, 1), sub(1.62, "attempt", attempt=2, last_event_id=None), sub(1.7, "open", attempt=2)]
    assert expiry(*ended, *again, *lags(9), **REFRESHES) is Outcome.PASS
    assert expiry(*ended, sub(1.7, "open", attempt=1), sub(1.9, "close"), *lags(9), **REFRESHES) is Outcome.SKIP
    assert expiry(*ended, *again, *lags(9)) is Outcome.FAIL


TOLD = sub(0, "start", user="u", options={}, ttl=2.0, refreshes="told")


def resumed(*between, at=3.5):
    """A stream that ended with its token, and one that was opened later and ended at once."""
    return [
        TOLD, sub(0.1, "attempt", attempt=0, last_event_id=None), sub(0.2, "open", attempt=0),
        sub(2.1, "end", attempt=0, reason="x"), *between,
        sub(at, "attempt", attempt=1, last_event_id="e-1"), sub(at + 0.1, "open", attempt=1),
        sub(at + 0.2, "end", attempt=1, reason="x"), *lags(9),
    ]  # fmt: skip


def test_who_is_let_in_with_an_expired_token_proves_a_breach_however_soon_it_ends():
    assert expiry(*resumed(), **REFRESHES) is expiry(*resumed()) is Outcome.FAIL
    assert verdict("security.token_expiry", *resumed()) is Outcome.FAIL
    assert expiry(*resumed(sub(2.5, "token")), **REFRESHES) is Outcome.PASS
    assert expiry(*resumed(at=2.8), **REFRESHES) is Outcome.PASS


def test_a_client_that_hangs_up_by_itself_shows_nothing_of_an_expiry():
    patient = {"client": {"capabilities": [], "options": {"heartbeat_deadline": 2.0}}}
    start = [SHORT, sub(0.2, "open", attempt=0), sub(0.6, "comment", attempt=0)]
    assert expiry(*start, sub(2.7, "end", attempt=0, reason="silence"), *lags(9), **patient) is Outcome.UNKNOWN
    assert expiry(*start, sub(2.2, "end", attempt=0, reason="x"), *lags(9), **patient) is Outcome.PASS
    assert expiry(*start, sub(8, "end", attempt=0, reason="silence"), *lags(9), **patient) is Outcome.FAIL


def framing(*records, **header):
    return verdict("security.framing", sub(1, "open", attempt=0), *records, **header)


def test_who_tells_of_no_ignored_line_cannot_show_that_there_was_none():
    event = sub(2, "event", attempt=0, id="e-1", type="message", channel="all", owner=None, epoch="e", seq=1,
                intact=True, digest="x")  # fmt: skip
    start = sub(0.5, "start", user="u", options={})
    assert verdict("security.framing", start, sub(1, "open", attempt=0), event) is Outcome.SKIP
    tells = {"client": {"capabilities": ["comments"], "options": {}}}
    for lines, shown in ((1, "their splitting was not tried"), (3, "1 of several lines")):
        event[2]["lines"] = lines
        told = planted.history([start, sub(1, "open", attempt=0), event], **tells)
        [one] = judge(told, [REGISTRY["security.framing"]])
        assert (one.outcome, shown in one.actual, one.measured["multiline"]) == (Outcome.PASS, True, lines > 1)


def test_what_is_no_frame():
    ignored = {"attempt": 0, "line": '"digest":"x"}', "reason": "unknown field"}
    assert framing(sub(2, "end", attempt=0, reason="x", invalid_utf8=1)) is Outcome.FAIL
    assert framing(sub(2, "ignored", **ignored)) is Outcome.FAIL
    assert framing(sub(2, "ignored", **{**ignored, "line": "retries: 1"})) is Outcome.SKIP
    piece = {"attempt": 0, "id": "", "type": "message", "data": '{"channel": "all", "own'}
    assert framing(sub(2, "event", **piece)) is Outcome.FAIL
    scripted = (0.5, "server.fault", {"name": "script", "state": "on"})
    assert framing(scripted, sub(2, "ignored", **ignored)) is Outcome.SKIP


def test_one_user_cannot_show_isolation():
    assert verdict("security.own_events") is Outcome.SKIP


def test_who_came_as_another_user_gets_that_users_events():
    history = simulate.play("isolation", Random(2), defects=("leaks-to-other-user",))

    def came_as(user):
        asked = [
            replace(one, data={**one.data, "user": user}) if user and one.kind == "conn.request" else one
            for one in history.records
        ]
        [found] = judge(type(history)(tuple(asked), history.header), [REGISTRY["security.own_events"]])
        return found.outcome

    assert came_as(None) is Outcome.FAIL
    assert came_as("somebody") is Outcome.UNKNOWN


def test_events_for_all_show_no_isolation():
    history = simulate.play("isolation", Random(2))
    common = tuple(one for one in history.records if not str(one.get("channel", "")).startswith("user:"))
    [found] = judge(type(history)(common, history.header), [REGISTRY["security.own_events"]])
    assert found.outcome is Outcome.SKIP
