"""Does every alarm ring, and none without cause?

Every defect of `harness.defects` is run live, as a whole run with real sockets: its `must` checks have to FAIL, and
whatever else is FAIL or UNKNOWN outside its `may` is a false alarm.  The faults of `harness.wirecases` that break a
promise are planted like defects, several to a run; those that a good client gets over have to ring nothing.  Nor may
anything ring in a clean run of a scenario, or on a random clean history.  The result is kept for the digest of this
code, of Python and of the packages that decide a result; a sign-off asks for it.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from harness import checks, locate, simulate, wirecases
from harness.check import Outcome, Verdict, judge
from harness.defects import DEFECTS, STALLING, Defect
from harness.judgement import judged
from harness.pool import run_all
from harness.results import RunResult, SelfTest
from harness.run import Job, versions
from harness.scenario import AwaitOpen, Churn, ProbeAll, Step, Wait
from harness.wirecases import Packed, WireCase

AT_ONCE: Final = 22
# In seconds, on a machine that is busy with all these runs.
PER_PROBE, PER_CYCLE = 0.004, 0.05
AROUND = 20.0  # that a run waits for open streams before its steps and after them
ROOMS: Final = ("harness", "mock_server", "scenarios")
IDLE_PRIORITY: Final = 19
Say = Callable[[str], None]
Planted = Defect | Packed | WireCase


@dataclass(frozen=True, slots=True)
class Profile:
    """How much a selftest runs: seeds of each live run, clean runs of these scenarios (none: all), random histories."""

    name: str
    seeds: tuple[int, ...]
    clean: tuple[str, ...]
    histories: int


PROFILES: Final = {
    # The sign-off that asks for a quick one runs its scenarios clean anyway.
    "quick": Profile("quick", (1,), ("wire_allowed", "wire_broken"), 100),
    "full": Profile("full", (1, 2), (), 1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One live run of a selftest and what was wrong with its alarms."""

    run: RunResult
    defect: str = ""
    silent: tuple[str, ...] = ()
    false_alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a selftest found; `summary` is what a sign-off keeps."""

    summary: SelfTest
    trials: tuple[Trial, ...]
    histories: int
    alarms_on_histories: tuple[str, ...]
    clean_runs: int


def run_selftest(profile: str = "quick", *, out: Path | None = None, say: Say = lambda _: None) -> Report:
    """Run the matrix and store its summary; `say` hears a line per run."""
    checks.load()
    chosen, tested = PROFILES[profile], digest()
    with tempfile.TemporaryDirectory(prefix="sse-harness-selftest-") as folder:
        report = asyncio.run(_run(chosen, tested, Path(folder) if out is None else out, say))
    if tested == digest():  # code that was changed meanwhile has not been tested
        try:
            _store(report.summary)
        except (OSError, RuntimeError) as exc:
            say(f"the result cannot be kept ({exc}); set XDG_CACHE_HOME to a folder of yours")
    return report


async def _run(profile: Profile, tested: str, out: Path, say: Say) -> Report:
    clean: list[tuple[str, Planted | None]] = [(name, None) for name in profile.clean or locate.names("scenarios")]
    every: list[Planted] = [*DEFECTS, *wirecases.packed()]
    planted: list[tuple[str, Planted | None]] = [(one.scenario, one) for one in every]
    plan = [
        (_job(scenario, defect, seed, out), defect) for seed in profile.seeds for scenario, defect in (*planted, *clean)
    ]
    # The longest first: else the last of them runs alone.
    plan.sort(
        key=lambda one: _length(one[0].scenario, stalls=one[1] is not None and one[1].name in STALLING), reverse=True
    )
    trials: list[Trial] = []
    expected = sum(len(one.cases) if isinstance(one, Packed) else 1 for _, one in plan)

    def on_phase(job: Job, phase: str) -> None:
        if phase == "done":
            defect = next(one for job_, one in plan if job_ is job)
            told = trials_of(defect, _result(job))
            trials.extend(told)
            for one in told:
                say(_line(one, len(trials), expected))

    with ThreadPoolExecutor(1, initializer=_beside) as pool:
        histories = asyncio.get_running_loop().run_in_executor(pool, _on_histories, profile.histories)
        await run_all([job for job, _ in plan], at_once=AT_ONCE, on_phase=on_phase)
        alarms = await histories
    return _report(profile, tested, trials, alarms)


def _report(profile: Profile, tested: str, trials: list[Trial], alarms: tuple[str, ...]) -> Report:
    missed = sorted({f"{one.defect}: {name} did not ring" for one in trials for name in one.silent})
    planted = [one for one in trials if one.defect]
    false_alarms = sum(len(one.false_alarms) for one in trials) + len(alarms)
    summary = SelfTest(
        caught=sum(not one.silent for one in planted),
        planted=len(planted),
        false_alarms=false_alarms,
        profile=profile.name,
        digest=tested,
        missed=tuple(missed),
    )
    return Report(
        summary=summary, trials=tuple(trials), histories=profile.histories,
        alarms_on_histories=alarms, clean_runs=len(trials) - len(planted),
    )  # fmt: skip


def trials_of(planted: Planted | None, run: RunResult) -> list[Trial]:
    """A trial for each thing that was planted in a run; an alarm without cause belongs to the first of them."""
    if not isinstance(planted, Packed):
        return [trial(planted, run)]
    whole = trial(planted, run)
    return [
        replace(trial(case, run), false_alarms=whole.false_alarms if number == 0 else ())
        for number, case in enumerate(planted.cases)
    ]


def trial(defect: Planted | None, run: RunResult) -> Trial:
    """What a run's verdicts mean: which alarms stayed silent, and which rang without cause."""
    failed = {one.check for one in run.verdicts if one.outcome is Outcome.FAIL}
    raised = {f"{one.check} {one.outcome.name}: {one.actual}" for one in run.verdicts if _rings(one, defect)}
    if not run.verdicts:
        raised |= {f"no verdicts: {run.reason}"}
    silent = () if defect is None else tuple(sorted(set(defect.must) - failed))
    return Trial(run=run, defect=defect.name if defect else "", silent=silent, false_alarms=tuple(sorted(raised)))


