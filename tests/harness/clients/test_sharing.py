"""One connection for several subscribers of a user: opened by the first, closed with the last."""

import asyncio

import pytest

from harness.clients import Session, sharing
from harness.clients.sharing import Line


class Written:
    """Keeps what is recorded."""

    def __init__(self):
        self.rows = []

    def write(self, kind, **data):
        self.rows.append((kind, data))

    def of(self, kind, sub):
        return [data for name, data in self.rows if name == kind and data["sub"] == sub]


class Script:
    """A connection that plays what the test tells it to, and notes its end."""

    def __init__(self):
        self.lines: list[Line] = []
        self.ended = 0
        self.over = asyncio.Event()

    async def connect(self, line):
        self.lines.append(line)
        line.attempt()
        try:
            await self.over.wait()
        finally:
            self.ended += 1


def session(writer, peers, name, user="u0"):
    url = f"http://h/p?access_token=t&sub={name}"
    return Session(sub=name, user=user, url=url, headers={}, writer=writer, options={"shared": True}, peers=peers)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def stage():
    writer, peers = Written(), {}

    def member(script, name, user="u0"):
        made = session(writer, peers, name, user)
        return made, asyncio.create_task(sharing.subscribe(made, script.connect))

    return writer, peers, member


async def closed(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_members_hear_the_same_and_the_last_closes_the_connection(stage):
    writer, peers, member = stage

    async def played():
        script = Script()
        (one, first), (two, second) = member(script, "a"), member(script, "b")
        await settle()
        assert len(script.lines) == 1
        [line] = script.lines
        assert (line.sub, line.url) == ("shared-u0", "http://h/p?access_token=t&sub=shared-u0")
        line.opened()
        line.event(id="e-1", type="x", data="1")
        assert one.is_open
        assert two.is_open
        late, third = member(script, "c")
        await settle()
        assert late.is_open
        line.event(id="e-2", type="x", data="2")
        await closed(first)
        line.event(id="e-3", type="x", data="3")
        line.ended("end of stream")
        line.error("end of stream")
        assert not two.is_open
        line.opened()
        await closed(second)
        assert script.ended == 0
        await closed(third)
        assert script.ended == 1
        assert peers == {}

    asyncio.run(played())
    assert [[row["id"] for row in writer.of("sub.event", sub)] for sub in ("a", "b", "c", "shared-u0")] == [
        ["e-1", "e-2"],
        ["e-1", "e-2", "e-3"],
        ["e-2", "e-3"],
        ["e-1", "e-2", "e-3"],
    ]
    assert [row["attempt"] for row in writer.of("sub.open", "b")] == [0, 1]
    assert [row["reason"] for row in writer.of("sub.error", "b")] == ["end of stream"]
    assert writer.of("sub.attempt", "b") == []
    assert [row["reason"] for row in writer.of("sub.closed", "shared-u0")] == ["close()"]
    assert len(writer.of("sub.close", "shared-u0")) == 1


def test_users_do_not_share(stage):
    _, _, member = stage

    async def played():
        script = Script()
        tasks = [member(script, "a", "u0")[1], member(script, "b", "u1")[1]]
        await settle()
        assert [line.user for line in script.lines] == ["u0", "u1"]
        for task in tasks:
            await closed(task)

    asyncio.run(played())


def test_a_connection_that_gives_up_ends_its_members(stage):
    writer, peers, member = stage

    async def played():
        script = Script()
        tasks = [member(script, name)[1] for name in "ab"]
        await settle()
        script.over.set()
        await asyncio.gather(*tasks)
        assert peers == {}

    asyncio.run(played())
    assert [row["reason"] for row in writer.of("sub.closed", "shared-u0")] == ["gave up"]
    assert writer.of("sub.close", "shared-u0") == []
