from dataclasses import replace

import pytest

from harness.check import Outcome, Verdict
from harness.evidence import Signed
from harness.gate import DAY, Previous, decide
from harness.policy import Load, Need, Policy, Stage
from harness.results import Account, Decision, RunResult, SelfTest, run_outcome

NOW = 100 * DAY
SOUND = SelfTest(caught=3, planted=3, false_alarms=0)
STAGE = Stage(
    percent=10, scenarios=("steady",), required={"QA-1": Need(least={"deliveries": 100.0}), "SEC-3": Need()},
    out_of_scope={"VAL-2": "later"},
)  # fmt: skip


def verdict(
    check, requirements, outcome=Outcome.PASS, *, subject="both", level="MUST", actual="seen", **measured
):  # fmt: skip
    return Verdict(check, tuple(requirements.split()), level, subject, outcome, "", actual, (), measured)


GOOD = (
    verdict("a.lost", "QA-1", deliveries=60.0),
    verdict("a.order", "QA-1", deliveries=150.0),
    verdict("s.own", "SEC-3"),
)


def run(*verdicts, scenario="steady", **more):
    outcome, reason = run_outcome(verdicts, more.get("named", ()))
    plain = {
        "outcome": outcome, "reason": reason, "started": NOW - 60, "figures": {"users": 5.0}, "history": "",
        "target": "t", "client": "c",
    }  # fmt: skip
    return RunResult(scenario=scenario, verdicts=verdicts, **{**plain, **more})


def gate(*runs, stage=STAGE, selftest=SOUND, own=False, previous=None):
    policy = Policy(name="p", stages={10: stage}, digest="1a2b3c4d")
    signed = Signed(target="t", client="c", own=own)
    return decide(policy, 10, runs, now=NOW, selftest=selftest, signed=signed, previous=previous)


def test_go_when_each_requirement_passed_on_enough_evidence():
    decided = gate(run(*GOOD))
    assert (decided.outcome, decided.reasons, decided.warnings) == (Decision.GO, (), ())
    assert decided.out_of_scope == (("VAL-2", "later"),)
    assert decided.policy == "p, version 1, 1a2b3c4d"
    first = decided.criteria[0]
    assert (first.requirement, first.decision, first.scenarios) == ("QA-1", Decision.GO, ("steady",))
    assert first.evidence == {"runs": 1.0, "deliveries": 150.0}


@pytest.mark.parametrize("own", [True, False])
def test_a_rehearsal_is_flagged(own):
    assert gate(run(*GOOD), own=own).rehearsal is own


def test_a_failure_in_any_run_is_no_go_however_many_passed():
    bad = run(verdict("a.lost", "QA-1", Outcome.FAIL, actual="1 lost"), scenario="drop")
    decided = gate(run(*GOOD), run(*GOOD), bad)
    assert decided.outcome is Decision.NO_GO
    assert decided.reasons == ("QA-1: FAIL in drop (a.lost): 1 lost",)


def test_an_old_failure_still_blocks():
    bad = run(verdict("a.lost", "QA-1", Outcome.FAIL), scenario="drop", started=0.0)
    assert gate(run(*GOOD), bad).outcome is Decision.NO_GO


def test_unknown_in_any_run_holds():
    doubt = run(verdict("a.lost", "QA-1", Outcome.UNKNOWN, actual="timed out"), verdict("x.y", ""), scenario="drop")
    decided = gate(run(*GOOD), doubt)
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, ("QA-1: UNKNOWN in drop (a.lost): timed out",))


def test_no_go_is_told_before_what_holds():
    decided = gate(run(verdict("a.lost", "QA-1", Outcome.FAIL), verdict("s.own", "SEC-3", Outcome.UNKNOWN)))
    assert decided.outcome is Decision.NO_GO
    assert [reason.partition(":")[0] for reason in decided.reasons] == ["QA-1", "SEC-3"]


