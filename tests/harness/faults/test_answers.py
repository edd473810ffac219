import pytest

from harness.faults import applied
from harness.script import GOOD, Close, Redirect, Reset, Respond, Send, Stream, Wait, streams


def test_a_status_needs_no_stream_and_may_say_when_to_come_back():
    respond, *_ = script = applied("status", GOOD, {"status": 503, "retry_after": 7})
    assert not streams(script)
    assert respond.status == 503
    assert ("Retry-After", "7") in respond.headers


def test_a_429_that_is_not_the_limit_says_so():
    assert ("X-Refused", "fault") in applied("status", GOOD, {"status": 429})[0].headers


@pytest.mark.parametrize("status, framing, length", [(204, "close", 0), (205, "length", 0), (304, "close", 0)])
def test_a_status_without_a_body_has_none(status, framing, length):
    respond, send, _ = applied("status", GOOD, {"status": status})
    assert (respond.framing, respond.length, send.data) == (framing, length, b"")


@pytest.mark.parametrize(
    "name, parameters, script",
    [
        ("status", {"status": 103}, (Respond(status=103, headers=()), *GOOD)),
        ("redirect", {"status": 308, "hops": None}, (Redirect(status=308, hops=None), *GOOD)),
        ("content-type", {"value": None}, (Respond(but=(("content-type", None),)), Stream())),
        ("slow-headers", {"seconds": 1}, (Wait(1), *GOOD)),
        ("cut-head", {"bytes": 9}, (Send(b"HTTP/1.1 ", raw=True), Close())),
        ("cut-head", {"bytes": 0, "how": "rst"}, (Send(b"", raw=True), Reset())),
        ("http-1-0", {}, (Respond(http="1.0", framing="close"), Stream())),
        ("close-delimited", {}, (Respond(framing="close"), Stream())),
        ("content-length", {"length": 9}, (Respond(framing="length", length=9), Stream(events=1), Close())),
        ("content-length", {"length": 9, "events": None}, (Respond(framing="length", length=9), Stream())),
        ("gzip", {}, (Respond(coding="gzip"), Stream())),
    ],
)
def test_what_a_fault_makes_of_the_good_script(name, parameters, script):
    assert applied(name, GOOD, parameters) == script


def test_an_interim_response_is_no_answer_and_stays_as_it_is():
    both = applied("gzip", applied("status", GOOD, {"status": 103}))
    assert both == (Respond(status=103, headers=()), Respond(coding="gzip"), Stream())
