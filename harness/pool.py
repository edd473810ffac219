"""Many runs at a time, each in a process of its own, so that no run's load, leak or crash is another's.

The processes are forked by a nursery (`harness.nursery`), which tells their phases; each leaves OUT/history.jsonl.
One that leaves none has failed for a reason of ours, and its run is UNKNOWN.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from harness.history import redact_text
from harness.run import Job

LAST_WORDS: Final = 30.0
LONGEST_RUN: Final = 900.0  # seconds; a run ends itself long before, unless its client blocks the whole process
LONGEST_COMPLAINT: Final = 2000
NURSERY: Final = "harness.nursery"
OnPhase = Callable[[Job, str], None]


async def run_all(jobs: Sequence[Job], *, at_once: int, on_phase: OnPhase) -> dict[str, str]:
    """Run every job, `at_once` of them at a time; returns by `out` folder why a job left no history ("" if it did).

    `on_phase` hears each phase, and "done" at last. When the caller is cancelled the children are told to stop, and
    write what they know before it returns.
    """
    free = asyncio.Semaphore(at_once)
    complaints: dict[str, str] = {}

    async with _nursery() as nursery:

        async def one(job: Job) -> None:
            async with free:
                complaints[job.out] = await _child(job, nursery, on_phase)
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


async def _child(job: Job, nursery: "_Nursery", on_phase: OnPhase) -> str:
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)
    said = out / "stderr.txt"
    try:
        async with asyncio.timeout(LONGEST_RUN):
            code = await nursery.run(asdict(job), said, lambda phase: on_phase(job, phase))
    except TimeoutError:
        return f"the run did not end within {LONGEST_RUN:.0f} s: its client blocks the process"
    complaint = _plain(said)
    if (out / "history.jsonl").exists():
        return ""
    why = "the process that forks the runs died" if code is None else f"the run's process ended with exit {code}"
    return complaint.rpartition("\n")[2] or why


def _plain(said: Path) -> str:
    """The last that a run printed, without credentials; a file that holds nothing is removed."""
    text = redact_text(said.read_text(errors="replace")) if said.exists() else ""
    if text.strip():
        said.write_text(text)
    else:
        said.unlink(missing_ok=True)
    return text.strip()[-LONGEST_COMPLAINT:]


@dataclass(slots=True)
class _Nursery:
    """Our end of a nursery: the runs that it holds, and what each has been told but not heard yet."""

    process: asyncio.subprocess.Process
    told: dict[int, asyncio.Queue[dict[str, Any]]] = field(default_factory=dict)
    numbers: int = 0
    gone: bool = False

    async def run(self, job: dict[str, Any], said: Path, on_phase: Callable[[str], None]) -> int | None:
        """Run one job to its end; its exit code, None if the nursery died. Cancelled, it waits for the child's end."""
        self.numbers += 1
        number, heard = self.numbers, asyncio.Queue[dict[str, Any]]()
        self.told[number] = heard
        if self.gone:
            return None
        self._order(number=number, job=job, said=str(said))
        try:
            return await self._ended(heard, on_phase)
        except asyncio.CancelledError:
            for last in (signal.SIGTERM, signal.SIGKILL):
                self._order(number=number, signal=last)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended(heard, on_phase), LAST_WORDS)
                    break
            raise

    async def listen(self) -> None:
        """Hand on what the nursery tells, until it ends."""
        assert self.process.stdout is not None  # noqa: S101 - asked for with PIPE
        async for line in self.process.stdout:
            told = json.loads(line)
            self.told[told["number"]].put_nowait(told)
        self.gone = True
        for heard in self.told.values():
            heard.put_nowait({"exit": None})

    @staticmethod
    async def _ended(heard: asyncio.Queue[dict[str, Any]], on_phase: Callable[[str], None]) -> int | None:
        while "exit" not in (told := await heard.get()):
            on_phase(told["phase"])
        code: int | None = told["exit"]
        return code

    def _order(self, **what: Any) -> None:
        assert self.process.stdin is not None  # noqa: S101 - asked for with PIPE
        self.process.stdin.write(json.dumps(what).encode() + b"\n")


@contextlib.asynccontextmanager
async def _nursery() -> AsyncIterator[_Nursery]:
    # A session of its own: Ctrl-C reaches us alone, and we let each run finish its history.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", NURSERY, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    nursery = _Nursery(process)
    listening = asyncio.create_task(nursery.listen(), name="nursery")
    try:
        yield nursery
    finally:
        assert process.stdin is not None  # noqa: S101 - asked for above
        process.stdin.close()
        await listening
        await process.wait()
