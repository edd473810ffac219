"""The server under test and the publisher, in a process without gevent: `python -m harness.load.publishing`.

One JSON object a line on standard input, one answer a line on standard output; the end of standard input ends the
process, its publisher and the mock.  The first order says what to start; then, by `do`:

    begin      publish `rate` events a second, in turn to all and to one of `users`
    pause      stop publishing; answers how many were published
    sentinels  one to each of `users` and one to all; answers their digests by channel
    admit      a fresh pass of `user`

It writes its own part of the history: its lag, what it published to a server that is not the mock, and trouble.
"""

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from harness import meters, testevent
from harness.errors import HarnessError
from harness.history import Writer
from harness.servers import ForeignServer, MockServer, Server
from harness.target import load_target

LONGEST_LINE: Final = 1 << 24
TTL: Final = 7200.0


@dataclass(slots=True)
class Publishing:
    """Carries out orders; the publisher is a task beside them."""

    server: Server
    writer: Writer
    published: int = 0
    task: asyncio.Task[None] | None = None

    async def carry_out(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        match order["do"]:
            case "begin":
                await self.pause()
                self.task = asyncio.create_task(self._publish(order["rate"], order["users"]), name="publisher")
                return {}
            case "pause":
                await self.pause()
                return {"published": self.published}
            case "sentinels":
                return {"digests": await self._sentinels(order["users"])}
            case "admit":
                return await self.admit(order["user"])
            case other:
                raise HarnessError(f"the publisher does not know {other!r}")

    async def admit(self, user: str) -> dict[str, Any]:
        mint = TTL if "mint" in self.server.capabilities else None
        admitted = await self.server.admit(user, mint)
        return {"user": user, "headers": dict(admitted.headers), "query": admitted.query}

    async def pause(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    async def _publish(self, rate: float, users: Sequence[str]) -> None:
        due = time.monotonic()
        try:
            for user in itertools.cycle(users):
                for channel in (None, user):
                    # What has begun is finished: an event that is published and not counted cannot be judged.
                    await asyncio.shield(self.server.publish(channel))
                    self.published += 1
                    due = max(due + 1 / rate, time.monotonic() - 1.0)
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
        except (HarnessError, httpx.HTTPError, OSError) as exc:
            self.writer.write("trouble", reason=f"nothing is published any more: {str(exc) or type(exc).__name__}")

    async def _sentinels(self, users: Sequence[str]) -> dict[str, str]:
        digests = {}
        for user in (*users, None):
            [digests[testevent.channel_of(user)]] = await self.server.publish(user, 1, "sentinel")
        return digests


async def serve(lines: asyncio.StreamReader) -> None:
    """Carry out the orders that come until they end."""
    first = json.loads(await lines.readline())
    writer = meters.open_history(Path(first["parts"]) / "publisher.jsonl", "publisher")
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(writer.close)
        stack.push_async_callback(_cancelled, asyncio.create_task(meters.record_lag(writer), name="lag"))
        try:
            server = await _server(first, writer)
            stack.push_async_callback(server.stop)
            publishing = Publishing(server, writer)
            passes = [await publishing.admit(user) for user in server.users(first["count"])]
        except (HarnessError, httpx.HTTPError, OSError) as exc:
            _answer({"error": str(exc) or type(exc).__name__})
            return
        stack.push_async_callback(publishing.pause)
        stack.push_async_callback(_cancelled, asyncio.create_task(_watch(server, writer), name="watch"))
        _answer({"url": server.url, "passes": passes})
        while line := await lines.readline():
            try:
                _answer(await publishing.carry_out(json.loads(line)))
            except (HarnessError, httpx.HTTPError, OSError) as exc:
                _answer({"error": str(exc) or type(exc).__name__})


async def _server(first: Mapping[str, Any], writer: Writer) -> Server:
    if first["target"] is not None:
        return ForeignServer(load_target(Path(first["target"])), writer)
    return await MockServer.start(Path(first["parts"]) / "server.jsonl", first["settings"])


async def _watch(server: Server, writer: Writer) -> None:
    writer.write("trouble", reason=await server.died())


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


def _answer(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - the protocol


async def main() -> None:
    lines = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await serve(lines)


if __name__ == "__main__":
    asyncio.run(main())
