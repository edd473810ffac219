from dataclasses import replace

import pytest

from harness.check import Outcome
from harness.results import Account, Criterion, Decision, SelfTest
from reports import _view


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (3412.0, "3\u202f412"), (0.00312, "0.00312"), (12.3456, "12.3"), (1234.56, "1234.6"),
        (float("nan"), "–"), (float("inf"), "–"),
    ],
)  # fmt: skip
def test_numbers(value, shown):
    assert _view.number(value) == shown


def test_the_sentence_of_a_requirement():
    assert _view.sentence("VAL-2") == "Streaming works in the browsers that the users have."
    assert _view.sentence("X-1") == ""


def test_times():
    assert _view.moment(0.0) == "time not known"
    assert _view.moment(86_400.0) == "1970-01-02 00:00 UTC"
    assert (_view.span(3.21), _view.span(125.4)) == ("3.2 s", "2 min 5 s")


@pytest.mark.parametrize("started", [1e14, float("inf"), float("nan")])
def test_a_time_that_no_calendar_has_is_not_known(started):
    assert _view.moment(started) == "time not known"


def test_every_outcome_has_a_meaning(results):
    told = {_view.meaning(replace(results, signoff=replace(results.signoff, outcome=one))) for one in Decision}
    plain = replace(results, signoff=None)
    told |= {_view.meaning(replace(plain, runs=(replace(plain.runs[0], outcome=one),))) for one in list(Outcome)[1:]}
    told.add(_view.meaning(replace(plain, kind="selftest", selftest=SelfTest(caught=1, planted=1, false_alarms=0))))
    assert len(told) == 6


def test_evidence_says_measured_and_least():
    one = Criterion(
        requirement="QA-1", outcome=Outcome.PASS, decision=Decision.GO,
        evidence={"runs": 1.0, "deliveries": 3412.0}, least={"deliveries": 3000.0},
    )  # fmt: skip
    assert _view.evidence(one) == "1 run, 3\u202f412 deliveries (least 3\u202f000)"


def test_some_names():
    assert _view.some(["a", "b"]) == "a, b"
    assert _view.some(list("abcde")) == "a, b, c, d, e"
    assert _view.some(list("abcdef")) == "a, b, c, d and 2 more"


def test_fault_windows_close_with_the_run(results):
    run = replace(
        results.runs[0], seconds=30.0,
        series={"fault: b": [(5.0, 1.0), (6.0, 1.0)], "fault: a": [(1.0, 1.0), (2.0, 0.0), (3.0, 0.0)], "x": []},
    )  # fmt: skip
    assert [(one.name, one.begin, one.end) for one in _view.windows(run)] == [("a", 1.0, 2.0), ("b", 5.0, 30.0)]
    assert _view.curves(run) == {}
    assert _view.condensed(run) is None


def test_curves_as_a_table(results):
    table = _view.condensed(replace(results.runs[0], series={"n": [(0.0, 2.0), (1.0, 4.0), (24.0, 9.0)]}))
    assert table.slices[:2] == ("0 s", "2 s")
    assert table.rows == (("n", ("3", *[""] * 10, "9")),)


def test_accounts_with_trouble_come_first_and_are_bounded(results):
    fine = tuple(Account(subscriber=f"u{n}", channel="all", entitled=5, delivered=5) for n in range(100))
    bad = Account(subscriber="bad", channel="all", entitled=5, delivered=4, lost=1)
    run = replace(results.runs[0], accounts=(*fine, bad))
    assert _view.worst_accounts(run)[0] is bad
    assert len(_view.worst_accounts(run)) == _view.ACCOUNTS
    assert (_view.total(run).entitled, _view.total(run).lost, _view.total(run).subscriber) == (505, 1, "all 101")


def test_the_matrix_has_the_worst_outcome_per_client(results):
    clients, rows = _view.matrix(replace(results, runs=(*results.runs, replace(results.runs[0], client="other"))))
    assert clients == ["reference", "other"]
    assert rows == [("PATH-1", ["UNKNOWN", ""]), ("QA-1", ["FAIL", "PASS"]), ("QA-2", ["SKIP", ""])]
