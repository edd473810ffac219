"""Attempts as the client tells them, as the server tells them, and as far as only openings are told."""

import importlib.util
from pathlib import Path

import pytest

from harness import attempts, declared

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)

STREAM = {"content-type": "text/event-stream"}


def sub(t, kind, **data):
    return (t, f"sub.{kind}", {"sub": "s", **data})


def conn(t, kind, conn="c1", **data):
    return (t, f"conn.{kind}", {"conn": conn, **data})


def request(t, header=None, name="c1", **more):
    about = {"user": "u", "method": "GET", "path": "/", "headers": {}, "last_event_id": header, "sub": "s"}
    return conn(t, "request", name, **{**about, **more})


def life(*records, **header):
    return attempts.lives(planted.history(records, **header))["s"]


def test_a_client_that_tells_is_followed_attempt_by_attempt():
    one = life(
        sub(0, "start", user="u", options={"ttl": 3}),
        sub(1, "attempt", attempt=0, last_event_id=None), request(1.1),
        conn(1.2, "response", status=200, headers=STREAM),
        sub(1.3, "response", attempt=0, status=200, headers=STREAM), sub(1.3, "open", attempt=0),
        sub(1.35, "state", state="OPEN"), sub(1.4, "retry", attempt=0, retry_ms=500), conn(1.5, "sent", what="event"),
        conn(1.6, "resumed", after="", replayed=0, reset=None), conn(2, "end", by="server", how="fin", bytes=1),
        sub(2.1, "end", attempt=0, reason="eof", invalid_utf8=2), sub(2.1, "error", attempt=0, reason="later"),
        sub(2.2, "wait", attempt=0, delay=0.5, reason="eof"),
        sub(3, "attempt", attempt=1, last_event_id="x"), request(3.1, "y", "c2"), sub(4, "close"), sub(4.1, "close"),
        sub(4.2, "closed", reason="close()"), sub(5, "event", attempt=1, id="", type="message"),
    )  # fmt: skip
    first, second = one.attempts
    assert (one.user, one.ttl, one.first_open, one.t_close, one.gone) == ("u", 3.0, 1.3, 4, 4)
    assert (first.source, first.status, first.t_open, first.t_end, first.end_reason) == ("client", 200, 1.3, 2.1, "eof")
    assert (first.told_end, first.delay, first.invalid_utf8, first.retry, first.t_last) == (2, 0.5, 2, 0.5, 1.4)
    assert (first.conns[0].how, len(first.conns[0].sent), first.fatal) == ("fin", 1, False)
    assert (second.last_event_id, second.header, second.status, second.fatal) == ("x", "y", None, False)
    assert [record.kind for record in one.after] == ["sub.event"]


def test_of_a_client_that_tells_only_openings_the_server_tells_the_attempts():
    one = life(
        request(1), conn(1.1, "response", status=503, headers={"Retry-After": "1"}), request(2, "x", "c2"),
        conn(2.1, "response", "c2", status=200, headers=STREAM), sub(2.2, "open", attempt=0),
        sub(2.3, "event", attempt=0, id="y", type="message"), conn(3, "end", "c2", by="server", how="rst", bytes=0),
    )  # fmt: skip
    assert [(a.source, a.status, a.header, a.t_open) for a in one.attempts] == [
        ("server", 503, None, None), ("server", 200, "x", 2.2),
    ]  # fmt: skip
    assert (one.attempts[0].headers, one.attempts[0].fatal, one.attempts[1].told_end) == ({"retry-after": "1"}, True, 3)


def test_of_a_client_that_nobody_else_saw_each_opening_is_an_attempt():
    one = life(
        sub(0, "event", attempt=0, id="", type="message"), sub(1, "open", attempt=0), sub(2, "open", attempt=0),
    )  # fmt: skip
    assert [(a.number, a.source, a.status, a.t_open) for a in one.attempts] == [
        (0, "open", 200, 1),
        (1, "open", 200, 2),
    ]


def test_requests_of_nobody_in_particular_are_not_matched():
    history = planted.history(
        [request(1, sub=None), conn(1.1, "response", status=200, headers={}), conn(2, "end", "c9")]
    )
    assert attempts.lives(history) == {}


