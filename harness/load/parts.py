"""Parts of the history on their way from workers to the master: what is sent, and the files that the master writes.

Theory.  A worker sends its lines with each report, in the order in which they were written, at most one part a time;
what is left at the end goes in parts of its own.  The master names the file, by the number of the worker; a part of
another run is old and dropped; a worker that sends more than LARGEST is cut off, and that is trouble.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from harness.load.recorder import Outbox

FIELD: Final = "sse_history"
LARGEST: Final = 2 << 30


def packed(run: str, outbox: Outbox) -> dict[str, Any]:
    """The next part of this process's history, as it travels."""
    return {"run": run, "text": outbox.take(), "dropped": outbox.dropped}


@dataclass(slots=True)
class Inbox:
    """The master's end: one file per worker under `folder`, of the run `run`."""

    folder: Path
    run: str
    limit: int = LARGEST
    files: dict[int, BinaryIO] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    troubles: dict[int, str] = field(default_factory=dict)
    closed: bool = False

    def take(self, worker: int, part: Mapping[str, Any]) -> None:
        """Append a part to the file of this worker."""
        if self.closed or part.get("run") != self.run:
            return
        if part.get("dropped"):
            self.troubles[worker] = f"worker {worker} had to drop {part['dropped']} records; use more workers"
        data = str(part["text"]).encode()
        self.sizes[worker] = self.sizes.get(worker, 0) + len(data)
        if self.sizes[worker] > self.limit:
            self.troubles[worker] = f"worker {worker} sent more than {self.limit} bytes of history; run it shorter"
            return
        if not data:
            return
        if worker not in self.files:
            self.files[worker] = (self.folder / f"load-{worker}.jsonl").open("ab")
        self.files[worker].write(data)

    def close(self) -> list[str]:
        """Close all files; what went wrong."""
        self.closed = True
        for file in self.files.values():
            file.close()
        return list(self.troubles.values())
