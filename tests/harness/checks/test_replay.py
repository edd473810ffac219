"""Replay: ids that come back, resets, and what cannot be told."""

import importlib.util
from pathlib import Path
from time import perf_counter

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


def event(t, id, digest, **more):
    about = {"channel": "all", "owner": None, "epoch": "e", "seq": 1, "intact": True}
    return sub(t, "event", attempt=0, id=id, type="message", digest=digest, **about, **more)


def test_the_same_id_twice_in_a_row_may_be_an_event_without_one():
    opened = sub(1, "open", attempt=0)
    assert verdict("replay.ids_unique", opened, event(2, "x", "a"), event(3, "x", "b")) is Outcome.PASS
    back = [event(2, "x", "a"), event(3, "y", "b"), event(4, "x", "c")]
    assert verdict("replay.ids_unique", opened, *back) is Outcome.FAIL


def test_promises_that_are_not_made_are_not_judged():
    for name in ("reset_when_too_old", "no_needless_reset", "strictly_after", "ids_unique", "no_id_on_control"):
        assert verdict(f"replay.{name}") is Outcome.SKIP
    promised = {"promises": {"replay_events": 3}}
    assert verdict("replay.reset_when_too_old", **promised) is Outcome.SKIP
    assert verdict("replay.no_needless_reset", **promised) is Outcome.SKIP


def test_what_a_script_of_the_mock_sends_is_not_the_servers():
    scripted = (0.5, "server.fault", {"name": "script", "state": "on"})
    records = [sub(1, "open", attempt=0), sub(2, "id", attempt=0, id="z")]
    assert verdict("replay.no_id_on_control", *records) is Outcome.FAIL
    assert verdict("replay.no_id_on_control", scripted, *records) is Outcome.SKIP


def published(t, seq):
    about = {"channel": "all", "owner": None, "epoch": "e", "seq": seq, "id": f"e-{seq}", "type": "message"}
    return (t, "published", {**about, "digest": f"d{seq}", "at": t})


def test_a_resume_that_brought_nothing_was_not_reset():
    promised = {"promises": {"replay_events": 1, "reset_event": "reset"}}
    before = [
        sub(0, "start", user="u", options={}),
        sub(1, "open", attempt=0),
        published(2, 1),
        event(2.1, "e-1", "d1"),
    ]
    resumed = [sub(3, "attempt", attempt=1, last_event_id="e-1"), sub(3.1, "open", attempt=1)]
    comment = sub(3.2, "comment", attempt=1)
    assert verdict("replay.no_needless_reset", *before, *resumed, comment, **promised) is Outcome.PASS
    late = [published(2.5, 2), published(2.6, 3)]
    assert verdict("replay.reset_when_too_old", *before, *late, *resumed, comment, **promised) is Outcome.SKIP


def test_an_event_with_the_id_of_any_earlier_one_moves_nothing():
    control = {"id": "e-1", "type": "heartbeat", "data": ""}
    seen = [sub(1, "open", attempt=0), event(2, "e-1", "a"), event(3, "e-2", "b")]
    assert verdict("heartbeat.no_id", *seen, sub(4, "event", attempt=0, **control)) is Outcome.PASS
    assert verdict("heartbeat.no_id", *seen, sub(4, "event", attempt=0, **{**control, "id": "h"})) is Outcome.FAIL


@pytest.mark.slow
def test_a_long_life_is_judged_in_a_time_that_grows_no_faster_than_it():
    events = [event(2 + n / 1000, f"e-{n}", f"{n:x}", at=0.0) for n in range(30_000)]
    started = perf_counter()
    assert verdict("replay.no_id_on_control", sub(1, "open", attempt=0), *events) is Outcome.SKIP
    assert perf_counter() - started < 10.0  # with a set copied for each event it takes several times as long
