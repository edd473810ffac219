"""What a record may be: of each thing that may be wrong with one, the sentence; and nothing about a good one."""

import pytest

from harness.kinds import KINDS, LARGEST_SUMMARY, LONGEST_RUN, fault

HEAD = {"schema": 1, "role": "run", "host": "h", "boot": "b", "pid": 1, "mono": 0.0, "wall": 1e9}
RUN = {
    "sub": "a", "attempt": 0, "channel": "all", "epoch": "e", "first": 1, "last": 5, "id": "1", "since": 1.0,
    "slowest": 0.0, "types": {"job": 2, "message": 3},
}  # fmt: skip


def test_every_kind_names_its_fields():
    assert all(isinstance(fields, tuple) for fields in KINDS.values())


@pytest.mark.parametrize("t", ["x", None, True, float("nan"), float("inf"), 1e15, 10**400, [1]], ids=str)
def test_a_moment_is_a_number_of_seconds(t):
    assert "which is no moment in seconds" in fault(t, "lag", {"worst": 0.1})


@pytest.mark.parametrize("kind", [5, None, [], "zzz.future"])
def test_an_unknown_kind_is_refused(kind):
    assert fault(1.0, kind, {}) == f"is of kind {kind!r}, which this sse-harness does not know"


def test_a_moment_far_from_the_first_record_is_none_of_the_run():
    assert fault(10.0 + LONGEST_RUN, "lag", {"worst": 0.1}, 10.0) == ""
    assert "2678401 s from that of the first record" in fault(11.0 + LONGEST_RUN, "lag", {"worst": 0.1}, 10.0)
    assert fault(-LONGEST_RUN, "lag", {"worst": 0.1}, 10.0)


def test_a_field_that_is_missing_is_named():
    assert fault(1.0, "sub.start", {"sub": "a"}) == "lacks user, options, which a record sub.start has"


@pytest.mark.parametrize("worst", ["x", None, True, float("nan"), 10**400], ids=str)
def test_a_number_is_a_number(worst):
    assert fault(1.0, "lag", {"worst": worst}).startswith("has worst = ")
    assert fault(1.0, "lag", {"worst": worst}).endswith("which is no number")


@pytest.mark.parametrize(
    "name, value",
    [("role", 1), ("boot", None), ("seed", "x"), ("checks", None), ("target", "x"), ("client", []), ("promises", None)],
)
def test_a_header_has_the_shape_that_judging_needs(name, value):
    assert fault(1.0, "history", {**HEAD, name: value}) == f"is a header whose {name} is {value!r}"
    assert fault(1.0, "history", HEAD) == ""


@pytest.mark.parametrize("first, last", [(1, LARGEST_SUMMARY + 1), (2, 1), ("1", 5), (1, 5.0), (True, 5)])
def test_a_summary_stands_for_some_events_and_not_for_a_world_of_them(first, last):
    assert fault(1.0, "sub.run", RUN) == ""
    assert "which are none or too many" in fault(1.0, "sub.run", {**RUN, "first": first, "last": last})


@pytest.mark.parametrize("types", [None, [], {}, {"job": 4}, {"job": 6, "message": -1}, {"job": 5.0}, {"job": 10**400}])
def test_a_summary_counts_its_events_by_type(types):
    assert "which do not count the events 1 to 5" in fault(1.0, "sub.run", {**RUN, "types": types})
