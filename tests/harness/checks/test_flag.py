"""The flag: what counts as ended, refused and looping."""

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


PROMISE = {"promises": {"kill_switch_within": 1.0}}
OPEN, OFF = sub(0.5, "open", attempt=0), (2.0, "flag.set", {"enabled": False})


def kill(*records):
    return verdict("flag.kill_switch", *sorted([OPEN, OFF, *records], key=lambda one: one[0]), **PROMISE)


def test_a_stream_has_to_end_in_time():
    assert kill(sub(2.5, "end", attempt=0, reason="eof"), *lags(6)) is Outcome.PASS
    assert kill(*lags(6)) is Outcome.FAIL
    assert kill(sub(5, "end", attempt=0, reason="eof")) is Outcome.UNKNOWN
    assert kill(sub(5, "comment", attempt=0), *lags(6)) is Outcome.FAIL


def test_what_cannot_be_told_is_not_judged():
    assert kill() is Outcome.SKIP
    assert kill((2.1, "flag.set", {"enabled": False}), (2.5, "flag.set", {"enabled": True}), *lags(9)) is Outcome.SKIP
    assert kill(sub(1.0, "end", attempt=0, reason="eof"), *lags(6)) is Outcome.SKIP
    assert kill(sub(2.2, "close"), *lags(6)) is Outcome.SKIP
    for name in ("kill_switch", "gates", "no_client_loop"):
        assert verdict(f"flag.{name}") is verdict(f"flag.{name}", **PROMISE) is Outcome.SKIP


def test_a_request_while_the_flag_is_off_gets_no_stream():
    asked = [sub(4, "attempt", attempt=0, last_event_id=None)]
    assert verdict("flag.gates", OFF, *asked, sub(4.1, "open", attempt=0), *lags(6), **PROMISE) is Outcome.FAIL
    refused = sub(4.1, "response", attempt=0, status=204, headers={})
    assert verdict("flag.gates", OFF, *asked, refused, *lags(6), **PROMISE) is Outcome.PASS


def test_a_client_that_came_later_is_not_one_that_loops():
    assert verdict("flag.no_client_loop", OFF, sub(3, "open", attempt=0), *lags(6)) is Outcome.SKIP
