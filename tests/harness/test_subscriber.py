"""Transcripts of the subscriber: what came, and what must follow. Times are virtual; SSE-n are requirement ids."""

import math

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.eventstream import Event, Ignored
from harness.subscriber import (
    CAPABILITIES,
    READY_STATE,
    TRANSITIONS,
    Changed,
    Closed,
    Connect,
    Disconnect,
    Dispatch,
    Ended,
    Error,
    Failed,
    Heard,
    IdCommitted,
    Opened,
    Options,
    RefreshToken,
    Skipped,
    State,
    Stirred,
    Subscriber,
    Told,
    Waiting,
    Withheld,
)

OK = {"Content-Type": "text/event-stream"}
PLAIN = {"Accept": b"text/event-stream", "Cache-Control": b"no-cache"}


class Dice:
    """Randomness that says what it was told to say."""

    def __init__(self, value=0.0):
        self.value = value

    def random(self):
        return self.value


def subscriber(rng=None, last_event_id="", **options):
    # 3 s, no backoff: what a browser does, unless the test says otherwise.
    options = {"backoff_base": 0.0, "connect_timeout": None, **options}
    return Subscriber(Options(**options), rng=rng or Dice(), last_event_id=last_event_id)


def opened(now=0.0, **options):
    one = subscriber(**options)
    one.start(now)
    one.connected(now, 200, OK)
    return one


def reopened(one, now):
    """Through the wait to the next open stream; returns the request."""
    *_, request = one.tick(one.deadline())
    one.connected(now, 200, OK)
    return request


def of(kind, outputs):
    return [output for output in outputs if isinstance(output, kind)]


# Request


def test_first_request_has_no_last_event_id_and_accepts_event_streams():
    """SSE-4, SSE-5, SSE-6, SSE-8"""
    one = subscriber()
    assert (one.state, one.ready_state, one.deadline()) == (State.CONNECTING, 0, None)
    assert one.start(0.0) == [Connect(0, PLAIN)]
    assert one.start(0.1) == []
    assert one.attempts == 1


def test_given_last_event_id_goes_with_the_first_request():
    assert subscriber(last_event_id="7").start(0.0) == [Connect(0, {**PLAIN, "Last-Event-ID": b"7"})]


@pytest.mark.parametrize(
    "stored, sent",
    [
        ("1", b"1"),
        ("…", "…".encode()),
        ("a\tb c", b"a\tb c"),
        (" \t1 \t", b"1"),
        (" ", b""),
        ("\x7f", None),
        ("a\x0bb", None),
        ("\x1f", None),
        ("a\nb", None),
        ("a\rb", None),
        ("a\0b", None),
        ("\ud800", None),
    ],
)
def test_sse_10_37_39_last_event_id_as_header(stored, sent):
    """SSE-10, SSE-36, SSE-37, SSE-39: UTF-8 bytes; what cannot be sent is left out, said, and wedges nothing."""
    one = subscriber(last_event_id=stored)
    headers = PLAIN if sent is None else {**PLAIN, "Last-Event-ID": sent}
    withheld = [Withheld(stored)] if sent is None else []
    assert one.start(0.0) == [*withheld, Connect(0, headers)]
    assert one.connected(0.1, 200, OK)[-1] == Opened(0)


@given(st.text())
def test_sse_39_each_header_that_is_made_can_be_sent(stored):
    *_, request = subscriber(last_event_id=stored).start(0.0)
    headers = [("Host", b"x"), *request.headers.items()]
    wire = h11.Connection(h11.CLIENT).send(h11.Request(method="GET", target="/", headers=headers))
    assert wire.startswith(b"GET / HTTP/1.1\r\n")


# Response


def test_open_is_announced_on_headers_alone_and_again_on_each_reconnect():
    """SSE-17, SSE-18"""
    one = subscriber()
    one.start(0.0)
    assert one.connected(0.1, 200, OK) == [Changed(State.OPEN, "status 200"), Opened(0)]
    assert one.ready_state == 1
    one.ended(1.0, "EOF")
    one.tick(4.0)
    assert one.connected(4.1, 200, OK) == [Changed(State.OPEN, "status 200"), Opened(1)]


@pytest.mark.parametrize("status", [100, 102, 103])
def test_sse_19_an_informational_response_is_skipped(status):
    one = subscriber()
    one.start(0.0)
    assert one.connected(0.1, status, {}) == []
    assert one.connected(0.2, 200, OK)[-1] == Opened(0)


