"""The tests' own alarm: a task that somebody forgot is told of, asyncio's own closing of a generator is not."""

import asyncio

from tests.conftest import is_of_somebody


async def generator():
    try:
        yield
    finally:
        await asyncio.sleep(0)


async def running_beside(what):
    """Whether each task that runs beside this one is somebody's."""
    await what()
    await asyncio.sleep(0)
    found = [is_of_somebody(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
    await asyncio.sleep(0.01)
    return found


def test_a_forgotten_task_is_told_of():
    async def forgets():
        kept.append(asyncio.create_task(asyncio.sleep(0.005)))

    kept = []
    assert asyncio.run(running_beside(forgets)) == [True]


def test_the_closing_of_an_abandoned_generator_is_not():
    async def abandons():
        await anext(generator())

    assert asyncio.run(running_beside(abandons)) == [False]
