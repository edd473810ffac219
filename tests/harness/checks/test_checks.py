"""The room of the checks: a file in it registers itself."""

from pathlib import Path

from harness import checks, requirements
from harness.check import REGISTRY

FILES = {path.stem for path in Path(checks.__file__).parent.glob("*.py")} - {"__init__"}


def test_every_file_of_the_room_has_registered_a_check():
    modules = {one.function.__module__ for one in REGISTRY.values()}
    assert {f"harness.checks.{name}" for name in FILES} <= modules


def test_loading_again_changes_nothing():
    before = dict(REGISTRY)
    checks.load()
    assert before == REGISTRY


def test_every_check_judges_requirements_of_the_catalogue_and_has_a_sentence():
    for one in REGISTRY.values():
        if one.function.__module__.startswith("harness.checks."):
            assert one.requirements
            assert set(one.requirements) <= requirements.CATALOGUE.keys(), one.name
            assert one.sentence.endswith((".", "?")), one.name
