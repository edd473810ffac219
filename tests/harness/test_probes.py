"""The run's own questions, asked of a small server that answers by user and path."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness import probes
from harness.history import Writer, read
from harness.servers import Pass

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: endless\n\n"
NONE = b"HTTP/1.1 204 No Content\r\n\r\n"


def json_of(body):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class Site:
    """A server whose answers are a function of path and user."""

    answer: object
    port: int = 0
    query: str = ""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/stream"

    @property
    def twins(self):
        return {name: f"http://127.0.0.1:{self.port}/{name}" for name in ("events", "dashboard", "flags")}

    async def admit(self, user, ttl=None):
        return Pass({}, f"access_token={user}") if self.query else Pass({"Authorization": f"Bearer {user}"})

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path, user = head.split()[1], head.partition("Bearer ")[2].partition("\r\n")[0]
        writer.write(self.answer(path, user))
        await writer.drain()
        if path.startswith("/stream"):
            await reader.read()  # until the peer hangs up
        writer.close()


@asynccontextmanager
async def site(answer, **more):
    one = Site(answer, **more)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await server.wait_closed()


def records(tmp_path, answer, ask, **more):
    head = {"role": "run", "host": "h", "boot": "b", "pid": 1, "mono": 0.0, "wall": 0.0}
    writer = Writer(tmp_path / "run.jsonl", lambda: 1.0, head)

    async def run():
        async with site(answer, **more) as one:
            await ask(one, writer)

    asyncio.run(run())
    writer.close()
    return read(tmp_path / "run.jsonl")[1:]


def by_user(path, user):
    if path.startswith("/flags"):
        return json_of(b'{"enable": true}' if user == "ann" else b'{"enable": false}')
    return STREAM if user == "ann" else NONE


def test_who_is_offered_the_stream_and_what_the_server_says_of_it(tmp_path):
    found = records(tmp_path, by_user, lambda one, out: probes.ask_all(one, out, "p", ["ann", "bob"], repeat=2))
    assert [(one["user"], one["status"], one["told"]) for one in found] == [("ann", 200, True), ("bob", 204, False)] * 2


def test_an_answer_that_is_none_is_no_status(tmp_path):
    found = records(tmp_path, lambda *_: b"", lambda one, out: probes.ask_all(one, out, "p", ["ann"], repeat=1))
    assert [(one["status"], one["told"]) for one in found] == [(None, None)]


def test_a_flags_twin_that_says_something_else_says_nothing(tmp_path):
    def odd(path, user):
        return json_of(b'["x"]' if user == "ann" else b'{"a": true, "b": false}') if "flags" in path else NONE

    found = records(tmp_path, odd, lambda one, out: probes.ask_all(one, out, "p", ["ann", "bob"], repeat=1))
    assert [one["told"] for one in found] == [None, None]


def test_a_twin_is_known_by_the_bytes_of_its_answer(tmp_path):
    bodies = iter([b"a", b"a", b"b", b"c"])
    found = records(
        tmp_path,
        lambda path, user: json_of(next(bodies)),
        lambda one, out: probes.ask_twins(one, out, "p", ["ann"], repeat=2),
    )
    digests = {}
    for one in found:
        digests.setdefault(one["twin"], []).append(one["digest"])
    assert [one["twin"] for one in found] == ["dashboard", "events", "dashboard", "events"]
    assert digests["dashboard"][0] == digests["events"][0] != digests["dashboard"][1]


def test_a_token_may_stand_in_the_query(tmp_path):
    seen = []

    def note(path, user):
        seen.append(path)
        return NONE

    records(tmp_path, note, lambda one, out: probes.ask_all(one, out, "p", ["ann"], repeat=1), query="yes")
    assert seen == ["/flags?access_token=ann", "/stream?access_token=ann"]
