"""`python -m harness.proxy [--port N] [--history FILE]`: the embedded proxy in a process of its own.

It prints `{"port": N}` when its API listens, and ends when its standard input closes (its parent is gone) or on
SIGTERM.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn

from harness import meters
from harness.history import Writer
from harness.proxy.api import Api
from harness.proxy.embedded import bound


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.proxy", description="The embedded proxy.")
    parser.add_argument("--port", type=int, default=0, help="the port of the API on 127.0.0.1 (default: any)")
    parser.add_argument("--history", type=Path, help="the file that records are appended to")
    given = parser.parse_args()
    # uvicorn stops on these and then raises them again for the handler that was there before: it must not end us
    # while proxies and the history are still open.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, _again)
    asyncio.run(serve(given.port, given.history))


async def serve(port: int, history: Path | None) -> None:
    """Serve the API until standard input closes or SIGTERM comes; then close every proxy."""
    writer = meters.open_history(history, "network") if history is not None else None
    api = Api(_nothing if writer is None else writer.write)
    config = uvicorn.Config(
        api.app(), loop="asyncio", lifespan="off", log_level="error", access_log=False, ws="none",
        timeout_graceful_shutdown=1, server_header=False, timeout_keep_alive=30,
    )  # fmt: skip
    server = uvicorn.Server(config)
    listener = bound("127.0.0.1", port)
    listener.listen(128)
    lag = None if writer is None else asyncio.create_task(meters.record_lag(writer))
    _watch_stdin(server)
    try:
        await _until_ended(server, listener)
    finally:
        for proxy in api.proxies.values():
            await proxy.destroy()
        listener.close()
        await _stop(lag, writer)


async def _until_ended(server: uvicorn.Server, listener: socket.socket) -> None:
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


async def _stop(lag: asyncio.Task[None] | None, writer: Writer | None) -> None:
    if lag is not None and writer is not None:
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)
        writer.close()


def _watch_stdin(server: uvicorn.Server) -> None:
    def watch() -> None:
        # os.read and not sys.stdin: a thread inside a buffered reader is fatal to an interpreter that ends.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        server.should_exit = True

    threading.Thread(target=watch, daemon=True, name="stdin").start()


def _again(_number: int, _frame: Any) -> None:
    pass


def _nothing(_kind: str, **_data: Any) -> None:
    pass


if __name__ == "__main__":
    main()