@pytest.mark.parametrize("status", [201, 204, 205, 299, 301, 304, 400, 401, 403, 404, 429, 500, 503])
def test_sse_13_14_any_status_but_200_fails_for_good(status):
    """SSE-13, SSE-14, SSE-34, SSE-84 with the policy `spec`"""
    one = subscriber(policy="spec")
    one.start(0.0)
    reason = f"status {status}"
    assert one.connected(0.1, status, OK) == [
        Disconnect(reason), Ended(reason, False, 0), Changed(State.FAILED, reason), Failed(reason)
    ]  # fmt: skip
    assert one.ready_state == 2
    assert (one.tick(1e9), one.online(1e9), one.close(1e9), one.deadline()) == ([], [], [], None)


@pytest.mark.parametrize("status", [201, 204, 205, 301, 400, 403, 404, 600])
def test_sse_14_resilient_stops_as_well(status):
    """204 stops under both policies, and so does what another attempt would not mend."""
    one = subscriber(policy="resilient")
    one.start(0.0)
    assert one.connected(0.1, status, OK)[-1] == Failed(f"status {status}")


@pytest.mark.parametrize(
    "value",
    [
        "text/event-stream",
        "TEXT/Event-Stream",
        "text/event-stream;charset=utf-8",
        " text/event-stream ; charset=x",
        "text/event-stream;",
        "text/event-stream; charset=windows-1251",
        'text/event-stream; a="b, text/html"',
        "text/html, text/event-stream",
        "text/event-stream, bogus",
        "text/event-stream, */*",
    ],
)
def test_sse_15_content_type_that_opens(value):
    one = subscriber()
    one.start(0.0)
    assert one.connected(0.1, 200, {"content-TYPE": value})[-1] == Opened(0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/plain",
        "x-text/event-stream",
        "text/event-streamy",
        "application/text/event-stream-foo",
        "text /event-stream",
        "text/event-stream bogus",
        "text/event-stream, text/html",
        'text/event-stream"x"',
        "text/event-\u017ftream",
        '"text/event-stream',
    ],
)
def test_sse_15_content_type_that_fails(value):
    one = subscriber()
    one.start(0.0)
    outputs = one.connected(0.1, 200, {} if value is None else {"Content-Type": value})
    assert of(Disconnect, outputs)
    assert outputs[-1] == Failed(f"content type {value or ''!r}")
    assert one.state is State.FAILED


def test_a_content_type_is_quoted_within_bounds():
    one = subscriber()
    one.start(0.0)
    assert len(one.connected(0.1, 200, {"Content-Type": "x" * 100_000})[-1].reason) < 100


def test_sse_16_no_byte_of_a_failed_response_is_dispatched():
    one = subscriber()
    one.start(0.0)
    assert one.received(0.1, b"data: early\n\n") == []
    one.connected(0.1, 404, OK)
    assert one.received(0.2, b"data: x\n\n") == []
    assert one.connected(0.3, 200, OK) == []


def test_sse_24_25_a_redirect_that_the_transport_could_not_follow_fails():
    one = subscriber()
    one.start(0.0)
    assert one.connected(0.1, 302, {})[-1] == Failed("status 302")


# The stream


def test_everything_on_the_stream_is_told_in_order():
    """SSE-66, SSE-70, SSE-76, SSE-78"""
    one = opened()
    wire = b": hi\nretry: 1500\nfoo: x\nid: 1\nevent: tick\ndata: a\n\nid: 2\n\ndata: b\n\n"
    assert one.received(1.0, wire) == [
        Heard("hi"),
        Told(1500),
        Skipped(Ignored(b"foo: x", "unknown field")),
        Dispatch(Event("tick", "a", "1")),
        IdCommitted("2"),
        Dispatch(Event("message", "b", "2")),
    ]
    assert (one.last_event_id, one.reconnection_time) == ("2", 1.5)


def test_sse_21_79_events_come_at_once_and_server_types_are_data():
    """An `error` of the server is an event, never the signal."""
    one = opened()
    assert one.received(1.0, b"event: error\ndata: x\n\n") == [Dispatch(Event("error", "x", ""))]
    assert one.state is State.OPEN


