import pytest

from harness.eventstream import Decoder, Event
from mock_server.respell import cut, respelled

RAW = b"id: 1\nevent: job\ndata: ab\ndata: cd\n\n"


@pytest.mark.parametrize(
    "where, part",
    [
        ("after-id", b"id: 1\n"),
        ("inside-data", b"id: 1\nevent: job\ndata: a"),
        ("before-empty-line", b"id: 1\nevent: job\ndata: abcdef\n"),
    ],
)
def test_where_an_event_is_cut(where, part):
    assert cut(b"id: 1\nevent: job\ndata: abcdef\n\n", where) == part


@pytest.mark.parametrize(
    "ends, parts",
    [
        ("lf", [RAW]),
        ("cr", [b"id: 1\revent: job\rdata: ab\rdata: cd\r\r"]),
        ("crlf", [b"id: 1\r\nevent: job\r\ndata: ab\r\ndata: cd\r\n\r\n"]),
        ("mixed", [b"id: 1\r\nevent: job\ndata: ab\rdata: cd\r\n\n"]),
        ("split", [b"id: 1\r", b"\nevent: job\r", b"\ndata: ab\r", b"\ndata: cd\r", b"\n\r", b"\n"]),
    ],
)
def test_the_ends_of_lines(ends, parts):
    assert respelled(RAW, ends) == parts
    decoder = Decoder()
    found = [item for part in parts for item in decoder.feed(part)]
    assert found == [Event("job", "ab\ncd", "1")]


def test_a_lone_cr_and_the_lf_of_an_empty_line_never_become_one():
    assert respelled(b"id: 1\nevent: job\ndata: ab\ndata: c\ndata: d\ndata: e\n\n", "mixed") == [
        b"id: 1\r\nevent: job\ndata: ab\rdata: c\r\ndata: d\ndata: e\r\r\n"
    ]
