"""When a client has to come back, with what, and when it must not."""

import importlib.util
from pathlib import Path

import pytest

from harness import checks
from harness.check import REGISTRY, Outcome, judge

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent.parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)
checks.load()


def verdict(name, *records, **header):
    [one] = judge(planted.history(records, **header), [REGISTRY[name]])
    return one.outcome


def sub(t, kind, name="s", **data):
    return (t, f"sub.{kind}", {"sub": name, **data})


def lags(until, worst=0.001):
    return [(float(t), "lag", {"worst": worst}) for t in range(until + 1)]


def ended(t=2.0, number=0):
    return [
        sub(t - 1, "attempt", attempt=number, last_event_id=None), sub(t - 1, "open", attempt=number),
        sub(t, "end", attempt=number, reason="eof"),
    ]  # fmt: skip


def conn(t, kind, **data):
    return (t, f"conn.{kind}", {"conn": "c", **data})


REQUEST = {"user": "u", "method": "GET", "path": "/", "headers": {}, "last_event_id": None, "sub": "s"}
NOW, LATER = "Sun, 22 Nov 2026 20:00:00 GMT", "Sun, 22 Nov 2026 20:00:08 GMT"
FAST = {"client": {"capabilities": [], "options": {"reconnection_time": 1, "backoff_cap": 1}}}


def happens(*records):
    return verdict("reconnection.happens", *sorted(records, key=lambda one: one[0]), **FAST)


def test_a_client_has_until_reconnection_time_and_cap():
    assert happens(*ended(), *lags(3)) is Outcome.SKIP
    assert happens(*ended(), *lags(9)) is Outcome.FAIL
    assert happens(*ended(), *ended(3.5, 1), *lags(4)) is Outcome.PASS
    assert happens(*ended(), *ended(9, 1), *lags(9)) is Outcome.FAIL
    assert happens(*ended(), *ended(9, 1)) is Outcome.UNKNOWN


def test_a_client_that_was_closed_meanwhile_owes_nothing():
    assert happens(*ended(), sub(3, "close"), *lags(9)) is Outcome.SKIP
    assert happens(*ended(), sub(9, "close"), *lags(12)) is Outcome.FAIL
    assert happens(*ended(), sub(2.1, "closed", reason="gave up"), sub(9, "close"), *lags(12)) is Outcome.FAIL


def test_an_end_that_only_the_server_tells_counts_where_nothing_was_broken():
    opened = [
        sub(1, "attempt", attempt=0, last_event_id=None),
        conn(1, "request", **REQUEST),
        sub(1.1, "open", attempt=0),
    ]
    end = conn(2, "end", by="server", how="fin", bytes=0)
    stall = (1.5, "net.fault", {"proxy": "p", "fault": "timeout", "state": "on"})
    assert happens(*opened, end, *lags(9)) is Outcome.FAIL
    assert happens(*opened, end, stall, *lags(9)) is Outcome.SKIP


def test_a_client_whose_attempts_do_not_arrive_where_nothing_is_broken_is_not_back():
    """It cannot put the last event ID into a header, for one, and says of each attempt that it failed."""

    def tries(*more, arrive=(), count=7):
        rows = [sub(1, "attempt", attempt=0, last_event_id=None), conn(1, "request", **REQUEST), *ended()]
        for number in range(1, count + 1):
            t = 2.0 + number
            rows += [
                sub(t, "attempt", attempt=number, last_event_id="x"),
                sub(t + 0.1, "end", attempt=number, reason="no"),
            ]
            rows += [conn(t + 0.05, "request", **REQUEST)] if number in arrive else []
        return happens(*rows[:2], *rows[3:], *more, *lags(count + 4))

    assert tries() is Outcome.FAIL
    assert tries(arrive=(7,)) is Outcome.PASS
    assert tries(count=2) is Outcome.PASS
    assert tries((2.5, "net.fault", {"proxy": "p", "fault": "timeout", "state": "on"})) is Outcome.PASS


def test_a_client_that_hangs_after_a_drop_by_the_server_does_not_come_back():
    """The drop is no excuse for it; the server's absence is only for one whose attempts nobody else would see."""
    opened = [sub(1, "attempt", attempt=0, last_event_id=None), conn(1, "request", **REQUEST)]
    end = conn(2, "end", by="server", how="fin", bytes=0)
    drop = (1.9, "server.fault", {"name": "drop:fin", "state": "on"})
    away = (1.9, "step", {"step": "restart", "state": "begin"})
    assert happens(*opened, sub(1.1, "open", attempt=0), drop, end, *lags(9)) is Outcome.FAIL
    assert happens(*opened, sub(1.1, "open", attempt=0), away, end, *lags(9)) is Outcome.FAIL
    assert happens(opened[1], sub(1.1, "open", attempt=0), away, end, *lags(9)) is Outcome.SKIP