def test_sse_52_an_event_over_the_limit_fails_loudly():
    one = opened(event_limit=10)
    assert one.received(1.0, b"data: a\n\ndata: 12345678901\n\ndata: b\n\n") == [
        Dispatch(Event("message", "a", "")),
        Disconnect("event larger than 10 bytes"),
        Ended("event larger than 10 bytes", False, 0),
        Changed(State.FAILED, "event larger than 10 bytes"),
        Failed("event larger than 10 bytes"),
    ]


# Reestablish


@pytest.mark.parametrize("reason", ["EOF", "reset", "incomplete chunk", "short Content-Length"])
def test_sse_29_30_any_end_reestablishes_with_an_error_signal(reason):
    """SSE-29, SSE-30, SSE-31, SSE-12"""
    one = opened()
    assert one.ended(5.0, reason) == [
        Ended(reason, False, 0), Changed(State.WAITING, reason), Error(reason), Waiting(3.0, reason)
    ]  # fmt: skip
    assert (one.ready_state, one.deadline()) == (0, 8.0)
    assert one.tick(math.nextafter(8.0, 0.0)) == []
    assert one.tick(8.0) == [Changed(State.CONNECTING, "reconnect"), Connect(1, PLAIN)]


def test_sse_40_an_empty_body_reestablishes():
    one = opened(1.0)
    assert of(Waiting, one.ended(1.0, "EOF")) == [Waiting(3.0, "EOF")]


def test_sse_12_34_network_errors_are_retried_for_ever():
    """SSE-12, SSE-34: and no number of failures overflows the backoff."""
    one, now = subscriber(policy="spec", backoff_base=1.0, jitter=False), 0.0
    one.start(now)
    for attempt in range(1, 1200):
        assert of(Error, one.ended(now, "refused")) == [Error("refused")]
        now = one.deadline()
        assert one.tick(now)[-1] == Connect(attempt, PLAIN)


def test_sse_31_rounding_never_makes_it_too_early():
    now, early = 0.1, 0
    for _ in range(1000):
        one = opened(now, reconnection_time=0.7)
        one.ended(now, "EOF")
        early += now + 0.7 - now < 0.7
        assert one.deadline() - now >= 0.7
        now += 1.1
    assert early, "the plain sum would have been early at least once"


@pytest.mark.parametrize("options, delay", [({}, 0.0), ({"backoff_base": 0.5, "jitter": False}, 0.5)])
def test_sse_68_retry_0(options, delay):
    one = opened(**options)
    one.received(0.5, b"retry: 0\n")
    assert of(Waiting, one.ended(1.0, "EOF")) == [Waiting(delay, "EOF")]
    assert of(Connect, one.tick(1.0 + delay)) == [Connect(1, PLAIN)]


@pytest.mark.parametrize("digits", [b"4294967296", b"9" * 400, b"9" * 5000])
def test_sse_69_a_huge_retry_neither_crashes_nor_means_at_once(digits):
    one = opened()
    one.received(0.5, b"retry: " + digits + b"\n")
    one.ended(1.0, "EOF")
    assert one.deadline() == 1.0 + (2**31 - 1) / 1000


def test_sse_66_retry_acts_without_dispatch_and_over_all_attempts():
    one = opened()
    one.received(0.5, b"retry: 250\n")
    for _ in range(2):
        assert of(Waiting, one.ended(1.0, "EOF")) == [Waiting(0.25, "EOF")]
        reopened(one, 1.0)


def test_sse_36_77_last_event_id_persists_over_all_attempts():
    one = opened()
    one.received(0.5, b"id: 5\ndata: x\n\n")
    one.ended(1.0, "EOF")
    assert reopened(one, 4.0).headers["Last-Event-ID"] == b"5"
    assert one.received(4.5, b"data: y\n\n") == [Dispatch(Event("message", "y", "5"))]
    one.ended(5.0, "EOF")
    assert reopened(one, 8.0).headers["Last-Event-ID"] == b"5"


def test_sse_64_an_empty_id_resets():
    one = opened(last_event_id="5")
    assert one.received(0.5, b"id\n\n") == [IdCommitted("")]
    one.ended(1.0, "EOF")
    assert "Last-Event-ID" not in reopened(one, 4.0).headers


def test_sse_81_82_a_torn_block_leaves_nothing_behind():
    one = opened()
    one.received(0.5, b"id: 1\ndata: x\n\n\xff\nid: 2\nevent: torn\ndata: y\n")
    assert one.ended(1.0, "reset")[0] == Ended("reset", True, 1)
    assert reopened(one, 4.0).headers["Last-Event-ID"] == b"1"
    assert one.received(4.5, b"\ndata: z\n\n") == [Dispatch(Event("message", "z", "1"))]