def test_what_was_not_judged_holds_and_shares_a_line():
    decided = gate(run(verdict("a.lost", "QA-1", Outcome.SKIP), verdict("x.y", "SSE-1")))
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, ("QA-1, SEC-3: not judged by any run",))
    assert decided.criteria[0].outcome is Outcome.SKIP


def test_below_the_least_evidence_holds():
    decided = gate(run(verdict("a.lost", "QA-1", deliveries=99.0), GOOD[2]))
    assert (decided.outcome, decided.reasons) == (
        Decision.HOLD, ("QA-1: too little evidence: 99 of at least 100 deliveries",)
    )  # fmt: skip


def test_evidence_is_summed_over_runs_and_users_are_the_most_in_one():
    stage = replace(STAGE, required={"QA-1": Need(least={"deliveries": 120.0, "users": 9.0})})
    runs = [run(verdict("a.lost", "QA-1", deliveries=60.0, users=users)) for users in (5.0, 9.0)]
    decided = gate(*runs, stage=stage)
    assert decided.outcome is Decision.GO
    assert decided.criteria[0].evidence == {"runs": 2.0, "deliveries": 120.0, "users": 9.0}
    assert gate(runs[0], runs[0], stage=stage).outcome is Decision.HOLD


def test_an_easy_check_cannot_stand_in_for_one_that_never_ran():
    stage = replace(STAGE, required={"QA-1": Need(checks=("a.order", "a.silence"))})
    silent = verdict("a.silence", "QA-1", Outcome.SKIP)
    decided = gate(run(*GOOD, silent), stage=stage)
    assert (decided.outcome, decided.reasons) == (
        Decision.HOLD, ("QA-1: too little evidence: a.silence judged nothing",)
    )  # fmt: skip
    assert gate(run(*GOOD, verdict("a.silence", "QA-1")), stage=stage).outcome is Decision.GO


def test_deliveries_that_no_check_rests_on_do_not_count():
    stage = replace(STAGE, required={"SEC-3": Need(least={"deliveries": 1.0})})
    assert gate(run(GOOD[2], figures={"deliveries": 500.0, "users": 5.0}), stage=stage).outcome is Decision.HOLD


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_evidence_that_is_no_number_holds(odd):
    decided = gate(run(verdict("a.lost", "QA-1", deliveries=odd), GOOD[2], figures={"users": odd}))
    assert decided.outcome is Decision.HOLD
    assert decided.reasons == (
        "QA-1: too little evidence: 0 of at least 100 deliveries", "no run with 1 users (at most 0)"
    )  # fmt: skip
    for users in ((5.0, odd), (odd, 5.0)):
        assert gate(*(run(*GOOD, figures={"users": one}) for one in users)).outcome is Decision.GO


def test_users_that_no_check_measured_are_those_of_the_run():
    stage = replace(STAGE, required={"SEC-3": Need(least={"users": 5.0})})
    assert gate(run(GOOD[2]), stage=stage).outcome is Decision.GO
    assert gate(run(GOOD[2], figures={}), stage=replace(stage, users=0)).outcome is Decision.HOLD


def test_evidence_that_is_too_old_holds():
    decided = gate(run(*GOOD, started=NOW - 8 * DAY))
    assert decided.outcome is Decision.HOLD
    assert decided.reasons[0] == (
        "QA-1: too little evidence: 0 of at least 1 runs, 0 of at least 100 deliveries in the last 7 days"
    )
    assert decided.criteria[1].outcome is Outcome.PASS


@pytest.mark.parametrize("started", [NOW + 3600.0, float("inf"), float("nan")])
def test_evidence_of_no_time_that_has_been_holds(started):
    decided = gate(run(*GOOD, started=started))
    assert decided.outcome is Decision.HOLD
    assert "0 of at least 1 runs" in decided.reasons[0]


def test_a_clock_may_be_set_back_a_little():
    assert gate(run(*GOOD, started=NOW + 5.0)).outcome is Decision.GO


