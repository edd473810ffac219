"""Many runs at a time, each in a process of its own, so that no run's load, leak or crash is another's.

The parent writes the job to the child's standard input and reads a phase per line; the child leaves OUT/history.jsonl.
A child that leaves none has failed for a reason of ours, and its run is UNKNOWN.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from harness.run import Job

LAST_WORDS: Final = 30.0
LONGEST_COMPLAINT: Final = 2000
OnPhase = Callable[[Job, str], None]


async def run_all(jobs: Sequence[Job], *, at_once: int, on_phase: OnPhase) -> dict[str, str]:
    """Run every job, `at_once` of them at a time; returns by `out` folder why a job left no history ("" if it did).

    `on_phase` hears each phase, and "done" at last. When the caller is cancelled the children are told to stop, and
    write what they know before it returns.
    """
    free = asyncio.Semaphore(at_once)
    complaints: dict[str, str] = {}

    async def one(job: Job) -> None:
        async with free:
            complaints[job.out] = await _child(job, on_phase)
            on_phase(job, "done")

    tasks = [asyncio.create_task(one(job), name=f"run {job.scenario}") for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return complaints


async def _child(job: Job, on_phase: OnPhase) -> str:
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "stderr.txt").open("wb") as stderr:
        # A session of its own: Ctrl-C reaches the parent alone, which then lets each child finish its history.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "harness.run", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=stderr, start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for above
    try:
        process.stdin.write(json.dumps(asdict(job)).encode())
        process.stdin.write_eof()
        async for line in process.stdout:
            on_phase(job, line.decode(errors="replace").strip())
        await process.wait()
    finally:
        await _stopped(process)
    complaint = (out / "stderr.txt").read_text(errors="replace").strip()[-LONGEST_COMPLAINT:]
    if not complaint:
        (out / "stderr.txt").unlink()
    if (out / "history.jsonl").exists():
        return ""
    return complaint.rpartition("\n")[2] or f"the run's process ended with exit {process.returncode}"


async def _stopped(process: asyncio.subprocess.Process) -> None:
    """End a child that still runs: SIGTERM lets it save its history, SIGKILL follows if it does not."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS):
            await process.communicate()
            return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