def test_sse_39_an_id_that_cannot_be_sent_does_not_wedge():
    one = opened()
    one.received(0.5, b"id: a\x0bb\ndata: x\n\n")
    one.ended(1.0, "EOF")
    assert one.tick(4.0) == [Changed(State.CONNECTING, "reconnect"), Withheld("a\x0bb"), Connect(1, PLAIN)]
    one.connected(4.1, 200, OK)
    assert one.received(4.2, b"data: y\n\n") == [Dispatch(Event("message", "y", "a\x0bb"))]


# Close


@pytest.mark.parametrize("steps", ["", "start", "start open", "start open end", "offline", "start offline"])
def test_sse_32_83_close_from_any_state(steps):
    """SSE-11, SSE-32, SSE-78, SSE-83: no error, no event, no reconnect; idempotent."""
    one = subscriber()
    acts = {
        "start": lambda: one.start(0.0),
        "open": lambda: one.connected(0.1, 200, OK),
        "end": lambda: one.ended(0.2, "EOF"),
        "offline": lambda: one.offline(0.3),
    }
    for step in steps.split():
        acts[step]()
    transport = steps in ("start", "start open")
    dropped = [Disconnect("close"), Ended("close", False, 0)] if transport else []
    assert one.close(1.0) == [*dropped, Changed(State.CLOSED, "close"), Closed()]
    assert (one.ready_state, one.deadline()) == (2, None)
    late = [one.close(2.0), one.start(2.0), one.connected(2.0, 200, OK), one.received(2.0, b"data: x\n\n")]
    late += [one.ended(2.0, "EOF"), one.tick(1e9), one.offline(2.0), one.online(2.0), one.token_refreshed(2.0)]
    assert late == [[]] * 9


# Backoff


def test_pm_1_backoff_is_exponential_with_full_jitter_over_the_reconnection_time_and_a_cap():
    dice = Dice()
    one = subscriber(dice, backoff_base=1.0, backoff_cap=8.0)
    one.start(0.0)
    delays = []
    for share in (0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.999):
        dice.value = share
        delays += [output.delay for output in of(Waiting, one.ended(0.0, "refused"))]
        one.tick(one.deadline())
    assert delays == [3.5, 4.0, 5.0, 7.0, 7.0, 3.0, 3.0 + 8.0 * 0.999]


def test_pm_1_only_a_stable_connection_resets_the_backoff():
    one = subscriber(backoff_base=1.0, jitter=False, stable_after=10.0)
    one.start(0.0)

    def lost(connected, ended):
        one.connected(connected, 200, OK)
        (waiting,) = of(Waiting, one.ended(ended, "EOF"))
        one.tick(one.deadline())
        return waiting.delay

    assert lost(0.0, 9.9) == 4.0
    assert lost(20.0, 29.9) == 5.0
    assert lost(40.0, 50.0) == 4.0
    assert lost(60.0, 61.0) == 5.0


# Heartbeat and timeouts


def test_bytes_that_break_a_silence_are_noticed_whatever_they_are():
    one = opened()
    assert one.received(1.0, b"\n") == [Stirred()]
    assert one.received(1.01, b"event: ping\n\n") == []
    assert one.received(1.06, b"event: ping\n\n") == [Stirred()]
    assert one.received(2.0, b": hi\n\n") == [Heard("hi")]
    assert one.received(2.04, b"\n") == []
    assert one.received(2.3, b"data: a ") == [Stirred()]


def test_pm_1_silence_beyond_the_deadline_reconnects():
    """Any byte counts, a comment or half a line."""
    one = opened(heartbeat_deadline=10.0)
    assert one.deadline() == 10.0
    assert one.received(8.0, b":") == [Stirred()]
    assert one.deadline() == 18.0
    assert one.received(9.0, b"") == []
    assert one.tick(17.9) == []
    reason = "nothing heard for 10.0 s"
    assert one.tick(18.0) == [
        Disconnect(reason), Ended(reason, True, 0), Changed(State.WAITING, reason), Error(reason), Waiting(3.0, reason)
    ]  # fmt: skip
    # What the dropped transport still had is nobody's.
    assert one.received(18.1, b"\ndata: x\n\n") == []
    assert one.ended(18.2, "EOF") == []


