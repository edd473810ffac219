"""Many runs of one command: planned, tried for what the user can mend, recorded, judged.

Ctrl-C (or SIGTERM) while runs are recorded: every child is told to stop and saves what it knows, and what is known
is judged.  A second Ctrl-C ends the command and its children at once.
"""

import asyncio
import importlib.util
import os
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from harness import checks, locate
from harness.check import Outcome
from harness.config import Config
from harness.errors import HarnessError
from harness.judgement import judged
from harness.live.verdicts import expanded
from harness.pool import OnPhase, kill_all, run_all
from harness.results import RunResult
from harness.run import Job, Plan, resolve
from harness.scenario import name_of

_OF_RUNS: Final = ("history.jsonl", "parts", "*/history.jsonl", "*/parts")
INTERRUPTED: Final = "the command was interrupted before this run had saved anything"


@dataclass(frozen=True, slots=True)
class Batch:
    """What several runs came to; `interrupted` says that the user stopped them."""

    runs: tuple[RunResult, ...]
    interrupted: bool = False


def jobs_of(
    names: Iterable[str], config: Config, *, out: Path, seeds: Sequence[int] = (1,), defects: Sequence[str] = ()
) -> tuple[Job, ...]:
    """One job per scenario and seed, each with a folder of its own under `out`. Raises HarnessError."""
    folders = {room: config.folders[room] for room in ("scenarios", "clients")}
    jobs = tuple(
        Job(
            scenario=name, out=str(out / _folder_of(name, seed, seeds)), client=config.client, target=config.target,
            seed=seed, defects=tuple(defects), folders=folders,
        )
        for name in dict.fromkeys(names)
        for seed in seeds
    )  # fmt: skip
    seen: dict[str, str] = {}
    for job in jobs:
        if job.out in seen:
            raise HarnessError(
                f"{seen[job.out]} and {job.scenario} would share the folder {job.out}; run them one by one"
            )
        seen[job.out] = job.scenario
    return jobs


def probing(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """The same jobs, but those whose scenario needs the mock run against it: there the mock is the probe and the client
    is judged, whatever server the others judge."""
    return tuple(replace(job, target=None) if "mock" in resolve(job).scenario.needs else job for job in jobs)


def _folder_of(name: str, seed: int, seeds: Sequence[int]) -> str:
    return name_of(name) if len(seeds) == 1 else f"{name_of(name)}-{seed}"


def resolved(jobs: Sequence[Job]) -> tuple[Plan, ...]:
    """The plan of every job: whatever it and its scenario name exists and can be loaded. Raises HarnessError.

    Checks of the user's own have been loaded before.
    """
    if jobs and jobs[0].target is not None and (named := [name for job in jobs for name in job.defects]):
        raise HarnessError(f"defect {named[0]} is a switch of the mock; leave out --defect or --target")
    checks.load()
    plans = tuple(resolve(job) for job in jobs)
    for plan in plans:
        expanded(name_of(plan.job.scenario), plan.scenario.checks)
    return plans


def is_own(plan: Plan) -> bool:
    """Whether target and client are both the harness's own."""
    return plan.target is None and plan.own_client


def new_folder(config: Config, *, now: float, records: bool = True) -> Path:
    """A folder for results: the one of --out, or a new one. Raises HarnessError if it holds results already, or runs.

    Not `records`: the runs are there, and only what is judged of them is new.
    """
    folder = _by_time(config.results, now) if config.out is None else config.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise HarnessError(
            f"folder {folder} cannot be written ({exc.strerror or exc}); give another one with --out"
        ) from exc
    if any(next(folder.glob(one), None) for one in ("verdicts.json", *(_OF_RUNS if records else ()))):
        raise HarnessError(f"folder {folder} holds a run already; give a new one with --out")
    return folder


def _by_time(results: Path, now: float) -> Path:
    name = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(now))
    folder, number = results / name, 1
    while folder.exists():
        number += 1
        folder = results / f"{name}-{number}"
    return folder