def event(t, id, attempt=0):
    return sub(t, "event", attempt=attempt, id=id, type="message", data="x")


def came_back(id, header, *more):
    rows = [*ended(), event(1.5, id), *more, sub(3, "attempt", attempt=1, last_event_id=header)]
    return verdict("reconnection.last_event_id", *sorted(rows, key=lambda one: one[0]))


def test_the_header_is_the_id_as_it_was_or_as_its_utf8_bytes_look():
    assert came_back("x", "x") is came_back("", None) is Outcome.PASS
    assert came_back("\u00e9", "\u00c3\u00a9") is Outcome.PASS
    assert came_back("x", None) is Outcome.FAIL


def test_a_header_that_is_no_latin_1_is_compared_as_it_is():
    tells = sub(1.6, "id", attempt=0, id="x")
    assert came_back("x", "\u4e2d", tells) is Outcome.FAIL
    assert came_back("\u4e2d", "\u4e2d") is Outcome.PASS


def test_an_id_that_the_server_set_without_an_event_counts_too():
    connected = conn(1, "request", **REQUEST)
    quiet = conn(1.6, "sent", what="id", id="z")
    assert came_back("x", "z", connected, quiet, sub(1.7, "id", attempt=0, id="x")) is Outcome.PASS
    assert came_back("x", "y", connected, quiet, sub(1.7, "id", attempt=0, id="x")) is Outcome.FAIL


@pytest.mark.parametrize("said", ["", "x"])
def test_a_client_that_keeps_its_id_when_the_server_resets_it_sends_the_wrong_one(said):
    connected = [conn(1, "request", **REQUEST), conn(1.4, "sent", what="event", id="x")]
    reset = [conn(1.6, "sent", what="raw", id=""), event(1.7, said)]
    assert came_back("x", None, *connected, *reset) is Outcome.PASS
    assert came_back("x", "x", *connected, *reset) is Outcome.FAIL


def test_what_the_client_may_not_have_got_resets_nothing():
    connected = [conn(1, "request", **REQUEST), conn(1.4, "sent", what="event", id="x")]
    assert came_back("x", "x", *connected, conn(1.6, "sent", what="raw", id="")) is Outcome.PASS


def test_an_id_that_no_header_can_hold_may_be_left_out():
    assert came_back("a\nb", None) is Outcome.PASS


def test_nothing_is_said_of_clients_whose_header_nobody_saw():
    assert verdict("reconnection.last_event_id", sub(1, "open", attempt=0), sub(2, "open", attempt=0)) is Outcome.SKIP


def test_an_unknown_id_may_have_come_in_a_block_without_data_unless_the_client_tells_of_those():
    assert came_back("x", "unheard") is Outcome.PASS
    assert came_back("x", "unheard", sub(1.6, "id", attempt=0, id="x")) is Outcome.FAIL


def test_retry_zero_is_no_hammering():
    records = [sub(n / 100, "attempt", attempt=n, last_event_id=None) for n in range(30)]
    assert verdict("reconnection.no_hammering", *records) is Outcome.FAIL
    asked = sub(0.001, "retry", attempt=0, retry_ms=0)
    assert verdict("reconnection.no_hammering", *sorted([*records, asked], key=lambda one: one[0])) is Outcome.SKIP


def test_only_the_server_can_ask_for_haste_and_only_while_its_word_is_in_force():
    hasty = {"client": {"capabilities": [], "options": {"reconnection_time": 0.001}}}
    records = [sub(n / 100, "attempt", attempt=n, last_event_id=None) for n in range(30)]
    assert verdict("reconnection.no_hammering", *records, **hasty) is Outcome.FAIL
    asked, taken_back = sub(0.001, "retry", attempt=0, retry_ms=0), sub(0.101, "retry", attempt=10, retry_ms=1000)
    told = sorted([*records, asked, taken_back], key=lambda one: one[0])
    assert verdict("reconnection.no_hammering", *told) is Outcome.FAIL
    slow = [sub(n / 5, "attempt", attempt=n, last_event_id=None) for n in range(30)]
    assert verdict("reconnection.no_hammering", *slow, **hasty) is Outcome.PASS


def refused(status, *, number=0, t=1.0):
    head = sub(t + 0.1, "response", attempt=number, status=status, headers={})
    return [sub(t, "attempt", attempt=number, last_event_id=None), head]


def stops(*records, capabilities=()):
    client = {"capabilities": capabilities, "options": {}}
    return verdict("reconnection.stops_on_refusal", *records, client=client)