def test_a_connection_attempt_without_response_head_is_given_up():
    one = subscriber(connect_timeout=5.0, heartbeat_deadline=60.0)
    one.start(1.0)
    assert one.deadline() == 6.0
    reason = "no response head within 5.0 s"
    assert one.tick(6.0) == [
        Disconnect(reason), Ended(reason, False, 0), Changed(State.WAITING, reason), Error(reason), Waiting(3.0, reason)
    ]  # fmt: skip


def test_without_a_deadline_silence_is_not_judged():
    one = opened()
    assert one.deadline() is None
    assert one.tick(1e9) == []


# Refusals that a resilient client retries


@pytest.mark.parametrize("status", [429, 500, 502, 503, 599])
def test_status_retry(status):
    one = subscriber()
    one.start(0.0)
    reason = f"status {status}"
    assert one.connected(1.0, status, {}) == [
        Disconnect(reason), Ended(reason, False, 0), Changed(State.WAITING, reason), Error(reason), Waiting(3.0, reason)
    ]  # fmt: skip
    assert one.tick(4.0)[-1] == Connect(1, PLAIN)


DATE = "Sun, 22 Nov 2026 20:00:00 GMT"


@pytest.mark.parametrize(
    "headers, delay",
    [
        ({"Retry-After": "20"}, 20.0),
        ({"retry-after": " 20 "}, 20.0),
        ({"Retry-After": "1"}, 3.0),
        ({"Retry-After": "9" * 5000}, 3600.0),
        ({"Retry-After": "-20"}, 3.0),
        ({"Retry-After": "1_0"}, 3.0),
        ({"Retry-After": "²0"}, 3.0),
        ({"Retry-After": "soon"}, 3.0),
        ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT", "Date": DATE}, 60.0),
        ({"Retry-After": "Sunday, 22-Nov-26 20:01:00 GMT", "Date": DATE}, 60.0),
        ({"Retry-After": "Sun, 22 Nov 2026 19:00:00 GMT", "Date": DATE}, 3.0),
        ({"Retry-After": "Sun, 22 Nov 2099 20:00:00 GMT", "Date": DATE}, 3600.0),
        ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}, 3.0),
        ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 -0000", "Date": DATE}, 3.0),
        ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 +99999999999999", "Date": DATE}, 3.0),
    ],
)
def test_retry_after_raises_the_floor(headers, delay):
    one = subscriber()
    one.start(0.0)
    assert of(Waiting, one.connected(0.0, 503, headers)) == [Waiting(delay, "status 503")]


@given(st.text(max_size=40))
@example("Sun, 22 Nov 0000 20:00:00 GMT")
def test_no_retry_after_crashes(value):
    one = subscriber()
    one.start(0.0)
    (waiting,) = of(Waiting, one.connected(0.0, 429, {"Retry-After": value, "Date": DATE}))
    assert 3.0 <= waiting.delay <= 3600.0


def test_backoff_is_added_to_retry_after():
    one = subscriber(Dice(0.5), backoff_base=1.0)
    one.start(0.0)
    assert of(Waiting, one.connected(0.0, 503, {"Retry-After": "20"})) == [Waiting(20.5, "status 503")]


# Token


def refreshing(**options):
    one = subscriber(**options)
    one.start(0.0)
    assert one.connected(1.0, 401, {}) == [
        Disconnect("status 401"), Ended("status 401", False, 0), RefreshToken()
    ]  # fmt: skip
    return one


def test_one_401_asks_for_a_token_and_retries_at_once():
    one = refreshing()
    assert one.state is State.CONNECTING
    assert one.connected(1.5, 200, OK) == []
    assert one.token_refreshed(2.0) == [Connect(1, PLAIN)]
    assert one.token_refreshed(2.0) == []
    assert one.connected(2.1, 200, OK)[-1] == Opened(1)


def test_a_second_401_in_a_row_fails():
    one = refreshing()
    one.token_refreshed(2.0)
    assert one.connected(2.1, 401, {})[-1] == Failed("status 401")


@pytest.mark.parametrize("status", [200, 503])
def test_another_answer_in_between_allows_another_refresh(status):
    one = refreshing()
    one.token_refreshed(2.0)
    one.connected(2.1, status, OK)
    one.ended(3.0, "EOF")
    one.tick(one.deadline())
    assert one.connected(9.0, 401, {})[-1] == RefreshToken()


