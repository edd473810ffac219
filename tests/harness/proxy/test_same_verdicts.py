"""The scenarios of the network come to the same verdicts on the embedded proxy and on the real Toxiproxy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import INSTALL, REAL

SCENARIOS = ("drop_fin", "drop_rst", "cut_anywhere", "silent_stall", "refuse")


def verdicts(server, folder):
    """The outcome of every check in every scenario, on one server."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "TOXIPROXY_"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("sse-harness"), "run", *SCENARIOS, "--jobs", "3", "--out", "out"],
        cwd=folder, env={**environ, "TOXIPROXY_SERVER": server}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"on {server}:\n{done.stdout}\n{done.stderr}"
    told = json.loads((folder / "out" / "verdicts.json").read_text())
    return {(run["scenario"], one["check"]): one["outcome"] for run in told["runs"] for one in run["verdicts"]}


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason=f"no Toxiproxy: {INSTALL}")
def test_both_servers_give_the_same_verdicts(tmp_path):
    found = {}
    for server in ("embedded", REAL):
        folder = tmp_path / Path(server).name
        folder.mkdir()
        found[server] = verdicts(server, folder)
    different = {
        key: (one, found[REAL].get(key)) for key, one in found["embedded"].items() if found[REAL].get(key) != one
    }
    assert not different
    assert found["embedded"].keys() == found[REAL].keys()
    assert {scenario for scenario, _ in found[REAL]} == set(SCENARIOS)
