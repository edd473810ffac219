"""Every scenario, run for real against the mock with the reference client: each ends PASS, all in a few batches."""

import asyncio
from pathlib import Path

import pytest

from harness import checks, locate
from harness.check import REGISTRY, Outcome
from harness.judgement import judged
from harness.pool import run_all
from harness.run import Job
from harness.scenario import Scenario

NAMES = sorted(locate.names("scenarios"))


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_says_what_it_asks_and_names_checks_that_exist(name):
    checks.load()
    scenario = locate.load("scenarios", name).scenario
    assert isinstance(scenario, Scenario)
    assert locate.sentence(locate.names("scenarios")[name]).endswith("?")
    families = {check.family for check in REGISTRY.values()}
    assert scenario.checks
    assert set(scenario.checks) <= families | set(REGISTRY)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Every scenario run once, many at a time."""
    checks.load()
    out: Path = tmp_path_factory.mktemp("runs")
    jobs = [Job(scenario=name, out=str(out / name)) for name in NAMES]
    complaints = asyncio.run(run_all(jobs, at_once=8, on_phase=lambda job, phase: None))
    return {job.scenario: (complaints[job.out], Path(job.out) / "history.jsonl") for job in jobs}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_good_server_and_a_good_client_pass(name, results):
    complaint, path = results[name]
    assert complaint == ""
    run = judged(path)
    bad = [f"{one.check} {one.outcome.name}: {one.actual}" for one in run.verdicts if one.outcome > Outcome.PASS]
    assert bad == [], run.reason
    assert run.outcome is Outcome.PASS, run.reason
