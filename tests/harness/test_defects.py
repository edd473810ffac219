"""The matrix of the selftest names only what exists."""

import pytest

from harness import checks, locate
from harness.check import REGISTRY
from harness.clients import faulty
from harness.defects import DEFECTS, STALLING
from mock_server.defects import DEFECTS as SWITCHES

checks.load()


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name)
def test_a_defect_names_a_switch_a_scenario_and_checks(defect):
    assert defect.name in SWITCHES if defect.subject == "server" else hasattr(faulty, defect.attribute)
    assert defect.scenario in locate.names("scenarios")
    assert defect.must
    assert {*defect.must, *defect.may} <= set(REGISTRY)
    assert not set(defect.must) & set(defect.may)


def test_every_bad_client_is_in_the_matrix():
    bad = {name for name, one in vars(faulty).items() if isinstance(one, faulty.Bad)}
    assert bad == {one.attribute for one in DEFECTS if one.subject == "client"}


def test_every_switch_of_the_mock_is_in_the_matrix():
    assert set(SWITCHES) == {one.name for one in DEFECTS if one.subject == "server"}


def test_what_stalls_is_a_defect():
    assert {one.name for one in DEFECTS} >= STALLING
