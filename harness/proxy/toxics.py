"""What each toxic does to one direction of one link.

A direction is a chain: reader -> stage -> ... -> stage -> writer.  A stage offers `put(chunk, at)` and `end(how)` and
calls the same of `next`.  Nearly all stages work in the caller's own task, so that order and backpressure need no
queue: whoever is upstream waits.  `latency` alone has a bounded queue and a task, for data travels while it waits.
A stage that is lifted lets go of what it holds at once and passes everything on; it is safe to leave it in the chain.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

# Each type with its attributes (all whole numbers, not negative) and their defaults.
ATTRIBUTES: Final[Mapping[str, Mapping[str, int]]] = {
    "latency": {"latency": 0, "jitter": 0},
    "bandwidth": {"rate": 0},
    "timeout": {"timeout": 0},
    "reset_peer": {"timeout": 0},
    "slicer": {"average_size": 0, "size_variation": 0, "delay": 0},
    "limit_data": {"bytes": 0},
}
HELD_CHUNKS: Final = 1024
HELD_BYTES: Final = 1 << 20
LARGEST: Final = 2**31 - 1


class Next(Protocol):
    """Where a chunk goes next; `at` is the loop's time when the proxy received it, `how` is "fin" or "rst"."""

    async def put(self, chunk: bytes, at: float) -> None: ...

    async def end(self, how: str) -> None: ...


@dataclass(slots=True)
class Toxic:
    """A toxic as the API holds it; the values may be updated while links live."""

    type: str
    name: str
    stream: str
    toxicity: float
    attributes: dict[str, int]


def checked(kind: str, given: Mapping[str, object], before: Mapping[str, int] | None = None) -> dict[str, int]:
    """The type's attributes, complete; those not given keep `before` or the default. Raises ValueError."""
    known = ATTRIBUTES[kind]
    values = {**known, **(before or {})}
    for name in known.keys() & given.keys():
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
            raise ValueError(f"{name} of {kind} must be a whole number from 0 to {LARGEST}")
        values[name] = value
    if kind == "slicer" and not values["size_variation"] < values["average_size"]:
        raise ValueError("average_size of slicer must be positive and greater than size_variation")
    return values


@dataclass(slots=True, eq=False)
class Stage:
    """One toxic on one direction of one link; `close` ends the whole link as "fin" or "rst", by the proxy."""

    toxic: Toxic
    next: Next
    close: Callable[[str], None]
    lifted: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def put(self, chunk: bytes, at: float) -> None:
        await self.next.put(chunk, at)

    async def end(self, how: str) -> None:
        await self.next.end(how)

    def start(self) -> None:
        """Called when the stage is in the chain."""

    def update(self) -> None:
        """The toxic's attributes are new."""
        self.changed.set()

    async def lift(self) -> None:
        """Let go of everything; returns when nothing is held in a queue."""
        self.lifted = True
        self.changed.set()

    def discard(self) -> None:
        """The link is gone."""

    async def pause(self, seconds: float | None) -> bool:
        """Wait so long (None: for ever). False if an update or the end of the toxic came first."""
        if self.lifted:
            return False
        self.changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return True
        return False


