"""One breach turns one criterion: the stage's runs on the good mock are all GO, and each defect turns just its own.

The runs are real; evidence that takes a load run or two and a half minutes is left to the sign-off itself.
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness import checks, gate, signoff
from harness.evidence import Signed
from harness.judgement import judged
from harness.policy import Policy, load_policy
from harness.pool import run_all
from harness.requirements import CATALOGUE
from harness.results import Decision, SelfTest
from harness.run import Job

LONG = ("product_figures",)
SOUND = SelfTest(caught=1, planted=1, false_alarms=0)
BREACHES = {
    "flag not sticky": ("rollout", {"defects": ("flag-not-sticky",)}, ("FLAG-2",)),
    "flag not monotone": ("rollout", {"defects": ("flag-not-monotone",)}, ("FLAG-2",)),
    "kill switch ignored by live streams": ("kill_switch", {"defects": ("ignores-kill-switch",)}, ("RB-1", "SRV-15")),
    "REST twin different under the flag": ("rollout", {"defects": ("rest-twin-differs",)}, ("REG-1",)),
    "no fallback to polling": ("rollback", {"client": "harness.clients.faulty:no_polling_fallback"}, ("UX-2",)),
}


def policy():
    """Stage 100 as it ships, without what needs a load run, several seeds or the stage before."""
    shipped = load_policy(known=CATALOGUE, checks=signoff.known_checks())
    stage = shipped.stage(100)
    required = {name: replace(need, least={}) for name, need in stage.required.items()}
    names = tuple(name for name in stage.scenarios if name not in LONG)
    lighter = replace(
        stage, scenarios=names, required=required, load=None, seeds=1, users=1, previous_stage=None, loss_rate=None
    )  # fmt: skip
    return Policy(name=shipped.name, stages={100: lighter}, digest=shipped.digest)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The results of the stage's scenarios on the good mock, and of each breach, by name."""
    checks.load()
    out: Path = tmp_path_factory.mktemp("runs")
    jobs = {name: Job(scenario=name, out=str(out / name)) for name in policy().stage(100).scenarios}
    jobs |= {
        breach: Job(scenario=scenario, out=str(out / breach.replace(" ", "-")), **own)
        for breach, (scenario, own, _) in BREACHES.items()
    }
    complaints = asyncio.run(run_all(list(jobs.values()), at_once=6, on_phase=lambda job, phase: None))
    assert not any(complaints.values())
    return {name: judged(Path(job.out) / "history.jsonl") for name, job in jobs.items()}


def decided(chosen):
    # Whoever subscribed in a run is whom this sign-off is of.
    signed = [replace(one, client="reference") for one in chosen]
    return gate.decide(
        policy(), 100, signed, now=time.time(), selftest=SOUND,
        signed=Signed(target="mock", client="reference", own=True),
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.slow
def test_all_criteria_are_go_on_the_good_mock(runs):
    decision = decided([runs[name] for name in policy().stage(100).scenarios])
    assert decision.reasons == ()
    assert decision.outcome is Decision.GO


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("breach", sorted(BREACHES))
def test_a_breach_turns_exactly_its_criterion(breach, runs):
    """As with several seeds: one run of the scenario shows the breach, and another what that one could not judge."""
    _, _, requirements = BREACHES[breach]
    chosen = [*(runs[name] for name in policy().stage(100).scenarios), runs[breach]]
    decision = decided(chosen)
    assert [one.requirement for one in decision.criteria if one.decision is not Decision.GO] == [*requirements]
    assert decision.outcome is Decision.NO_GO
