"""Backoff and jitter: what may be concluded from how many waits."""

import importlib.util
import random
from pathlib import Path

import pytest

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


def waits(subs, delays, *, lasted=None, **more):
    """`subs` clients whose stream ends and whose next attempts fail; the waits in between are `delays`."""
    records = []
    for n in range(subs):
        name, t = f"s{n}", 1.0
        for k, delay in enumerate(delays(n)):
            records.append(sub(t, "attempt", name, attempt=k, last_event_id=None))
            if k == 0 or lasted is not None:
                records.append(sub(t, "open", name, attempt=k))
            t += (lasted or 0.0) + 0.001
            records += [
                sub(t, "end", name, attempt=k, reason="x"),
                sub(t, "wait", name, attempt=k, delay=delay, reason="x"),
            ]
            t += delay
    return sorted(records, key=lambda one: one[0])


def header(**options):
    return {"client": {"capabilities": ["backoff", "jitter"], "options": options}}


def test_nothing_is_judged_that_is_not_declared():
    assert verdict("reconnection.backoff") is verdict("reconnection.jitter") is Outcome.SKIP


def test_a_wait_above_the_cap_fails():
    records = waits(1, lambda n: [9.0])
    assert verdict("reconnection.backoff", *records, **header(backoff_cap=4)) is Outcome.FAIL


def test_too_few_waits_and_too_little_room_are_skipped():
    assert verdict("reconnection.backoff", *waits(1, lambda n: [1.0]), **header()) is Outcome.SKIP
    many = waits(9, lambda n: [1.0, 1.0, 1.0, 1.0, 1.0])
    assert verdict("reconnection.backoff", *many, **header(backoff_base=1, backoff_cap=2)) is Outcome.SKIP


def test_growth_that_is_neither_here_nor_there_is_unknown():
    records = waits(9, lambda n: [1.0, 1.0, 1.0, 1.7])
    assert verdict("reconnection.backoff", *records, **header()) is Outcome.UNKNOWN


def test_waits_after_short_streams_count_only_for_a_client_that_says_when_it_is_stable():
    records = waits(9, lambda n: [1.0, 2.0, 4.0, 8.0, 16.0], lasted=0.5)
    assert verdict("reconnection.backoff", *records, **header()) is Outcome.SKIP
    assert verdict("reconnection.backoff", *records, **header(stable_after=2.0)) is Outcome.PASS


@pytest.mark.parametrize("law", [
    lambda n, k: min(4.0, 0.25 * 2**k) * (1 if k >= 4 else (n + 1) / 24),
    lambda n, k: min(4.0, 0.25 * 2**k) * (1 if k else (n + 1) / 24),
], ids=["none at the cap", "only at first"])  # fmt: skip
def test_jitter_that_is_missing_anywhere_fails(law):
    records = waits(24, lambda n: [0.3 + law(n, k) for k in range(6)])
    assert verdict("reconnection.jitter", *records, **header(reconnection_time=0.3)) is Outcome.FAIL


def test_a_wait_that_is_the_reconnection_time_alone_has_nothing_to_jitter():
    def law(n, k):
        return max(0.3, min(4.0, 0.25 * 2**k) * (n + 1) / 24)

    told = header(reconnection_time=0.3)
    assert verdict("reconnection.jitter", *waits(24, lambda n: [law(n, k) for k in range(6)]), **told) is Outcome.PASS
    assert verdict("reconnection.jitter", *waits(24, lambda n: [0.3, 0.3, 0.3]), **told) is Outcome.FAIL


@pytest.mark.parametrize("reconnection", [0.3, 3.0, 30.0])
def test_the_law_with_full_jitter_is_never_accused(reconnection):
    for seed in range(100):
        rng = random.Random(seed)
        records = waits(8, lambda n, rng=rng: [reconnection + rng.random() * 0.25 * 2**k for k in range(5)])
        told = header(reconnection_time=reconnection)
        assert verdict("reconnection.jitter", *records, **told) is Outcome.PASS, f"random.Random({seed})"


def outage_and_stable_stream(last, options):
    """Ten clients come back after an outage, have a stream for two seconds, and wait so long when that is lost."""
    records, outage = [], [0.3, 0.6, 1.2, 2.4, 4.0]
    for n in range(10):
        name, t = f"s{n}", 1.0
        for k, delay in enumerate([*outage, last]):
            records.append(sub(t, "attempt", name, attempt=k, last_event_id=None))
            if k in (0, len(outage)):
                records.append(sub(t, "open", name, attempt=k))
                t += 2.0
            ended = {"attempt": k, "reason": "x"}
            records += [sub(t, "end", name, **ended), sub(t, "wait", name, **ended, delay=delay)]
            t += delay
    records.sort(key=lambda one: one[0])
    return verdict("reconnection.backoff", *records, **header(backoff_base=0.3, backoff_cap=4.0, **options))


