"""What one event costs a process of load: all that is done between the socket and the summary, in CPU time.

The measure is what the same bytes cost in the same process to anybody who takes them apart: h11, httpx-sse, JSON.
"""

import codecs
import json
import random
import time
from collections.abc import Callable
from typing import cast

import h11
import pytest
from httpx_sse._decoders import SSEDecoder, SSELineDecoder

from harness import testevent
from harness.clients import Session
from harness.clients.telling import tell
from harness.history import Writer
from harness.load.recorder import Recorder
from harness.load.response import Head, Reader
from harness.subscriber import Options, Subscriber
from harness.target import Promises

pytestmark = pytest.mark.slow

ROUNDS = 5
SUBSCRIBERS = 100
EVENTS = 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Nowhere:
    """A sink that keeps nothing: what is measured is how the records come about."""

    def __init__(self):
        self.runs = 0

    def write(self, kind, *, t=None, **data):
        self.runs += data["last"] - data["first"] + 1 if kind == "sub.run" else 0

    def close(self):
        pass


def chunk(user: str | None, seq: int) -> bytes:
    payload = testevent.make(user, epoch="e", seq=seq, at=time.time(), body={"kind": "task.updated", "n": seq})
    block = f"id: e-{seq}\nevent: task.updated\ndata: {json.dumps(payload)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(block), block)


def wires(*, shared: bool) -> list[list[bytes]]:
    """The chunks of each subscriber: everybody gets the same, or each its own."""
    if shared:
        return [[chunk(None, seq) for seq in range(1, EVENTS + 1)]] * SUBSCRIBERS
    return [[chunk(f"u{number}", seq) for seq in range(1, EVENTS + 1)] for number in range(SUBSCRIBERS)]


class Ours:
    """Subscribers of the load engine without their sockets."""

    def __init__(self):
        self.sink = Nowhere()
        offset = time.time() - time.monotonic()
        self.recorder = Recorder(self.sink, time.monotonic, Promises(), offset, full=0)
        self.subscribers = [self.subscriber(number) for number in range(SUBSCRIBERS)]

    def subscriber(self, number):
        session = Session(
            sub=f"w0-{number}", user=f"u{number}", url="http://127.0.0.1:9/stream", headers={},
            writer=cast(Writer, self.recorder),
        )  # fmt: skip
        self.recorder.write("sub.start", sub=session.sub, user=session.user, url=session.url, options={})
        machine, reader = Subscriber(Options(), rng=random.Random(number)), Reader("/stream", {"Host": "a"})
        machine.start(time.monotonic())
        session.attempt(None)
        [head] = reader.feed(HEAD)
        assert isinstance(head, Head)
        for output in machine.connected(time.monotonic(), head.status, head.headers):
            tell(session, output, machine=machine, received=0)
        return session, machine, reader

    def take(self, chunks: list[list[bytes]]) -> int:
        for turn in zip(*chunks, strict=True):
            for (session, machine, reader), wire in zip(self.subscribers, turn, strict=True):
                for said in reader.feed(wire):
                    session.at = time.monotonic()
                    for output in machine.received(session.at, said):
                        tell(session, output, machine=machine, received=0)
        self.recorder.flush()
        return self.sink.runs


class Plain:
    """The same bytes taken apart with h11, httpx-sse and JSON, and nothing kept."""

    def __init__(self):
        self.subscribers = [self.subscriber() for _ in range(SUBSCRIBERS)]

    @staticmethod
    def subscriber():
        http = h11.Connection(h11.CLIENT)
        http.send(h11.Request(method="GET", target="/stream", headers=[("Host", "a")]))
        http.send(h11.EndOfMessage())
        http.receive_data(HEAD)
        assert isinstance(http.next_event(), h11.Response)
        return http, codecs.getincrementaldecoder("utf-8")("replace"), SSELineDecoder(), SSEDecoder()

    def take(self, chunks: list[list[bytes]]) -> int:
        count = 0
        for turn in zip(*chunks, strict=True):
            for (http, text, lines, events), wire in zip(self.subscribers, turn, strict=True):
                http.receive_data(wire)
                while isinstance(one := http.next_event(), h11.Data):
                    for line in lines.decode(text.decode(bytes(one.data))):
                        if (event := events.decode(line.rstrip("\n"))) is not None:
                            count += len(json.loads(event.data)) > 0
        return count


def cpu_seconds(engine: Callable[[], Ours | Plain], chunks: list[list[bytes]]) -> float:
    one = engine()
    start = time.process_time()
    assert one.take(chunks) == SUBSCRIBERS * EVENTS
    return time.process_time() - start


def ratio(*, shared: bool) -> float:
    """How many times the CPU time of the plain way ours needs: best of interleaved rounds each."""
    chunks = wires(shared=shared)
    pairs = [(cpu_seconds(Ours, chunks), cpu_seconds(Plain, chunks)) for _ in range(ROUNDS)]
    return min(mine for mine, _ in pairs) / min(theirs for _, theirs in pairs)


@pytest.mark.parametrize(
    ("shared", "most"),
    [pytest.param(True, 3.2, id="everybody gets the same"), pytest.param(False, 5.5, id="each gets its own")],
)
def test_an_event_costs_a_few_times_what_it_costs_to_take_it_apart(shared: bool, most: float):
    measured = ratio(shared=shared)
    assert measured <= most, f"{measured:.2f} times the CPU time of h11, httpx-sse and JSON, at most {most} expected"
