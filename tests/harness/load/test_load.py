"""The room's own promise: what it says, and nothing imported by it."""

import ast
import inspect
from pathlib import Path

import harness.load


def test_the_room_imports_nothing():
    tree = ast.parse(Path(inspect.getfile(harness.load)).read_text())
    assert not [one for one in ast.walk(tree) if isinstance(one, ast.Import | ast.ImportFrom)]


def test_every_module_that_it_names_is_there():
    folder = Path(inspect.getfile(harness.load)).parent
    for name in ("wiring", "station", "run", "publishing", "transport", "launch"):
        assert f"`{name}" in harness.load.__doc__
        assert (folder / f"{name}.py").is_file()