@pytest.mark.parametrize(
    ("requirements", "level", "outcome"),
    [
        ("SSE-13", "MUST", Decision.NO_GO),
        ("SSE-13 VAL-2", "MUST", Decision.NO_GO),
        ("", "MUST", Decision.NO_GO),
        ("VAL-2", "MUST", Decision.GO),
        ("SSE-13", "SHOULD", Decision.GO),
    ],
)
def test_failures_of_what_no_criterion_lists(requirements, level, outcome):
    bad = run(verdict("x.y", requirements, Outcome.FAIL, level=level, actual="seen"), scenario="drop")
    decided = gate(run(*GOOD), bad)
    assert decided.outcome is outcome
    told = f"{requirements.replace(' ', ', ') or 'x.y'}: FAIL in drop (x.y): seen"
    assert [one.startswith(told) for one in (decided.reasons or decided.warnings)] == [True]


def test_out_of_scope_failures_say_that_they_are():
    decided = gate(run(*GOOD, verdict("x.y", "VAL-2", Outcome.FAIL)))
    assert decided.warnings == ("VAL-2: FAIL in steady (x.y): seen (out of scope at this stage)",)


def test_a_long_observation_is_cut():
    bad = run(verdict("a.lost", "QA-1", Outcome.FAIL, actual="lost " * 1000))
    assert len(gate(bad).reasons[0]) < 320


def test_the_unjudged_part_of_a_requirement_stands_with_what_is_out_of_scope():
    stage = replace(STAGE, required={"SEC-3": Need(uncovered="browsers")})
    assert gate(run(*GOOD), stage=stage).out_of_scope[1:] == (("SEC-3 (in part)", "browsers"),)


@pytest.mark.parametrize(
    ("selftest", "reason"),
    [
        (None, "no selftest of this code: run `sse-harness selftest`"),
        (replace(SOUND, caught=2), "the selftest caught 2/3 defects with 0 false alarms: checks cannot be trusted"),
        (
            replace(SOUND, false_alarms=1),
            "the selftest caught 3/3 defects with 1 false alarms: checks cannot be trusted",
        ),
    ],
)  # fmt: skip
def test_without_a_sound_selftest_it_holds(selftest, reason):
    decided = gate(run(*GOOD), selftest=selftest)
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, (reason,))


def test_a_stage_that_requires_nothing_shows_nothing():
    decided = gate(run(*GOOD), stage=Stage(percent=10))
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, ("the stage requires nothing, so nothing was shown",))


def test_a_scenario_of_the_stage_that_did_not_run_holds():
    decided = gate(run(*GOOD), stage=replace(STAGE, scenarios=("steady", "churn", "refuse")))
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, ("not run: churn, refuse",))


def test_what_the_stage_lists_by_path_is_found_by_its_name():
    stage = replace(
        STAGE,
        scenarios=("./mine/steady.py", "a.b:c"),
        seeds=2,
        load=Load(name="./x/far.py", users=1, seconds=1, rate=1.0),
    )
    runs = [run(*GOOD, seed=seed, scenario=name) for seed in (1, 2) for name in ("steady", "a.b.c")]
    assert gate(*runs, stage=stage).reasons == ("not run: load_far",)
    assert gate(*runs, loaded(scenario="load_far"), stage=stage).outcome is Decision.GO
    assert gate(*runs[:2], stage=stage).reasons == ("not run: load_far", "fewer than 2 seeds of steady, a.b.c")
    skipped = run(scenario="steady", outcome=Outcome.SKIP, reason="needs mint")
    decided = gate(skipped, stage=stage)
    assert not decided.warnings
    assert any(reason.startswith("steady was skipped") for reason in decided.reasons)