@dataclass(slots=True, eq=False)
class Bandwidth(Stage):
    """At most `rate` KB/s (1 KB = 1000 bytes), in pieces of a tenth of a second; 0 is a stall without loss."""

    due: float = 0.0

    async def put(self, chunk: bytes, at: float) -> None:
        now = asyncio.get_running_loop().time
        while chunk and not self.lifted:
            rate = self.toxic.attributes["rate"] * 1000
            if not rate:
                await self.pause(None)
                continue
            piece = chunk[: rate // 10]
            due = max(now(), self.due) + len(piece) / rate
            if await self.pause(due - now()):
                self.due, chunk = due, chunk[len(piece) :]
                await self.next.put(piece, at)
        if chunk:
            await self.next.put(chunk, at)


@dataclass(slots=True, eq=False)
class Timeout(Stage):
    """Data is dropped; after `timeout` ms, or when the toxic is removed, the link is closed."""

    timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self.discard()
        if wait := self.toxic.attributes["timeout"]:
            self.timer = asyncio.get_running_loop().call_later(wait / 1000, self.close, "fin")

    update = start

    async def put(self, chunk: bytes, at: float) -> None:
        pass

    async def lift(self) -> None:
        self.discard()
        self.close("fin")

    def discard(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


@dataclass(slots=True, eq=False)
class ResetPeer(Stage):
    """`timeout` ms after the first data (or end) that comes, both sides are reset; that data is lost."""

    async def put(self, chunk: bytes, at: float) -> None:
        if await self.pause(self.toxic.attributes["timeout"] / 1000):
            self.close("rst")
        elif self.lifted:
            await self.next.put(chunk, at)
        else:
            await self.put(chunk, at)

    async def end(self, how: str) -> None:
        if await self.pause(self.toxic.attributes["timeout"] / 1000):
            self.close("rst")
        await self.next.end(how)


@dataclass(slots=True, eq=False)
class Slicer(Stage):
    """Pieces of `average_size` +/- `size_variation` bytes, `delay` microseconds after each."""

    async def put(self, chunk: bytes, at: float) -> None:
        while chunk and not self.lifted:
            toxic = self.toxic.attributes
            vary = random.randint(-toxic["size_variation"], toxic["size_variation"])
            size = toxic["average_size"] + vary
            piece, chunk = chunk[:size], chunk[size:]
            await self.next.put(piece, at)
            await self.pause(toxic["delay"] / 1_000_000)
        if chunk:
            await self.next.put(chunk, at)


@dataclass(slots=True, eq=False)
class LimitData(Stage):
    """After `bytes` bytes of this link, counted from when the toxic came, the link is closed."""

    passed: int = 0

    async def put(self, chunk: bytes, at: float) -> None:
        if self.lifted:
            return await self.next.put(chunk, at)
        limit = self.toxic.attributes["bytes"]
        if piece := chunk[: max(0, limit - self.passed)]:
            self.passed += len(piece)
            await self.next.put(piece, at)
        if self.passed >= limit:
            self.close("fin")
        return None


@dataclass(slots=True, eq=False)
class Latency(Stage):
    """Each chunk leaves `latency` +/- `jitter` ms after it came, in order."""

    queue: deque[tuple[bytes, float]] = field(default_factory=deque)
    held: int = 0
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.worker = asyncio.create_task(self._work())

    async def put(self, chunk: bytes, at: float) -> None:
        await self._until(lambda: len(self.queue) < HELD_CHUNKS and self.held < HELD_BYTES)
        if self.lifted:
            await self._until(lambda: not self.queue)
            return await self.next.put(chunk, at)
        self.queue.append((chunk, at))
        self.held += len(chunk)
        async with self.moved:
            self.moved.notify_all()
        return None

    async def end(self, how: str) -> None:
        await self._until(lambda: not self.queue)
        await self.next.end(how)

    async def lift(self) -> None:
        self.lifted = True
        self.changed.set()
        async with self.moved:
            self.moved.notify_all()
        if self.worker is not None:
            await asyncio.wait([self.worker])

    def discard(self) -> None:
        if self.worker is not None:
            self.worker.cancel()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self.moved:
            await self.moved.wait_for(condition)

    async def _work(self) -> None:
        now = asyncio.get_running_loop().time
        last = 0.0
        while True:
            await self._until(lambda: bool(self.queue) or self.lifted)
            if not self.queue:
                return
            chunk, at = self.queue[0]
            jitter = random.uniform(-1, 1) * self.toxic.attributes["jitter"]
            last = leave = max(last, at + (self.toxic.attributes["latency"] + jitter) / 1000)
            while not self.lifted and (wait := leave - now()) > 0:
                if not await self.pause(wait):
                    leave = at + self.toxic.attributes["latency"] / 1000
            await self.next.put(chunk, leave)
            # Only now does the place become free: who waits for an empty queue may then overtake nobody.
            self.queue.popleft()
            self.held -= len(chunk)
            async with self.moved:
                self.moved.notify_all()


STAGES: Final[Mapping[str, type[Stage]]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}
