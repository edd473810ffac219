import asyncio

import pytest

from harness.clients import httpx_sse
from tests.harness import certificate
from tests.harness.doubles import HOLD, OPENED, RESET, Notes, Scripted, answer, running, session, until


def played(script):
    async def play():
        async with Scripted(script) as server:
            notes = Notes()
            await httpx_sse.subscribe(session(server.url, notes))
            return notes, server

    return asyncio.run(play())


def test_one_stream_is_read_to_its_end_and_that_is_all():
    notes, server = played((OPENED, b"id: 1\nevent: e\ndata: a\n\ndata: b\n\n"))
    assert notes.story() == ["attempt", "response", "open", "event", "event", "end"]
    assert notes.told("sub.event", "id", "type", "data") == [("1", "e", "a"), ("1", "message", "b")]
    [request] = server.requests
    assert request.headers["authorization"] == "Bearer first"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (answer(500), "HTTPStatusError"),
        (answer(200, b"x", Content_Type="text/plain"), "SSEError"),
        ((OPENED, b"data: a\n\n", RESET), "ReadError"),
        ((), "RemoteProtocolError"),
    ],
    ids=["status", "type", "reset", "nothing"],
)
def test_whatever_goes_wrong_is_told_as_error_and_end(script, reason):
    notes, server = played(script)
    [error], [end] = notes.told("sub.error", "reason"), notes.told("sub.end", "reason")
    assert error.startswith(f"{reason}: ")
    assert end == reason
    assert len(server.requests) == 1


def test_cancelled_it_closes_its_connection():
    async def play():
        async with Scripted((OPENED, b"data: a\n\n", HOLD)) as server:
            notes = Notes()
            async with running(httpx_sse.subscribe(session(server.url, notes))):
                await until(lambda: notes.of("sub.event"))
            await until(lambda: server.left == 1)

    asyncio.run(play())


@pytest.mark.slow
def test_certificates_are_trusted_as_the_session_says(tmp_path):
    ca_file, tls = certificate.made(tmp_path)

    async def play():
        async with Scripted((OPENED, b"data: a\n\n"), tls=tls) as server:
            notes = Notes()
            await httpx_sse.subscribe(session(server.url, notes, ca_file=ca_file))
            return notes

    assert len(asyncio.run(play()).of("sub.event")) == 1


def test_it_declares_nothing():
    assert frozenset() == httpx_sse.CAPABILITIES
