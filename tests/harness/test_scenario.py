"""Scenarios are plain data."""

import json
from dataclasses import FrozenInstanceError, asdict, fields
from typing import get_args

import pytest

from harness.faults import Toxic
from harness.scenario import FAST_CLIENT, FAST_SERVER, Burst, Network, Open, Scenario, Step, Wait, name_of


def test_a_scenario_needs_only_its_checks_and_keeps_the_fast_pace():
    scenario = Scenario(checks=("delivery",))
    assert (scenario.users, scenario.streams, scenario.steps) == (1, 1, ())
    assert scenario.server == FAST_SERVER
    assert scenario.client == FAST_CLIENT


@pytest.mark.parametrize("step", [kind for kind in get_args(Step) if kind not in (Burst, Network, Open)])
def test_every_step_is_frozen(step):
    needed = {"StreamFault": ("rst",), "Drop": ("fin",), "Restart": ("crash",), "Flag": (True,), "Churn": (3,)}
    needed |= dict.fromkeys(("Probe", "ProbeAll", "ProbeRest", "Meter"), ("x",)) | {"Rollout": (10,)}
    made = step(*needed.get(step.__name__, ()))
    with pytest.raises(FrozenInstanceError):
        setattr(made, next(iter(fields(made))).name, 1)


def test_a_step_can_be_recorded():
    steps = (Wait(1, beats=2), Burst(3), Network("add", Toxic("latency", {"latency": 5})), Open("x", beyond_limit=-1))
    assert json.loads(json.dumps([asdict(step) for step in steps]))[2]["toxic"]["attributes"] == {"latency": 5}


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("steady", "steady"), ("steady.py", "steady"), ("./scen/my.py", "my"), ("scen/my", "my"),
        ("/a.b/c.d.py", "c.d"), ("a.b:c", "a.b.c"),
    ],
)  # fmt: skip
def test_how_results_name_a_scenario(reference, name):
    assert name_of(reference) == name
