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
# Two and a half minutes of the product's own figures: not for every `make test`.
LONG = ("product_figures",)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_says_what_it_asks_and_names_checks_that_exist(name):
    checks.load()
    scenario = locate.load("scenarios", name).scenario
    assert isinstance(scenario, Scenario)
    assert locate.sentence(locate.names("scenarios")[name]).endswith("?")
    families = {check.family for check in REGISTRY.values()}
    assert scenario.checks
    assert set(scenario.checks) <= families | set(REGISTRY)


def run(names, out):
    """Run these scenarios once, many at a time; why each left no history, and where it is."""
    checks.load()
    jobs = [Job(scenario=name, out=str(out / name)) for name in names]
    complaints = asyncio.run(run_all(jobs, at_once=6, on_phase=lambda job, phase: None))
    return {job.scenario: (complaints[job.out], Path(job.out) / "history.jsonl") for job in jobs}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return run([name for name in NAMES if name not in LONG], tmp_path_factory.mktemp("runs"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_a_good_server_and_a_good_client_pass(name, results):
    passes(*results[name])


@pytest.mark.ci
@pytest.mark.parametrize("name", LONG)
def test_the_long_ones_pass_too(name, tmp_path):
    passes(*run([name], tmp_path)[name])


# Seconds by which this machine may be late before what it cannot tell is its own fault.
BUSY = 0.1


def passes(complaint, path):
    """The run is PASS; where this machine was too busy to tell, that is no failure but a test that was not made."""
    assert complaint == ""
    run = judged(path)
    bad = [f"{one.check} {one.outcome.name}: {one.actual}" for one in run.verdicts if one.outcome > Outcome.PASS]
    if run.outcome is Outcome.UNKNOWN and not run.reason.startswith("the environment") and run.figures["lag"] > BUSY:
        pytest.skip(f"this machine was {run.figures['lag']:.3f} s late: {bad}")
    assert bad == [], run.reason
    assert run.outcome is Outcome.PASS, run.reason
