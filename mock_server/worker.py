"""The worker: one incarnation of the server, with both planes on one event loop. The supervisor starts it.

It reads one line of JSON (its orders) from standard input and ends when standard input closes, because then the
supervisor is gone.  On standard output it says in lines of JSON that it listens, and how it wants to be restarted.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from harness import meters
from harness.history import Writer
from mock_server.app import data_plane
from mock_server.control import control_plane
from mock_server.handoff import HandoffProtocol
from mock_server.mock import Mock
from mock_server.ports import CONTROL_TOKEN, SECRET, bound
from mock_server.settings import load_settings

BACKLOG: Final = 4096
# Seconds that an answer gets to leave before the process ends, and that an orderly end may take.
_PARTING: Final = 0.05
_LONGEST_END: Final = 3.0
# Seconds that a connection may be idle between two requests. A run keeps one to the control plane for its whole life:
# closed under a request that is on its way, it would be trouble of ours.
_IDLE: Final = 5
_IDLE_CONTROL: Final = 3600


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the supervisor says when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Worker:
    """Runs the mock until it is told to end; `orders` is the supervisor's line."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._orders = orders
        self._servers: list[_Server] = []
        self._how = "stop"
        settings = load_settings(orders["settings"])
        path = orders["history"]
        writer = None if path is None else meters.open_history(Path(path), "server", incarnation=orders["incarnation"])
        self._writer: Writer | None = writer
        self.mock = Mock(
            settings,
            secret=os.environ[SECRET],
            epoch=orders["epoch"],
            incarnation=orders["incarnation"],
            writer=writer,
        )
        if orders["saved"] is not None:
            self.mock.restore(orders["saved"])

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), self._stdin)
        sockets = [
            bound(self._orders["host"], self._orders["port"], self.mock.settings.send_buffer),
            bound("127.0.0.1", self._orders["control_port"]),
        ]
        token = os.environ[CONTROL_TOKEN]
        apps = [data_plane(self.mock), control_plane(self.mock, token, self._restart)]
        self._servers = [_Server(_config(app, idle)) for app, idle in zip(apps, (_IDLE, _IDLE_CONTROL), strict=True)]
        background = [asyncio.create_task(self._beat()), asyncio.create_task(self._announce())]
        if self._writer is not None:
            background.append(asyncio.create_task(meters.record_lag(self._writer)))
        self.mock.start()
        try:
            await asyncio.gather(*(server.serve([one]) for server, one in zip(self._servers, sockets, strict=True)))
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
        self.mock.record("server.stop", how=self._how)
        if self._writer is not None:
            self._writer.close()

    async def _announce(self) -> None:
        while not all(server.started for server in self._servers):
            await asyncio.sleep(0.005)
        _say({"listening": True, "epoch": self.mock.hub.epoch})

    async def _beat(self) -> None:
        """Turn the wheel: one turn is the heartbeat interval."""
        loop = asyncio.get_running_loop()
        apart = self.mock.settings.heartbeat / self.mock.wheel.parts
        due = loop.time() + apart
        while True:
            await asyncio.sleep(due - loop.time())
            while due <= loop.time():
                self.mock.wheel.tick(lambda stream: stream.beat())
                due += apart

    def _stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self._stop("stop")

    def _restart(self, how: str, down: float) -> None:
        self.mock.record("server.fault", name=f"restart:{how}", state="on", down=down)
        asyncio.get_running_loop().call_later(_PARTING, self._crash if how == "crash" else self._leave, down)

    def _crash(self, down: float) -> None:
        _say({"restart": "crash", "down": down, "saved": self.mock.save("crash")})
        for stream in self.mock.streams:
            self.mock.record(
                "conn.end", conn=stream.ticket.conn, by="server", how="crash", reason="crash", bytes=stream.wire.bytes
            )
            self.mock.effects.gone(stream)
        self.mock.record("server.stop", how="crash")
        os.kill(os.getpid(), signal.SIGKILL)

    def _leave(self, down: float) -> None:
        self._stop("graceful")
        _say({"restart": "graceful", "down": down, "saved": self.mock.save("graceful")})

    def _stop(self, how: str) -> None:
        """End every stream properly, then both servers; a peer that does not let go does not keep us."""
        self._how = how
        self.mock.closing = True
        for server in self._servers:
            server.should_exit = True
            for listener in server.servers if server.started else ():
                listener.close()
        self.mock.end_all("fin", "restart" if how == "graceful" else "shutdown")
        asyncio.get_running_loop().call_later(_LONGEST_END, _exit, 0)


def _exit(code: int) -> None:
    os._exit(code)


def _config(app: Any, idle: int) -> uvicorn.Config:
    # The access log prints query strings, and a query can hold a token.
    return uvicorn.Config(
        app,
        http=HandoffProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=idle,
    )


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop: uvloop where it is installed and not refused."""
    if name == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def main() -> None:
    # Ctrl-C reaches the whole group; the supervisor decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = json.loads(sys.stdin.buffer.readline() or b"null")
    if orders is None:
        return
    worker = Worker(orders)
    with asyncio.Runner(loop_factory=loop_factory(worker.mock.settings.loop)) as runner:
        runner.run(worker.run())


if __name__ == "__main__":
    main()
