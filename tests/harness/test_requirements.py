"""The catalogue is whole, and every id that a check names stands in it."""

import re

import pytest

from harness import checks
from harness.check import REGISTRY
from harness.requirements import CATALOGUE, _level

checks.load()


def test_each_requirement_that_a_check_names_exists():
    named = {(name, id) for name, one in REGISTRY.items() for id in one.requirements}
    assert {(name, id) for name, id in named if id not in CATALOGUE} == set()


def test_every_check_names_a_requirement_and_nothing_that_is_open():
    for name, one in REGISTRY.items():
        assert one.requirements, name
        assert all(CATALOGUE[id].level != "OPEN" for id in one.requirements), name


def test_ids_have_the_form_that_reports_print():
    assert all(re.fullmatch(r"[A-Z]+-\d+", id) for id in CATALOGUE)


@pytest.mark.parametrize(
    "id, level, source",
    [
        ("VAL-1", "MUST", "product plan"),
        ("SSE-26", "OPEN", "HTML standard 9.2, fetch"),
        ("SSE-87", "MUST", "HTML standard 9.2, states"),
        ("SRV-11", "MUST", "product plan, server"),
        ("PATH-3", "MUST", "product plan"),
    ],
)
def test_rows(id, level, source):
    assert (CATALOGUE[id].level, CATALOGUE[id].source) == (level, source)
    assert CATALOGUE[id].sentence.endswith(".")


def test_numbers_that_the_document_does_not_have_are_not_made_up():
    assert not {"SSE-2", "SSE-7", "SSE-9", "SSE-27", "SSE-38", "SSE-80", "SSE-85", "SSE-86"} & set(CATALOGUE)


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="HOPE is no level"):
        _level("HOPE")
