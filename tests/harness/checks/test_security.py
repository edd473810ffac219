"""Tokens, own events, framing: what proves something and what does not."""

import importlib.util
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


def test_an_expired_token_of_a_probe():
    assert expiry(probe("expired", 200)) is Outcome.FAIL
    assert expiry(probe("expired", 401)) is Outcome.UNKNOWN
    assert expiry(probe("expired", 401), probe("good", 200)) is Outcome.PASS


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


def framing(*records, **header):
    return verdict("security.framing", sub(1, "open", attempt=0), *records, **header)


def test_who_tells_of_no_ignored_line_cannot_show_that_there_was_none():
    event = sub(2, "event", attempt=0, id="e-1", type="message", channel="all", owner=None, epoch="e", seq=1,
                intact=True, digest="x")  # fmt: skip
    start = sub(0.5, "start", user="u", options={})
    assert verdict("security.framing", start, sub(1, "open", attempt=0), event) is Outcome.SKIP
    tells = {"client": {"capabilities": ["comments"], "options": {}}}
    assert verdict("security.framing", start, sub(1, "open", attempt=0), event, **tells) is Outcome.PASS


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


def test_events_for_all_show_no_isolation():
    history = simulate.play("isolation", Random(2))
    common = tuple(one for one in history.records if not str(one.get("channel", "")).startswith("user:"))
    [found] = judge(type(history)(common, history.header), [REGISTRY["security.own_events"]])
    assert found.outcome is Outcome.SKIP
