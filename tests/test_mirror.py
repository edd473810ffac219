"""Each module has a test file of its own, at the same place of the tree: harness/x.py -> tests/harness/test_x.py."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("harness", "mock_server", "reports")


def modules():
    """The modules that say anything, and their paths below the root."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if relative.parts[:2] != ("reports", "runs") and path.read_text("utf-8").strip():
                yield relative


def mirrors(module):
    """Where the tests of a module may be; those of a package itself are named after it."""
    folder = Path("tests", module.parent)
    if module.name == "__init__.py":
        return [folder / f"test_{module.parent.name}.py", folder.parent / f"test_{module.parent.name}.py"]
    return [folder / f"test_{module.stem}.py", folder / f"test_{module.stem.strip('_')}.py"]


@pytest.mark.parametrize("module", list(modules()), ids=str)
def test_every_module_has_its_test_file(module):
    places = mirrors(module)
    assert any((ROOT / place).is_file() for place in places), f"write {places[-1]}"


def test_the_scenarios_have_one_file_for_all():
    assert (ROOT / "tests" / "scenarios" / "test_scenarios.py").is_file()
