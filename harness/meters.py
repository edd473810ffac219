"""Who this process is, what time it is, how late its event loop runs, and what it holds.

The lowest of the edges: every process of a run uses it to open its own file of the history and to record its lag.
Lag: a ticker sleeps 10 ms and then sends itself a byte through a pair of sockets, again and again.  From when the sleep
was due until the byte is read is what anybody's byte may have had to wait for: the end of the turn in which it came,
the turn in which it is read, the turn of the task that takes it.  The worst of each second is a record `lag`.  Where
something looks too late by no more than the lag of that window, nobody else is to blame.
"""

import asyncio
import math
import os
import platform
import socket
import time
from pathlib import Path
from typing import Any

import psutil

from harness.history import Writer

TICK = 0.01
TURN = 0.1


def identity(role: str) -> dict[str, Any]:
    """The header fields that tell this process from every other: role, host, boot id, process id, clock pair."""
    return {
        "role": role,
        "host": platform.node(),
        "boot": _boot_id(),
        "pid": os.getpid(),
        "mono": time.monotonic(),
        "wall": time.time(),
    }


def open_history(path: Path, role: str, **header: Any) -> Writer:
    """This process's own file of the history; `role` is one of run, server, network, load or the like."""
    return Writer(path, time.monotonic, {**header, **identity(role)})


async def record_lag(writer: Writer) -> None:
    """Record the worst of each second until cancelled (the last, partial second and a byte on its way too)."""
    ticker = _Ticker(writer)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        ticker.stop()


class _Ticker:
    """Callbacks alone: a hundred times a second, in each process of a run, tasks would cost half as much again."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._ours, self._theirs = socket.socketpair()
        self._loop.add_reader(self._theirs, self._read)
        self._worst, self._second = 0.0, time.monotonic()
        self._wait()

    def _wait(self) -> None:
        self._due = time.monotonic() + TICK
        self._timer = self._loop.call_later(TICK, self._ours.send, b".")

    def _read(self) -> None:
        self._theirs.recv(1)
        self._loop.call_soon(self._taken)

    def _taken(self) -> None:
        if self._theirs.fileno() < 0:
            return
        now = self._late()
        if now - self._second >= 1:
            self._write()
            self._second = now
        self._wait()

    def _late(self) -> float:
        """Count what is due by now; returns the time."""
        now = time.monotonic()
        self._worst = max(self._worst, now - self._due)
        return now

    def _write(self) -> None:
        self._writer.write("lag", worst=round(self._worst, 6))
        self._worst = 0.0

    def stop(self) -> None:
        self._late()
        self._write()
        self._timer.cancel()
        self._loop.remove_reader(self._theirs)
        self._ours.close()
        self._theirs.close()


async def elapse(seconds: float) -> None:
    """Return when so many seconds have passed; those by which this event loop was late do not count."""
    for _ in range(math.ceil(seconds / TURN)):
        await asyncio.sleep(TURN)


def holdings() -> dict[str, int]:
    """What this process holds: `rss` in bytes, open `descriptors`, `tasks` of this event loop."""
    process = psutil.Process()
    return {
        "rss": process.memory_info().rss,
        "descriptors": process.num_fds(),
        "tasks": len(asyncio.all_tasks()),
    }


def sockets() -> int:
    """How many TCP sockets this process holds that do not listen; 7 ms, for the system looks through all it has."""
    return sum(1 for one in psutil.Process().net_connections("tcp") if one.status != psutil.CONN_LISTEN)


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{platform.node()}-{psutil.boot_time():.0f}"
