"""One test's server, proxy, subscribers and history, without `await`.

Theory.  Everything asynchronous runs on a loop in a thread of its own, which begins and ends with the test; the
test's thread asks and waits.  Faults go through the nemesis, so the history has them as it has those of a scenario, and
the same checks judge it.  What a subscriber got is read from the history's file as it grows, and nowhere else.
"""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness import history, meters
from harness.crowd import Crowd
from harness.history import History, Record, Writer
from harness.live.background import Background
from harness.nemesis import Nemesis
from harness.proxy.control import start_network, upstream_of
from harness.run import Plan, drain
from harness.scenario import Scenario, Step
from harness.servers import ForeignServer, MockServer, Server

# pytest leaves frames of modules that say so out of a traceback: it ends at the line of the test.
__tracebackhide__ = True

# What stands in the place of a scenario where a test of the user's own does the steps.
A_TEST: Final = Scenario(checks=())


# No repr: pytest prints it into reports, and its subscribers hold tokens.
@dataclass(slots=True, repr=False)
class Live:
    """One test's server, proxy, subscribers and history, in `folder`; `end` ends them all."""

    plan: Plan
    folder: Path
    loop: Background
    nemesis: Nemesis = field(init=False)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    ticker: asyncio.Task[None] | None = None
    seen: list[Record] = field(default_factory=list)
    offset: int = 0
    opened: int = 0

    @classmethod
    def start(cls, plan: Plan, folder: Path) -> "Live":
        """Start the server. Raises HarnessError if it does not come up."""
        live = cls(plan, folder, Background())
        try:
            live.loop.call(live._start())
        except BaseException:
            live.loop.close()
            raise
        return live

    @property
    def path(self) -> Path:
        """Where the merged history stands when the test has ended."""
        return self.folder / "history.jsonl"

    @property
    def server(self) -> Server:
        return self.nemesis.server

    def act(self, step: Step) -> None:
        """Let the nemesis do one step, and record it."""
        self.loop.call(self.nemesis.act(step))

    def end(self) -> None:
        """Close the subscribers, stop proxy and server, save the history."""
        try:
            self.loop.call(self._end())
        finally:
            self.loop.close()

    def history(self) -> History:
        """The history so far."""
        return self.loop.call(self._snapshot())

    def settle(self) -> None:
        """Heal every fault, publish a sentinel per channel and wait until every live subscriber has dispatched it."""
        self.loop.call(self._settle())

    def add_proxy(self) -> str:
        """Put a proxy in front of the server; its address. Subscribers from now on go through it."""
        return self.loop.call(self._add_proxy())

    def records(self) -> list[Record]:
        """What this process has recorded, read on from where the last call stopped."""
        with (self._parts / "run.jsonl").open("rb") as file:
            file.seek(self.offset)
            told = file.read()
        whole = told[: told.rfind(b"\n") + 1]
        self.offset += len(whole)
        for data in map(json.loads, whole.splitlines()):
            self.seen.append(Record(data.pop("t"), data.pop("kind"), data, "run"))
        return self.seen

    @property
    def _parts(self) -> Path:
        return self.folder / "parts"

    async def _start(self) -> None:
        plan = self.plan
        async with contextlib.AsyncExitStack() as stack:
            writer = meters.open_history(self._parts / "run.jsonl", "run", **plan.header())
            stack.callback(writer.close)
            stack.push_async_callback(self._still)
            self._tick(writer)
            server = await self._server(writer)
            stack.push_async_callback(server.stop)
            self._watch(server.died(), writer, stack)
            crowd = Crowd(
                client=plan.client, server=server, writer=writer, options=plan.options, seed=plan.job.seed,
                tagged=server.own,
            )  # fmt: skip
            users, beat = tuple(server.users(1)), plan.promises.heartbeat or 1.0
            self.nemesis = Nemesis(server, crowd, None, writer, users, beat)
            self.stack = stack.pop_all()

    async def _server(self, writer: Writer) -> Server:
        if self.plan.target is not None:
            return ForeignServer(self.plan.target, writer)
        return await MockServer.start(self._parts / "server.jsonl", self.plan.settings)

    async def _add_proxy(self) -> str:
        network = await start_network(history=self._parts / "network.jsonl")
        self.stack.push_async_callback(network.stop)
        self._watch(network.died(), self.nemesis.writer, self.stack)
        self.nemesis.proxy = await network.proxy("stream", upstream_of(self.server.url))
        self.nemesis.crowd.address = self.nemesis.proxy.listen
        return self.nemesis.proxy.listen

    async def _settle(self) -> None:
        await self.nemesis.heal()
        await drain(self.nemesis, self.plan.scenario.drain + 2 * self.nemesis.beat)

    async def _snapshot(self) -> History:
        # The ticker writes its last, partial second as it stops: without it no check could say that we were in time.
        await self._still()
        self._tick(self.nemesis.writer)
        return self._merged()

    def _merged(self) -> History:
        return history.merge(history.read(path) for path in sorted(self._parts.glob("*.jsonl")))

    async def _end(self) -> None:
        try:
            await self.nemesis.crowd.close()
        finally:
            await self.stack.aclose()
            history.save(self._merged(), self.path)

    def _tick(self, writer: Writer) -> None:
        self.ticker = asyncio.create_task(meters.record_lag(writer), name="lag")

    async def _still(self) -> None:
        if self.ticker is not None:
            await _cancelled(self.ticker)

    @staticmethod
    def _watch(died: Coroutine[Any, Any, str], writer: Writer, stack: contextlib.AsyncExitStack) -> None:
        """If it dies without having been told to, that is trouble: nothing is a pass or a failure then."""

        async def note() -> None:
            writer.write("trouble", reason=await died)

        stack.push_async_callback(_cancelled, asyncio.create_task(note(), name="watch"))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
