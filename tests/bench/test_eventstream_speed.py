"""The speed of the decoder, in the same process and on the same bytes as httpx-sse; only the ratio is asserted."""

import codecs
import time
from collections.abc import Callable

import pytest
from httpx_sse._decoders import SSEDecoder, SSELineDecoder

from harness.eventstream import Decoder

pytestmark = pytest.mark.slow

ROUNDS = 7
EVENTS = b"".join(
    b'event: price\nid: 1-%010d\ndata: {"seq": %010d, "body": "%s"}\n\n' % (n, n, b"x" * 38) for n in range(640)
)
CHUNK = EVENTS[: 64 * 1024]  # its last event is torn, as on a real connection
ONE_EACH = [event + b"\n\n" for event in EVENTS.split(b"\n\n")[:-1]]
CRLF = CHUNK.replace(b"\n", b"\r\n")
HEARTBEATS = EVENTS.replace(b"\n\n", b"\n\n: heartbeat\n\n")[: 64 * 1024]
MULTILINE = EVENTS.replace(b', "body', b',\ndata: "body')[: 64 * 1024]
INVALID = CHUNK.replace(b"xx", b"\xff\xff", 1)


def ours(chunks: list[bytes]) -> int:
    decoder = Decoder()
    return sum(len(decoder.feed(chunk)) for chunk in chunks)


def httpx_sse(chunks: list[bytes]) -> int:
    """httpx-sse without the HTTP around it: the loops of `EventSource.iter_sse` and of httpx's text decoder."""
    text, lines, events = codecs.getincrementaldecoder("utf-8")("replace"), SSELineDecoder(), SSEDecoder()
    count = 0
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            count += events.decode(line.rstrip("\n")) is not None
    return count


def cpu_seconds(decode: Callable[[list[bytes]], int], chunks: list[bytes]) -> float:
    start = time.process_time()
    for _ in range(20):
        decode(chunks)
    return (time.process_time() - start) / 20


def ratio(chunks: list[bytes]) -> float:
    """How many times the CPU time of ours httpx-sse needs: best of interleaved rounds each."""
    pairs = [(cpu_seconds(ours, chunks), cpu_seconds(httpx_sse, chunks)) for _ in range(ROUNDS)]
    return min(theirs for _, theirs in pairs) / min(mine for mine, _ in pairs)


def test_the_two_decode_the_same_number_of_events():
    assert len(CHUNK) == 64 * 1024
    assert 105 <= len(EVENTS) / 640 <= 115
    for chunks in ([CHUNK], [CRLF], [MULTILINE], [INVALID]):
        assert ours(chunks) == httpx_sse(chunks) > 300
    assert ours(ONE_EACH) == httpx_sse(ONE_EACH) == 640


@pytest.mark.parametrize(
    ("chunks", "least"),
    [
        pytest.param([CHUNK], 2.0, id="64 KiB chunks"),
        pytest.param([CRLF], 2.0, id="64 KiB chunks, CRLF"),
        pytest.param(ONE_EACH, 1.0, id="one event a chunk"),
    ],
)
def test_is_faster_than_httpx_sse(chunks: list[bytes], least: float):
    measured = ratio(chunks)
    assert measured >= least, f"{measured:.2f} times as fast as httpx-sse, at least {least} expected"


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([CHUNK], id="64 KiB chunks"),
        pytest.param([CRLF], id="64 KiB chunks, CRLF"),
        pytest.param(ONE_EACH, id="one event a chunk"),
        pytest.param([HEARTBEATS], id="a heartbeat after each event"),
        pytest.param([MULTILINE], id="two data lines"),
        pytest.param([INVALID], id="an invalid byte"),
    ],
)
@pytest.mark.parametrize("decode", [ours, httpx_sse], ids=lambda decode: decode.__name__)
def test_speed(benchmark, decode: Callable[[list[bytes]], int], chunks: list[bytes]):
    events = benchmark.pedantic(decode, args=(chunks,), rounds=30, iterations=5, warmup_rounds=2)
    # Reported beside the times; pytest-benchmark knows only whole calls.
    benchmark.extra_info["microseconds_per_item"] = benchmark.stats.stats.min / events * 1e6
