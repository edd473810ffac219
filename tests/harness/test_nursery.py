"""The nursery from the side of its processes; that of the lines to it is in test_children.py."""

import asyncio
import os
import signal
import socket
from importlib import import_module
from types import SimpleNamespace

import psutil
import pytest

from harness import nursery as nurses
from harness import pool
from harness.children import nursery
from harness.run import Job

NOSY = """
import os, socket, stat, sys

def main(start=None):
    fine = []
    for name in os.listdir("/proc/self/fd"):
        try:
            fine.append((int(name), stat.S_ISSOCK(os.stat(int(name)).st_mode)))
        except OSError:
            pass  # the descriptor of the listing itself
    print(fine, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("line", [False, True])
def test_a_child_holds_its_own_descriptors_and_no_others(tmp_path, monkeypatch, line):
    (tmp_path / "nosy.py").write_text(NOSY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def told():
        async with nursery() as here:
            other = await here.start("harness.run", "{}", line=True)  # ends with a complaint, and had a line
            await other.wait()
            child = await here.start("nosy", line=line)
            return await child.stdout.read()

    own = [(0, False), (1, False), (2, False), *([(3, True)] if line else [])]
    assert asyncio.run(told()).decode().strip() == str(own)


@pytest.mark.slow
def test_a_nursery_that_dies_leaves_a_reason_and_nobody_waiting(tmp_path, fake_runs):
    job = Job(scenario="hangs", out=str(tmp_path / "run"))

    def on_phase(_job, phase):
        if phase == "steps":
            [nurse] = [one for one in psutil.Process().children() if str(fake_runs) in one.cmdline()]
            os.killpg(nurse.pid, signal.SIGKILL)

    complaints = asyncio.run(pool.run_all([job], at_once=1, on_phase=on_phase))
    assert complaints == {job.out: "the process that forks the runs died"}


def test_the_main_of_a_package_is_that_of_its_main_module():
    from harness.proxy import __main__ as proxy
    from mock_server import worker

    assert nurses._main_of("harness.proxy") is proxy.main
    assert nurses._main_of("mock_server.worker") is worker.main


@pytest.mark.parametrize("name", nurses.PRELOADED)
def test_what_is_loaded_for_all_is_there(name):
    """One that a package has renamed would be passed over, and loaded by every run again."""
    pytest.importorskip(name.partition(".")[0])
    assert import_module(name)


def test_whoever_is_gone_is_told_nothing():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        nurses._tell(SimpleNamespace(gone=True, connection=ours), number=1, exit=0)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