@pytest.mark.parametrize(
    "status, headers, fatal",
    [
        (200, STREAM, False), (200, {"content-type": "Text/Event-Stream; charset=x"}, False), (200, {}, False),
        (200, {"content-type": "text/plain"}, True), (204, {}, True), (302, {}, False), (500, {}, True),
    ],
)  # fmt: skip
def test_what_ends_a_client_for_good(status, headers, fatal):
    one = life(
        sub(1, "attempt", attempt=0, last_event_id=None), sub(2, "response", attempt=0, status=status, headers=headers)
    )
    assert one.attempts[0].fatal is fatal


def test_streams_and_pairs():
    history = planted.history([sub(1, "open", attempt=0), sub(2, "open", attempt=1), sub(3, "open", attempt=2)])
    assert len(attempts.streams(history)) == 3
    assert [(a.number, b.number) for a, b in attempts.pairs(attempts.lives(history)["s"])] == [(0, 1), (1, 2)]


CLIENT = {"client": {"capabilities": ["status-retry"], "options": {"backoff_cap": 4, "policy": "spec", "jitter": True}}}


def test_what_a_client_declares():
    declares = declared.of(planted.history([], **CLIENT, promises={"heartbeat": 2.0, "unheard": 1}))
    assert (declares.cap, declares.can("status-retry"), declares.retries_refusals) == (4.0, True, False)
    assert (declares.number("jitter"), declares.number("none"), declares.promises.heartbeat) == (None, None, 2.0)
    assert declared.of(planted.history([])).cap == declared.LONGEST_DEFAULT


def test_the_reconnection_time_is_what_the_client_read_or_else_what_the_server_sent_and_the_client_got():
    told = [sub(1, "open", attempt=0), sub(1.1, "retry", attempt=0, retry_ms=700), sub(2, "open", attempt=1)]
    history = planted.history(told)
    assert declared.reconnection_times(attempts.lives(history)["s"], history) == [0.7, 0.7]
    sent = [
        request(1), sub(1.1, "open", attempt=0), conn(1.2, "sent", what="retry", retry_ms=300),
        conn(1.2, "sent", what="event"), sub(1.3, "event", attempt=0, id="", type="message"),
        request(2, name="c2"), conn(2.1, "sent", "c2", what="retry", retry_ms=900),
    ]  # fmt: skip
    history = planted.history(sent, client={"options": {"reconnection_time": 3}})
    assert declared.reconnection_times(attempts.lives(history)["s"], history) == [0.3, 0.3]


def obeyed(*told):
    """The reconnection times of a client that was sent 300 and, after one event, 1500, and another event."""
    sent = [
        request(1), sub(1.1, "open", attempt=0), conn(1.2, "sent", what="retry", retry_ms=300),
        conn(1.2, "sent", what="event"), sub(1.3, "event", attempt=0, id="", type="message"),
        conn(1.4, "sent", what="retry", retry_ms=1500), conn(1.4, "sent", what="event"), *told,
    ]  # fmt: skip
    history = planted.history(sorted(sent, key=lambda one: one[0]))
    return declared.reconnection_times(attempts.lives(history)["s"], history)


def test_a_client_that_passes_a_retry_over_or_reads_one_that_is_none_is_not_believed():
    event, first = sub(1.5, "event", attempt=0, id="", type="message"), sub(1.21, "retry", attempt=0, retry_ms=300)
    assert obeyed(first, event) == obeyed(event) == [1.5]
    assert obeyed(first, event, sub(1.6, "retry", attempt=0, retry_ms=-1)) == [1.5]
    assert obeyed(first, event, sub(1.6, "retry", attempt=0, retry_ms=9000)) == [9.0], "it waits longer: that it may"


def test_a_client_did_not_get_for_certain_what_nothing_came_after():
    first, second = sub(1.21, "retry", attempt=0, retry_ms=300), sub(1.41, "retry", attempt=0, retry_ms=1500)
    assert obeyed() == obeyed(first) == [0.3]
    assert obeyed(first, second) == [1.5]


