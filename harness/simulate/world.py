"""A small world in virtual time, which writes histories: clean ones, and ones with a defect planted.

Theory.  A heap of moments drives a simulated server, network and clients that follow the law of the standard and of
the product plan; every party writes the records that the real one would.  A plot says what the nemesis does.  A defect
is a switch where the good behaviour is decided, under the name that it has in the mock or in the bad clients, so
that the alarms can be tried on thousands of histories without a socket.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from harness.history import Record
from harness.simulate.clients import Clients
from harness.simulate.parts import Stream
from harness.simulate.server import Server


class World:
    """Time, chance, records and the network of one simulated run, and its parties.

    `foreign` leaves out everything that only the mock writes.
    """

    def __init__(self, rng: Random, *, defects: frozenset[str] = frozenset(), foreign: bool = False) -> None:
        self.rng, self.defects, self.foreign = rng, defects, foreign
        self.now = round(rng.uniform(10, 1000), 3)
        self.records: list[Record] = []
        self.linked, self.silent = True, False
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = 0
        self.server = Server(self)
        self.clients = self.server.clients = Clients(self, self.server)

    def at(self, delay: float, do: Callable[[], None]) -> None:
        self._ticket += 1
        heapq.heappush(self._heap, (self.now + delay, self._ticket, do))

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            self.now, _, do = heapq.heappop(self._heap)
            do()
        self.now = until

    def note(self, kind: str, by: str = "run", /, **data: Any) -> None:
        """Write a record of the process `by`; a foreign server writes none."""
        if by != "server" or not self.foreign:
            self.records.append(Record(round(self.now, 6), kind, data, by))

    def latency(self) -> float:
        return self.rng.uniform(0.0005, 0.01)

    def ticking(self) -> None:
        """Write the lag of each second, of all processes, and come again."""
        for role in ("run",) if self.foreign else ("run", "server"):
            self.note("lag", role, worst=round(self.rng.uniform(0.0002, 0.004), 6))
        self.note("lag", "network", worst=0.0002)
        self.at(1.0, self.ticking)

    def arrive(self, stream: Stream, do: Callable[[], None]) -> None:
        """Bring something to the client over this stream, in order, unless it breaks on the way."""
        if stream.held is not None:
            stream.held.append(do)
            return
        if self.silent:
            return
        when = max(self.now + self.latency(), stream.last_arrival + 2e-6)
        if "buffers-2s" in self.defects:
            when = max(when, (self.now // 2 + 1) * 2)
        stream.last_arrival = when
        self.at(when - self.now, lambda: do() if stream.alive else None)

    def link(self, up: bool) -> None:
        """The proxy is disabled (all connections die, none opens) or enabled."""
        self.note("net.fault", "network", proxy="stream", fault="disabled", state="off" if up else "on")
        self.note("step", step="network", state="begin", act="enable" if up else "disable")
        self.linked = up
        if not up:
            self.server.drop("rst")
        self.note("step", step="network", state="end", act="enable" if up else "disable")

    def hush(self, silent: bool) -> None:
        """Nothing passes any more, and nobody is told."""
        self.note("net.fault", "network", proxy="stream", fault="timeout_downstream", state="on" if silent else "off")
        self.note("step", step="network", state="begin" if silent else "end")
        self.silent = silent