def test_no_new_token_is_an_error_and_a_second_401_then_fails():
    one = refreshing()
    assert one.ended(2.0, "no token") == [
        Changed(State.WAITING, "no token"), Error("no token"), Waiting(3.0, "no token")
    ]  # fmt: skip
    one.tick(5.0)
    assert one.connected(5.1, 401, {})[-1] == Failed("status 401")


def test_a_token_that_does_not_come_is_given_up():
    one = refreshing(connect_timeout=5.0)
    reason = "no new token within 5.0 s"
    assert one.tick(6.0) == [Changed(State.WAITING, reason), Error(reason), Waiting(3.0, reason)]


def test_going_offline_while_a_token_is_fetched_costs_no_refresh():
    one = refreshing()
    assert one.offline(2.0) == [Changed(State.OFFLINE, "offline")]
    assert one.token_refreshed(2.5) == []
    assert one.online(3.0)[-1] == Connect(1, PLAIN)
    assert one.connected(3.1, 401, {})[-1] == RefreshToken()


def test_going_offline_during_the_wait_after_a_failed_refresh_allows_no_second_one():
    one = refreshing()
    one.ended(2.0, "no token")
    one.offline(3.0)
    one.online(9.0)
    assert one.connected(9.1, 401, {})[-1] == Failed("status 401")


# Offline and online


def test_edge_3_offline_ends_the_stream_and_online_reconnects():
    one = opened()
    assert one.offline(10.0) == [
        Disconnect("offline"), Ended("offline", False, 0), Changed(State.OFFLINE, "offline"), Error("offline")
    ]  # fmt: skip
    assert (one.ready_state, one.deadline(), one.offline(11.0)) == (0, None, [])
    assert one.tick(1e9) == []
    assert one.online(20.0) == [Changed(State.CONNECTING, "online"), Connect(1, PLAIN)]
    assert one.online(20.1) == []


def test_sse_31_going_offline_is_no_way_around_the_reconnection_time():
    one = opened()
    one.offline(10.0)
    assert one.online(11.0) == [Changed(State.WAITING, "online"), Waiting(2.0, "online")]
    assert one.offline(12.0) == [Changed(State.OFFLINE, "offline")]
    assert one.online(12.5) == [Changed(State.WAITING, "online"), Waiting(0.5, "online")]
    assert one.tick(13.0)[-1] == Connect(1, PLAIN)


def test_offline_keeps_a_retry_after():
    one = subscriber()
    one.start(0.0)
    one.connected(0.0, 503, {"Retry-After": "60"})
    one.offline(1.0)
    assert one.online(2.0)[-1] == Waiting(58.0, "online")


def test_offline_before_the_start_and_during_an_attempt():
    one = subscriber()
    assert one.offline(0.0) == [Changed(State.OFFLINE, "offline")]
    assert one.start(1.0) == []
    assert one.online(2.0) == [Changed(State.CONNECTING, "online"), Connect(0, PLAIN)]
    assert of(Error, one.offline(3.0)) == [Error("offline")]


# Tables and options


def test_sse_87_the_table_is_closed_and_both_ends_are_final():
    assert set(TRANSITIONS) == set(State) == set(READY_STATE)
    assert [state for state in State if not TRANSITIONS[state]] == [State.CLOSED, State.FAILED]
    assert all(state not in TRANSITIONS[state] for state in State)


def test_sse_87_an_illegal_transition_is_a_bug_of_ours():
    one = opened()
    with pytest.raises(AssertionError, match="no transition from OPEN to CONNECTING"):
        one._move(State.CONNECTING, "")


def test_the_policies_declare_what_they_do_beyond_the_standard():
    assert CAPABILITIES["resilient"] - CAPABILITIES["spec"] == {"status-retry", "retry-after", "token-refresh"}
    assert CAPABILITIES["spec"] == {"backoff", "jitter", "heartbeat-deadline", "comments", "offline"}


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"policy": "brave"}, "subscriber option policy is 'brave'; use one of spec, resilient"),
        ({"backoff_base": -1.0}, "subscriber option backoff_base is -1.0; give seconds, 0 or more"),
        ({"reconnection_time": math.nan}, "subscriber option reconnection_time is nan; give seconds, 0 or more"),
        ({"connect_timeout": 0}, "subscriber option connect_timeout is 0; give a number above 0"),
        ({"heartbeat_deadline": math.inf}, "subscriber option heartbeat_deadline is inf; give a number above 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(HarnessError) as caught:
        Options(**options)
    assert str(caught.value) == sentence
