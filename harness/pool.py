"""Many runs at a time, each in a process of its own, so that no run's load, leak or crash is another's.

The processes are forked by a nursery (`harness.nursery`) and tell their phases; each leaves OUT/history.jsonl. One
that leaves none has failed for a reason of ours, and its run is UNKNOWN.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import psutil

from harness.children import NURSERY, Start, end, nursery
from harness.redaction import redact_text
from harness.run import STARTING, Job

LAST_WORDS: Final = 30.0
LONGEST_RUN: Final = 900.0  # seconds; a run ends itself long before, unless its client blocks the whole process
LONGEST_COMPLAINT: Final = 2000
DIED: Final = "the process that forks the runs died"
OnPhase = Callable[[Job, str], None]


async def run_all(jobs: Sequence[Job], *, at_once: int, on_phase: OnPhase) -> dict[str, str]:
    """Run every job, `at_once` of them at a time; returns by `out` folder why a job left no history ("" if it did).

    `on_phase` hears each phase, and "done" at last. When the caller is cancelled the children are told to stop, and
    write what they know before it returns.
    """
    free = asyncio.Semaphore(at_once)
    # Starting is work for a processor, and who starts late makes the others late: their evidence suffers.
    starting = asyncio.Semaphore(os.cpu_count() or 1)
    complaints: dict[str, str] = {}

    async with nursery() as line:

        async def one(job: Job) -> None:
            async with free:
                async with contextlib.AsyncExitStack() as begins:
                    await begins.enter_async_context(starting)
                    complaints[job.out] = await _child(job, line.start, on_phase, begins.aclose)
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


def kill_all() -> None:
    """End every run of this process without a word; the servers and proxies that they started end with them."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if NURSERY in child.cmdline():
                os.killpg(child.pid, signal.SIGKILL)


async def _child(job: Job, start: Start, on_phase: OnPhase, begun: Callable[[], Awaitable[None]]) -> str:
    """Run one job to its end; why it left no history. `begun` is called when it has started whatever it needs."""
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)
    said = out / "stderr.txt"
    with said.open("ab") as errors:
        child = await start("harness.run", json.dumps(asdict(job)), line=True, stderr=errors.fileno())
    try:
        async with asyncio.timeout(LONGEST_RUN):
            assert child.stdout is not None  # noqa: S101 - every child of ours has one
            async for line in child.stdout:
                phase = line.decode(errors="replace").strip()
                on_phase(job, phase)
                if phase != STARTING:
                    await begun()
            await child.wait()
    except TimeoutError:
        return f"the run did not end within {LONGEST_RUN:.0f} s: its client blocks the process"
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGTERM)
        await end(child, patience=LAST_WORDS, signals=())
    complaint = _plain(said)
    if (out / "history.jsonl").exists():
        return ""
    why = DIED if child.returncode is None else f"the run's process ended with exit {child.returncode}"
    return complaint.rpartition("\n")[2] or why


def _plain(said: Path) -> str:
    """The last that a run printed, without credentials; a file that holds nothing is removed."""
    text = redact_text(said.read_text(errors="replace")) if said.exists() else ""
    if text.strip():
        said.write_text(text)
    else:
        said.unlink(missing_ok=True)
    return text.strip()[-LONGEST_COMPLAINT:]
