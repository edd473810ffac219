"""The built wheel, installed where there is no checkout: alone, beside a project with our names, and extended by one.

The environment is a new one that sees the dependencies of this one, but not this one's editable install.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("harness", "mock_server", "scenarios", "reports")
pytestmark = [pytest.mark.ci, pytest.mark.slow]


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel; `run` runs one of its programs in a folder."""

    wheel: Path
    bin: Path

    def run(self, folder, *words, code=0, timeout=120, **environ):
        ours = ("SSE_", "TOXIPROXY_", "PYTHON", "COVERAGE")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self.bin}{os.pathsep}{clean['PATH']}"
        done = subprocess.run(
            [self.bin / words[0], *words[1:]], cwd=folder, capture_output=True, text=True, timeout=timeout,
            env={**clean, "PATH": path, "TOXIPROXY_SERVER": "embedded", "PYTHONDONTWRITEBYTECODE": "1", **environ},
        )  # fmt: skip
        assert done.returncode == code, f"{words}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    # From a copy: setuptools leaves build/ and egg-info beside what it builds.
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", place, source]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = place.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place / "venv")}))
    # A folder in a .pth file is imported from, but the .pth files in it, our editable install, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = place / "venv" / "bin" / "python"
    install = [*pip, "--python", python, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel]
    subprocess.run(install, check=True, capture_output=True)
    return Installed(wheel, python.parent)


def test_it_holds_what_is_needed_and_nothing_else(installed):
    with zipfile.ZipFile(installed.wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    ours = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".png") and not path.is_relative_to(ROOT / "reports" / "runs")
    }
    assert held == ours
    assert {"harness/py.typed", "harness/policy.toml", "reports/report.html.j2", "scenarios/load/steady.py"} <= held


def test_it_works_in_an_empty_folder(installed, tmp_path):
    where = installed.run(tmp_path, "python", "-c", "import harness; print(harness.__file__)").strip()
    assert Path(where).is_relative_to(installed.bin.parent)
    assert Path(where).with_name("py.typed").is_file()
    assert "steady " in installed.run(tmp_path, "sse-harness", "list", "scenarios")
    assert "--stage PERCENT" in installed.run(tmp_path, "sse-harness", "signoff", "--help")
    assert "package" not in installed.run(tmp_path, "sse-harness", "doctor")
    path = installed.run(tmp_path, "sse-harness", "where", "load/steady").strip()
    assert path == str(Path(where).parent.parent / "scenarios" / "load" / "steady.py")
    assert installed.run(tmp_path, "sse-harness", "run", "token_required", "--out", "out").startswith("PASS\n")
    assert {one.name for one in tmp_path.iterdir()} == {"out"}


def test_locust_runs_it(installed, tmp_path):
    path = installed.run(tmp_path, "sse-harness", "where", "load/steady").strip()
    words = ("-m", "locust", "-f", path, "--headless", "-u", "10", "-r", "10", "-t", "5s", "--sse-out", "out")
    installed.run(tmp_path, "python", "-P", *words)
    assert (tmp_path / "out" / "report.html").exists()


POLICY = """
version = 1
name = "one"

[stages.10]
scenarios = ["token_required"]

[stages.10.required]
"SEC-2" = {}
"""


