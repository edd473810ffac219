"""The publisher's process over its real pipes, with the real mock; and its tasks with a small server."""

import asyncio
import json
import subprocess
import sys

import pytest

from harness import history
from harness.errors import HarnessError
from harness.load.publishing import Publishing


class Server:
    capabilities = frozenset({"publish"})

    def __init__(self, fails_after=None):
        self.published, self.fails_after = [], fails_after

    async def publish(self, user, count=1, type=None):
        if len(self.published) == self.fails_after:
            raise HarnessError("hook publish answered 500; mend the hook")
        self.published.append((user, type))
        return [f"d{len(self.published)}"]


class Notes(list):
    def write(self, kind, **data):
        self.append((kind, data))


def test_events_go_in_turn_to_all_and_to_each_user():
    async def program():
        one = Publishing(Server(), Notes())
        await one.carry_out({"do": "begin", "rate": 1000.0, "users": ["a", "b"]})
        while one.published < 5:
            await asyncio.sleep(0.001)
        return one, await one.carry_out({"do": "pause"})

    one, told = asyncio.run(program())
    assert [user for user, _ in one.server.published[:5]] == [None, "a", None, "b", None]
    assert told["published"] >= 5


def test_what_keeps_it_from_publishing_is_trouble():
    async def program():
        one = Publishing(Server(fails_after=2), Notes())
        await one.carry_out({"do": "begin", "rate": 1000.0, "users": ["a"]})
        await one.task
        return one

    [(kind, data)] = asyncio.run(program()).writer
    assert (kind, data["reason"]) == (
        "trouble", "nothing is published any more: hook publish answered 500; mend the hook",
    )  # fmt: skip


def test_each_channel_gets_a_sentinel():
    one = Publishing(Server(), Notes())
    told = asyncio.run(one.carry_out({"do": "sentinels", "users": ["a", "b"]}))
    assert told == {"digests": {"user:a": "d1", "user:b": "d2", "all": "d3"}}
    assert {kind for _, kind in one.server.published} == {"sentinel"}


def test_an_order_that_nobody_knows_is_refused():
    with pytest.raises(HarnessError, match="does not know 'dance'"):
        asyncio.run(Publishing(Server(), Notes()).carry_out({"do": "dance"}))


@pytest.mark.slow
def test_the_process_ends_with_its_standard_input_and_its_mock_with_it(tmp_path):
    first = {"parts": str(tmp_path), "target": None, "settings": {}, "count": 2}
    orders = [first, {"do": "begin", "rate": 50, "users": ["u0"]}, {"do": "admit", "user": "u1"}, {"do": "no"},
              {"do": "sentinels", "users": []}, {"do": "pause"}]  # fmt: skip
    lines = "".join(json.dumps(one) + "\n" for one in orders)
    ended = subprocess.run([sys.executable, "-m", "harness.load.publishing"], input=lines, capture_output=True,
                           text=True, timeout=60, check=False)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert told[0]["url"].startswith("http://127.0.0.1:")
    assert [one["user"] for one in told[0]["passes"]] == ["u0", "u1"]
    assert told[2]["headers"]["Authorization"].startswith("Bearer ")
    assert told[3]["error"] == "the publisher does not know 'no'"
    kinds = {one.kind for path in tmp_path.glob("*.jsonl") for one in history.read(path)}
    assert {"published", "lag", "server.start", "server.stop"} <= kinds
    assert "trouble" not in kinds


@pytest.mark.slow
def test_a_server_that_cannot_be_started_is_answered_in_a_sentence(tmp_path):
    first = json.dumps({"parts": str(tmp_path), "target": "/nope.toml", "settings": {}, "count": 2})
    ended = subprocess.run([sys.executable, "-m", "harness.load.publishing"], input=first + "\n", capture_output=True,
                           text=True, timeout=60, check=False)  # fmt: skip
    assert "/nope.toml cannot be read" in json.loads(ended.stdout)["error"]
    assert ended.returncode == 0, ended.stderr
