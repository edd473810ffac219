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
    ours, theirs = socket.socketpair()
    arrived = asyncio.Event()

    def read() -> None:
        theirs.recv(1)
        arrived.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(theirs, read)
    worst, second = 0.0, time.monotonic()
    try:
        while True:
            due = time.monotonic() + TICK
            try:
                await asyncio.sleep(TICK)
                arrived.clear()
                ours.send(b".")
                await arrived.wait()
            finally:
                now = time.monotonic()
                worst = max(worst, now - due)
            if now - second >= 1:
                writer.write("lag", worst=round(worst, 6))
                worst, second = 0.0, now
    finally:
        writer.write("lag", worst=round(worst, 6))
        loop.remove_reader(theirs)
        ours.close()
        theirs.close()


async def elapse(seconds: float) -> None:
    """Return when so many seconds have passed; those by which this event loop was late do not count."""
    for _ in range(math.ceil(seconds / TURN)):
        await asyncio.sleep(TURN)


def holdings(pid: int | None = None) -> dict[str, int]:
    """What a process holds: `rss` in bytes, `descriptors`, TCP `sockets` by state open, `tasks` of this loop (own
    process only, else -1)."""
    process = psutil.Process(pid)
    sockets = sum(1 for one in process.net_connections("tcp") if one.status != psutil.CONN_LISTEN)
    return {
        "rss": process.memory_info().rss,
        "descriptors": process.num_fds(),
        "sockets": sockets,
        "tasks": len(asyncio.all_tasks()) if pid is None else -1,
    }


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{platform.node()}-{psutil.boot_time():.0f}"
