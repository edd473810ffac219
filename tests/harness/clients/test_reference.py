"""The reference client over real sockets: what came, and what must follow."""

import asyncio
import gc

import psutil
import pytest

from harness.clients import reference
from tests.harness import certificate
from tests.harness.doubles import HOLD, OPENED, RESET, Notes, Scripted, answer, running, session, until

EVENT = b"id: 1\ndata: a\n\n"


def played(*scripts, when, seconds=5.0, **more):
    """The records and requests of a client on these scripts, cancelled as soon as `when(notes, server)` holds."""

    async def play():
        async with Scripted(*scripts) as server:
            notes = Notes()
            one = session(server.url, notes, **more)
            async with running(reference.subscribe(one)) as task:
                await until(lambda: when(notes, server) or task.done(), seconds)
            await until(lambda: not one.is_open and not server.tasks)
            return notes, server

    return asyncio.run(play())


def events(count):
    return lambda notes, server: len(notes.of("sub.event")) == count


def requests(count):
    return lambda notes, server: len(server.requests) == count


def failed(notes, server):
    return notes.told("sub.state", "state")[-1:] == ["FAILED"]


def test_a_lost_connection_is_made_again_after_the_last_event_id():
    notes, server = played(
        (OPENED, b"retry: 30\n\n", EVENT), (OPENED, b": hello\n\nid: 2\ndata: b\n\n", HOLD), when=events(2)
    )
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "1"]
    assert {request.headers["accept"] for request in server.requests} == {"text/event-stream"}
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer first"}
    assert notes.story() == [
        "attempt", "response", "open", "retry", "event", "end", "error", "wait",
        "attempt", "response", "open", "comment", "event", "end",
    ]  # fmt: skip
    assert notes.told("sub.event", "id", "data") == [("1", "a"), ("2", "b")]
    assert notes.told("sub.end", "reason", "bytes")[0] == ("end of stream", len(b"retry: 30\n\n" + EVENT))
    assert notes.told("sub.state", "state") == ["OPEN", "WAITING", "CONNECTING", "OPEN", "CLOSED"]


def test_the_wait_is_never_shorter_than_the_law_as_the_records_have_it():
    notes, _ = played((OPENED, b"retry: 25\n\n"), when=lambda notes, _: len(notes.of("sub.attempt")) > 5)
    ends, attempts = notes.of("sub.end"), notes.of("sub.attempt")[1:]
    for end, wait, attempt in zip(ends, notes.of("sub.wait"), attempts, strict=False):
        assert wait["delay"] >= 0.025
        assert attempt.t - end.t >= wait["delay"]


def test_an_unfinished_event_is_dropped_and_told_as_torn():
    notes, server = played((OPENED, EVENT + b"id: 2\ndata: to"), (OPENED, HOLD), when=requests(2))
    assert notes.told("sub.event", "id") == ["1"]
    assert notes.told("sub.end", "torn")[0] == 1
    assert server.requests[1].headers["last-event-id"] == "1"


@pytest.mark.parametrize(
    ("end", "reason"), [((OPENED, EVENT, RESET), "ReadError"), ((RESET,), "Read"), ((b"nonsense\r\n\r\n",), "Remote")]
)
def test_whatever_ends_a_connection_it_comes_back(end, reason):
    notes, _ = played(
        end,
        (OPENED, HOLD),
        when=lambda notes, _: notes.told("sub.state", "state")[-1:] == ["OPEN"] and len(notes.of("sub.attempt")) == 2,
    )
    assert notes.told("sub.end", "reason")[0].startswith(reason) or notes.told("sub.error", "reason")[0].startswith(
        reason
    )


def test_204_stops_it_for_good():
    notes, server = played(answer(204), when=failed)
    assert len(server.requests) == 1
    assert notes.story() == ["attempt", "response", "end", "error"]
    assert notes.told("sub.error", "reason") == ["status 204"]


def test_no_byte_of_anything_but_an_event_stream_is_dispatched():
    notes, _ = played(answer(200, EVENT, Content_Type="text/html"), when=failed)
    assert notes.of("sub.event", "sub.open") == []
    assert notes.told("sub.error", "reason") == ["content type 'text/html'"]


def test_a_refused_token_is_refreshed_once_and_at_once():
    asked = []

    async def fresh():
        asked.append(True)
        return {"Authorization": "Bearer second"}

    notes, server = played(answer(401), (OPENED, EVENT, HOLD), when=events(1), fresh_token=fresh)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]
    assert (len(asked), notes.of("sub.wait")) == (1, [])
    notes, server = played(answer(401), when=failed, fresh_token=fresh)
    assert (len(asked), len(server.requests)) == (2, 2)


def test_without_a_way_to_a_new_token_it_waits_and_asks_again():
    notes, _ = played(answer(401), (OPENED, EVENT, HOLD), when=events(1))
    assert notes.told("sub.error", "reason") == ["there is no way to get a new token"]
    assert len(notes.of("sub.wait")) == 1


