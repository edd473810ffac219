"""Polling in place of a stream, against a transport that answers from a list."""

import asyncio
import contextlib
import json
import random

import httpx
import pytest

from harness import testevent
from harness.clients import Session, polling
from harness.clients.polling import Resume
from tests.harness.doubles import Clock


class Notes:
    def __init__(self):
        self.rows = []

    def write(self, kind, t=None, **data):
        self.rows.append((kind, data))


def session(**more):
    known = {"sub": "s", "user": "u", "url": "http://x/stream", "headers": {"Authorization": "Bearer t"}}
    options = {"poll_every": 0.001, "stream_again": 0.02}
    known |= {"polling_url": "http://x/events?a=1", "writer": Notes(), "options": options, "rng": random.Random(1)}
    return Session(**{**known, **more})


def run(answers, *, streams=2, **more):
    """Stream, poll these answers (the last one for ever), stream again; returns the session, asked URLs, resumes."""
    one, asked, resumes, waiting = session(**more), [], [], list(answers)

    def answer(request):
        asked.append((str(request.url), request.headers["authorization"]))
        given = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(given, Exception):
            raise given
        return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)

    async def stream(resume):
        resumes.append(resume)
        if len(resumes) == streams:
            raise TimeoutError("enough")
        return Resume("5", 0.3)

    def client():
        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    with contextlib.suppress(TimeoutError), asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(polling.subscribe(one, stream, client))
    return one, asked, resumes


def test_without_a_url_nothing_is_polled():
    one, asked, resumes = run([{}], polling_url=None)
    assert (asked, len(resumes), one.writer.rows) == ([], 1, [])


def test_polling_goes_on_where_the_stream_was_and_the_stream_where_polling_was():
    payload = testevent.make("u", epoch="e", seq=6, at=1.0, body={})
    body = {"events": [{"id": "6", "type": "metric", "data": payload}], "reset": False, "last": "6"}
    one, asked, resumes = run([body, {"events": [], "last": "6"}])
    assert asked[0] == ("http://x/events?a=1&after=5", "Bearer t")
    assert asked[1][0] == "http://x/events?a=1&after=6"
    assert resumes == [Resume(), Resume("6", 0.3)]
    assert one.writer.rows[0] == ("sub.poll", {"sub": "s", "status": 200, "events": 1})
    kind, event = one.writer.rows[1]
    assert (kind, event["id"], event["seq"], event["intact"], event["via"]) == ("sub.event", "6", 6, True, "poll")
    assert not one.polling


def test_the_events_are_asked_for_once_however_soon_a_stream_is_tried_again():
    _, asked, resumes = run([{"events": [], "last": "6"}], options={"poll_every": 0.001, "stream_again": 0.0})
    assert ([url for url, _ in asked], resumes[-1].last_event_id) == (["http://x/events?a=1&after=5"], "6")


def test_a_reset_is_told():
    one, _, _ = run([{"events": [], "reset": True, "reason": "too-old", "last": "9"}, {"events": [], "last": "9"}])
    [reset] = [data for kind, data in one.writer.rows if kind == "sub.event"]
    assert (reset["type"], json.loads(reset["data"])["reason"], reset["id"]) == ("reset", "too-old", "9")


@pytest.mark.parametrize(
    "odd",
    [httpx.Response(500), httpx.ConnectError("no"), httpx.Response(200, text="{"), httpx.Response(200, json=[1])],
    ids=["500", "refused", "torn", "list"],
)
def test_whatever_comes_instead_of_an_answer_is_waited_out(odd):
    one, asked, resumes = run([odd, {"events": "x", "last": "5"}])
    assert resumes[-1].last_event_id == "5"
    assert {kind for kind, _ in one.writer.rows} == {"sub.poll"}
    assert all(url.endswith("after=5") for url, _ in asked)


@pytest.mark.parametrize("status", [401, 403])
def test_who_has_no_right_gives_up(status):
    one, asked, resumes = run([httpx.Response(status)])
    assert (len(asked), len(resumes)) == (1, 1)
    assert one.writer.rows == [("sub.poll", {"sub": "s", "status": status, "events": 0})]


def test_a_sentinel_that_was_polled_counts():
    payload = testevent.make("u", epoch="e", seq=6, at=1.0, body={})
    one, _, _ = run([{"events": [{"id": "6", "type": "sentinel", "data": payload}], "last": "6"}])
    assert one.sentinels == {payload["digest"]}
