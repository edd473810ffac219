import asyncio
import signal
import threading

import pytest

from harness.errors import HarnessError
from harness.live.background import Background


async def answer(value):
    await asyncio.sleep(0)
    return value


async def refuse(exc):
    raise exc


def test_it_answers_from_another_thread_which_ends_with_it():
    before = threading.active_count()
    with Background() as loop:
        assert loop.call(answer(42)) == 42
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_what_cannot_be_reached_is_one_sentence():
    with Background() as loop:
        with pytest.raises(HarnessError, match=r"^mend it$"):
            loop.call(refuse(HarnessError("mend it")))
        with pytest.raises(HarnessError, match=r"does not answer \(no route\)$"):
            loop.call(refuse(OSError("no route")))
        with pytest.raises(ZeroDivisionError):
            loop.call(refuse(ZeroDivisionError()))


def test_a_loop_of_the_caller_is_left_alone():
    async def main():
        with Background() as loop:
            return loop.call(answer(asyncio.get_running_loop() is not loop._loop))

    assert asyncio.run(main())


def test_interrupted_work_may_clean_up():
    """The interrupt reaches the caller alone: its work is cancelled once, and ended before the thread."""
    steps = []

    async def work():
        steps.append("working")
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            steps.append("cleaned up")

    with pytest.raises(KeyboardInterrupt), Background() as loop:
        loop.call(work())
    assert steps == ["working", "cleaned up"]


def test_work_that_nobody_waits_for_any_more_ends_with_the_loop():
    """As after an interrupt that came before the caller could cancel it."""
    steps = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("cleaned up")

    with Background() as loop:
        asyncio.run_coroutine_threadsafe(loop._noted(work()), loop._loop)
    assert steps == ["cleaned up"]
