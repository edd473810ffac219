"""A load scenario as a child process, for whoever wants its history among other runs; imports no Locust.

The child is bounded: it gets users, time and a rate, ends by itself, and is ended if it does not.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness import locate
from harness.errors import HarnessError

ROOM: Final = "scenarios.load"
BEYOND: Final = 180.0  # start, drain, merge and judging, beside the load itself
LAST_WORDS: Final = 60.0
LOG: Final = "locust.txt"
CLIENT: Final = "locust"  # whose subscribers a load run has, as results name it


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much load: users, users started per second, seconds, events published per second (None: the default).

    `processes` workers of their own carry it, or (None) the locust process itself.
    """

    users: int = 20
    spawn_rate: float = 20.0
    seconds: int = 30
    rate: float | None = None
    processes: int | None = None


def launch(
    name: str, load: Load, *, out: Path, target: str | None = None, seed: int = 1,
    environ: Mapping[str, str] | None = None,
) -> Path:  # fmt: skip
    """Run the load scenario NAME (or a path) to its end and return its merged history, OUT/<scenario>/history.jsonl.

    What locust said is in OUT/locust.txt. Raises HarnessError if there is no history, and if locust is not installed.
    """
    file = demand(name)
    history = out / f"load_{file.stem}" / "history.jsonl"
    if history.exists():
        raise HarnessError(f"folder {out} holds a run already; give a new one")
    out.mkdir(parents=True, exist_ok=True)
    given = dict(os.environ if environ is None else environ)
    if target is not None:
        given["SSE_TARGET"] = target
    with (out / LOG).open("wb") as log:
        # A session of its own: Ctrl-C reaches the caller alone, which then ends the load in order.
        child = subprocess.Popen(
            command(file, load, out=out, seed=seed),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=given, start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(load.seconds + BEYOND)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _ended(child)
    if not history.exists():
        lines = (out / LOG).read_text("utf-8", "replace").strip().splitlines()
        last = next((line for line in reversed(lines) if line.startswith("sse-harness: ")), (lines or ["nothing"])[-1])
        raise HarnessError(f"locust left no history (exit {child.returncode}): {last.removeprefix('sse-harness: ')}")
    return history


def demand(name: str) -> Path:
    """The locustfile of a load scenario that can be run here. Raises HarnessError."""
    if importlib.util.find_spec("locust") is None:
        raise HarnessError("locust is not installed; install sse-harness with its extra `load`")
    return located(name)


def located(name: str) -> Path:
    """The locustfile that a NAME or a path means. Raises HarnessError."""
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise HarnessError(f"there is no locustfile {path}; check the path")
        return path
    known = locate.names(ROOM)
    if name not in known:
        raise HarnessError(f"there is no load scenario {name!r}; known: {', '.join(sorted(known))}")
    return known[name]


def command(file: Path, load: Load, *, out: Path, seed: int = 1) -> list[str]:
    """The command line of the child."""
    words = [
        sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary", "-u", str(load.users),
        "-r", f"{load.spawn_rate:g}", "-t", f"{load.seconds}s", "--sse-out", str(out), "--sse-seed", str(seed),
    ]  # fmt: skip
    if load.rate is not None:
        words += ["--sse-rate", f"{load.rate:g}"]
    if load.processes is not None:
        words += ["--processes", str(load.processes)]
    return words


def _ended(child: subprocess.Popen[bytes]) -> None:
    """End a child that still runs: SIGINT lets it finish its history, SIGKILL for it and its workers follows."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    try:
        child.wait(LAST_WORDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
