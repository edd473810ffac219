"""Who this process is, how late its loop runs, what it holds."""

import asyncio
import os
import socket
import time

import pytest

from harness import history, meters


def test_a_history_file_begins_with_who_wrote_it(tmp_path):
    meters.open_history(tmp_path / "x.jsonl", "load", seed=3).close()
    [head] = history.read(tmp_path / "x.jsonl")
    assert (head["role"], head["pid"], head["seed"]) == ("load", os.getpid(), 3)
    assert head["boot"] == meters.identity("other")["boot"]


def test_what_is_opened_is_counted_and_what_is_closed_is_not():
    def held():
        return meters.holdings() | {"sockets": meters.sockets()}

    async def opened():
        before = held()
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
            other, _ = server.accept()
            other.close()
            during = held()
            assert one.fileno() > 0
        return before, during, held()

    before, during, after = asyncio.run(opened())
    assert during["descriptors"] == before["descriptors"] + 2
    assert during["sockets"] == before["sockets"] + 1
    assert {**after, "rss": 0} == {**before, "rss": 0}
    assert before["tasks"] == 1
    assert before["rss"] > 1_000_000


def test_a_blocked_loop_shows_as_lag(tmp_path):
    writer = meters.open_history(tmp_path / "x.jsonl", "run")

    async def blocked():
        ticker = asyncio.create_task(meters.record_lag(writer))
        await asyncio.sleep(0)
        time.sleep(0.15)  # noqa: ASYNC251 - that it blocks is the point
        await asyncio.sleep(0.02)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)

    asyncio.run(blocked())
    writer.close()
    lags = [record["worst"] for record in history.read(tmp_path / "x.jsonl") if record.kind == "lag"]
    assert max(lags) > 0.1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_turn_that_a_byte_waits_for_is_lag(tmp_path, loop):
    """Each turn takes 50 ms here; a byte waits for the end of one, is read in the next, and taken in the third."""
    writer = meters.open_history(tmp_path / "x.jsonl", "run")

    async def busy():
        ticker = asyncio.create_task(meters.record_lag(writer))
        for _ in range(20):
            time.sleep(0.05)  # noqa: ASYNC251
            await asyncio.sleep(0)
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)

    pytest.importorskip(loop).run(busy())
    writer.close()
    lags = [record["worst"] for record in history.read(tmp_path / "x.jsonl") if record.kind == "lag"]
    assert max(lags) >= 3 * 0.05 - meters.TICK  # it was due so long after the first of them had begun


def test_seconds_by_which_the_loop_is_late_do_not_elapse():
    async def blocked():
        turns = 0

        async def block():
            nonlocal turns
            while True:
                time.sleep(0.15)  # noqa: ASYNC251
                turns += 1
                await asyncio.sleep(0)

        blocking = asyncio.create_task(block())
        await meters.elapse(0.5)
        blocking.cancel()
        return turns

    assert asyncio.run(blocked()) >= 5  # in half a second there are four turns at most
