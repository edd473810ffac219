"""What a locust run is about, resolved before anything starts: scenario, target, promises, options, folder."""

import contextlib
import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from harness.config import load_config
from harness.errors import HarnessError
from harness.load import launch
from harness.locate import sentence
from harness.policy import HIGHEST_RATE, LONGEST, MOST_USERS
from harness.scenario import FAST_CLIENT
from harness.subscriber import CAPABILITIES
from harness.target import Promises, Target, load_target

TARGET: Final = "SSE_TARGET"
DEADLINE_BEATS: Final = 2.5
DEFAULT_SECONDS: Final = 60.0
SERVER: Final[Mapping[str, Any]] = {"heartbeat": 5.0, "retry_ms": 500, "history_events": False}
CLIENT: Final[Mapping[str, Any]] = {**FAST_CLIENT, "reconnection_time": 0.5}
PACKAGES: Final = ("sse-harness", "locust", "gevent", "h11", "starlette", "uvicorn", "uvloop", "httptools")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A load scenario with everything that it names loaded; `target_file` None means the mock with `settings`.

    out: the folder for the results, None where each run makes one in `results`.
    """

    scenario: str
    question: str
    checks: tuple[str, ...]
    rate: float
    seed: int
    target_file: str | None
    target: Target | None
    promises: Promises
    settings: Mapping[str, Any]
    client: Mapping[str, Any]
    out: Path | None
    results: Path

    @property
    def options(self) -> dict[str, Any]:
        """Of each subscriber."""
        beat = self.promises.heartbeat
        deadline = {} if beat is None else {"heartbeat_deadline": DEADLINE_BEATS * beat}
        return {**deadline, **self.client}

    @property
    def most_users(self) -> int:
        """How many users this target can have: the cap, and as many streams as the listed tokens allow."""
        known = 0 if self.target is None else len(self.target.tokens.known)
        limit = self.promises.limit_per_user
        return min(MOST_USERS, known * limit) if known and limit else MOST_USERS

    @property
    def capabilities(self) -> frozenset[str]:
        if self.target is not None:
            return self.target.capabilities
        from harness.servers import MockServer

        return MockServer.offers

    def header(self, *, users: int, processes: int) -> dict[str, Any]:
        """Everything a check may ask, for the first record of the history."""
        return {
            "scenario": self.scenario,
            "question": self.question,
            "checks": list(self.checks),
            "skipped": None,
            "seed": self.seed,
            "target": {"name": "mock" if self.target is None else self.target.name, "own": self.target is None},
            "promises": self.promises.as_dict(),
            "capabilities": sorted(self.capabilities),
            "client": {
                "name": launch.CLIENT, "own": True, "capabilities": sorted(CAPABILITIES["resilient"]),
                "options": self.options,
            },
            "users": users,
            "load": {"users": users, "rate": self.rate, "processes": processes},
            "versions": versions(),
        }  # fmt: skip


def plan_of(
    file: Path, checks: tuple[str, ...], *, rate: float, seed: int, settings: str, out: str | None,
    environ: Mapping[str, str], folder: Path,
) -> Plan:  # fmt: skip
    """The plan of a locustfile. Raises HarnessError for whatever the user has to mend."""
    from mock_server.settings import load_settings, promises

    if not 0 < rate <= HIGHEST_RATE:
        raise HarnessError(f"--sse-rate is {rate:g}; give events per second above 0 and at most {HIGHEST_RATE:g}")
    config = load_config({"target": environ.get(TARGET), "out": out or None}, environ=environ, folder=folder)
    target = None if config.target is None else load_target(Path(config.target))
    if target is not None and "publish" not in target.capabilities:
        raise HarnessError(f"target {target.name} has no hook `publish`; add one under [hooks] of {config.target}")
    server = {**SERVER, **_settings(settings)}
    return Plan(
        scenario=f"load_{file.stem}", question=sentence(file), checks=checks, rate=rate, seed=seed,
        target_file=config.target, target=target,
        promises=promises(load_settings(server)) if target is None else target.promises,
        settings=server, client=CLIENT, out=config.out, results=config.results,
    )  # fmt: skip


def _settings(text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text or "{}")
    except ValueError as exc:
        raise HarnessError(f"--sse-mock-settings is no JSON ({exc}); mend it") from exc
    if not isinstance(plain, dict):
        raise HarnessError("--sse-mock-settings is no JSON object; give one")
    return plain


def new_folder(plan: Plan, number: int, *, now: float) -> Path:
    """A folder for the `number`-th run of this process, made new: the chosen one (then NAME-2 ...), or one by time.

    Raises HarnessError if it holds a run already or cannot be written.
    """
    if plan.out is None:
        folder = base = plan.results / time.strftime("%Y-%m-%d-%H%M%S", time.localtime(now))
        again = 1
        while folder.exists():
            again += 1
            folder = base.with_name(f"{base.name}-{again}")
    else:
        folder = plan.out if number == 1 else plan.out.with_name(f"{plan.out.name}-{number}")
    if (folder / "verdicts.json").exists() or next(folder.glob("*/*.jsonl"), None):
        raise HarnessError(f"folder {folder} holds a run already; give a new one with --sse-out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise HarnessError(f"folder {folder} cannot be written ({exc.strerror}); give another with --sse-out") from exc
    return folder


def run_time(given: float | None) -> float:
    """The seconds of a run: what was given, within bounds."""
    return min(float(given or DEFAULT_SECONDS), LONGEST)


def versions() -> dict[str, str]:
    """Versions of whatever decides a result of a load run."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
