"""sharing.one_connection, row by row."""

import pytest

from harness.check import Outcome
from harness.checks.sharing import one_connection
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


def test_nobody_shared():
    assert one_connection(history(conn("a", 1.0))).outcome is Outcome.SKIP
