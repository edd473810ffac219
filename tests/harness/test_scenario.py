"""Scenarios are plain data."""

import json
from dataclasses import FrozenInstanceError, asdict, fields
from typing import get_args

import pytest

from harness.errors import HarnessError
from harness.faults import Toxic
from harness.scenario import FAST_CLIENT, FAST_SERVER, Burst, Drop, Network, Open, Scenario, Step, Wait, name_of


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


@pytest.mark.parametrize(
    "act, toxic, sentence",
    [
        ("add", None, 'Network("add") names no toxic; write Network("add", Toxic(...))'),
        ("remove", None, 'Network("remove") names no toxic; write Network("remove", Toxic(...))'),
        ("heal", Toxic("latency"), 'Network("heal") takes no toxic; leave it out'),
        ("ad", Toxic("latency"), "act of Network is 'ad'; write one of add, remove, disable, enable, heal"),
        ("add", "latency", "toxic of Network is 'latency'; write Toxic(...)"),
    ],
)
def test_a_step_on_the_network_that_would_do_nothing_is_refused(act, toxic, sentence):
    with pytest.raises(HarnessError) as caught:
        Network(act, toxic)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"users": "2"}, "users of Scenario is '2'; write a whole number, 0 or more"),
        ({"checks": ("delivery")}, "checks of Scenario is 'delivery'; write a tuple, such as (\"x\",) with its comma"),
        ({"steps": (Wait,)}, "<class 'harness.scenario.Wait'> in steps of Scenario is no step; write Wait(...)"),
        ({"steps": ("wait",)}, "'wait' in steps of Scenario is no step; write Wait(1.0) or its like"),
        ({"steps": Wait(1)}, "steps of Scenario is Wait("),
        ({"steps": (Burst(-3),)}, "count of Burst is -3; write a whole number, 0 or more"),
        ({"steps": (Drop("finn"),)}, "how of Drop is 'finn'; write one of fin, rst, silence"),
        ({"needs": "publish"}, "needs of Scenario is 'publish'; write a set, such as"),
        ({"client": None}, "client of Scenario is None; write a dict"),
    ],
)
def test_a_value_of_another_type_is_one_sentence(given, sentence):
    with pytest.raises(HarnessError) as caught:
        Scenario(**{"checks": ("delivery",), **given})
    assert str(caught.value).startswith(sentence)
