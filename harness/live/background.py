"""An event loop in a thread, for callers that have none or another one."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

import httpx

from harness.errors import HarnessError

T = TypeVar("T")

# Seconds.  A signal that comes just before a thread blocks on a lock is handled when the lock lets go: so it has to.
GLANCE: Final = 0.25

# pytest leaves frames of modules that say so out of a traceback: it ends at the line of the test.
__tracebackhide__ = True


class Background:
    """An event loop in a thread of its own, for callers that have none or another one."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[Any]] = set()
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._until_closed()), name="sse-harness")
        self._thread.daemon = True
        self._thread.start()
        self._loop, self._closed = self._started.result()

    def __enter__(self) -> "Background":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. Raises HarnessError, also for a server or proxy that cannot be reached."""
        future = asyncio.run_coroutine_threadsafe(self._noted(work), self._loop)
        try:
            while not future.done():
                wait([future], GLANCE)
            return future.result()
        except HarnessError as exc:
            raise HarnessError(str(exc)) from None
        except (httpx.HTTPError, OSError) as exc:
            raise HarnessError(f"the server or proxy of this test does not answer ({exc or type(exc)})") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """Let what was cancelled come to its end, then end the thread."""
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()

    async def _until_closed(self) -> None:
        closed = asyncio.Event()
        self._started.set_result((asyncio.get_running_loop(), closed))
        await closed.wait()
        # A caller that was interrupted has cancelled its work, unless the interrupt came before it could; to cancel
        # that again would cut its cleaning up short.
        for task in self._working:
            if not task.cancelling():
                task.cancel()
        while self._working:
            await asyncio.wait(self._working)

    async def _noted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return await work
