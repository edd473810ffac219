import json
import math

import jsonschema
import pytest

from harness.check import Outcome, Verdict
from harness.results import (
    JSON_SCHEMA,
    Criterion,
    Decision,
    Results,
    RunResult,
    SelfTest,
    SignOff,
    exit_code,
    gaps,
    label,
    run_outcome,
    to_json,
)


def verdict(check, outcome=Outcome.PASS, *, actual="seen", measured=None):
    return Verdict(check, ("QA-1",), "MUST", "both", outcome, "expected", actual, ("record 7",), measured or {})


def run(outcome=Outcome.PASS, *verdicts):
    return RunResult(
        scenario="steady", target="mock", client="reference", outcome=outcome, history="h", verdicts=verdicts
    )


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.PASS, 0), (Decision.GO, 0), (Outcome.FAIL, 1), (Decision.NO_GO, 1),
        (Outcome.UNKNOWN, 3), (Outcome.SKIP, 3), (Decision.HOLD, 3),
    ],
)  # fmt: skip
def test_exit_codes(outcome, code):
    assert exit_code(outcome) == code


def test_a_named_check_or_one_of_a_named_family_has_to_judge():
    verdicts = [verdict("a.x"), verdict("a.y", Outcome.SKIP), verdict("b.z", Outcome.SKIP)]
    assert gaps(verdicts, ("a", "a.x")) == ()
    assert gaps(verdicts, ("a.y", "b", "c")) == ("a.y", "b", "c")


def test_a_run_is_the_worst_of_its_verdicts():
    assert run_outcome([verdict("a.x"), verdict("a.y", Outcome.SKIP)], ("a",)) == (Outcome.PASS, "")
    assert run_outcome([verdict("a.x", Outcome.FAIL), verdict("a.y", Outcome.UNKNOWN)], ("b",)) == (Outcome.FAIL, "")
    doubt = run_outcome([verdict("a.x"), verdict("a.y", Outcome.UNKNOWN, actual="the drain timed out")], ("a",))
    assert doubt == (Outcome.UNKNOWN, "a.y: the drain timed out")


def test_a_run_in_which_nothing_or_not_the_named_was_judged_is_unknown():
    assert run_outcome([verdict("a.x", Outcome.SKIP)], ()) == (Outcome.UNKNOWN, "nothing was judged")
    named = run_outcome([verdict("a.x"), verdict("b.x", Outcome.SKIP)], ("a", "b"))
    assert named == (Outcome.UNKNOWN, "not judged, though the scenario is for it: b")


def test_a_scenario_skipped_as_a_whole_is_a_skip_with_its_reason():
    assert run_outcome([], ("a",), skipped="needs flag") == (Outcome.SKIP, "needs flag")


def test_results_are_the_worst_of_their_runs_unless_a_gate_or_a_selftest_decides():
    plain = {"kind": "run", "target": "mock", "client": "reference"}
    assert Results(**plain).outcome is Outcome.UNKNOWN
    assert Results(**plain, runs=(run(), run(Outcome.FAIL))).outcome is Outcome.FAIL
    sound, deaf = SelfTest(caught=2, planted=2, false_alarms=0), SelfTest(caught=1, planted=2, false_alarms=0)
    assert Results(**{**plain, "kind": "selftest"}, selftest=sound).outcome is Outcome.PASS
    assert Results(**{**plain, "kind": "selftest"}, selftest=deaf).outcome is Outcome.FAIL
    assert Results(**{**plain, "kind": "selftest"}).outcome is Outcome.FAIL
    held = SignOff(stage=10, outcome=Decision.HOLD, rehearsal=False)
    assert Results(**plain, signoff=held).outcome is Decision.HOLD


@pytest.mark.parametrize(("rehearsal", "headline"), [(True, "REHEARSAL GO"), (False, "GO")])
def test_a_rehearsal_says_so_in_front_of_its_verdict(rehearsal, headline):
    signoff = SignOff(stage=10, outcome=Decision.GO, rehearsal=rehearsal)
    results = Results(kind="signoff", target="mock", client="reference", signoff=signoff)
    assert results.headline == headline
    assert to_json(results)["rehearsal"] is rehearsal


def test_a_selftest_is_sound_only_with_every_defect_caught_and_no_false_alarm():
    assert not SelfTest(caught=0, planted=0, false_alarms=0).sound
    assert not SelfTest(caught=3, planted=3, false_alarms=1).sound
    assert not SelfTest(caught=3, planted=3, false_alarms=0, missed=("a: b did not ring",)).sound


def test_verdicts_json_is_what_its_schema_says():
    criterion = Criterion(
        requirement="QA-1", outcome=Outcome.SKIP, decision=Decision.HOLD, evidence={"deliveries": 0.0},
        least={"deliveries": 3000.0}, scenarios=("steady",),
    )  # fmt: skip
    signoff = SignOff(
        stage=10, outcome=Decision.HOLD, rehearsal=True, criteria=(criterion,), out_of_scope=(("VAL-2", "later"),)
    )
    results = Results(
        kind="signoff", target="mock", client="reference", signoff=signoff, runs=(run(Outcome.PASS, verdict("a.x")),),
        selftest=SelfTest(caught=1, planted=1, false_alarms=0),
    )  # fmt: skip
    jsonschema.Draft202012Validator.check_schema(JSON_SCHEMA)
    told = json.loads(json.dumps(to_json(results), allow_nan=False))
    jsonschema.validate(told, JSON_SCHEMA)
    assert told["outcome"] == "HOLD"
    assert told["signoff"]["out_of_scope"] == [["VAL-2", "later"]]
    assert told["selftest"]["planted"] == 1
    assert told["runs"][0] | {"started": 0} == told["runs"][0]
    first = told["runs"][0]["verdicts"][0]
    assert (first["check"], first["requirements"], first["level"], first["outcome"]) == (
        "a.x",
        ["QA-1"],
        "MUST",
        "PASS",
    )
    assert (first["expected"], first["actual"], first["evidence"]) == ("expected", "seen", ["record 7"])


def test_a_figure_that_is_no_finite_number_is_null():
    told = to_json(
        Results(kind="run", target="t", client="c", runs=(run(Outcome.PASS, verdict("a.x", measured={"p": math.inf})),))
    )
    assert told["runs"][0]["verdicts"][0]["measured"] == {"p": None}
    jsonschema.validate(told, JSON_SCHEMA)


def test_a_signoff_without_its_decision_is_refused_by_the_schema():
    told = to_json(Results(kind="signoff", target="t", client="c"))
    with pytest.raises(jsonschema.ValidationError, match="signoff"):
        jsonschema.validate(told, JSON_SCHEMA)


def test_labels():
    assert [label(one) for one in (Outcome.UNKNOWN, Decision.NO_GO)] == ["UNKNOWN", "NO-GO"]