def test_after_a_stable_stream_the_waits_begin_anew():
    assert outage_and_stable_stream(0.3, {"stable_after": 1.0}) is Outcome.PASS
    assert outage_and_stable_stream(2.0, {"stable_after": 1.0}) is Outcome.UNKNOWN
    assert outage_and_stable_stream(4.0, {"stable_after": 1.0}) is Outcome.FAIL
    assert outage_and_stable_stream(4.0, {"stable_after": 3.0}) is Outcome.PASS, "it was not stable yet"
    assert outage_and_stable_stream(4.0, {}) is Outcome.PASS, "it does not say when it is stable"


def test_gaps_stand_for_waits_that_nobody_tells():
    records = [one for one in waits(9, lambda n: [1.0, 2.0, 4.0, 8.0, 16.0]) if one[1] != "sub.wait"]
    assert verdict("reconnection.backoff", *records, **header()) is Outcome.PASS
    assert verdict("reconnection.jitter", *records, *lags(20), **header()) is Outcome.FAIL


def test_no_wait_at_all_is_no_backoff_and_no_jitter():
    records = waits(9, lambda n: [0.0] * 5)
    assert verdict("reconnection.backoff", *records, **header()) is Outcome.FAIL
    assert verdict("reconnection.jitter", *records, **header()) is Outcome.FAIL


def test_a_first_attempt_that_fails_is_the_first_failure():
    records = [
        record for n in range(9) for record in (
            sub(1, "attempt", f"s{n}", attempt=0, last_event_id=None), sub(1.1, "end", f"s{n}", attempt=0, reason="x"),
            sub(1.1, "wait", f"s{n}", attempt=0, delay=1 + n / 9, reason="x"),
        )
    ]  # fmt: skip
    assert verdict("reconnection.jitter", *records, **header()) is Outcome.PASS


def test_waits_that_the_server_asked_for_are_not_judged():
    records = [
        record for n in range(9) for record in (
            sub(1, "attempt", f"s{n}", attempt=0, last_event_id=None),
            sub(1.1, "response", f"s{n}", attempt=0, status=429, headers={"retry-after": "5"}),
            sub(1.1, "wait", f"s{n}", attempt=0, delay=5.0, reason="x"),
        )
    ]  # fmt: skip
    assert verdict("reconnection.jitter", *records, **header()) is Outcome.SKIP


def test_coming_back_with_a_new_token_is_no_wait():
    """A token that expired while the network was away: the 401 comes as a late failure, and its answer at once."""
    records = waits(9, lambda n: [1.0, 2.0, 2.0, 2.2])
    for n in range(9):
        at = 8.3 + n / 1000
        records += [
            sub(at, "attempt", f"s{n}", attempt=4, last_event_id=None),
            sub(at + 0.01, "response", f"s{n}", attempt=4, status=401, headers={}),
            sub(at + 0.02, "end", f"s{n}", attempt=4, reason="status 401"),
            sub(at + 0.03, "attempt", f"s{n}", attempt=5, last_event_id=None),
        ]
    records.sort(key=lambda one: one[0])
    assert verdict("reconnection.backoff", *records, *lags(9), **header()) is Outcome.PASS
    hammering = [(t, kind, {**data, "status": 503} if "status" in data else data) for t, kind, data in records]
    assert verdict("reconnection.backoff", *hammering, *lags(9), **header()) is not Outcome.PASS


def test_after_polling_the_waits_begin_anew():
    """Ten clients are refused five times each, always after the same time: a flat law, if these were waits."""
    records = []
    for n in range(10):
        for k in range(5):
            t = 1.0 + k * 3 + n / 100
            records.append(sub(t, "attempt", f"s{n}", attempt=k, last_event_id=None))
            records.append(sub(t + 0.1, "end", f"s{n}", attempt=k, reason="204"))
            records.append(sub(t + 0.2, "poll", f"s{n}", status=200, events=0))
    told = sorted([*records, *lags(20)], key=lambda one: one[0])
    silent = [one for one in told if one[1] != "sub.poll"]
    assert verdict("reconnection.backoff", *silent, **header()) is Outcome.FAIL
    assert verdict("reconnection.backoff", *told, **header()) is Outcome.SKIP


def test_what_a_client_does_counts_more_than_what_it_says():
    """Ten clients say that they wait longer each time, each another time, and come back after half a second."""
    records = []
    for n in range(10):
        for k in range(6):
            t = 1.0 + k * 0.5
            records.append(sub(t, "attempt", f"s{n}", attempt=k, last_event_id=None))
            records.append(sub(t + 0.001, "end", f"s{n}", attempt=k, reason="refused"))
            records.append(sub(t + 0.002, "wait", f"s{n}", attempt=k, delay=0.6 * 2**k + n / 50, reason="x"))
    told = sorted([*records, *lags(9)], key=lambda one: one[0])
    assert verdict("reconnection.backoff", *told, **header()) is Outcome.FAIL
    assert verdict("reconnection.jitter", *told, **header()) is Outcome.FAIL


def test_our_own_lag_may_hide_the_jitter_of_a_client_that_tells_no_waits():
    records = [one for one in waits(9, lambda n: [1.0, 2.0, 4.0, 8.0, 16.0]) if one[1] != "sub.wait"]
    assert verdict("reconnection.jitter", *records, **header()) is Outcome.UNKNOWN
    assert verdict("reconnection.jitter", *records, *lags(40, 3.0), **header()) is Outcome.UNKNOWN
