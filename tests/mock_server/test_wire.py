import asyncio
import gzip
import zlib

from mock_server.wire import PACED_BYTES, Wire


class Transport:
    """A transport that only remembers."""

    def __init__(self):
        self.written = []
        self.closed = False

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closed = True


def a_wire(*, chunks=False):
    wire = Wire()
    wire.transport, wire.chunks = Transport(), chunks
    return wire


def test_what_is_held_goes_with_the_next_bytes():
    wire = a_wire(chunks=True)
    wire.hold(b"head")
    wire.hold(b"ab", body=True)
    assert wire.transport.written == []
    wire.body(b"c")
    assert wire.transport.written == [b"head2\r\nab\r\n1\r\nc\r\n"]
    assert wire.bytes == 17


def test_a_proper_end_has_the_final_chunk_where_there_are_chunks():
    for chunks, final, written in [(True, True, [b"0\r\n\r\n"]), (True, False, []), (False, True, [])]:
        wire = a_wire(chunks=chunks)
        wire.close(final=final)
        assert (wire.transport.written, wire.transport.closed) == (written, True)


def test_a_pacer_lets_bytes_go_one_by_one_and_all_when_it_is_not_needed_any_more():
    async def play():
        wire, room = a_wire(), asyncio.Event()
        wire.pace(0.001, 1, room.set)
        wire.body(b"abc")
        assert wire.transport.written == []
        async with asyncio.timeout(10):
            await room.wait()
        assert wire.transport.written[0] == b"a"
        wire.body(b"def")
        wire.flush()
        assert b"".join(wire.transport.written) == b"abcdef"

    asyncio.run(play())


def test_a_pacer_is_full_at_its_bound_and_what_is_dropped_is_not_sent():
    async def play():
        wire = a_wire()
        wire.pace(60, 1, lambda: None)
        wire.body(b"x" * (PACED_BYTES - 1))
        assert not wire.full
        wire.body(b"x")
        assert wire.full
        wire.drop()
        assert not wire.full
        assert wire.transport.written == []

    asyncio.run(play())


def test_a_coded_body_can_be_read_after_each_part_and_ends_properly():
    wire, reader = a_wire(), zlib.decompressobj(wbits=31)
    wire.compress()
    wire.hold(b"a", body=True)
    wire.body(b"b")
    assert reader.decompress(b"".join(wire.transport.written)) == b"ab"
    wire.close(final=True)
    assert gzip.decompress(b"".join(wire.transport.written)) == b"ab"
