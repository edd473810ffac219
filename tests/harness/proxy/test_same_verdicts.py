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
    """The outcome of every check in every scenario on one server, and of those that the scenario is for."""
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "TOXIPROXY_"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("sse-harness"), "run", *SCENARIOS, "--jobs", "3", "--out", "out"],
        cwd=folder, env={**environ, "TOXIPROXY_SERVER": server}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"on {server}:\n{done.stdout}\n{done.stderr}"
    told = json.loads((folder / "out" / "verdicts.json").read_text())
    every, named = {}, {}
    for run in told["runs"]:
        for one in run["verdicts"]:
            every[run["scenario"], one["check"]] = one["outcome"]
            if {one["check"], one["check"].partition(".")[0]} & set(run["named"]):
                named[run["scenario"], one["check"]] = one["outcome"]
    return every, named


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason=f"no Toxiproxy: {INSTALL}")
def test_both_servers_give_the_same_verdicts(tmp_path):
    """Whether there is evidence for a check that a scenario does not name, such as three heartbeats on one stream, is
    a matter of milliseconds: there a SKIP contradicts nothing."""
    (embedded, named), (real, named_on_real) = (
        verdicts(server, tmp_path / Path(server).name) for server in ("embedded", REAL)
    )
    assert named == named_on_real
    assert embedded.keys() == real.keys()
    judged = {key for key in embedded if "SKIP" not in (embedded[key], real[key])}
    assert {key: embedded[key] for key in judged} == {key: real[key] for key in judged}
    assert {scenario for scenario, _ in judged} == {scenario for scenario, _ in named} == set(SCENARIOS)
