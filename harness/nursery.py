"""Where runs are born: a process that has loaded what every run needs, and forks one child for each job.

Loading is a fifth of the CPU time of a short run, so it is done once.  Orders come as lines of JSON on standard input:

    {"number": N, "job": {...}, "said": PATH}    fork a child for this job; what it prints goes to the file
    {"number": N, "signal": S}                   send that child a signal

and what happens is told in the same way on standard output: `{"number": N, "phase": P}`, at last `{"number": N,
"exit": CODE}`.  Each line is one write of less than PIPE_BUF bytes, so that all children may share the pipe.  When
standard input ends, whoever asked is gone: every child is told to stop, and the nursery ends when they have.

This process must stay one that can be forked: no thread, no event loop, no connection.
"""

import contextlib
import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

READ: Final = 65_536
LONGEST_PHASE: Final = 200
# What a run loads sooner or later, beside what `harness.run` does.
PRELOADED: Final = ("harness.clients.reference", "mock_server.settings", "requests", "toxiproxy.api")
Run = Callable[[Mapping[str, Any], Callable[[str], None]], int]


def serve(run: Run) -> None:
    """Carry out orders until standard input ends; `run(job, say)` is called in a child and returns its exit code."""
    children: dict[int, int] = {}
    waking, wake = os.pipe()
    for end in (waking, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    rest: bytes | None = b""
    while rest is not None or children:
        ready, _, _ = select.select([waking] if rest is None else [waking, 0], [], [])
        if waking in ready:
            os.read(waking, READ)
            for number, code in _ended(children):
                _tell(1, number=number, exit=code)
        if 0 in ready and rest is not None:
            if read := os.read(0, READ):
                *lines, rest = (rest + read).split(b"\n")
                for order in map(json.loads, lines):
                    _carry_out(order, children, run)
            else:
                rest = None
                for pid in children.values():
                    os.kill(pid, signal.SIGTERM)


def _carry_out(order: Mapping[str, Any], children: dict[int, int], run: Run) -> None:
    number = order["number"]
    if "signal" in order:
        if number in children:
            os.kill(children[number], order["signal"])
    elif pid := os.fork():
        children[number] = pid
    else:
        _live(order, run)


def _live(order: Mapping[str, Any], run: Run) -> None:
    """The life of a child, from its birth to the end of its process."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What a client under test prints must not be taken for what we tell.
        telling = os.dup(1)
        with Path(os.devnull).open("rb") as nothing, Path(order["said"]).open("ab") as said:
            os.dup2(nothing.fileno(), 0)
            for standard in (1, 2):
                os.dup2(said.fileno(), standard)
        code = run(order["job"], lambda phase: _tell(telling, number=order["number"], phase=phase[:LONGEST_PHASE]))
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _ended(children: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The children that have ended since, with their exit codes (negative: the signal)."""
    for number, pid in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            del children[number]
            yield number, os.waitstatus_to_exitcode(status)


def _tell(descriptor: int, **what: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, json.dumps(what).encode() + b"\n")


def main() -> None:
    from harness import run

    for name in PRELOADED:
        if find_spec(name.partition(".")[0]) is not None:
            import_module(name)
    # Behind everything that is installed: `package.module:attribute` may lie in the working directory.
    sys.path.append(str(Path.cwd()))
    # What is loaded stays: a collection in a child would write to, and so copy, every page of it.
    gc.freeze()
    serve(run.born)


if __name__ == "__main__":
    main()
