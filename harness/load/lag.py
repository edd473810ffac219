"""How late a process under gevent is: what every subscriber in it may have had to wait for its turn.

Theory.  A sleep that ends late shows what holds up the hub.  It does not show a queue: each time round the hub takes
only some of the sockets that can be read, and runs its timers in between, so that a process with more to read than it
can manage nearly keeps its timers and reads each socket seconds after the bytes came.  So each time that the sleep
ends a byte is sent through a pair of sockets of our own, unless one is still on its way; it waits in the same queue as
the subscribers' bytes.  Its lag is the time from when the sleep was due until the byte is read.
"""

import socket
import time
from dataclasses import dataclass

import gevent

from harness.load.recorder import Sink
from harness.meters import TICK


@dataclass(slots=True)
class _Canary:
    """A byte that was due at `due` and is on its way, or not; `worst` is the most that one has been late."""

    ours: socket.socket
    theirs: socket.socket
    due: float | None = None
    worst: float = 0.0

    def send(self, due: float) -> None:
        if self.due is None:
            self.due = due
            self.ours.send(b".")

    def receive(self) -> None:
        """Read what comes, until the pair is closed."""
        while self.theirs.recv(1):
            self.note()
            self.due = None

    def note(self) -> None:
        """Count how late the byte is by now."""
        if self.due is not None:
            self.worst = max(self.worst, time.monotonic() - self.due)


def record_lag(sink: Sink) -> None:
    """Record the worst of each second until killed (the last, partial second too)."""
    ours, theirs = socket.socketpair()
    canary = _Canary(ours, theirs)
    with ours, theirs:
        reading = gevent.spawn(canary.receive)
        try:
            _record(sink, canary)
        finally:
            reading.kill()


def _record(sink: Sink, canary: _Canary) -> None:
    second = time.monotonic()
    try:
        while True:
            due = time.monotonic() + TICK
            gevent.sleep(TICK)
            canary.send(due)
            if time.monotonic() - second >= 1:
                _tell(sink, canary)
                second = time.monotonic()
    finally:
        _tell(sink, canary)


def _tell(sink: Sink, canary: _Canary) -> None:
    canary.note()
    sink.write("lag", worst=round(canary.worst, 6))
    canary.worst = 0.0
