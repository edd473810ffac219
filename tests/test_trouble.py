"""Whatever breaks under a run ends it in time with its reason: UNKNOWN or HOLD, never a failure of the target, no hang.

Nothing is left behind either: the fixture of all tests looks for processes, here also those of the commands' children.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = [sys.executable, "-P", "-c", "import sys; from harness.cli import main; sys.exit(main())"]
WITHIN = 30.0
SCENARIO = '''"""Does it go on?"""
from harness.scenario import *

scenario = Scenario(
    checks=("delivery",), users=2, rate=20, limit=300,
    steps=(AwaitOpen(), Burst(2), Wait(300), Network("heal")),
    needs=frozenset({"publish"}),
)
'''
POLICY = """
version = 1
name = "mine"
[stages.10]
scenarios = ["goes_on"]
[stages.10.required]
QA-1 = {}
"""


@pytest.fixture
def project(tmp_path):
    """A project of the user's with one scenario that would go on for minutes."""
    (tmp_path / "pyproject.toml").write_text('[tool.sse-harness]\nscenarios = ["own"]\n')
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "goes_on.py").write_text(SCENARIO)
    (tmp_path / "policy.toml").write_text(POLICY)
    return tmp_path


class Command:
    """A command of ours in a process of its own, and whatever it starts."""

    def __init__(self, folder, *arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "TOXIPROXY_"))}
        clean |= {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_RUNTIME_DIR": str(folder / "state"), **environment}
        self.folder, self.out = folder, folder / "out"
        self.family = {}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in [*self.family.values(), psutil.Process(self.process.pid)] if self.process.poll() is None else []:
            one.kill()
        self.process.communicate()

    def relatives(self):
        """The processes below it, by what they run; once seen they are remembered."""
        if self.process.poll() is None:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                self.family.setdefault(one.pid, one)
        return list(self.family.values())

    def part(self, role):
        """The process of the one run that plays this role, as its part of the history says."""
        parts = (self.out / "goes_on" / "parts").glob("*.jsonl")
        heads = [json.loads(path.read_text().partition("\n")[0]) for path in parts]
        return psutil.Process(next(one["pid"] for one in heads if one["role"] == role))

    def until_recorded(self, *kinds):
        """Wait until the run has recorded each of these kinds."""
        parts = self.out / "goes_on" / "parts" / "run.jsonl"
        wait_for(lambda: parts.exists() and all(f'"kind":"{kind}"' in parts.read_text() for kind in kinds))
        self.relatives()

    def ended(self):
        """Exit code, standard output and error; whoever belonged to it has ended too."""
        out, err = self.process.communicate(timeout=WITHIN)
        wait_for(lambda: not [one for one in self.family.values() if alive(one)], 5.0)
        return self.process.returncode, out, err


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds=WITHIN):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def verdicts(folder):
    return json.loads((folder / "verdicts.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "reason"),
    [("server", "the mock server died (exit 1)"), ("network", "the proxy died (exit -9)")],
)
def test_a_part_that_is_killed_makes_the_run_unknown_with_its_reason(project, role, reason):
    with Command(project, "run", "goes_on", "--out", "out") as command:
        command.until_recorded("sub.event")
        command.part(role).kill()
        code, out, _ = command.ended()
    assert code == 3
    assert out.splitlines()[:2] == ["UNKNOWN", f"  UNKNOWN goes_on: the environment failed: {reason}"]
    [run] = verdicts(project / "out")["runs"]
    assert {one["outcome"] for one in run["verdicts"]} <= {"UNKNOWN", "SKIP"}


@pytest.mark.slow
def test_a_run_that_is_killed_is_unknown_and_takes_its_children_along(project):
    with Command(project, "run", "goes_on", "--out", "out") as command:
        command.until_recorded("sub.event")
        command.part("run").kill()
        code, out, _ = command.ended()
    assert code == 3
    assert out.splitlines()[1] == "  UNKNOWN goes_on: the run's process ended with exit -9"


@pytest.mark.slow
def test_a_nursery_that_is_killed_takes_its_runs_along(project):
    with Command(project, "run", "goes_on", "--out", "out") as command:
        command.until_recorded("sub.event")
        command.part("run").parent().kill()
        code, out, _ = command.ended()
    assert code == 3
    assert out.splitlines()[0] == "UNKNOWN"


@pytest.mark.slow
def test_a_command_that_is_killed_takes_its_runs_along(project):
    with Command(project, "run", "goes_on", "--out", "out") as command:
        command.until_recorded("sub.event")
        command.process.kill()
        code, _, _ = command.ended()
    assert code == -signal.SIGKILL
    assert "the run was interrupted" in (project / "out" / "goes_on" / "history.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sign_off_that_is_interrupted_writes_what_it_knows_and_is_hold(project, number):
    store_a_selftest(project)
    arguments = ["--stage", "10", "--policy", "policy.toml", "--out", "out"]
    with Command(project, "signoff", *arguments) as command:
        command.until_recorded("sub.event")
        command.process.send_signal(number)
        code, out, err = command.ended()
    assert code == 3, err
    assert out.splitlines()[-1] == "REHEARSAL HOLD"
    assert "the sign-off was interrupted" in out
    assert "Traceback" not in err
    assert {path.name for path in (project / "out").iterdir()} >= {
        "report.html",
        "report.md",
        "verdicts.json",
        "junit.xml",
    }
    [run] = verdicts(project / "out")["runs"]
    assert run["outcome"] == "UNKNOWN"
    assert verdicts(project / "out")["outcome"] == "HOLD"
    assert (project / "out" / "goes_on" / "history.jsonl").exists()


def store_a_selftest(folder):
    """A sound selftest in the cache of the command: the real one takes minutes."""
    program = (
        "from harness import selftest\nfrom harness.results import SelfTest\n"
        "every = selftest.plants('quick')\n"
        "selftest._store(SelfTest(caught=every, planted=every, false_alarms=0, digest=selftest.digest()))\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["run", "goes_on", "--out", "/proc/none"], {}, "folder /proc/none cannot be written ("),
        (["signoff", "--stage", "10", "--out", "policy.toml"], {}, "folder policy.toml cannot be written ("),
        (["run", "goes_on", "--target", "torn.toml"], {}, "torn.toml is no valid TOML"),
        (["signoff", "--stage", "10", "--target", "torn.toml"], {}, "torn.toml is no valid TOML"),
        (
            ["run", "goes_on", "--target", "far.toml"],
            {},
            "far.toml: 'url' leads to 192.0.2.1, which is not this machine",
        ),
        (["run", "goes_on"], {"TOXIPROXY_SERVER": "/bin/false"}, "TOXIPROXY_SERVER"),
        (["run", "goes_on"], {"TOXIPROXY_SERVER": "/nowhere"}, "TOXIPROXY_SERVER /nowhere does not start"),
        (["run", "goes_on"], {"TOXIPROXY_URL": "http://127.0.0.1:1"}, "no Toxiproxy answers at 127.0.0.1:1"),
        (
            ["signoff", "--stage", "10", "--policy", "policy.toml"],
            {"TOXIPROXY_SERVER": "/bin/false"},
            "TOXIPROXY_SERVER",
        ),
    ],
    ids=["out", "out-signoff", "torn", "torn-signoff", "remote", "proxy", "no-proxy", "proxy-url", "proxy-signoff"],
)
def test_what_the_user_has_to_mend_is_one_sentence_and_exit_2(project, arguments, environment, sentence):
    (project / "torn.toml").write_text('url = "http://127.0')
    (project / "far.toml").write_text('url = "http://192.0.2.1/stream"\n')
    with Command(project, *arguments, **environment) as command:
        code, out, err = command.ended()
    assert (code, out) == (2, ""), err
    [line] = err.splitlines()
    assert line.startswith("sse-harness: ")
    assert sentence in line
    assert not (project / "out").exists()
    assert not (project / "reports").exists()


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_sentence_and_exit_2(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Command(project, "mock", "--port", str(port)) as command:
            code, out, err = command.ended()
    assert (code, out) == (2, "")
    assert err.startswith(f"sse-harness: port {port} on 127.0.0.1 cannot be used")
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_target_that_is_not_there_is_no_failure_of_its_own(project):
    """Nobody listens: what subscribers meet is evidence, but no event could be published to judge deliveries by."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (project / "gone.toml").write_text(
        f'url = "http://127.0.0.1:{port}/stream"\n[hooks]\npublish = "http://127.0.0.1:{port}/publish"\n'
    )
    with Command(
        project, "run", "goes_on", "--target", "gone.toml", "--client", "httpx_sse", "--out", "out"
    ) as command:
        code, out, _ = command.ended()
    assert code == 3
    assert f"  UNKNOWN goes_on: the environment failed: the hook publish (http://127.0.0.1:{port}/publish)" in out
    assert Path(project / "out" / "report.html").exists()