def try_network() -> None:
    """Start and stop the proxy where it is not the embedded one. Raises HarnessError, also if none can be driven."""
    from harness.proxy.control import chosen, start_network

    if importlib.util.find_spec("toxiproxy") is None:
        raise HarnessError("toxiproxy-python is missing; pip install 'sse-harness[toxiproxy]'")
    if chosen(os.environ) == "embedded":
        return

    async def attempt() -> None:
        with tempfile.TemporaryDirectory(prefix="sse-harness-") as folder:
            network = await start_network(history=Path(folder) / "network.jsonl")
            await network.stop()

    asyncio.run(attempt())


def load_checks(config: Config) -> None:
    """Load all checks: ours and those of the user's folders. Raises HarnessError."""
    checks.load()
    for folder in config.paths("checks"):
        own = {name: path for name, path in locate.names("harness.checks", [folder]).items() if path.parent == folder}
        for path in own.values():
            locate.load("harness.checks", str(path))


def recorded(jobs: Sequence[Job], *, at_once: int, on_phase: OnPhase) -> tuple[Mapping[str, str], bool]:
    """Record all jobs; why a job left no history, by its folder, and whether the user interrupted."""
    return asyncio.run(_interruptible(jobs, at_once, on_phase))


async def _interruptible(jobs: Sequence[Job], at_once: int, on_phase: OnPhase) -> tuple[Mapping[str, str], bool]:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(run_all(jobs, at_once=at_once, on_phase=on_phase), name="runs")
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts == 1:
            work.cancel()
        else:
            kill_all()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await work, False
    except asyncio.CancelledError:
        if not interrupts:
            raise
        if interrupts > 1:
            raise KeyboardInterrupt from None
        return {}, True
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def batch(jobs: Sequence[Job], *, at_once: int, on_phase: OnPhase, out: Path) -> Batch:
    """Record the jobs and judge each from its history; histories are named as seen from `out`."""
    complaints, interrupted = recorded(jobs, at_once=at_once, on_phase=on_phase)
    because = INTERRUPTED if interrupted else "its process left no history"
    runs = tuple(result_of(job, complaints.get(job.out) or because, out) for job in jobs)
    return Batch(runs, interrupted)


def result_of(job: Job, complaint: str, out: Path) -> RunResult:
    """The result of one job; UNKNOWN with the complaint where its process left no history."""
    path = Path(job.out) / "history.jsonl"
    if path.exists():
        try:
            return replace(judged(path), history=_seen_from(out, path))
        except HarnessError as exc:
            complaint = str(exc)
    target = "mock" if job.target is None else Path(job.target).stem
    return RunResult(
        scenario=name_of(job.scenario), target=target, client=job.client, outcome=Outcome.UNKNOWN,
        history="", seed=job.seed, reason=complaint,
    )  # fmt: skip


def saved(run: Path) -> tuple[RunResult, ...]:
    """Judge what is saved: a history.jsonl, the folder of one run, or every run below a folder.

    Among several a run is UNKNOWN that left no history or a broken one. Raises HarnessError if that is all there is.
    """
    if run.is_file():
        return (judged(run),)
    if not run.is_dir():
        raise HarnessError(f"there is no run {run}; give the folder of a run or its history.jsonl")
    if (single := run / "history.jsonl").exists():
        return (replace(judged(single), history=single.name),)
    # Where a process ended before it had merged what it recorded there are only parts.
    folders = sorted({one.parent for name in ("history.jsonl", "parts") for one in run.rglob(name)})
    if not folders:
        raise HarnessError(f"folder {run} holds no history.jsonl; give the folder of a run")
    return tuple(_saved_in(folder, run) for folder in folders)


def _saved_in(folder: Path, out: Path) -> RunResult:
    path = folder / "history.jsonl"
    complaint = f"its process left no history, only {_seen_from(out, folder / 'parts')}"
    if path.exists():
        try:
            return replace(judged(path), history=_seen_from(out, path))
        except HarnessError as exc:
            complaint = str(exc)
    return RunResult(
        scenario=folder.resolve().name, target="?", client="?", outcome=Outcome.UNKNOWN, history="", reason=complaint
    )


def _seen_from(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def policy_of(plans: Sequence[Plan]) -> str:
    """The name of the client's policy, as its options have it."""
    names: dict[str, Any] = dict.fromkeys(str(plan.options.get("policy", "")) for plan in plans)
    return ", ".join(name for name in names if name)