def test_a_scenario_of_the_stage_that_was_skipped_holds():
    skipped = run(scenario="churn", outcome=Outcome.SKIP, reason="needs mint, which nobody offers")
    decided = gate(run(*GOOD), skipped, skipped, stage=replace(STAGE, scenarios=("steady", "churn")))
    told = (
        "churn was skipped: needs mint, which nobody offers; offer it, or sign off with a policy that does not list "
        "churn"
    )
    assert (decided.outcome, decided.reasons, decided.warnings) == (Decision.HOLD, (told,), ())


def test_a_scenario_that_the_stage_does_not_list_may_be_skipped():
    skipped = run(scenario="churn", outcome=Outcome.SKIP, reason="needs mint")
    decided = gate(run(*GOOD), skipped)
    assert (decided.outcome, decided.warnings) == (Decision.GO, ("churn was skipped: needs mint",))


def test_a_scenario_that_could_not_judge_what_it_is_for_holds():
    decided = gate(run(*GOOD, named=("cleanup",)))
    assert (decided.outcome, decided.reasons) == (Decision.HOLD, ("steady could not judge what it is for: cleanup",))


def test_requirements_that_one_trouble_left_unknown_share_a_line():
    doubts = [verdict("a.b", one, Outcome.UNKNOWN, actual=one) for one in ("QA-1", "SEC-3")]
    broken = run(*doubts, scenario="churn", reason="the environment failed: disk full")
    assert gate(run(*GOOD), broken).reasons[0] == "QA-1, SEC-3: UNKNOWN in churn: the environment failed: disk full"


def test_trouble_of_the_environment_holds():
    broken = run(verdict("x.y", "VAL-2", Outcome.UNKNOWN), scenario="churn", reason="the environment failed: disk full")
    decided = gate(run(*GOOD), broken)
    assert decided.reasons == ("churn says nothing: the environment failed: disk full",)
    silent = run(scenario="churn", outcome=Outcome.UNKNOWN, reason="")
    assert gate(run(*GOOD), silent).reasons == ("churn says nothing: nothing was judged",)


def test_too_few_users_or_seeds_hold():
    assert gate(run(*GOOD), stage=replace(STAGE, users=100)).reasons == ("no run with 100 users (at most 5)",)
    stage = replace(STAGE, seeds=2)
    assert gate(run(*GOOD, seed=1), run(*GOOD, seed=1), stage=stage).reasons == ("fewer than 2 seeds of steady",)
    assert gate(run(*GOOD, seed=1), run(*GOOD, seed=2), stage=stage).outcome is Decision.GO


def loaded(streams=5.0, reconnects=0.0, seconds=1.0, scenario="load_far"):
    figures = {"users": 5.0, "streams": streams, "reconnects": reconnects}
    return run(*GOOD, scenario=scenario, client="locust", figures=figures, seconds=seconds)


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (loaded(300.0, 0.0, 20.0), None),
        (loaded(310.0, 10.0, 26.0), None),
        (loaded(310.0, 304.0, 20.0), "load_far had 6 of 300 subscribers and lasted 20 s of 20 s"),
        (loaded(float("nan"), 0.0, 20.0), "load_far had nan of 300 subscribers and lasted 20 s of 20 s"),
        (loaded(300.0, 0.0, 3.0), "load_far had 300 of 300 subscribers and lasted 3 s of 20 s"),
        (run(*GOOD, scenario="load_far"), "load_far had 0 of 300 subscribers and lasted 0 s of 20 s"),
    ],
)
def test_a_load_run_that_was_lighter_than_the_stage_s_load_holds(load, told):
    stage = replace(STAGE, load=Load(name="far", users=300, seconds=20, rate=1.0))
    decided = gate(run(*GOOD), load, stage=stage)
    assert decided.outcome is (Decision.HOLD if told else Decision.GO)
    assert [reason.partition(":")[0] for reason in decided.reasons] == ([told] if told else [])


LOSSES = replace(STAGE, loss_rate=1e-3)


