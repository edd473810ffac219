"""REST twins: what may differ, and what is not judged."""

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


def stage(t, percent):
    return (t, "flag.set", {"enabled": percent > 0, "percent": percent})


def twin(t, digest, user="u", name="dashboard", status=200):
    about = {"name": "p", "user": user, "twin": name, "began": t - 0.001}
    return (t, "probe.rest", about | {"status": status, "digest": digest})


def same(*records):
    rows = sorted([*records, (9.0, "lag", {"worst": 0.001})], key=lambda one: one[0])
    return verdict("rest.same_bytes", *rows, **PROMISE)


OFF_THEN_ON = [stage(1, 0), stage(4, 100)]


def published(t, channel="user:u", **more):
    known = {"channel": channel, "owner": None, "epoch": "e", "seq": 1, "id": "1", "type": "m", "digest": "d", "at": t}
    return (t, "published", known | more)


def test_the_flag_must_not_show():
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(6, "a")) is Outcome.PASS
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(6, "b")) is Outcome.FAIL
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(6, "b", user="v"), twin(6, "c", name="events")) is Outcome.SKIP


def test_what_was_published_may_show():
    assert same(*OFF_THEN_ON, twin(3, "a"), published(5), twin(6, "b")) is Outcome.SKIP
    assert same(*OFF_THEN_ON, twin(3, "a"), published(2.9, done=3.5), twin(6, "b")) is Outcome.SKIP
    assert same(*OFF_THEN_ON, twin(3, "a"), published(5, "user:v"), twin(6, "b")) is Outcome.FAIL
    assert same(*OFF_THEN_ON, twin(3, "a"), (5.0, "server.start", {"epoch": "f"}), twin(6, "b")) is Outcome.SKIP


def test_answers_that_differ_of_themselves_prove_nothing():
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(3.1, "b"), twin(6, "c")) is Outcome.UNKNOWN


def test_between_0_and_100_the_run_must_have_seen_whether_the_flag_is_on():
    half = [stage(1, 0), stage(4, 50), twin(3, "a"), twin(6, "b")]
    probe = (7, "probe.flag", {"name": "p", "user": "u", "status": 200, "began": 6.9})
    assert same(*half) is Outcome.SKIP
    assert same(*half, probe) is Outcome.FAIL


def test_what_was_not_answered_or_came_too_soon_is_not_judged():
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(6, None, status=None)) is Outcome.SKIP
    assert same(*OFF_THEN_ON, twin(3, "a"), twin(4.5, "b")) is Outcome.SKIP
