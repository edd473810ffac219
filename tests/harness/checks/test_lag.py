"""Lag: stale, overdue, or our own slowness."""

import importlib.util
from pathlib import Path

from harness import checks
from harness.check import REGISTRY, Outcome, judge
from harness.history import Record

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


PROMISE = {"promises": {"max_latency": 0.5}}
EVENT = {"channel": "all", "owner": None, "epoch": "e", "seq": 1, "type": "message", "digest": "d"}
PUBLISHED = (2.0, "published", {**EVENT, "id": "e-1", "at": 2.0})


def live(*records, **header):
    return verdict("lag.live", sub(1, "open", attempt=0), PUBLISHED, *records, **{**PROMISE, **header})


def got(t):
    return sub(t, "event", attempt=0, id="e-1", **EVENT, intact=True)


def test_a_late_event_is_stale_where_we_were_not_late_ourselves():
    assert live(got(2.4), *lags(6)) is Outcome.PASS
    assert live(got(4), *lags(6)) is Outcome.FAIL
    assert live(got(4), *lags(6, worst=3.0)) is Outcome.UNKNOWN


def test_an_event_that_never_came_on_an_open_quiet_stream_is_overdue():
    assert live(*lags(6)) is Outcome.FAIL
    assert live(sub(2.2, "end", attempt=0, reason="x"), *lags(6)) is Outcome.SKIP


def test_a_publication_that_took_longer_than_the_bound_tells_nothing_of_it():
    for done, outcome in ((2.3, Outcome.PASS), (3.9, Outcome.SKIP)):
        published = (2.0, "published", {**PUBLISHED[2], "done": done})
        opened = sub(1, "open", attempt=0)
        assert verdict("lag.live", opened, published, got(done - 0.1), *lags(6), **PROMISE) is outcome


def test_where_nothing_came_no_lag_was_measured():
    history = planted.history([sub(1, "open", attempt=0), PUBLISHED, *lags(6)], **PROMISE)
    [found] = judge(history, [REGISTRY["lag.live"]])
    assert (found.outcome, found.actual) == (Outcome.FAIL, "1 stale of 1; none came")
    assert found.measured == {"samples": 1}


def test_where_something_was_broken_nothing_is_stale():
    fault = (1.5, "net.fault", {"proxy": "p", "fault": "latency", "state": "on"})
    assert live(fault, got(4), *lags(6)) is Outcome.SKIP
    assert verdict("lag.live") is Outcome.SKIP


def test_a_process_whose_lag_nobody_recorded_may_be_the_late_one():
    history = planted.history([sub(1, "open", attempt=0), PUBLISHED, *lags(6), got(4)], **PROMISE)
    sign = Record(5.5, "server.stats", {"open": 1, "slots": 1, "rss": 0, "descriptors": 0, "tasks": 0}, "server")
    early = Record(0.5, "server.start", {"epoch": "e"}, "server")
    silent = sorted([*history.records, early, sign], key=lambda one: one.t)
    for records, outcome in ((history.records, Outcome.FAIL), (tuple(silent), Outcome.UNKNOWN)):
        [found] = judge(type(history)(records, history.header), [REGISTRY["lag.live"]])
        assert found.outcome is outcome
