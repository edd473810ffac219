"""What stays behind, and what only seems to."""

import importlib.util
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


STATS = {"open": None, "slots": 0, "rss": 0, "descriptors": 0, "tasks": 0}


def meter(label, rss=1000, **more):
    return {"label": label, "role": "run", "rss": rss, "descriptors": 5, "sockets": 0, "tasks": 2, **more}


def cycles(sizes):
    return [(float(n), "meter", meter(f"churn:{n}", rss)) for n, rss in enumerate(sizes)]


def test_counts_need_both_meters():
    assert verdict("cleanup.tasks", (1, "meter", meter("baseline"))) is Outcome.SKIP
    unknown = [(1, "meter", meter("baseline", tasks=-1)), (2, "meter", meter("after", tasks=-1))]
    assert verdict("cleanup.tasks", *unknown) is Outcome.SKIP


def test_fewer_than_before_is_no_leak():
    assert (
        verdict("cleanup.tasks", (1, "meter", meter("baseline")), (2, "meter", meter("after", tasks=1))) is Outcome.PASS
    )


def test_what_a_connection_that_is_under_way_holds_is_no_leak():
    """A busy machine reads a meter before everybody has come back, and the other one afterwards."""

    def counted(since, name):
        rows = [(1, "meter", meter("baseline")), (1, "server.stats", {**STATS, "label": "baseline"})]
        rows += [(5, "meter", meter("after", sockets=1)), (5, "server.stats", {**STATS, "label": "after", "slots": 1})]
        asked = [sub(0, "start", user="u", options={}), sub(since, "attempt", attempt=0, last_event_id=None)]
        return verdict(name, *sorted([*asked, *rows], key=lambda one: one[0]))

    for name in ("cleanup.client_sockets", "cleanup.server_slots"):
        assert counted(2, name) is Outcome.UNKNOWN
        assert counted(0.5, name) is Outcome.FAIL
        assert counted(6, name) is Outcome.FAIL


def test_a_straight_line_is_a_leak_and_a_curve_that_flattens_is_none():
    assert verdict("cleanup.memory", *cycles([1e6 + 500 * n for n in range(50)])) is Outcome.FAIL
    assert verdict("cleanup.memory", *cycles([1e6 + 2e5 * (1 - 0.9**n) for n in range(50)])) is Outcome.PASS
    assert verdict("cleanup.memory", *cycles([1e6 + 20 * n for n in range(50)])) is Outcome.PASS
    assert verdict("cleanup.memory", *cycles([1e6] * 39)) is Outcome.SKIP


# Pages above the first reading after each cycle of 8 connections, as a good client had them once: (pages, cycles).
SETTLES = (
    (0, 1), (6, 1), (11, 1), (20, 1), (30, 1), (31, 1), (32, 2), (33, 1), (40, 1), (45, 1), (46, 2), (54, 1), (57, 3),
    (58, 2), (59, 1), (60, 2), (63, 1), (67, 2), (68, 1), (71, 1), (72, 1), (73, 3), (75, 9), (78, 5), (79, 4),
    (80, 16), (81, 4), (83, 7), (85, 3), (87, 1), (89, 2), (92, 3), (93, 1), (96, 1), (98, 1), (99, 8), (100, 1),
    (101, 2), (103, 1),
)  # fmt: skip


@pytest.mark.parametrize(("leak", "outcome"), [(0, Outcome.PASS), (400, Outcome.FAIL)])
def test_what_settles_with_a_late_step_is_no_leak_and_hides_none(leak, outcome):
    """`leak` in bytes per connection, in whole pages."""
    pages = [page for page, count in SETTLES for _ in range(count)]
    sizes = [(page * 4096 + leak * 8 * cycle) // 4096 * 4096 for cycle, page in enumerate(pages)]
    opened = [
        (cycle + number / 9, "sub.start", {"sub": f"s{cycle}-{number}", "user": "u", "options": {}})
        for cycle in range(len(sizes))
        for number in range(8)
    ]
    assert verdict("cleanup.memory", *cycles(sizes), *opened) is outcome


def test_the_memory_of_the_probe_is_not_the_targets():
    def grown(**header):
        return verdict("cleanup.memory", *cycles([1e6 + 500 * n for n in range(50)]), **header)

    foreign, own = {"target": {"own": False}}, {"client": {"own": True}}
    assert grown(**foreign, **own) is Outcome.UNKNOWN
    assert grown(**foreign) is grown(**own) is Outcome.FAIL


def test_what_comes_right_after_close_may_have_been_on_its_way():
    close, late = sub(1, "close"), {"attempt": 0, "last_event_id": None}
    assert verdict("cleanup.silent_after_close") is Outcome.SKIP
    assert verdict("cleanup.silent_after_close", close, sub(1.05, "attempt", **late), *lags(3)) is Outcome.PASS
    assert verdict("cleanup.silent_after_close", close, sub(1.5, "attempt", **late), *lags(3)) is Outcome.FAIL
    assert verdict("cleanup.silent_after_close", close, sub(1.5, "attempt", **late)) is Outcome.UNKNOWN
    closed = sub(1.01, "closed", reason="close()")
    assert verdict("cleanup.silent_after_close", close, closed, sub(1.02, "attempt", **late)) is Outcome.FAIL


def slots(before, after):
    held = [{"open": None, "slots": one, "rss": 0, "descriptors": 0, "tasks": 0} for one in (before, after)]
    rows = [(1, "server.stats", {**held[0], "label": "baseline"}), (2, "server.stats", {**held[1], "label": "after"})]
    return verdict("cleanup.server_slots", *rows)


def test_slots_are_counted_as_a_number_or_by_user():
    assert (
        verdict("cleanup.server_slots") is slots(None, None) is slots({"a": "x"}, 1) is slots(1, True) is Outcome.SKIP
    )
    assert slots({"a": 2, "b": 1}, {"a": 3}) is slots({}, {}) is slots(2, 2) is Outcome.PASS
    assert slots({"a": 1}, {"a": 1, "b": 1}) is slots(1, 2) is Outcome.FAIL


def test_a_closed_subscriber_ends():
    closed = [sub(1, "close"), sub(1.2, "closed", reason="close()")]
    stuck = [sub(1, "close"), sub(4, "closed", reason="still running after close()", stuck=True)]
    assert verdict("cleanup.ends") is Outcome.SKIP
    assert verdict("cleanup.ends", *closed) is Outcome.PASS
    assert verdict("cleanup.ends", *stuck, *lags(6)) is Outcome.FAIL
    assert verdict("cleanup.ends", *stuck, *lags(6, worst=5.0)) is Outcome.UNKNOWN