def test_a_retry_of_the_attempt_before_is_in_force_until_another_is_got():
    again = [
        sub(1.41, "retry", attempt=0, retry_ms=1500), sub(1.5, "event", attempt=0, id="", type="message"),
        request(3, name="c2"), sub(3.1, "open", attempt=1), conn(3.1, "sent", "c2", what="retry", retry_ms=300),
    ]  # fmt: skip
    assert obeyed(*again) == [1.5, 1.5]
    assert obeyed(*again, sub(3.2, "retry", attempt=1, retry_ms=300)) == [1.5, 0.3]


def test_polls_belong_to_no_attempt_and_what_follows_them_is_a_new_subscription():
    one = life(
        sub(1, "attempt", attempt=0, last_event_id=None), sub(2, "poll", status=200, events=1),
        sub(2, "event", attempt=0, id="7", type="m", via="poll"), sub(3, "attempt", attempt=1, last_event_id="7"),
        sub(4, "attempt", attempt=2, last_event_id="7"),
    )  # fmt: skip
    assert [one.anew(number) for number in range(3)] == [True, True, False]
    assert (len(one.polls), [record["id"] for record in one.polled], one.attempts[0].seen) == (1, ["7"], [])


def redirect(t, name="c1"):
    return [
        request(t, name=name), conn(t + 0.1, "response", name, status=307, headers={"Location": "/there"}),
        conn(t + 0.15, "end", name, by="server", how="fin", bytes=0),
    ]  # fmt: skip


def test_a_redirect_is_no_end_of_its_attempt():
    one = life(
        sub(0.9, "attempt", attempt=0, last_event_id=None), *redirect(1), request(1.2, name="c2"),
        conn(1.3, "response", "c2", status=200, headers=STREAM), sub(1.4, "open", attempt=0),
        conn(5, "end", "c2", by="client", how="fin", bytes=1),
    )  # fmt: skip
    [only] = one.attempts
    assert (only.told_end, len(only.conns)) == (5, 2)


def test_of_a_client_that_tells_nothing_the_hops_of_a_redirect_are_one_attempt():
    one = life(
        *redirect(1), request(1.2, name="c2"), conn(1.3, "response", "c2", status=200, headers=STREAM),
        sub(1.4, "open", attempt=0), conn(5, "end", "c2", by="server", how="fin", bytes=1), request(6, name="c3"),
    )  # fmt: skip
    assert [(each.status, each.t_response, each.t_open, len(each.conns)) for each in one.attempts] == [
        (200, 1.3, 1.4, 2), (None, None, None, 1),
    ]  # fmt: skip
    looping = life(*(record for n in range(25) for record in redirect(1 + n, f"c{n}")))
    assert [len(each.conns) for each in looping.attempts] == [21, 4]


def test_an_error_that_is_told_late_ends_no_open_stream():
    one = life(
        sub(1, "attempt", attempt=0, last_event_id=None), sub(1.1, "open", attempt=0),
        sub(1.2, "error", attempt=0, reason="of the attempt before"),
        sub(2, "event", attempt=0, id="", type="message"), sub(3, "end", attempt=0, reason="eof"),
        sub(3.1, "comment", attempt=0),
    )  # fmt: skip
    assert one.attempts[0].t_end == 3


def test_a_reconnection_time_of_any_length_is_a_number():
    one = life(sub(1, "open", attempt=0), sub(1.1, "retry", attempt=0, retry_ms=10**400))
    assert one.attempts[0].retry == attempts.LONGEST_RETRY_MS / 1000


def test_what_it_was_answered_and_whether_it_left_by_itself():
    told = life(
        sub(1, "attempt", attempt=0, last_event_id=None), request(1.1), conn(1.2, "response", status=403, headers={})
    )
    assert (told.attempts[0].status, told.attempts[0].answer, told.left) == (None, 403, False)
    assert life(sub(0, "start", user="u", options={}), sub(2, "closed", reason="gave up")).left
    assert not life(sub(0, "start", user="u", options={}), sub(1, "close"), sub(2, "closed", reason="close()")).left