@pytest.mark.full
def test_selftest_and_sign_off(installed, tmp_path):
    """The selftest is stored by the sign-off that needs it, in a cache of its own."""
    (tmp_path / "policy.toml").write_text(POLICY)
    words = ("signoff", "--stage", "10", "--policy", "policy.toml", "--out", "out")
    said = installed.run(tmp_path, "sse-harness", *words, timeout=600, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert said.splitlines()[-1] == "REHEARSAL GO"
    assert "false alarms 0" in said


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# A project that knows nothing of us and has our names.

THEIRS = {
    "harness.py": "ANSWER = 42\n",
    "reports/__init__.py": "TITLE = 'sales'\n",
    "scenarios/__init__.py": "",
    "scenarios/steady.py": "GROWTH = 0.02\n",
    "mock_server.py": "PORT = 1\n",
    "test_theirs.py": """
import harness, mock_server, reports
from scenarios import steady


def test_their_own():
    assert (harness.ANSWER, mock_server.PORT, reports.TITLE, steady.GROWTH) == (42, 1, "sales", 0.02)
""",
}


def test_a_project_with_our_names_is_not_disturbed(installed, tmp_path):
    write(tmp_path, THEIRS)
    for words in (("python", "-m", "pytest"), ("python", "-P", "-m", "pytest")):
        said = installed.run(tmp_path, *words, "-q", "-p", "no:cacheprovider")
        assert said.splitlines()[-1].startswith("1 passed")


def test_and_does_not_disturb_us(installed, tmp_path):
    write(tmp_path, THEIRS)
    path = installed.run(tmp_path, "sse-harness", "where", "load/steady").strip()
    words = ("-m", "locust", "-f", path, "--headless", "-u", "4", "-r", "4", "-t", "3s", "--sse-out", "load")
    installed.run(tmp_path, "python", *words)
    assert (tmp_path / "load" / "report.html").exists()
    assert installed.run(tmp_path, "sse-harness", "run", "token_required", "--out", "out").startswith("PASS\n")
    told = installed.run(tmp_path, "sse-harness", "doctor").splitlines()
    for name in ROOMS:
        assert any(line.startswith(f"warning  package {name}: ") for line in told), name


def test_doctor_names_what_is_imported_instead_of_ours(installed, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "reports.py").write_text("")
    told = installed.run(tmp_path, "sse-harness", "doctor", PYTHONPATH=str(tmp_path / "theirs")).splitlines()
    [line] = [one for one in told if one.startswith("warning  package ")]
    assert line.startswith(f"warning  package reports: shadowed by {tmp_path / 'theirs' / 'reports.py'}; rename it")


# A project that adds one of each.

OWN = {
    "pyproject.toml": """
[tool.sse-harness]
scenarios = ["my/scenarios"]
clients = ["my/clients"]
checks = ["my/checks"]
reports = ["my/reports"]
client = "patient"
""",
    "my/scenarios/greeting.py": '''"""Does everybody get the three events?"""

from harness import AwaitOpen, Burst, Scenario, Wait

scenario = Scenario(users=2, checks=("mine.three",), steps=(AwaitOpen(), Burst(3, "each"), Wait(0.3)))
''',
    "my/clients/patient.py": '''"""The reference client under a name of its own."""

from harness.clients.reference import CAPABILITIES, subscribe

__all__ = ("CAPABILITIES", "subscribe")
''',
    "my/checks/mine.py": '''"""Checks of our own."""

from harness import Finding, History, check, failed, passed


@check("mine.three", "QA-1")
def three(history: History) -> Finding:
    """Every subscriber gets at least three events."""
    count = len(history.of("sub.event"))
    return passed("6 or more", str(count)) if count >= 6 else failed("6 or more", str(count))
''',
    "my/reports/short.py": '''"""short.txt: one line."""


def write(results, out):
    """Write short.txt."""
    path = out / "short.txt"
    path.write_text(results.headline)
    return path
''',
    "elsewhere.py": """
from harness import AwaitOpen, Burst, Scenario, Wait

again = Scenario(users=2, checks=("mine.three",), steps=(AwaitOpen(), Burst(3, "each"), Wait(0.3)))
""",
}


def test_a_project_adds_one_of_each(installed, tmp_path):
    write(tmp_path, OWN)
    for kind, name in (("scenarios", "greeting"), ("clients", "patient"), ("checks", "mine.three")):
        assert any(
            line.startswith(f"{name} ") for line in installed.run(tmp_path, "sse-harness", "list", kind).splitlines()
        )
    assert installed.run(tmp_path, "sse-harness", "run", "greeting", "--out", "out").startswith("PASS\n")
    assert (tmp_path / "out" / "short.txt").read_text() == "PASS"
    told = (tmp_path / "out" / "verdicts.json").read_text()
    assert '"mine.three"' in told
    assert '"patient"' in told


@pytest.mark.parametrize("name", ["./my/scenarios/greeting.py", "elsewhere:again"])
def test_a_path_or_an_attribute_does_as_well(installed, tmp_path, name):
    write(tmp_path, OWN)
    words = ("run", name, "--client", "./my/clients/patient.py", "--out", "out")
    assert installed.run(tmp_path, "sse-harness", *words).startswith("PASS\n")
