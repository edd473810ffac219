"""The limit per user: accusations need proof."""

import importlib.util
from pathlib import Path

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


PROMISE = {"promises": {"limit_per_user": 1, "frees_slot_within": 1.0}}
REFUSED = {"status": 429, "headers": {"retry-after": "1"}}


def start(name):
    return sub(0, "start", name, user="u", options={})


def attempt(t, name):
    return sub(t, "attempt", name, attempt=0, last_event_id=None)


TWO = [start("a"), start("b"), attempt(1, "a"), sub(1.1, "open", "a", attempt=0), attempt(2, "b")]


def exact(*records, **header):
    return verdict("limits.exact", *records, **(header or PROMISE))


def test_a_second_stream_has_to_be_refused():
    assert exact(*TWO, sub(2.1, "response", "b", attempt=0, **REFUSED), *lags(9)) is Outcome.PASS
    assert exact(*TWO, sub(2.1, "open", "b", attempt=0), *lags(9)) is Outcome.FAIL
    assert exact(*TWO, sub(2.1, "response", "b", attempt=0, status=429, headers={"x": "y"}), *lags(9)) is Outcome.FAIL


def test_a_refusal_says_in_seconds_or_by_a_date_when_to_come_back():
    def told(value):
        headers = {"retry-after": value}
        return exact(*TWO, sub(2.1, "response", "b", attempt=0, status=429, headers=headers), *lags(9))

    assert told("120") is told("Sun, 22 Nov 2026 20:01:00 GMT") is Outcome.PASS
    assert told("soon") is told("") is told("-1") is told("1.5") is Outcome.FAIL


def test_a_refusal_beyond_the_limit_says_429_unless_something_else_was_wrong():
    def answered(status, *more, **promises):
        answer = sub(2.1, "response", "b", attempt=0, status=status, headers={"x": "y"})
        held = sub(5, "comment", "a", attempt=0)
        header = {"promises": {**PROMISE["promises"], **promises}}
        return exact(*sorted([*TWO, answer, held, *more], key=lambda one: one[0]), *lags(9), **header)

    assert answered(503) is answered(403, unauthorized=[401]) is Outcome.FAIL
    assert answered(403, unauthorized=[401, 403]) is Outcome.PASS
    broken = (1.9, "net.fault", {"proxy": "p", "fault": "x", "state": "on"})
    assert answered(503, broken) is Outcome.PASS


def test_streams_that_only_seem_to_overlap_prove_nothing():
    assert (
        exact(*TWO, sub(2.1, "open", "b", attempt=0), sub(2.2, "end", "a", attempt=0, reason="x"), *lags(9))
        is Outcome.SKIP
    )


def test_a_refusal_for_another_reason_is_not_the_limits():
    other = {"status": 429, "headers": {"x-refused": "rate"}}
    assert exact(start("a"), attempt(1, "a"), sub(1.1, "response", "a", attempt=0, **other), *lags(3)) is Outcome.SKIP


def test_a_refusal_below_the_limit_is_wrong_but_not_while_the_run_itself_asks():
    asked = [start("a"), attempt(1, "a"), sub(1.1, "response", "a", attempt=0, **REFUSED)]
    assert exact(*asked, *lags(3)) is Outcome.FAIL
    probe = (1.05, "probe", {"name": "p", "token": "good", "status": 200, "headers": {}, "began": 0.9})
    assert exact(*asked[:2], probe, asked[2], *lags(3)) is Outcome.PASS


def test_a_slot_is_free_again_after_the_promised_time():
    gone = [*TWO[:-1], sub(2, "end", "a", attempt=0, reason="x"), sub(2, "close", "a")]
    early = [*gone, attempt(2.5, "b"), sub(2.6, "response", "b", attempt=0, **REFUSED)]
    late = [*gone, attempt(4, "b"), sub(4.1, "response", "b", attempt=0, **REFUSED)]
    again = [*gone, attempt(4, "b"), sub(4.1, "open", "b", attempt=0)]
    freed = [verdict("limits.slot_freed", *records, *lags(9), **PROMISE) for records in (early, late, again)]
    assert freed == [Outcome.SKIP, Outcome.FAIL, Outcome.PASS]


