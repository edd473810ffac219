"""How a command shows that it works: a bar on a terminal, plain lines anywhere else; always on standard error."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.run import Job


class Watch(Protocol):
    """Who hears how the runs go on."""

    def phase(self, job: Job, phase: str) -> None: ...
    def say(self, line: str) -> None: ...


class Lines:
    """A plain line where a run begins and where it is done."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0

    def phase(self, job: Job, phase: str) -> None:
        self._done += phase == "done"
        if phase in ("start", "done"):
            self.say(f"[{self._done}/{self._total}] {Path(job.out).name}: {phase}")

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class Bar:
    """A bar over all runs, and beside it what runs now and in which phase."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("runs", total=total, now="")
        self._now: dict[str, str] = {}

    def phase(self, job: Job, phase: str) -> None:
        name = Path(job.out).name
        if phase == "done":
            self._now.pop(name, None)
            self._progress.advance(self._task)
        else:
            self._now[name] = phase
        now = ", ".join(f"{one} {at}" for one, at in self._now.items())
        self._progress.update(self._task, now=now)

    def say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watching(total: int, console: Console | None = None) -> Iterator[Watch]:
    """Show the progress of so many runs until the block is left."""
    console = Console(stderr=True) if console is None else console
    if not console.is_terminal:
        yield Lines(console, total)
        return
    columns: Sequence[BarColumn | MofNCompleteColumn | TextColumn | TimeElapsedColumn] = (
        BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[now]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, total)