def account(delivered, lost=0):
    return (Account(subscriber="a", channel="all", entitled=delivered + lost, delivered=delivered, lost=lost),)


def test_three_thousand_deliveries_without_a_loss_carry_the_claim():
    decided = gate(run(*GOOD, accounts=account(3000)), stage=LOSSES)
    assert decided.outcome is Decision.GO
    assert decided.claim == (
        "None of 3,000 judged deliveries lost: the rate of lost events is at most 0.001 at 95 % confidence, "
        "deliveries taken as independent."
    )


@pytest.mark.parametrize(("delivered", "lost"), [(2900, 0), (3000, 1)])
def test_too_few_deliveries_or_a_loss_miss_the_margin(delivered, lost):
    decided = gate(run(*GOOD, accounts=account(delivered, lost)), stage=LOSSES)
    assert decided.outcome is Decision.HOLD
    assert "cannot be excluded, the policy's margin is 0.001" in decided.reasons[0]


def test_runs_that_are_unknown_or_old_carry_no_claim():
    unknown = run(*GOOD, verdict("x.y", "", Outcome.UNKNOWN), accounts=account(3000))
    assert gate(unknown, stage=LOSSES).reasons == ("no judged delivery: nothing can be said about lost events",)
    assert gate(run(*GOOD, accounts=account(3000), started=0.0), stage=LOSSES).claim == ""
    assert gate(run(*GOOD)).claim == ""


NEXT = replace(STAGE, previous_stage=5)
BEFORE = Previous(stage=5, outcome=Decision.GO, rehearsal=False, at=NOW - DAY, policy="p, version 1, 1a2b3c4d")


RECENT = "a GO of stage 5 in the last 30 days"
MISSING = f"there is no {RECENT[2:]}: sign off stage 5 first, and give its folder with --previous"
OTHER = f"the GO of stage 5 is of another artefact: this stage needs {RECENT} of this one"


@pytest.mark.parametrize(
    ("previous", "own", "reason"),
    [
        (BEFORE, False, None),
        (replace(BEFORE, rehearsal=True), True, None),
        (None, False, MISSING),
        (replace(BEFORE, stage=4), False, MISSING),
        (
            replace(BEFORE, outcome=Decision.HOLD), False,
            MISSING,
        ),
        (
            replace(BEFORE, at=NOW - 31 * DAY), False,
            "the GO of stage 5 is too old: this stage needs a GO of stage 5 in the last 30 days",
        ),
        *(
            (
                replace(BEFORE, at=at), False,
                "the GO of stage 5 is of no time that has been: this stage needs a GO of stage 5 in the last 30 days",
            )
            for at in (NOW + DAY, float("inf"), float("nan"))
        ),
        (
            replace(BEFORE, policy="p, version 1, 00000000"), False,
            "the GO of stage 5 is under policy p, version 1, 00000000: this stage needs one under p, version 1, "
            "1a2b3c4d",
        ),
        (
            replace(BEFORE, artefact="other"), False,
            OTHER,
        ),
        (
            replace(BEFORE, rehearsal=True), False,
            "the GO of stage 5 was a rehearsal: this stage needs a real one",
        ),
    ],
)  # fmt: skip
def test_the_stage_before(previous, own, reason):
    decided = gate(run(*GOOD), stage=NEXT, previous=previous, own=own)
    assert decided.reasons == (() if reason is None else (reason,))


# What counts for whom: the target t and the client c are signed off, the mock and locust are the harness's own


ONE = replace(STAGE, required={"QA-1": Need(checks=("a.lost",))})