def test_a_slot_that_is_late_by_no_more_than_our_own_lag_is_unknown():
    gone = [*TWO[:-1], sub(2, "end", "a", attempt=0, reason="x"), sub(2, "close", "a")]
    late = [*gone, attempt(4, "b"), sub(4.1, "response", "b", attempt=0, **REFUSED)]
    assert verdict("limits.slot_freed", *late, *lags(9, 2.0), **PROMISE) is Outcome.UNKNOWN
    assert verdict("limits.slot_freed", *late, **PROMISE) is Outcome.UNKNOWN


def test_the_slot_of_a_stream_that_the_server_ended_is_free_though_its_subscriber_comes_back():
    ended = [*TWO[:-1], sub(2, "end", "a", attempt=0, reason="end of stream")]
    back = [
        *ended,
        sub(5, "attempt", "a", attempt=1, last_event_id=None),
        sub(5.1, "response", "a", attempt=1, **REFUSED),
    ]
    assert verdict("limits.slot_freed", *back, sub(8, "close", "a"), *lags(9), **PROMISE) is Outcome.FAIL

    def fault(t, state):
        return (t, "net.fault", {"proxy": "p", "fault": "timeout", "state": state})

    rows = sorted([*back, fault(1.5, "on"), fault(4.5, "off")], key=lambda one: one[0])
    assert verdict("limits.slot_freed", *rows, *lags(9), **PROMISE) is Outcome.SKIP


def test_a_slot_is_taken_of_the_user_as_whom_a_client_came():
    def asked(t, name, user):
        about = {"conn": name, "user": user, "method": "GET", "path": "/", "headers": {}, "last_event_id": None}
        return (t, "conn.request", {**about, "sub": name})

    refused = sub(2.1, "response", "b", attempt=0, **REFUSED)
    assert exact(*TWO[:4], asked(1.01, "a", "v"), TWO[4], asked(2.01, "b", "v"), refused, *lags(9)) is Outcome.PASS
    assert exact(*TWO[:4], asked(1.01, "a", "v"), TWO[4], asked(2.01, "b", "w"), refused, *lags(9)) is Outcome.FAIL


def test_a_stream_that_a_client_opened_beside_its_own_takes_a_slot_too():
    def asked(t, name):
        about = {"user": "u", "method": "GET", "path": "/", "headers": {}, "last_event_id": None, "sub": "a"}
        return [
            (t, "conn.request", {"conn": name, **about}),
            (t, "conn.response", {"conn": name, "status": 200, "headers": {}}),
        ]

    def freed(*more):
        refused = [attempt(5, "b"), sub(5.1, "response", "b", attempt=0, **REFUSED)]
        first = [start("a"), start("b"), attempt(1, "a"), *asked(1.01, 1), *more, sub(1.1, "open", "a", attempt=0)]
        over = [
            sub(2, "end", "a", attempt=0, reason="eof"),
            (2, "conn.end", {"conn": 1, "by": "server", "how": "fin", "bytes": 0}),
        ]
        return verdict("limits.slot_freed", *first, *over, *refused, *lags(9), **PROMISE)

    assert freed() is Outcome.FAIL
    assert freed(*asked(1.02, 2)) is not Outcome.FAIL


def test_nothing_is_judged_without_a_promise():
    assert verdict("limits.exact") is verdict("limits.slot_freed") is exact(start("a")) is Outcome.SKIP


def test_who_asks_beyond_the_limit_and_is_neither_let_in_nor_refused_shows_that_it_was_asked():
    sign = sub(5, "comment", "a", attempt=0)
    assert exact(*TWO, sign, *lags(9)) is Outcome.PASS


def test_who_borrows_a_connection_asks_for_none():
    borrower = sub(0, "start", "b", user="u", options={"shared": True})
    assert exact(start("a"), borrower, *TWO[2:], sub(2.1, "open", "b", attempt=0), *lags(9)) is Outcome.SKIP