def _rings(verdict: Verdict, defect: Planted | None) -> bool:
    """Whether this verdict is an alarm that the defect does not account for."""
    if verdict.outcome in (Outcome.SKIP, Outcome.PASS):
        return False
    return defect is None or verdict.check not in {*defect.must, *defect.may}


def _beside() -> None:
    """Let this thread run where nothing else wants to: the live runs must not be late because of it."""
    # Each thread has a priority of its own on Linux; elsewhere it would be that of the whole process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), IDLE_PRIORITY)


def _on_histories(count: int) -> tuple[str, ...]:
    """False alarms on random clean histories, each with the seed that replays it."""
    alarms = []
    for seed in range(count):
        for verdict in judge(simulate.clean(random.Random(seed))):
            if _rings(verdict, None):
                alarms.append(
                    f"simulate.clean(Random({seed})): {verdict.check} {verdict.outcome.name}: {verdict.actual}"
                )
    return tuple(alarms)


def _length(scenario: str, *, stalls: bool) -> float:
    """About how many seconds the steps of a scenario take; `stalls`: each wait for open streams lasts to its limit."""
    steps = locate.load("scenarios", scenario).scenario.steps
    return sum(_seconds(step, stalls=stalls) for step in steps) + (AROUND if stalls else 0.0)


def _seconds(step: Step, *, stalls: bool) -> float:
    match step:
        case Wait():
            return step.seconds + step.beats
        case AwaitOpen() if stalls:
            return step.seconds + step.beats
        case ProbeAll():
            return PER_PROBE * step.users * (1 + step.repeat)
        case Churn():
            return PER_CYCLE * step.cycles
        case _:
            return 0.5


def _job(scenario: str, defect: Planted | None, seed: int, out: Path) -> Job:
    label = f"{'clean' if defect is None else defect.name.partition(':')[0]}-{scenario}-{seed}"
    own: dict[str, Any] = {}
    match defect:
        case Defect(subject="server"):
            own = {"defects": (defect.name,), "settings": defect.settings, "users": defect.users}
        case Defect(subject="client"):
            own = {
                "client": f"harness.clients.faulty:{defect.attribute}",
                "settings": defect.settings,
                "users": defect.users,
            }
        case Packed():
            own = {"settings": defect.settings, "users": defect.users}
        case _:
            pass
    return Job(scenario=scenario, out=str(out / label), seed=seed, **own)


def _result(job: Job) -> RunResult:
    path = Path(job.out) / "history.jsonl"
    if not path.exists():
        return RunResult(
            scenario=job.scenario, target="mock", client=job.client, outcome=Outcome.UNKNOWN,
            history="", reason="its process left no history",
        )  # fmt: skip
    return judged(path)


def _line(one: Trial, number: int, total: int) -> str:
    what = one.defect or "clean run"
    bad = [f"SILENT {name}" for name in one.silent] + [f"FALSE ALARM {text}" for text in one.false_alarms]
    return f"[{number}/{total}] {what} on {one.run.scenario}: {'; '.join(bad) or 'as it has to be'}"


def plants(profile: str) -> int:
    """How much a selftest of this profile plants."""
    return len(PROFILES[profile].seeds) * (len(DEFECTS) + len(wirecases.of("alarm")))


def digest() -> str:
    """Names this code, this Python and these packages: sixteen hex digits."""
    sums = hashlib.sha256(json.dumps(versions(), sort_keys=True).encode())
    for path in _sources():
        sums.update(path.name.encode() + b"\0" + path.read_bytes())
    return sums.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    root = Path(__file__).parent.parent
    return sorted(path for room in ROOMS for path in (root / room).rglob("*.py"))


def stored() -> SelfTest | None:
    """The result kept for exactly this code and these versions, if there is one; what a file says itself counts."""
    try:
        plain = json.loads(_store_path().read_text())
        kept = SelfTest(**{**plain, "missed": tuple(plain["missed"])})
    except (OSError, ValueError, TypeError, KeyError, RuntimeError):
        return None
    counts = (kept.caught, kept.planted, kept.false_alarms)
    sane = all(type(count) is int for count in counts) and kept.profile in list(PROFILES)
    return kept if sane and kept.planted == plants(kept.profile) and kept.digest == digest() else None


def _store(summary: SelfTest) -> None:
    path = _store_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(summary)))


def _store_path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "sse-harness" / f"selftest-{digest()}.json"
