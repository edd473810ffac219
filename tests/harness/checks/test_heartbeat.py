"""Heartbeats and the client's deadline: what can be told from which clients."""

import importlib.util
from pathlib import Path

from harness import checks
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


PROMISE = {"promises": {"heartbeat": 1.0}}
CLIENT = {"client": {"capabilities": ["comments", "heartbeat-deadline"], "options": {"heartbeat_deadline": 2.0}}}
DEAF = {"client": {"capabilities": ["heartbeat-deadline"], "options": {"heartbeat_deadline": 2.0}}}


def silent(until, **header):
    return lambda name, *more: verdict(name, sub(0.5, "open", attempt=0), *more, **header)


def cadence(*records, **header):
    return verdict("heartbeat.cadence", sub(0.5, "open", attempt=0), *records, **{**PROMISE, **header})


def deadline(*records, **header):
    return verdict("heartbeat.deadline", sub(0.5, "open", attempt=0), *records, **header)


def test_silence_is_judged_against_one_and_a_half_times_the_promise():
    assert cadence(*lags(5), **CLIENT) is Outcome.FAIL
    assert cadence((1.9, "lag", {"worst": 0.001}), **CLIENT) is Outcome.PASS
    assert cadence((3.0, "step", {"step": "wait", "state": "end"}), **CLIENT) is Outcome.UNKNOWN
    assert cadence((0.6, "lag", {"worst": 0.001}), **CLIENT) is Outcome.SKIP


def test_whatever_bytes_come_break_a_silence():
    stirred = [sub(t, "stirred", attempt=0) for t in (1.5, 2.5, 3.5, 4.5)]
    assert cadence(*sorted([*stirred, *lags(5)], key=lambda one: one[0]), **CLIENT) is Outcome.PASS
    assert deadline(*sorted([*stirred, *lags(5)], key=lambda one: one[0]), **CLIENT) is Outcome.SKIP


def resumed_after(fault, *records):
    """A stream that opened 0.2 s after the end of this fault, and what then came."""
    begin, end = ((t, "net.fault", {"proxy": "p", "fault": fault, "state": s}) for t, s in ((0.2, "on"), (0.3, "off")))
    return verdict(
        "heartbeat.cadence", begin, end, sub(0.5, "open", attempt=1), *records, *lags(5), **{**PROMISE, **CLIENT}
    )


def test_a_silence_soon_after_a_fault_counts_from_when_that_has_no_effect_any_more():
    beats = [sub(1.5 + n, "comment", attempt=1) for n in range(4)]
    assert resumed_after("disabled", sub(2.9, "comment", attempt=1), sub(3.0, "close")) is Outcome.FAIL
    assert resumed_after("disabled", sub(2.7, "comment", attempt=1), sub(3.0, "close")) is Outcome.PASS
    assert resumed_after("disabled", *beats) is Outcome.PASS


def test_a_silence_in_which_something_is_broken_proves_nothing():
    again = (2.5, "net.fault", {"proxy": "p", "fault": "disabled", "state": "on"})
    assert resumed_after("disabled", again) is Outcome.SKIP


def test_a_summary_was_never_silent_and_the_comments_within_show_that_the_server_beats():
    about = {"channel": "all", "epoch": "e", "first": 1, "last": 9, "id": "e-9", "since": 0.5, "slowest": 0.1,
             "types": {"message": 9}}  # fmt: skip
    beats = [sub(0.6 + n / 10, "comment", attempt=0) for n in range(3)]
    assert cadence(*beats, sub(0.9, "run", attempt=0, **about), (0.9, "lag", {"worst": 0.001})) is Outcome.PASS


def test_a_client_that_tells_of_no_comments_proves_nothing():
    assert cadence(*lags(5)) is Outcome.SKIP
    assert deadline(*lags(5), **DEAF) is Outcome.SKIP
    assert verdict("heartbeat.cadence") is verdict("heartbeat.deadline") is Outcome.SKIP


