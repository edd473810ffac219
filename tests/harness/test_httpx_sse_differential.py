"""httpx-sse against our decoder on the same bytes: every difference is known by name, and each of them still exists."""

from typing import NamedTuple

import httpx
import pytest
from httpx_sse import EventSource, SSEError
from hypothesis import given, settings

from harness.eventstream import Decoder, Event, Item, Overflow, Retry
from tests.harness.corpus import CASES, Case
from tests.harness.strategies import chunked

EVENT_STREAM = "text/event-stream"


def events_of_httpx_sse(chunks: list[bytes]) -> list[Event]:
    response = httpx.Response(200, headers={"content-type": EVENT_STREAM}, content=iter(chunks))
    return [Event(sse.event, sse.data, sse.id) for sse in EventSource(response).iter_sse()]


def our_items(chunks: list[bytes]) -> list[Item]:
    decoder = Decoder()
    return [item for chunk in chunks for item in decoder.feed(chunk)]


def our_events(chunks: list[bytes]) -> list[Event]:
    return [item for item in our_items(chunks) if isinstance(item, Event)]


# Why the events differ -> the cases of the corpus in which they do.
DIFFERENCES: dict[str, set[str]] = {
    "the BOM is kept, so the first line is lost": {"bom", "bom before id", "bom weighs nothing"},
    "after an id every empty line yields an empty event": {"heartbeat after an id", "common forms"},
    "an id-only block is an empty event": {
        "id-only block",
        "id-only block at the end",
        "id and type without data",
        "in order",
    },
    "a type without data is an empty event": {"type without data"},
    "a retry alone is an empty event": {"retry", "retry alone is no event"},
}


def test_the_corpus_differs_where_it_is_known_to():
    def comparable(case: Case) -> bool:  # httpx-sse has neither a limit nor an id from before
        return not case.known_id and not any(isinstance(item, Overflow) for item in case.items)

    found = {c.name for c in CASES if comparable(c) and events_of_httpx_sse([c.wire]) != our_events([c.wire])}
    assert found == set().union(*DIFFERENCES.values())


@pytest.mark.slow
@given(chunked())
@settings(max_examples=500)
def test_random_bytes_differ_only_by_the_bom_and_by_empty_events(chunks: list[bytes]):
    # An empty comment line before everything keeps a BOM from being the first bytes.
    chunks = [b":\n", *chunks]
    theirs = [event for event in events_of_httpx_sse(chunks) if event.data]
    assert theirs == [event for event in our_events(chunks) if event.data]


class RetryDifference(NamedTuple):
    wire: bytes
    theirs: int | None


# `retry` goes through int(), which takes more than ASCII digits; ours gives no Retry for any of these.
RETRY_DIFFERENCES = {
    "sign": RetryDifference(b"retry: -5\ndata: 1\n\n", -5),
    "plus": RetryDifference(b"retry: +5\ndata: 1\n\n", 5),
    "underscore": RetryDifference(b"retry: 1_000\ndata: 1\n\n", 1000),
    "spaces": RetryDifference(b"retry:  5 \ndata: 1\n\n", 5),
    "other digits": RetryDifference(b"retry: \xd9\xa3\ndata: 1\n\n", 3),
}


@pytest.mark.parametrize("difference", RETRY_DIFFERENCES.values(), ids=RETRY_DIFFERENCES)
def test_retry_is_taken_by_httpx_sse_only(difference: RetryDifference):
    assert _retries_of_httpx_sse([difference.wire]) == [difference.theirs]
    assert not any(isinstance(item, Retry) for item in our_items([difference.wire]))


def test_a_retry_of_5000_digits_is_taken_by_ours_only():
    wire = b"retry: " + b"9" * 5000 + b"\ndata: 1\n\n"
    assert _retries_of_httpx_sse([wire]) == [None]
    assert our_items([wire])[0] == Retry(999_999_999_999_999)


def test_retry_waits_for_the_empty_line_in_httpx_sse_only():
    wire = b"retry: 5\ndata: 1\n"
    assert _retries_of_httpx_sse([wire]) == []
    assert our_items([wire]) == [Retry(5)]


def test_the_last_cr_is_held_back_by_httpx_sse_only():
    chunks = [b"data: 1\r\r", b": later\n"]
    came: list[int] = []  # how many chunks were asked for when an event came

    def body():
        for number, chunk in enumerate(chunks, 1):
            came.append(number)
            yield chunk

    response = httpx.Response(200, headers={"content-type": EVENT_STREAM}, content=body())
    next(EventSource(response).iter_sse())
    assert came == [1, 2]
    assert our_events(chunks[:1]) == [Event("message", "1", "")]


def test_the_declared_charset_is_obeyed_by_httpx_sse_only():
    content = b"data: \xc3\xa9\n\n"
    response = httpx.Response(200, headers={"content-type": f"{EVENT_STREAM}; charset=latin-1"}, content=content)
    assert [sse.data for sse in EventSource(response).iter_sse()] == ["Ã©"]
    assert our_events([content]) == [Event("message", "é", "")]


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [
        ("text/event-stream", True),
        ("text/event-stream; charset=utf-8", True),
        ("application/text/event-stream-foo", True),  # known: it looks for the words anywhere
        ("Text/Event-Stream", False),  # known: MIME types are compared without regard to case
        ("text/plain", False),
    ],
)
def test_content_types_of_httpx_sse(content_type: str, accepted: bool):
    """Not the decoder's matter with us, but what a client built on httpx-sse inherits (SSE-15)."""
    response = httpx.Response(200, headers={"content-type": content_type}, content=b"data: 1\n\n")
    try:
        events = list(EventSource(response).iter_sse())
    except SSEError:
        events = []
    assert bool(events) is accepted


def _retries_of_httpx_sse(chunks: list[bytes]) -> list[int | None]:
    response = httpx.Response(200, headers={"content-type": EVENT_STREAM}, content=iter(chunks))
    return [sse.retry for sse in EventSource(response).iter_sse()]