def test_an_overloaded_server_is_left_alone_as_long_as_it_asks():
    notes, _ = played(answer(503, Retry_After="0"), answer(429), (OPENED, EVENT, HOLD), when=events(1))
    assert notes.told("sub.wait", "reason") == ["status 503", "status 429"]
    assert notes.told("sub.response", "status") == [503, 429, 200]


def test_silence_beyond_the_deadline_ends_the_connection():
    options = {"heartbeat_deadline": 0.05}
    notes, server = played((OPENED, b": a\n\n", HOLD), (OPENED, EVENT, HOLD), when=events(1), options=options)
    reasons = notes.told("sub.error", "reason")  # a busy machine can be late on the second connection, too
    assert set(reasons) == {"nothing heard for 0.05 s"}
    [comment], end = notes.of("sub.comment"), notes.of("sub.end")[0]
    assert end.t - comment.t >= 0.05
    assert server.left == len(reasons) + 1


def test_no_response_head_within_its_time_is_an_attempt_that_failed():
    notes, _ = played((HOLD,), (OPENED, EVENT, HOLD), when=events(1), options={"connect_timeout": 0.05})
    assert set(notes.told("sub.error", "reason")) == {"no response head within 0.05 s"}


def test_closing_it_closes_the_socket_and_ends_the_records():
    def sockets():
        gc.collect()
        return len([one for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_ESTABLISHED])

    before = sockets()
    notes, server = played((OPENED, EVENT, HOLD), when=events(1))
    assert server.left == 1
    assert sockets() == before
    assert notes.told("sub.state", "state") == ["OPEN", "CLOSED"]
    assert notes.of("sub.error", "sub.wait") == []


def test_closed_while_it_waits_it_makes_no_attempt_more():
    notes, server = played(
        (OPENED, EVENT), when=lambda notes, _: notes.of("sub.wait"), options={"reconnection_time": 60.0}
    )
    assert len(server.requests) == 1
    assert notes.told("sub.state", "state") == ["OPEN", "WAITING", "CLOSED"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status):
    _, server = played(answer(status, Location="/elsewhere"), (OPENED, EVENT, HOLD), when=events(1))
    assert [request.path for request in server.requests] == ["/stream", "/elsewhere"]
    assert {request.method for request in server.requests} == {"GET"}


def test_redirects_without_end_are_a_lost_connection():
    notes, _ = played(answer(302, Location="/stream"), when=lambda notes, _: notes.of("sub.wait"))
    assert notes.told("sub.error", "reason")[0].startswith("TooManyRedirects")


def test_an_id_that_no_header_can_carry_is_withheld_and_told():
    wire = b"id: a\x0bb\ndata: x\n\n"
    notes, server = played((OPENED, wire), (OPENED, HOLD), when=requests(2))
    assert "last-event-id" not in server.requests[1].headers
    assert any("withheld" in reason for reason in notes.told("sub.state", "reason"))


def test_an_id_of_its_own_and_lines_that_mean_nothing_are_told():
    wire = b"id: 7\n\nnonsense: 1\nretry: x\n\n" + EVENT
    notes, _ = played((OPENED, wire, HOLD), when=events(1))
    assert notes.told("sub.id", "id") == ["7"]
    assert len(notes.of("sub.ignored")) == 2


def test_a_compressed_stream_is_read_and_a_broken_one_is_lost():
    broken = OPENED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    notes, _ = played((broken, b"no gzip"), when=lambda notes, _: notes.of("sub.wait"))
    assert notes.told("sub.error", "reason")[0].startswith("DecodingError")


def test_polling_takes_over_and_a_stream_goes_on_after_it():
    poll = answer(200, b'{"events": [{"id": "5", "type": "m", "data": "p"}], "last": "5"}')

    async def play():
        async with Scripted(answer(204), poll, (OPENED, EVENT, HOLD)) as server:
            notes = Notes()
            options = {"poll_every": 0.001, "stream_again": 0.0}
            one = session(server.url, notes, options=options, polling_url=f"{server.origin}/events")
            async with running(reference.subscribe(one)):
                await until(lambda: len(notes.of("sub.event")) == 2)
            return notes, server

    notes, server = asyncio.run(play())
    assert [request.path for request in server.requests] == ["/stream", "/events", "/stream"]
    assert server.requests[2].headers["last-event-id"] == "5"
    assert notes.told("sub.event", "via") == ["poll", None]


def test_only_options_of_its_own_are_taken():
    one = session("http://127.0.0.1:9/", Notes(), options={"jitter": False, "poll_every": 1.0})
    assert reference.options_of(one).jitter is False


@pytest.mark.slow
def test_certificates_are_trusted_as_the_session_says(tmp_path):
    ca_file, tls = certificate.made(tmp_path)

    async def play(trusted):
        async with Scripted((OPENED, EVENT, HOLD), tls=tls) as server:
            notes = Notes()
            async with running(reference.subscribe(session(server.url, notes, ca_file=trusted))):
                await until(lambda: notes.of("sub.event", "sub.error"))
            return notes

    assert len(asyncio.run(play(ca_file)).of("sub.event")) == 1
    [reason, *_] = asyncio.run(play(None)).told("sub.error", "reason")
    assert reason.startswith("ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED]")
