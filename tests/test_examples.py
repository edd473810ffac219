"""A server that knows nothing of sse-harness is judged through a target file; the same server, made bad, fails."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APP = ROOT / "scenarios" / "targets" / "starlette_app.py"
README = (ROOT / "README.md").read_text("utf-8")
HARNESS = Path(sys.executable).with_name("sse-harness")
pytestmark = [pytest.mark.ci, pytest.mark.slow]

# What is wrong with the server: its line, what takes that line's place, and the checks that have to say so.
BAD = {
    "everybody gets everything": (
        "if number > seen and owner in (None, user):",
        "if number > seen:",
        {"security.own_events"},
    ),
    "anybody is let in": ("    if user is None:", "    if user == '':", {"security.token_required"}),
    "one event in three is forgotten": (
        "if number > seen and owner in (None, user):",
        "if number > seen and owner in (None, user) and number % 3:",
        {"delivery.nothing_lost"},
    ),
}


def shown(name):
    """A file that the README shows."""
    [text] = re.findall(rf"<!-- test: file {re.escape(name)} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    return text


@contextmanager
def served(program):
    """The program on a port of its own, from when it answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-P", program, str(port)])
    try:
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def judged(port, folder, *scenarios):
    """Exit code and outcomes by scenario and check, of a run in a folder of the user's own."""
    (folder / "schemas").mkdir()
    for name in ("my_target.toml", "schemas/metric.json"):
        (folder / name).write_text(shown(name).replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    done = subprocess.run(
        [HARNESS, "run", *scenarios, "--target", "my_target.toml", "--out", "out"],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={name: value for name, value in os.environ.items() if not name.startswith("SSE_")},
    )  # fmt: skip
    told = json.loads((folder / "out" / "verdicts.json").read_text())
    found = {(run["scenario"], one["check"]): one["outcome"] for run in told["runs"] for one in run["verdicts"]}
    return done.returncode, found, f"{done.stdout}\n{done.stderr}"


def test_a_good_server_passes(tmp_path):
    with served(APP) as port:
        code, found, said = judged(port, tmp_path, "steady", "two_streams", "token_required")
    assert code == 0, said
    passed = {check for (_, check), outcome in found.items() if outcome == "PASS"}
    assert {
        "delivery.nothing_lost", "delivery.in_order", "heartbeat.cadence", "lag.live", "replay.strictly_after",
        "schema.valid", "security.own_events", "security.token_required",
    } <= passed  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_one_fails(tmp_path, what):
    line, wrong, must = BAD[what]
    text = APP.read_text("utf-8")
    assert text.count(line) == 1
    (tmp_path / "server.py").write_text(text.replace(line, wrong))
    with served(tmp_path / "server.py") as port:
        code, found, said = judged(port, tmp_path, "two_streams", "token_required")
    assert code == 1, said
    assert must <= {check for (_, check), outcome in found.items() if outcome == "FAIL"}