def test_what_a_client_may_retry_if_it_says_so():
    again = sub(3, "attempt", attempt=1, last_event_id=None)
    assert stops(*refused(503), again) is Outcome.FAIL
    assert stops(*refused(503), again, capabilities=["status-retry"]) is Outcome.SKIP
    assert stops(*refused(403), again, capabilities=["status-retry"]) is Outcome.FAIL
    assert stops(*refused(401), again, capabilities=["status-retry"]) is Outcome.SKIP
    twice = [*refused(401), *refused(401, number=1, t=2.0), sub(3, "attempt", attempt=2, last_event_id=None)]
    assert stops(*twice, capabilities=["status-retry"]) is Outcome.FAIL


@pytest.mark.parametrize(("content_type", "id", "outcome"), [
    ("text/plain", "1", Outcome.FAIL),
    ("text/plain", "of the stream before", Outcome.PASS),
    ("text/event-stream", "1", Outcome.SKIP),
])  # fmt: skip
def test_nothing_is_dispatched_of_what_is_no_event_stream(content_type, id, outcome):
    head = sub(1.1, "response", attempt=0, status=200, headers={"content-type": content_type})
    asked = [sub(1, "attempt", attempt=0, last_event_id=None), conn(1.05, "request", **REQUEST), head]
    assert stops(*asked, conn(1.2, "sent", what="event", id="1"), event(1.3, id)) is outcome


def test_checks_skip_what_was_not_exercised():
    for name in ("happens", "not_too_early", "retry_after", "no_hammering", "stops_on_204"):
        assert verdict(f"reconnection.{name}") is Outcome.SKIP
    declares = {"client": {"capabilities": ["retry-after"], "options": {}}}
    assert verdict("reconnection.retry_after", **declares) is Outcome.SKIP


def test_a_flag_that_answers_otherwise_than_204_is_judged_by_the_other_rule():
    off = (0.5, "flag.set", {"enabled": False})
    gone = [off, sub(1, "attempt", attempt=0, last_event_id=None)]
    gone += [sub(1.1, "response", attempt=0, status=404, headers={"x": "y"})]
    [told] = judge(planted.history(gone), [REGISTRY["reconnection.stops_on_204"]])
    assert (told.outcome, told.waived) == (Outcome.SKIP, True)
    [told] = judge(planted.history(gone[1:]), [REGISTRY["reconnection.stops_on_204"]])
    assert (told.outcome, told.waived) == (Outcome.SKIP, False)


def test_who_polled_in_between_may_ask_for_a_stream_again_and_goes_on_where_polling_ended():
    again = [*refused(204), sub(4, "attempt", attempt=1, last_event_id="9")]
    poll = sub(2, "poll", status=200, events=1)
    polled = event(2, "9", attempt=0)
    polled[2]["via"] = "poll"
    assert verdict("reconnection.stops_on_204", *again) is Outcome.FAIL
    assert verdict("reconnection.stops_on_204", *sorted([*again, poll], key=lambda one: one[0])) is Outcome.PASS
    assert came_back("x", None) is Outcome.FAIL
    assert came_back("x", None, poll, polled) is Outcome.SKIP


def survives(*records, **client):
    header = {"client": {"capabilities": client.get("capabilities", []), "options": {}}}
    start = sub(0.5, "start", user="u", options={})
    return verdict("reconnection.survives", start, *records, **header)


CRASHED = sub(4, "closed", reason="raised KeyError", crashed=True)
GAVE_UP = sub(4, "closed", reason="gave up")


def test_a_client_that_crashes_or_stops_without_a_reason_does_not_survive():
    opened = [sub(1, "attempt", attempt=0, last_event_id=None), sub(1.1, "open", attempt=0)]
    failed = [sub(1, "attempt", attempt=0, last_event_id=None), sub(2, "end", attempt=0, reason="refused")]
    assert survives(*opened) is survives(*opened, sub(3, "close"), CRASHED) is Outcome.PASS
    for over in (CRASHED, GAVE_UP):
        assert survives(*opened, over) is survives(*failed, over) is Outcome.FAIL
    assert survives(CRASHED) is Outcome.FAIL
    assert survives(GAVE_UP) is Outcome.PASS
    assert verdict("reconnection.survives") is Outcome.SKIP


def test_a_refusal_that_is_final_is_a_reason():
    for over in (CRASHED, GAVE_UP):
        assert survives(*refused(403), over) is survives(*refused(204), over) is Outcome.PASS
        assert survives(*refused(503), over) is Outcome.PASS
        assert survives(*refused(503), over, capabilities=["status-retry"]) is Outcome.FAIL
        assert survives(*refused(401), over, capabilities=["status-retry"]) is Outcome.PASS
        both = ["status-retry", "token-refresh"]
        assert survives(*refused(401), over, capabilities=both) is Outcome.FAIL
        assert survives(*refused(401), *refused(401, number=1, t=2.0), over, capabilities=both) is Outcome.PASS


def test_who_does_not_tell_what_he_was_answered_gets_the_doubt():
    asked = [sub(1, "attempt", attempt=0, last_event_id=None), conn(1, "request", **REQUEST)]
    assert survives(*asked, conn(1.1, "response", status=403, headers={}), GAVE_UP) is Outcome.PASS
    assert survives(*asked, CRASHED) is Outcome.PASS


