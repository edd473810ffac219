"""After a rollback: polling, cleared state and the rate of errors; accusations need proof."""

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


PROMISES = {"kill_switch_within": 1.0}
POLLS = {"capabilities": ["polling"], "options": {"poll_every": 0.5}}


def judge_(name, *records, client=POLLS, end=20):
    rows = sorted([*records, *lags(end)], key=lambda one: one[0])
    return verdict(f"rollback.{name}", *rows, promises=PROMISES, client=client)


def start(t=0.0):
    return sub(t, "start", user="u", options={})


def attempt(t, number, last_event_id=None):
    return sub(t, "attempt", attempt=number, last_event_id=last_event_id)


def answer(t, number, status):
    return sub(t, "response", attempt=number, status=status, headers={})


def poll(t, status=200):
    return sub(t, "poll", status=status, events=0)


def event(t, id, **more):
    return sub(t, "event", attempt=0, id=id, type="m", **more)


REFUSED = [start(), attempt(1, 0), answer(1.1, 0, 204)]


def test_a_refusal_is_followed_by_a_poll_in_time():
    assert judge_("falls_back", *REFUSED, poll(1.5)) is Outcome.PASS
    assert judge_("falls_back", *REFUSED, poll(4)) is Outcome.FAIL
    # To wait for the interval, to connect, to ask and to be answered each take a turn of ours, late by 1 ms.
    assert judge_("falls_back", *REFUSED, poll(2.6035)) is Outcome.UNKNOWN
    assert judge_("falls_back", *REFUSED, poll(2.605)) is Outcome.FAIL
    assert judge_("falls_back", *REFUSED, sub(1.2, "closed", reason="gave up")) is Outcome.FAIL


def test_who_was_closed_or_does_not_declare_polling_need_not_poll():
    assert judge_("falls_back", *REFUSED, sub(1.5, "close")) is Outcome.SKIP
    assert judge_("falls_back", *REFUSED, client={"capabilities": [], "options": {"poll_every": 0.5}}) is Outcome.SKIP
    assert judge_("falls_back", *REFUSED, client={"capabilities": ["polling"], "options": {}}) is Outcome.SKIP
    assert judge_("falls_back", start(), attempt(1, 0), answer(1.1, 0, 503)) is Outcome.SKIP


def flag(t, percent):
    return (t, "flag.set", {"enabled": percent > 0, "percent": percent})


def test_whatever_is_answered_while_the_flag_is_off_sends_a_client_to_polling():
    missing = [start(), attempt(1, 0), answer(1.1, 0, 404)]
    assert judge_("falls_back", *missing) is judge_("falls_back", flag(0.5, 100), *missing) is Outcome.SKIP
    assert judge_("falls_back", flag(0.5, 10), *missing) is Outcome.FAIL
    assert judge_("falls_back", flag(0.5, 10), *missing, poll(1.5)) is Outcome.PASS


STREAMED = [start(), attempt(1, 0), answer(1.1, 0, 200), sub(1.1, "open", attempt=0), event(2, "7")]
ENDED = [flag(4, 0), sub(4.1, "end", attempt=0, reason="eof"), attempt(4.5, 1, "7"), answer(4.6, 1, 204), poll(5)]


def cleared(*records):
    return judge_("state_cleared", *STREAMED, *ENDED, *records)


def test_a_client_goes_on_from_the_last_event_that_it_has():
    moved = [event(6, "9", via="poll"), flag(10, 100)]
    assert cleared(*moved, attempt(11, 2, "9")) is Outcome.PASS
    assert cleared(*moved, attempt(11, 2)) is Outcome.PASS
    assert cleared(*moved, attempt(11, 2, "7")) is Outcome.FAIL
    assert cleared(*moved, attempt(11, 2, "an id that nobody saw")) is Outcome.PASS


def test_a_client_that_got_nothing_since_has_nothing_newer():
    assert cleared(flag(10, 100), attempt(11, 2, "7")) is Outcome.SKIP
    assert cleared(event(6, "9", via="poll"), flag(10, 100)) is Outcome.SKIP


def rate(*records, end=20):
    opened = [start(), attempt(1, 0), answer(1.1, 0, 200), sub(1.1, "open", attempt=0)]
    return judge_("error_rate", *opened, flag(8, 0), sub(8.1, "end", attempt=0, reason="eof"), *records, end=end)


def polls(t0, t1, status=200):
    return [poll(t0 + n / 10, status) for n in range(int((t1 - t0) * 10))]


def test_errors_are_as_rare_after_a_rollback_as_before():
    assert rate(*polls(2, 8), *polls(9.1, 20)) is Outcome.PASS
    assert rate(*polls(2, 8), *polls(9.1, 13, 500), *polls(13, 20)) is Outcome.FAIL
    assert rate(*polls(2, 8), *polls(9.1, 13, None)) is Outcome.FAIL
    some = [*polls(2, 2.5, 500), *polls(2.5, 8)]
    assert rate(*some, *polls(9.1, 9.5, 500), *polls(9.5, 20)) is Outcome.PASS
    assert rate(*polls(2, 8), *polls(8.1, 9, 500), *polls(9.1, 20)) is Outcome.PASS


def test_errors_while_the_run_itself_lags_prove_nothing():
    slow = [(float(t), "lag", {"worst": 3.0}) for t in range(21)]
    assert rate(*polls(2, 8), *polls(9.1, 13, None), *polls(13, 20), *slow) is Outcome.UNKNOWN


def test_204_is_no_error():
    probes = [(t, "probe.flag", {"name": "p", "user": "u", "status": 204, "began": t}) for t in range(10, 20)]
    assert rate(*polls(9.1, 20), *probes) is Outcome.PASS


def test_too_little_proves_nothing():
    assert rate(*polls(2, 8, 500), *polls(9.1, 14, 500), end=14) is Outcome.UNKNOWN
    assert rate(poll(12), poll(13)) is Outcome.UNKNOWN
    assert rate() is Outcome.SKIP
    assert rate(*polls(9.1, 11, 500), end=11) is Outcome.SKIP
    assert rate(*polls(9.1, 20, 500), (9.5, "net.fault", {"proxy": "p", "fault": "x", "state": "on"})) is Outcome.SKIP
