"""The checks of sharing, row by row."""

import pytest

from harness.check import Outcome
from harness.checks.sharing import one_at_a_time, one_connection
from tests.harness.planted import history

MEMBERS = [(0.0, "sub.start", {"sub": f"m{n}", "user": "u", "options": {"shared": True}}) for n in range(2)]
TICKS = [(float(t), "lag", {"worst": 0.001}) for t in range(30)]


def conn(name, begin, end=None, status=200, user="u"):
    rows = [
        (
            begin,
            "conn.request",
            {"conn": name, "user": user, "method": "GET", "path": "/", "headers": {}, "last_event_id": None},
        ),
        (begin, "conn.response", {"conn": name, "status": status, "headers": {}}),
    ]
    return rows + ([] if end is None else [(end, "conn.end", {"conn": name, "by": "client", "how": "fin", "bytes": 0})])


def judged(*rows, ticks=TICKS):
    return one_connection(
        history(sorted([*MEMBERS, *ticks, *(row for some in rows for row in some)], key=lambda row: row[0]))
    )


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([conn("a", 1.0)], Outcome.PASS),
        ([conn("a", 1.0, 5.0), conn("b", 5.5)], Outcome.PASS),
        ([conn("a", 1.0, 5.0), conn("b", 4.5)], Outcome.PASS),  # the end of the one before was noticed late
        ([conn("a", 1.0, 9.0), conn("b", 4.5, 12.0)], Outcome.FAIL),
        ([conn("a", 1.0), conn("b", 4.5)], Outcome.FAIL),
        ([conn("a", 1.0), conn("b", 4.5, status=429)], Outcome.PASS),
        ([conn("a", 1.0), conn("b", 4.5, user="other")], Outcome.PASS),
        ([], Outcome.SKIP),
    ],
)
def test_one_stream_at_a_time(rows, outcome):
    assert judged(*rows).outcome is outcome


@pytest.mark.parametrize("ticks", [[], [(float(t), "lag", {"worst": 9.0}) for t in range(30)]])
def test_what_our_own_lag_may_have_done_is_unknown(ticks):
    assert judged(conn("a", 1.0, 9.0), conn("b", 4.5, 12.0), ticks=ticks).outcome is Outcome.UNKNOWN
    assert judged(conn("a", 1.0, 5.0), conn("b", 5.5), ticks=ticks).outcome is Outcome.PASS


def of_one_attempt(*conns, told=True, fault=None):
    asked = [(0.9, "sub.attempt", {"sub": "m0", "attempt": 0, "last_event_id": None})] if told else []
    rows = [
        (t, kind, {**data, "sub": "m0"} if kind == "conn.request" else data) for one in conns for t, kind, data in one
    ]
    broken = [] if fault is None else [(fault, "net.fault", {"proxy": "stream", "fault": "timeout", "state": "on"})]
    records = sorted([*MEMBERS, *TICKS, *asked, *rows, *broken], key=lambda row: row[0])
    return one_at_a_time(history(records)).outcome


def test_who_asks_once_has_one_stream():
    assert of_one_attempt(conn("a", 1.0, 9.0)) is Outcome.PASS
    assert of_one_attempt(conn("a", 1.0, 9.0), conn("b", 1.1, 9.0)) is Outcome.FAIL
    assert of_one_attempt(conn("a", 1.0), conn("b", 1.1)) is Outcome.FAIL
    assert of_one_attempt(conn("a", 1.0, 9.0, status=307), conn("b", 1.1, 9.0)) is Outcome.PASS
    assert of_one_attempt(conn("a", 1.0, 2.0), conn("b", 1.5, 9.0)) is Outcome.PASS  # the end was noticed late


def test_a_request_may_be_repeated_whose_answer_the_network_hides():
    assert of_one_attempt(conn("a", 1.0, 9.0), conn("b", 1.1, 9.0), fault=0.95) is Outcome.PASS


def test_of_a_client_that_tells_no_attempts_nobody_knows_how_often_it_asked():
    assert of_one_attempt(conn("a", 1.0, 9.0), conn("b", 1.1, 9.0), told=False) is Outcome.SKIP


def test_nobody_shared():
    assert one_connection(history(conn("a", 1.0))).outcome is Outcome.SKIP
