"""The table of wire faults is complete, and names only what exists."""

import json

import pytest

from harness import checks, locate
from harness.check import REGISTRY
from harness.faults import FAULTS, applied
from harness.wirecases import CASES, Packed, of, packed
from mock_server.settings import load_settings

checks.load()


def test_every_fault_has_a_case():
    assert {case.fault for case in CASES} == set(FAULTS)


def test_every_case_has_a_name_of_its_own():
    assert (
        len({case.name for case in CASES}) == len(CASES) == sum(len(of(one)) for one in ("allowed", "broken", "alarm"))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_a_case_can_be_played_and_names_checks_that_exist(case):
    applied(case.fault, parameters=case.parameters)
    assert load_settings(json.loads(json.dumps({"faults": case.faults("u0-0")}))).faults[0]["sub"] == "u0-0"
    assert {*case.must, *case.may} <= set(REGISTRY)
    assert bool(case.must) == (case.expect == "alarm")
    assert case.scenario in locate.names("scenarios")


def test_alarms_share_runs_only_where_each_still_has_one_cause():
    groups = packed()
    assert sorted(case.name for group in groups for case in group.cases) == sorted(case.name for case in of("alarm"))
    assert len(groups) < len(of("alarm")) / 2
    for group in groups:
        assert len(set(group.must)) == len(group.must)
        assert all(not {*one.must} & {*two.may} for one in group.cases for two in group.cases)
        subs = [one["sub"] for one in load_settings(group.settings).faults]
        assert subs == [f"u{number}-0" for number in range(len(group.cases))]
        assert group.users >= 2


def test_a_group_takes_no_case_that_could_ring_an_alarm_of_it():
    one, other = of("alarm")[:2]
    assert (one.must, other.may) == (("delivery.nothing_twice",), ("delivery.nothing_lost", "lag.live"))
    assert not Packed((one,)).takes(one)
    assert not Packed((one,)).takes(other), "a reordered event of the one is what the other must ring for"


def test_a_group_is_named_after_its_cases():
    for group in packed():
        assert group.name == " + ".join(one.name for one in group.cases)