@pytest.mark.parametrize(
    ("subject", "target", "client", "outcome"),
    [
        ("server", "t", "locust", Decision.GO),
        ("server", "mock", "c", Decision.HOLD),
        ("path", "t", "locust", Decision.GO),
        ("path", "mock", "c", Decision.HOLD),
        ("client", "mock", "c", Decision.GO),
        ("client", "t", "locust", Decision.HOLD),
        ("both", "t", "c", Decision.GO),
        ("both", "t", "locust", Decision.HOLD),
        ("both", "mock", "c", Decision.HOLD),
    ],
)
def test_a_pass_counts_for_whom_it_is_about(subject, target, client, outcome):
    told = run(verdict("a.lost", "QA-1", subject=subject), target=target, client=client)
    decided = gate(run(GOOD[2]), told, stage=ONE)
    assert decided.outcome is outcome
    if outcome is Decision.HOLD:
        assert "QA-1: not judged by any run of what is signed off" in decided.reasons


@pytest.mark.parametrize(
    ("subject", "target", "client", "outcome"),
    [
        ("server", "t", "locust", Decision.NO_GO),
        ("server", "mock", "c", Decision.HOLD),
        ("client", "mock", "c", Decision.NO_GO),
        ("client", "t", "locust", Decision.HOLD),
        ("both", "t", "locust", Decision.NO_GO),
        ("both", "mock", "c", Decision.NO_GO),
    ],
)
@pytest.mark.parametrize("requirement", ["QA-1", "SSE-13"])
def test_a_failure_of_what_the_harness_brought_holds_and_accuses_nobody(requirement, subject, target, client, outcome):
    bad = verdict("a.bad", requirement, Outcome.FAIL, subject=subject)
    decided = gate(run(*GOOD), run(bad, scenario="drop", target=target, client=client))
    assert decided.outcome is outcome
    told = f"{requirement}: FAIL in drop (a.bad): seen"
    whose = {"server": "mock", "client": "locust"}.get(subject)
    own = f"; {whose} is the harness's own, so this run cannot be trusted"
    assert decided.reasons == (told if outcome is Decision.NO_GO else told + own,)


def test_a_failure_of_what_the_harness_brought_out_of_scope_only_warns():
    bad = run(verdict("a.bad", "VAL-2", Outcome.FAIL, subject="server"), scenario="drop", target="mock")
    decided = gate(run(*GOOD), bad)
    assert (decided.outcome, len(decided.warnings)) == (Decision.GO, 1)


def test_a_doubt_about_what_the_harness_brought_is_nobodys():
    doubt = run(verdict("a.lost", "QA-1", Outcome.UNKNOWN, subject="client"), scenario="drop", client="locust")
    assert gate(run(*GOOD), replace(doubt, outcome=Outcome.PASS)).outcome is Decision.GO


def test_a_load_run_adds_deliveries_to_runs_with_both_and_no_reconnects():
    least = {"deliveries": 100.0, "reconnects": 5.0}
    stage = replace(STAGE, required={"QA-1": Need(least=least, checks=("a.lost",))})
    load = run(verdict("a.lost", "QA-1", deliveries=1000.0, reconnects=9.0), scenario="load_x", client="locust")
    assert gate(load, stage=stage).criteria[0].outcome is Outcome.SKIP
    decided = gate(run(verdict("a.lost", "QA-1", deliveries=60.0, reconnects=4.0)), load, stage=stage)
    assert decided.criteria[0].evidence == {"runs": 1.0, "deliveries": 1060.0, "reconnects": 4.0}
    assert decided.criteria[0].scenarios == ("steady", "load_x")
    assert decided.reasons == ("QA-1: too little evidence: 4 of at least 5 reconnects",)


def test_users_and_the_claim_are_those_of_the_signed_target():
    stage = replace(LOSSES, users=100)
    big = {"figures": {"users": 100.0}, "accounts": account(3000)}
    held = gate(run(*GOOD), run(scenario="wide", target="mock", **big), stage=stage)
    assert "no run with 100 users (at most 5)" in held.reasons
    assert "no judged delivery: nothing can be said about lost events" in held.reasons
    assert gate(run(*GOOD), run(*GOOD, scenario="wide", client="locust", **big), stage=stage).outcome is Decision.GO
