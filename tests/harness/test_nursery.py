"""The nursery over its real pipes; its children are the fake ones of tests/conftest.py."""

import asyncio
import json
import os
import signal

import psutil
import pytest

from harness import pool
from harness.run import Job


def orders(*given):
    return b"".join(json.dumps(one).encode() + b"\n" for one in given)


def order(tmp_path, number, scenario):
    out = tmp_path / f"{number}"
    out.mkdir()
    job = {"scenario": scenario, "out": str(out), "seed": 1, "client": "reference"}
    return {"number": number, "job": job, "said": str(out / "said.txt")}


async def talk(*given, exits=0):
    """What the nursery tells, by number, and its exit code; standard input ends when so many children have ended."""
    process = await asyncio.create_subprocess_exec(
        pool.sys.executable, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    process.stdin.write(orders(*given))
    by_number = {}
    while exits:
        exits -= "exit" in noted(await process.stdout.readline(), by_number)
    process.stdin.close()
    rest, _ = await process.communicate()
    for line in rest.splitlines():
        noted(line, by_number)
    return by_number, process.returncode


def noted(line, by_number):
    told = json.loads(line)
    by_number.setdefault(told.pop("number"), []).append(told)
    return told


def test_each_child_tells_its_phases_and_its_exit(tmp_path, fake_runs):
    told, code = asyncio.run(talk(*(order(tmp_path, number, "complains") for number in (1, 2)), exits=2))
    assert told == {number: [{"phase": "start"}, {"exit": 1}] for number in (1, 2)}
    assert code == 0
    assert (tmp_path / "1" / "said.txt").read_text() == "one sentence\n"


def test_when_nobody_asks_any_more_every_child_is_told_to_stop(tmp_path, fake_runs):
    told, code = asyncio.run(talk(order(tmp_path, 1, "hangs")))
    assert told[1][-1]["exit"] in (0, -signal.SIGTERM)
    assert code == 0


def test_a_signal_for_a_child_that_is_not_there_is_nothing(tmp_path, fake_runs):
    given = ({"number": 7, "signal": signal.SIGTERM}, order(tmp_path, 1, "dies"))
    told, code = asyncio.run(talk(*given, exits=1))
    assert told == {1: [{"phase": "start"}, {"exit": 7}]}
    assert code == 0


@pytest.mark.slow
def test_a_nursery_that_dies_leaves_a_reason_and_nobody_waiting(tmp_path, fake_runs):
    job = Job(scenario="hangs", out=str(tmp_path / "run"))

    def on_phase(_job, phase):
        if phase == "steps":
            [nursery] = [one for one in psutil.Process().children() if pool.sys.executable in one.cmdline()]
            os.killpg(nursery.pid, signal.SIGKILL)

    complaints = asyncio.run(pool.run_all([job], at_once=1, on_phase=on_phase))
    assert complaints == {job.out: "the process that forks the runs died"}