def test_a_client_has_to_come_back_after_a_refusal_that_it_says_it_retries():
    for status, outcome in ((503, Outcome.FAIL), (403, Outcome.SKIP)):
        records = [*refused(status), sub(1.2, "end", attempt=0, reason="refused"), GAVE_UP, *lags(9)]
        header = {"client": {"capabilities": ["status-retry"], "options": {}}}
        assert verdict("reconnection.happens", *records, **header) is outcome
    asked = sub(1.1, "response", attempt=0, status=503, headers={"retry-after": "60"})
    waits = [refused(503)[0], asked, sub(1.2, "end", attempt=0, reason="refused"), *lags(50)]
    header = {"client": {"capabilities": ["status-retry"], "options": {"backoff_cap": 1.0}}}
    assert verdict("reconnection.happens", *waits, **header) is Outcome.SKIP


@pytest.mark.parametrize(
    "headers, after, outcome",
    [
        ({"retry-after": "8"}, 8.9, Outcome.PASS),
        ({"retry-after": "8"}, 12.0, Outcome.FAIL),
        ({"retry-after": LATER, "date": NOW}, 8.9, Outcome.PASS),
        ({"retry-after": LATER, "date": NOW}, 12.0, Outcome.FAIL),
        ({"retry-after": LATER}, 12.0, Outcome.PASS),  # by its own clock, of which nobody knows
        ({"retry-after": "soon"}, 8.9, Outcome.FAIL),
    ],
)
def test_a_client_that_waits_as_long_as_it_is_asked_and_its_backoff_on_top_comes_back_in_time(headers, after, outcome):
    header = {"client": {"capabilities": ["status-retry"], "options": {"reconnection_time": 0.3, "backoff_cap": 1.0}}}
    answer = sub(1.1, "response", attempt=0, status=503, headers=headers)
    ended = [refused(503)[0], answer, sub(1.2, "end", attempt=0, reason="refused")]
    again = sub(1.2 + after, "attempt", attempt=1, last_event_id=None)
    assert verdict("reconnection.happens", *ended, again, *lags(15), **header) is outcome


def test_a_client_comes_back_with_credentials_if_it_came_with_some():
    def asked(n, **more):
        about = {**REQUEST, "path": "/", "headers": {}, **more}
        return [sub(n, "attempt", attempt=n, last_event_id=None), conn(n + 0.1, "request", **about)]

    shown = {"headers": {"authorization": "u:12345678"}}
    assert verdict("reconnection.credentials", *asked(1, **shown), *asked(2, **shown)) is Outcome.PASS
    assert verdict("reconnection.credentials", *asked(1, **shown), *asked(2)) is Outcome.FAIL
    by_query = asked(2, path="/?access_token=u:12345678")
    assert verdict("reconnection.credentials", *asked(1, **shown), *by_query) is Outcome.PASS
    assert verdict("reconnection.credentials", *asked(1), *asked(2)) is Outcome.SKIP
    assert verdict("reconnection.credentials", *asked(1, **shown), *asked(2, **shown, user="v")) is Outcome.FAIL
    assert verdict("reconnection.credentials", *asked(1, **shown), *asked(2, **shown, user=None)) is Outcome.PASS


def test_after_401_a_client_that_declares_it_comes_with_a_fresh_token():
    start = sub(0, "start", user="u", options={}, refreshes="told")
    back = [*refused(401), sub(2, "attempt", attempt=1, last_event_id=None)]
    declares = {"client": {"capabilities": ["token-refresh"], "options": {}}}

    def outcome(*records, **header):
        return verdict("reconnection.refreshes_token", *sorted(records, key=lambda one: one[0]), **header)

    assert outcome(start, *back, **declares) is Outcome.FAIL
    assert outcome(start, *back, sub(1.5, "token"), **declares) is Outcome.PASS
    assert outcome(start, *back, sub(0.5, "token"), **declares) is Outcome.FAIL
    assert outcome(start, *back) is outcome(start, *refused(401), **declares) is Outcome.SKIP
    assert outcome(sub(0, "start", user="u", options={}), *back, **declares) is Outcome.SKIP


def test_a_header_without_a_value_is_none_that_a_client_may_send():
    def asked(value):
        first = [sub(1, "attempt", attempt=0, last_event_id=None), conn(1.1, "request", **REQUEST)]
        again = {**REQUEST, "last_event_id": value}
        return [*first, sub(2, "attempt", attempt=1, last_event_id=None), conn(2.1, "request", **again)]

    assert verdict("reconnection.last_event_id", *asked(None)) is Outcome.PASS
    assert verdict("reconnection.last_event_id", *asked("")) is Outcome.FAIL
