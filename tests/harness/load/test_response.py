"""Literal bytes of responses, cut at every position: the same is said however they come."""

import pytest

from harness.load.response import LARGEST_HEAD, End, Head, Reader

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CASES = {
    "chunked, ended by its last chunk": (
        STREAM + b"Transfer-Encoding: chunked\r\n\r\n6\r\ndata: \r\n3;x=y\r\n1\n\n\r\n0\r\n\r\n",
        False, 200, b"data: 1\n\n", "end of stream",
    ),
    "chunked, still open": (STREAM + b"Transfer-Encoding: chunked\r\n\r\n3\r\n: \n\r\n", False, 200, b": \n", None),
    "chunked, cut inside a chunk": (
        STREAM + b"Transfer-Encoding: chunked\r\n\r\nff\r\ndata: 1\n", True, 200, b"data: 1\n", "protocol error",
    ),
    "chunked, cut between chunks": (
        STREAM + b"Transfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n", True, 200, b":\n", "protocol error",
    ),
    "a length, complete": (STREAM + b"Content-Length: 3\r\n\r\n:x\n", False, 200, b":x\n", "end of stream"),
    "a length, too short": (STREAM + b"Content-Length: 9\r\n\r\n:x\n", True, 200, b":x\n", "protocol error"),
    "closed at the end": (b"HTTP/1.0 200 OK\r\nA: 1\r\nA: 2\r\n\r\n:x\n", True, 200, b":x\n", "end of stream"),
    "no body at all": (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, b"", "end of stream"),
    "an interim head first": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        False, 103, b"", "end of stream",
    ),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False, None, b"", "protocol error"),
    "nothing": (b"", True, None, b"", "protocol error"),
    "a head that never ends": (b"HTTP/1.1 200 OK\r\nA: " + b"x" * LARGEST_HEAD + b"\r\n", False, None, b"", "protocol"),
}  # fmt: skip


def read(pieces, eof):
    reader = Reader("/stream", {"Host": "h"})
    said = [one for piece in pieces for one in (reader.feed(piece) if piece else [])]
    said += reader.feed(b"") if eof else []
    assert not (reader.feed(b"more") if any(isinstance(one, End) for one in said) else [])
    heads = [one for one in said if isinstance(one, Head)]
    ends = [one.reason for one in said if isinstance(one, End)]
    return heads, b"".join(one for one in said if isinstance(one, bytes)), ends


@pytest.mark.parametrize("name", CASES)
def test_the_same_is_said_however_the_bytes_come(name):
    wire, eof, status, body, reason = CASES[name]
    heads, got, ends = whole = read([wire], eof)
    assert (heads[0].status if heads else None) == status
    assert got == body
    assert [one.partition(" ")[0] for one in ends] == ([] if reason is None else [reason.partition(" ")[0]])
    step = max(1, len(wire) // 300)
    for at in range(0, len(wire) + 1, step):
        assert read([wire[:at], wire[at:]], eof) == whole
    if len(wire) < 1000:
        assert read([wire[at : at + 1] for at in range(len(wire))], eof) == whole


def test_the_pieces_of_one_read_are_one():
    reader = Reader("/", {"Host": "h"})
    said = reader.feed(STREAM + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n")
    assert said == [Head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}), b"ab"]


def test_equal_names_of_headers_are_joined():
    [head, *_] = Reader("/", {"Host": "h"}).feed(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert head.headers == {"x-a": "1, 2"}


def test_the_request_is_a_get_with_its_headers():
    request = Reader("/s?sub=1", {"Host": "h:1", "Last-Event-ID": "ü".encode(), "Accept": b"text/event-stream"}).request
    head, _, rest = request.partition(b"\r\n")
    assert head == b"GET /s?sub=1 HTTP/1.1"
    assert b"Last-Event-ID: \xc3\xbc\r\n" in rest
    assert rest.endswith(b"\r\n\r\n")


def test_what_no_header_can_carry_is_refused():
    with pytest.raises(ValueError, match="header"):
        Reader("/", {"Host": "h", "X": b"a\nb"})
