"""The room of the proxy: what its docstring shows is there."""

import ast
import re
from pathlib import Path

import pytest

from harness import proxy
from harness.proxy import control

ROOM = Path(proxy.__file__).parent


def test_the_files_that_the_docstring_names_are_those_of_the_room():
    named = set(re.findall(r"\b(\w+)\.py\b", proxy.__doc__))
    assert {path.stem for path in ROOM.glob("*.py")} - {"__init__", "__main__"} == named


def test_what_the_docstring_calls_exists():
    assert {"proxy", "stop", "died"} <= set(dir(control.Network))
    assert {"add", "heal", "listen"} <= set(dir(control.Proxy)) | set(control.Proxy.__slots__)


@pytest.mark.slow
def test_toxiproxy_python_has_one_importer():
    importers = {
        path.name
        for path in ROOM.parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "toxiproxy"
    }
    assert importers == {"control.py"}