def test_whoever_beats_more_often_than_promised_is_judged_whatever_its_beats_are():
    ping = {"attempt": 0, "id": "", "type": "ping", "data": "{}"}
    for beat in (("comment", {"attempt": 0}), ("event", ping)):
        beats = [sub(0.5 + n / 2, beat[0], **beat[1]) for n in range(1, 9)]
        assert cadence(*beats, **CLIENT) is Outcome.PASS
        assert cadence(*beats[:2], (1.6, "lag", {"worst": 0.001}), **CLIENT) is Outcome.SKIP


def test_a_deadline_has_to_be_kept():
    assert deadline(*lags(5), **CLIENT) is Outcome.FAIL
    assert deadline(sub(2.5, "end", attempt=0, reason="silence"), *lags(5), **CLIENT) is Outcome.PASS
    assert deadline(sub(9, "end", attempt=0, reason="silence"), **CLIENT) is Outcome.UNKNOWN
    assert deadline(sub(1, "end", attempt=0, reason="eof"), *lags(5), **CLIENT) is Outcome.SKIP


REQUEST = {"user": "u", "method": "GET", "path": "/", "headers": {}, "last_event_id": None}


def test_a_silence_that_the_client_did_not_end_proves_nothing():
    """Data came, or the server ended the stream, when the deadline was nearly over or just over."""
    for t in (2.4, 2.6):
        assert deadline(sub(t, "comment", attempt=0), sub(t, "close"), *lags(5), **CLIENT) is Outcome.SKIP
    asked = (0.4, "conn.request", {"conn": "c", "sub": "s", **REQUEST})
    ended = (2.49, "conn.end", {"conn": "c", "by": "server", "how": "fin", "bytes": 0})
    end = sub(2.5, "end", attempt=0, reason="eof")
    opened = sub(0.5, "open", attempt=0)
    assert verdict("heartbeat.deadline", asked, opened, ended, end, *lags(5), **CLIENT) is Outcome.SKIP


def patient(*records, client=CLIENT):
    asked = (0.4, "conn.request", {"conn": "c", "sub": "s", **REQUEST})
    return verdict("heartbeat.patience", asked, sub(0.5, "open", attempt=0), *records, **{**PROMISE, **client})


def test_a_stream_that_is_not_silent_is_not_ended_by_its_client():
    def ended(t, by="client"):
        end = (t, "conn.end", {"conn": "c", "by": by, "how": "fin", "bytes": 0})
        return [end, sub(t, "end", attempt=0, reason="silent for too long")]

    beats = [sub(1.5, "comment", attempt=0), sub(2.5, "comment", attempt=0)]
    early, late = [*beats, *ended(3.5)], [beats[0], *ended(3.5)]
    assert patient(*early, *lags(5)) is Outcome.FAIL
    assert patient(*early) is patient(*early, *lags(5, worst=1.0)) is Outcome.PASS  # it may have got nothing
    assert patient(*late, *lags(5)) is Outcome.PASS
    assert patient(*beats, *ended(3.5, "server"), *lags(5)) is Outcome.PASS
    broken = (2.6, "net.fault", {"proxy": "p", "fault": "timeout", "state": "on"})
    assert patient(*beats, broken, *ended(3.5), *lags(5)) is Outcome.SKIP
    assert patient(sub(0.7, "close"), *lags(5)) is Outcome.SKIP
    assert patient(*beats, *ended(3.5), sub(3.5, "closed", reason="gave up"), *lags(5)) is Outcome.SKIP
    assert verdict("heartbeat.patience") is Outcome.SKIP
    undeclared = {"client": {"capabilities": [], "options": {}}}
    assert patient(*early, *lags(5), client=undeclared) is Outcome.FAIL
    assert patient(*ended(3.5), *lags(5), client=undeclared) is Outcome.SKIP


def test_the_server_may_notice_the_end_of_a_silent_stream_before_its_client_tells_of_it():
    asked = (0.4, "conn.request", {"conn": "c", "sub": "s", **REQUEST})
    noticed = (2.5005, "conn.end", {"conn": "c", "by": "client", "how": "fin", "bytes": 0})
    told = sub(2.501, "end", attempt=0, reason="silent for too long")
    opened = sub(0.5, "open", attempt=0)
    assert verdict("heartbeat.deadline", asked, opened, noticed, told, *lags(5), **CLIENT) is Outcome.PASS
