"""The supervisor: keeps both ports reserved, runs the worker, and starts it again when a restart was ordered.

The reserved sockets are bound and never listen, so the ports stay ours while nobody listens, and a connection
attempt is refused meanwhile.  A worker that ends without an order ends the supervisor with exit code 1.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.children import Child, Start, end, executed
from harness.errors import HarnessError
from mock_server.ports import CONTROL_TOKEN, SECRET, bound
from mock_server.settings import Settings

# A worker's line can hold a whole replay buffer.
LONGEST_LINE: Final = 256 * 1024 * 1024
_END_WITHIN: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to run. `history`: FILE; each worker writes one of its own beside it, FILE with -0, -1 ... in its name."""

    settings: Settings = field(default_factory=Settings)
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    history: Path | None = None
    stop_with_stdin: bool = False


def history_file(history: Path, incarnation: int) -> Path:
    """The file of one incarnation: server.jsonl -> server-0.jsonl. All of them: `server-*.jsonl`."""
    return history.with_name(f"{history.stem}-{incarnation}{history.suffix}")


def control_token_file(token: str, folder: Path | None = None) -> Path:
    """Write a control token to a new file that only its owner can read; returns its path."""
    descriptor, name = tempfile.mkstemp(prefix="sse-mock-control-", dir=folder)
    with os.fdopen(descriptor, "w") as out:
        out.write(token)
    return Path(name)


def run(options: Options, start: Start = executed) -> int:
    """Run the mock server until SIGTERM, SIGINT or, if so asked, the end of standard input; returns the exit code."""
    made = not os.environ.get(CONTROL_TOKEN)
    kept = {name: os.environ.get(name) or secrets.token_urlsafe(24) for name in (CONTROL_TOKEN, SECRET)}
    path = control_token_file(kept[CONTROL_TOKEN]) if made else None
    try:
        return asyncio.run(_Supervisor(options, start, kept, path).run())
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


class _Supervisor:
    def __init__(self, options: Options, start: Start, kept: Mapping[str, str], token_file: Path | None) -> None:
        self._options = options
        self._start = start
        self._secrets = kept
        self._token_file = token_file
        self._stop = asyncio.Event()
        self._announced = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._options.stop_with_stdin:
            loop.add_reader(sys.stdin.fileno(), self._stdin)
        with reserved(self._options.host, self._options.port, self._options.control_port) as ports:
            return await self._incarnations(ports)

    async def _incarnations(self, ports: list[int]) -> int:
        incarnation, saved, epoch = 0, None, _epoch()
        while not self._stop.is_set():
            told = await self._worker(ports, incarnation, saved, epoch)
            if told is None:
                if self._stop.is_set():
                    break
                print("the mock server's worker died; its last words are above", file=sys.stderr)  # noqa: T201
                return 1
            saved = told["saved"]
            epoch = saved.get("epoch") or _epoch()
            incarnation += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), told["down"])
        return 0

    async def _worker(self, ports: list[int], incarnation: int, saved: Any, epoch: str) -> dict[str, Any] | None:
        """Run one worker to its end; returns the restart that it asked for, if any."""
        process = await self._start("mock_server.worker", more=self._secrets, longest=LONGEST_LINE)
        orders = {
            "settings": self._options.settings.as_dict(),
            "host": self._options.host,
            "port": ports[0],
            "control_port": ports[1],
            "history": self._history(incarnation),
            "incarnation": incarnation,
            "epoch": epoch,
            "saved": saved,
        }
        stopping = asyncio.create_task(self._end_with_us(process))
        try:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(json.dumps(orders).encode() + b"\n")  # type: ignore[union-attr]
                await process.stdin.drain()  # type: ignore[union-attr]
            return await self._read(process, ports)
        finally:
            stopping.cancel()
            await end(process, patience=_END_WITHIN, signals=())

    async def _end_with_us(self, process: Child) -> None:
        """When we are told to stop, so is the worker; then it has said its last line."""
        await self._stop.wait()
        process.stdin.close()  # type: ignore[union-attr]
        await asyncio.sleep(_END_WITHIN)
        process.send_signal(signal.SIGKILL)

    async def _read(self, process: Child, ports: list[int]) -> dict[str, Any] | None:
        """Read the worker's lines until it ends."""
        restart = None
        assert process.stdout is not None  # noqa: S101 - asked for with PIPE
        async for line in process.stdout:
            told = json.loads(line)
            if "listening" in told and not self._announced:
                self._announced = True
                self._announce(ports, told["epoch"])
            if "restart" in told:
                restart = told
        return restart

    def _announce(self, ports: list[int], epoch: str) -> None:
        told: dict[str, Any] = {"port": ports[0], "control_port": ports[1], "epoch": epoch}
        if self._token_file is not None:
            told["control_token_file"] = str(self._token_file)
        print(json.dumps(told), flush=True)  # noqa: T201

    def _history(self, incarnation: int) -> str | None:
        history = self._options.history
        return None if history is None else str(history_file(history.absolute(), incarnation))

    def _stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop.set()


@contextlib.contextmanager
def reserved(host: str, port: int, control_port: int) -> Iterator[list[int]]:
    """Keep the ports of data plane and control plane ours, by sockets that never listen. Raises HarnessError."""
    if port and port == control_port:
        raise HarnessError(f"port {port} cannot be the control plane's too; choose another control_port, or 0")
    with _bound(host, port, "port") as data, _bound("127.0.0.1", control_port, "control_port") as control:
        yield [one.getsockname()[1] for one in (data, control)]


def _bound(host: str, port: int, name: str) -> socket.socket:
    try:
        one = bound(host, port)
        # Whoever listens there already shows only now: two bound sockets may share a port, two listening ones not.
        if port:
            _demand_free(host, port)
    except OSError as exc:
        raise HarnessError(f"{name} {port} on {host} cannot be used ({exc.strerror}); choose another one") from exc
    return one


def _demand_free(host: str, port: int) -> None:
    with bound(host, port) as one:
        one.listen(1)


def _epoch() -> str:
    return secrets.token_hex(4)
