"""The pure modules are covered by their own tests, every line and every branch: what judges is judged itself.

Pure is what stands in no layer of the table of imports.  Only the mirrored tests count: a line that is merely passed on
the way through a whole run has been executed and not tested.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import test_imports, test_mirror

ROOT = Path(__file__).parent.parent
PURE = {
    name: path.relative_to(ROOT)
    for name, path in test_imports.MODULES.items()
    if name.startswith("harness.") and test_imports.layer(name) == test_imports.PURE and path.read_text("utf-8").strip()
}
WITHIN = 600.0


def own_tests(module):
    return [place for place in test_mirror.mirrors(module) if (ROOT / place).is_file()]


@pytest.mark.ci
def test_every_line_and_branch_of_the_pure_modules(tmp_path):
    tests = sorted({str(place) for path in PURE.values() for place in own_tests(path)})
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "--cov=harness", "--cov-branch",
         f"--cov-report=json:{tmp_path}/found.json", *tests],
        cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, check=False,
        env={**os.environ, "COVERAGE_FILE": str(tmp_path / "data")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-4000:]
    found = json.loads((tmp_path / "found.json").read_text())["files"]
    gaps = {name: gap for name, path in sorted(PURE.items()) if (gap := missing(found.get(str(path))))}
    assert not gaps, "not covered by their own tests:\n" + "\n".join(f"  {name}: {gap}" for name, gap in gaps.items())


def missing(file):
    """The lines and branches of a file that no test took."""
    if file is None:
        return "never imported"
    lines = [str(line) for line in file["missing_lines"]]
    branches = [f"{source}->{target}" for source, target in file["missing_branches"]]
    return ", ".join(lines + [one for one in branches if one.partition("->")[0] not in lines])


def test_the_pure_modules_are_those_that_judge():
    assert {"harness.ledger", "harness.check", "harness.checks.delivery", "harness.subscriber"} <= PURE.keys()
    assert not {"harness.run", "harness.clients.reference", "harness.cli"} & PURE.keys()
