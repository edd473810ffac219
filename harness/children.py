"""Child processes that run a program of ours: a module with a `main()`, its arguments in `sys.argv`.

There are two ways to start one, behind one interface (`Start`): `executed` runs `python -m MODULE`; a `Line` asks a
nursery (`harness.nursery`), which has loaded what the programs need and only forks.  Both speak with the child through
its standard input and output.  A program that starts programs itself takes `main(start)`: whoever was forked gets a
line of its own to the same nursery.

A line is a stream socket with a line of JSON per message: `{"number": N, "module": ..., "arguments": [...],
"environment": {...}, "line": BOOL}` starts a child, together with the descriptors of its standard input, output and
error; `{"number": N, "signal": S}` is for that child; `{"number": N, "exit": CODE}` comes back when it has ended.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

READ: Final = 65_536
LONGEST_LINE: Final = 65_536
NURSERY: Final = "harness.nursery"


class Child(Protocol):
    """What is needed of a child; asyncio's own Process is one."""

    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...


class Start(Protocol):
    """Starts the program `module`. `more` is added to the environment; `line`: the program starts others itself.

    `stderr` is a descriptor; `longest` bounds a line of its standard output, in bytes. Raises OSError.
    """

    async def __call__(
        self, module: str, *arguments: str, more: Mapping[str, str] | None = None, line: bool = False,
        stderr: int = 2, longest: int = LONGEST_LINE,
    ) -> Child: ...  # fmt: skip


async def executed(
    module: str, *arguments: str, more: Mapping[str, str] | None = None, line: bool = False,
    stderr: int = 2, longest: int = LONGEST_LINE,
) -> Child:  # fmt: skip
    """Start a program with an interpreter of its own."""
    # A session of its own: Ctrl-C is for whoever started it, who then ends it in order.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", module, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=stderr, env={**os.environ, **(more or {})}, limit=longest, start_new_session=True,
    )  # fmt: skip


async def end(child: Child, *, patience: float = 3.0, signals: tuple[int, ...] = (signal.SIGTERM,)) -> None:
    """End a child: its standard input closes, then it gets each of these signals and at last SIGKILL.

    Between two of them it has `patience` seconds.
    """
    if child.stdin is not None:
        child.stdin.close()
    for number in (None, *signals, signal.SIGKILL):
        if child.returncode is not None:
            break
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await child.wait()
                break
    # The transport of a child's standard output keeps a descriptor until it is read to its end.
    if child.stdout is not None:
        await child.stdout.read()


async def fate(child: Child) -> str:
    """How a child ended, when it has."""
    code = await child.wait()
    return "nobody can tell how: its nursery died" if code is None else f"exit {code}"


class Forked:
    """A child that a nursery has forked. `returncode` is None while it runs, and for ever if the nursery dies."""

    def __init__(self, line: "Line", number: int, output: int, stdin: asyncio.StreamWriter, longest: int) -> None:
        self.stdin = stdin
        self.stdout = asyncio.StreamReader(limit=longest)
        self.returncode: int | None = None
        self._line = line
        self._number = number
        self._output = output
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(output, False)
        self._loop.add_reader(output, self._read)

    async def wait(self) -> int | None:
        """Its exit code (negative: the signal) when it has ended; None if the nursery died."""
        await self._over.wait()
        return self.returncode

    def send_signal(self, number: int, /) -> None:
        self._line.order(number=self._number, signal=number)

    def ended(self, code: int | None) -> None:
        """It has ended: what it has said until now is all, also if somebody else still holds its output."""
        self.returncode = code
        while self._output >= 0 and self._read():
            pass
        self._close()
        self.stdin.close()
        self._over.set()

    def _read(self) -> bool:
        """Take over what there is to read; whether there can be more."""
        try:
            read = os.read(self._output, READ)
        except BlockingIOError:
            return False
        if read:
            self.stdout.feed_data(read)
        else:
            self._close()
        return bool(read)

    def _close(self) -> None:
        if self._output >= 0:
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._output = -1
            self.stdout.feed_eof()


class Line:
    """Our end of a line to a nursery; closing it tells every child of ours to stop."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._children: dict[int, Forked] = {}
        self._started = 0
        self._heard: bytes | None = b""
        self._listening: asyncio.AbstractEventLoop | None = None

    async def start(
        self, module: str, *arguments: str, more: Mapping[str, str] | None = None, line: bool = False,
        stderr: int = 2, longest: int = LONGEST_LINE,
    ) -> Child:  # fmt: skip
        """Have a program forked (`Start`)."""
        loop = asyncio.get_running_loop()
        if self._listening is None:
            loop.add_reader(self._connection, self._read)
            self._listening = loop
        self._started += 1
        number = self._started
        its_input, our_end = os.pipe()
        output, its_output = os.pipe()
        try:
            # It can have ended before we come to listen again, so whoever hears of that has to be there first.
            child = Forked(self, number, output, await _writer(our_end), longest)
            self._children[number] = child
            self.order(
                number=number, module=module, arguments=arguments, environment=dict(more or {}), line=line,
                descriptors=(its_input, its_output, stderr),
            )  # fmt: skip
        finally:
            os.close(its_input)
            os.close(its_output)
        if self._heard is None:
            child.ended(None)
        return child

    def order(self, *, descriptors: tuple[int, ...] = (), **what: Any) -> None:
        """Send one order; a nursery that is gone hears nothing."""
        data = json.dumps(what).encode() + b"\n"
        with contextlib.suppress(ConnectionError):
            sent = socket.send_fds(self._connection, [data], list(descriptors)) if descriptors else 0
            self._connection.sendall(data[sent:])

    def close(self) -> None:
        if self._listening is not None and not self._listening.is_closed():
            self._listening.remove_reader(self._connection)
        self._connection.close()

    def _read(self) -> None:
        assert self._heard is not None  # noqa: S101 - we stop reading at the end
        try:
            read = self._connection.recv(READ, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            read = b""
        if not read:
            self._lost()
            return
        *lines, self._heard = (self._heard + read).split(b"\n")
        for told in map(json.loads, lines):
            self._children.pop(told["number"]).ended(told["exit"])

    def _lost(self) -> None:
        """The nursery is gone, and with it whoever could tell how our children end."""
        self._heard = None
        if self._listening is not None:
            self._listening.remove_reader(self._connection)
        for child in self._children.values():
            child.ended(None)
        self._children.clear()


@asynccontextmanager
async def nursery() -> AsyncIterator[Line]:
    """A line to a new nursery, which ends with it."""
    ours, theirs = socket.socketpair()
    with theirs:
        # A session of its own: Ctrl-C reaches us alone, and we let each child finish what it has to.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", NURSERY, stdin=theirs.fileno(), start_new_session=True
        )
    line = Line(ours)
    try:
        yield line
    finally:
        line.close()
        await process.wait()


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(descriptor, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
