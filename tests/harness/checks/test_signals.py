"""What the user of a client hears: errors for losses, and no events that were never sent."""

import pytest

from harness.check import Outcome
from harness.checks.signals import error, nothing_invented
from tests.harness.planted import history

START = (0.0, "sub.start", {"sub": "a", "user": "u", "options": {}})
LATE = (9.0, "sub.error", {"sub": "b", "attempt": 0, "reason": "x"})


def attempt(number, t, *, status=200, end=None, told=None):
    rows = [(t, "sub.attempt", {"sub": "a", "attempt": number, "last_event_id": None})]
    rows.append((t, "sub.response", {"sub": "a", "attempt": number, "status": status, "headers": {}}))
    if end is not None:
        rows.append((end, "sub.end", {"sub": "a", "attempt": number, "reason": "end of stream"}))
    if told is not None:
        rows.append((told, "sub.error", {"sub": "a", "attempt": number, "reason": "end of stream"}))
    return rows


def gave_up(t):
    return (t, "sub.closed", {"sub": "a", "reason": "gave up"})


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([*attempt(0, 1.0, end=2.0, told=2.0), *attempt(1, 3.0)], Outcome.PASS),
        ([*attempt(0, 1.0, end=2.0), *attempt(1, 3.0)], Outcome.FAIL),
        ([*attempt(0, 1.0, end=2.0, told=4.0), *attempt(1, 3.0)], Outcome.FAIL),
        ([*attempt(0, 1.0, status=401, end=2.0), *attempt(1, 3.0)], Outcome.SKIP),
        ([*attempt(0, 1.0)], Outcome.SKIP),
        ([*attempt(0, 1.0, status=403), gave_up(2.0)], Outcome.FAIL),
        ([*attempt(0, 1.0, status=403, told=1.5), gave_up(2.0)], Outcome.PASS),
        ([*attempt(0, 1.0, status=204), gave_up(2.0)], Outcome.SKIP),
        ([*attempt(0, 1.0, status=403), (1.9, "sub.close", {"sub": "a"}), gave_up(2.0)], Outcome.SKIP),
    ],
)
def test_a_loss_is_signalled_before_the_next_attempt(rows, outcome):
    assert error(history([START, *sorted(rows, key=lambda row: row[0]), LATE])).outcome is outcome


def test_a_client_that_tells_of_no_error_is_not_judged():
    assert error(history([START, *attempt(0, 1.0, end=2.0), *attempt(1, 3.0)])).outcome is Outcome.SKIP


SENT = (0.5, "conn.sent", {"conn": "c", "what": "heartbeat"})
FULL = (1.0, "sub.event", {"sub": "a", "attempt": 0, "id": "1", "type": "x", "channel": "all", "seq": 1})
EMPTY = (1.0, "sub.event", {"sub": "a", "attempt": 0, "id": "1", "type": "message", "data": "", "size": 0})


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        ([SENT, FULL], Outcome.PASS),
        ([SENT, FULL, EMPTY], Outcome.FAIL),
        ([FULL, EMPTY], Outcome.SKIP),
        ([SENT], Outcome.SKIP),
        ([SENT, (0.6, "server.fault", {"name": "bom", "state": "on"}), EMPTY], Outcome.SKIP),
        ([SENT, (0.6, "server.fault", {"name": "defect:x", "state": "on", "defect": True}), EMPTY], Outcome.FAIL),
    ],
)
def test_an_event_without_data_was_never_sent(rows, outcome):
    assert nothing_invented(history(rows)).outcome is outcome


def streamed(*sent, events, end=9.0):
    """A stream on which the server sent these, and the client dispatched so many events."""
    about = {"conn": "c", "user": "u", "sub": "a", "method": "GET", "path": "/", "headers": {}, "last_event_id": None}
    rows = [START, *attempt(0, 1.0), (1.1, "conn.request", about), (1.2, "sub.open", {"sub": "a", "attempt": 0})]
    rows += [(2.0, "conn.sent", {"conn": "c", "what": what}) for what in sent]
    other = {"sub": "a", "attempt": 0, "id": "1", "type": "x", "data": "heartbeat"}
    rows += [(3.0, "sub.event", other)] * events
    rows += [] if end is None else [(end, "conn.end", {"conn": "c", "by": "client", "how": "fin", "bytes": 9})]
    return nothing_invented(history(rows)).outcome


def test_no_more_is_dispatched_than_was_sent_as_an_event():
    assert streamed("event", "heartbeat", "reset", events=2) is Outcome.PASS
    assert streamed("event", "heartbeat", "reset", events=3) is Outcome.FAIL
    assert streamed("heartbeat", events=1) is Outcome.FAIL


def test_a_stream_of_which_not_every_record_is_there_proves_nothing():
    assert streamed("event", "raw", events=3) is Outcome.PASS
    assert streamed("event", events=2, end=None) is Outcome.PASS  # the server died, perhaps before it wrote it down
