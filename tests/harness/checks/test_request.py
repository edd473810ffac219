"""How a client has to ask, as far as a server tells."""

import pytest

from harness import checks
from harness.check import REGISTRY, Outcome, judge
from tests.harness.planted import history

checks.load()


def outcome(method="GET", seen=True, **headers):
    asked = {"conn": 1, "user": "u", "method": method, "path": "/", "headers": headers, "last_event_id": None}
    records = [(1.0, "sub.attempt", {"sub": "s", "attempt": 0, "last_event_id": None})]
    records += [(1.1, "conn.request", {**asked, "sub": "s"})] if seen else []
    [one] = judge(history(records), [REGISTRY["request.for_a_stream"]])
    return one.outcome


def test_what_a_browser_sends():
    assert outcome(accept="text/event-stream") is Outcome.PASS
    assert outcome(accept="*/*") is outcome() is Outcome.PASS


@pytest.mark.parametrize("accept", ["application/json", "text/html, application/xml", "text/event-stream;q=0"])
def test_who_accepts_no_event_stream_asks_for_none(accept):
    assert outcome(accept=accept) is Outcome.FAIL


def test_a_stream_is_asked_for_with_get():
    assert outcome("POST") is Outcome.FAIL


def test_where_no_server_tells_nobody_knows():
    assert outcome(seen=False) is Outcome.SKIP
