"""Delivery: what is judged when, beyond the table of planted histories."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from random import Random

from harness import checks, ledger, simulate
from harness.check import REGISTRY, Outcome, judge
from harness.history import History, Record

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


def without(history, drop):
    return type(history)(tuple(one for one in history.records if not drop(one)), history.header)


def test_a_subscriber_that_the_drain_missed_is_unknown():
    """Though it never got in, and so was entitled to nothing."""
    history = simulate.play("isolation", Random(4))
    kept = without(history, lambda one: one.get("sub") == "u1-0" and one.kind != "sub.start")
    end = [one for one in kept if one.kind == "drain"][-1]
    missed = planted.with_data(end, timed_out=True, missing=["u1-0"])
    told = tuple(missed if one is end else one for one in kept)
    [found] = judge(type(history)(told, history.header), [REGISTRY["delivery.nothing_lost"]])
    assert found.outcome is Outcome.UNKNOWN
    assert found.evidence == ("u1-0: its sentinels did not come",)


def test_a_run_that_did_not_come_to_its_drain_is_unknown():
    history = without(simulate.play("steady", Random(3)), lambda one: one.kind == "drain")
    [found] = judge(history, [REGISTRY["delivery.nothing_lost"]])
    assert found.outcome is Outcome.UNKNOWN
    assert "drain" in found.actual


def test_missing_records_of_what_was_published_are_our_trouble():
    history = without(simulate.play("steady", Random(3)), lambda one: one.kind == "published" and one["seq"] % 2 == 0)
    for name in ("nothing_lost", "no_phantom"):
        [found] = judge(history, [REGISTRY[f"delivery.{name}"]])
        assert found.outcome is Outcome.UNKNOWN
        assert "gaps" in found.actual


def test_evidence_is_measured():
    [found] = judge(simulate.play("drop_fin", Random(1)), [REGISTRY["delivery.nothing_lost"]])
    assert found.measured["entitled"] == found.measured["delivered"] > 0
    assert found.measured["reconnects"] >= 2
    assert 0 < found.measured["upper_rate"] < 1


def test_users_are_those_who_had_a_stream():
    history = simulate.play("drop_fin", Random(1))
    turned_away = [
        Record(history.end - 0.1, "sub.start", {"sub": f"x{n}", "user": f"x{n}", "options": {}}, "run")
        for n in range(50)
    ]
    first, *rest = [*history.records, *turned_away]
    more = History((first, *sorted(rest, key=lambda one: one.t)), history.header)
    names = [REGISTRY[name] for name in ("delivery.nothing_lost", "delivery.nothing_twice")]
    for before, after in zip(judge(history, names), judge(more, names), strict=True):
        assert after.measured["users"] == before.measured["users"] > 0


def test_every_anomaly_is_counted_however_many_are_told(monkeypatch):
    monkeypatch.setattr(ledger, "KEPT", 5)
    history = simulate.play("isolation", Random(3))
    got = next(one for one in history.records if one.kind == "sub.event" and one.get("channel") == "all")
    again = [replace(got, t=got.t + n / 10_000) for n in range(1, 31)]
    first, *rest = [*history.records, *again]
    [found] = judge(
        History((first, *sorted(rest, key=lambda one: one.t)), history.header), [REGISTRY["delivery.nothing_twice"]]
    )
    assert (found.outcome, found.actual, len(found.evidence)) == (Outcome.FAIL, "30 duplicated", 5)
