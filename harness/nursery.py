"""Where programs are born: a process that has loaded what they need, and forks one child for each that is ordered.

Loading is two fifths of the CPU time of a short run, its mock and its proxy, so it is done once; so is reading the
certificates that its clients trust.  Orders come over lines (`harness.children` says how); the first of them is
standard input, and a child that starts programs itself gets one of its own.  When a line ends, whoever asked over it is
gone: its children are told to stop.  The nursery ends when every line and every child has.

This process must stay one that can be forked: no thread, no event loop.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from harness import tls
from harness.children import READ, Line

STANDARD: Final = 3  # descriptors that come with an order
LINE: Final = 3  # the descriptor of a child's own line
CANNOT_FORK: Final = 71  # EX_OSERR
PROGRAMS: Final = ("harness.run", "mock_server.__main__", "mock_server.worker", "harness.proxy.__main__")
# What they, and the packages below them, load only later; each is optional.
PRELOADED: Final = (
    "harness.clients.reference", "httpcore", "anyio._backends._asyncio", "uvicorn.lifespan.off", "requests",
    "toxiproxy.api", "uvloop",
)  # fmt: skip


@dataclass(slots=True, eq=False)
class Party:
    """Somebody who orders: the nursery's end of a line, what was read of it, and the children by their number."""

    connection: socket.socket
    read: bytes = b""
    descriptors: list[int] = field(default_factory=list)
    children: dict[int, int] = field(default_factory=dict)
    gone: bool = False


def serve(first: socket.socket) -> None:
    """Carry out orders until every line has ended, and every child."""
    waking, wake = os.pipe()
    for end in (waking, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    parties = [Party(first)]
    while parties:
        lines = {one.connection.fileno(): one for one in parties if not one.gone}
        ready, _, _ = select.select([waking, *lines], [], [])
        if waking in ready:
            os.read(waking, READ)
            _reap(parties)
        for descriptor in ready:
            if descriptor != waking:
                _hear(lines[descriptor], parties)
        parties = [one for one in parties if not one.gone or one.children]


def _hear(party: Party, parties: list[Party]) -> None:
    """Carry out what a party orders; when it is gone, its children are told to stop."""
    try:
        read, descriptors, _, _ = socket.recv_fds(party.connection, READ, STANDARD)
    except ConnectionError:
        read, descriptors = b"", []
    party.descriptors += descriptors
    *orders, party.read = (party.read + read).split(b"\n")
    for order in map(json.loads, orders):
        if "signal" not in order:
            _fork(order, party, parties)
        elif order["number"] in party.children:
            os.kill(party.children[order["number"]], order["signal"])
    if not read:
        party.gone = True
        party.connection.close()
        for pid in party.children.values():
            os.kill(pid, signal.SIGTERM)


def _fork(order: Mapping[str, Any], party: Party, parties: list[Party]) -> None:
    standard, party.descriptors = party.descriptors[:STANDARD], party.descriptors[STANDARD:]
    ours, theirs = socket.socketpair() if order["line"] else (None, None)
    try:
        pid = os.fork()
    except OSError as exc:
        os.write(standard[2], f"no process can be forked ({exc.strerror})\n".encode())
        _tell(party, number=order["number"], exit=CANNOT_FORK)
        pid = None
    if pid == 0:
        _live(order, standard, theirs)
    for descriptor in standard:
        os.close(descriptor)
    if theirs is not None:
        theirs.close()
    if pid is not None:
        party.children[order["number"]] = pid
        if ours is not None:
            parties.append(Party(ours))


def _live(order: Mapping[str, Any], standard: list[int], line: socket.socket | None) -> NoReturn:
    """The life of a child, from its birth to the end of its process."""
    code: Any = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(standard if line is None else [*standard, line.fileno()]):
            os.dup2(descriptor, number, inheritable=number < LINE)
        # What else is open belongs to the nursery; its objects stay referenced, so that none closes a number of ours.
        os.closerange(LINE if line is None else LINE + 1, os.sysconf("SC_OPEN_MAX"))
        os.environ.update(order["environment"])
        sys.argv = [order["module"], *order["arguments"]]
        main = _main_of(order["module"])
        code = main() if line is None else main(Line(socket.socket(fileno=LINE)).start)
    except SystemExit as exc:
        code = exc.code
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _main_of(name: str) -> Callable[..., Any]:
    """The `main` of a module, or of a package's `__main__`."""
    module = import_module(name)
    if hasattr(module, "__path__"):
        module = import_module(f"{name}.__main__")
    main: Callable[..., Any] = module.main
    return main


def _reap(parties: list[Party]) -> None:
    """Tell each party of its children that have ended since."""
    for party in parties:
        for number, pid in list(party.children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del party.children[number]
                _tell(party, number=number, exit=os.waitstatus_to_exitcode(status))


def _tell(party: Party, **what: Any) -> None:
    if not party.gone:
        with contextlib.suppress(ConnectionError):
            party.connection.sendall(json.dumps(what).encode() + b"\n")


def main() -> None:
    for name in PROGRAMS:
        import_module(name)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            import_module(name)
    tls.context()
    # Behind everything that is installed: `package.module:attribute` may lie in the working directory.
    sys.path.append(str(Path.cwd()))
    # What is loaded stays: a collection in a child would write to, and so copy, every page of it.
    gc.freeze()
    serve(socket.socket(fileno=os.dup(0)))


if __name__ == "__main__":
    main()
