"""Delivery: what is judged when, beyond the table of planted histories."""

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


def test_nothing_is_judged_where_nothing_was_published():
    for name in ("nothing_lost", "nothing_twice", "in_order", "no_phantom", "untorn", "every_stream"):
        assert verdict(f"delivery.{name}") is Outcome.SKIP


def test_a_sentinel_that_nobody_saw_is_unknown():
    history = simulate.play("steady", Random(1))
    kept = [one for one in history.records if not (one.kind == "sub.event" and one["type"] == "sentinel")]
    [found] = judge(type(history)(tuple(kept), history.header), [REGISTRY["delivery.nothing_lost"]])
    assert found.outcome is Outcome.UNKNOWN


def test_evidence_is_measured():
    [found] = judge(simulate.play("drop_fin", Random(1)), [REGISTRY["delivery.nothing_lost"]])
    assert found.measured["entitled"] == found.measured["delivered"] > 0
    assert found.measured["reconnects"] >= 2
    assert 0 < found.measured["upper_rate"] < 1
