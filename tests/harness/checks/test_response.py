"""The head of the response."""

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


def opened(**headers):
    return [
        sub(1, "attempt", attempt=0, last_event_id=None), sub(1.1, "response", attempt=0, status=200, headers=headers),
        sub(1.1, "open", attempt=0),
    ]  # fmt: skip


def test_a_client_that_shows_no_headers_proves_nothing():
    for name in ("stream_head", "not_cached", "prompt"):
        assert verdict(f"response.{name}", sub(1, "open", attempt=0)) is Outcome.SKIP


def test_a_cache_directive_among_others():
    assert verdict("response.not_cached", *opened(**{"cache-control": "private, No-Store"})) is Outcome.PASS
    assert verdict("response.not_cached", *opened(**{"cache-control": "no-storey"})) is Outcome.FAIL


def test_a_head_that_never_comes_is_late_too():
    waiting = sub(1, "attempt", attempt=0, last_event_id=None)
    assert verdict("response.prompt", waiting, *lags(9)) is Outcome.FAIL
    assert verdict("response.prompt", waiting, (9, "step", {"step": "wait", "state": "end"})) is Outcome.UNKNOWN
    assert verdict("response.prompt", waiting, *lags(2)) is Outcome.SKIP
    closed = sub(8, "close"), sub(8.01, "end", attempt=0, reason="close")
    assert verdict("response.prompt", waiting, *closed, *lags(9)) is Outcome.FAIL
    given_up = sub(8, "end", attempt=0, reason="no head"), sub(8.5, "close")
    assert verdict("response.prompt", waiting, *given_up, *lags(9)) is Outcome.FAIL
    refused = sub(1.1, "end", attempt=0, reason="connection refused"), sub(8.5, "close")
    assert verdict("response.prompt", waiting, *refused, *lags(9)) is Outcome.SKIP


@pytest.mark.parametrize(("worst", "outcome"), [(1.3, Outcome.UNKNOWN), (0.9, Outcome.FAIL)])
def test_connecting_asking_and_answering_each_take_a_turn_of_ours(worst, outcome):
    """3.7 s beyond the bound, while our loop came round every `worst` seconds: a good server was accused of it once."""
    asked, answered = opened(**{"content-type": "text/event-stream"})[:2]
    late = (6.7, *answered[1:])
    assert verdict("response.prompt", asked, late, *lags(9, worst)) is outcome


@pytest.mark.parametrize(("requests", "outcome"), [(4, Outcome.UNKNOWN), (1, Outcome.FAIL)])
def test_behind_redirects_each_request_takes_its_turns(requests, outcome):
    """As a machine with a load of 50 made it: three redirects, a loop that came round every 0.9 s, a good server."""
    asked, answered = opened(**{"content-type": "text/event-stream"})[:2]
    about = {"sub": "s", "user": "u0", "method": "GET", "path": "/", "headers": {}, "last_event_id": None}
    hops = [(1.5 + hop, "conn.request", {"conn": f"c{hop}", **about}) for hop in range(requests)]
    assert verdict("response.prompt", asked, *hops, (8.2, *answered[1:]), *lags(9, 0.9)) is outcome


FAULT = [(0.4, "net.fault", {"proxy": "p", "fault": "x", "state": state}) for state in ("on", "off")]


@pytest.mark.parametrize(("t", "outcome"), [(1.3, Outcome.SKIP), (3.3, Outcome.PASS), (6.0, Outcome.FAIL)])
def test_a_head_soon_after_a_fault_counts_from_when_that_has_no_effect_any_more(t, outcome):
    asked, answered = opened(**{"content-type": "text/event-stream"})[:2]
    assert verdict("response.prompt", *FAULT, asked, (t, *answered[1:]), *lags(9)) is outcome


def test_a_wait_in_which_something_was_broken_proves_nothing():
    asked, answered = opened(**{"content-type": "text/event-stream"})[:2]
    for begin, end in ((0.4, 1.5), (2.0, 2.5)):
        fault = [(t, *one[1:]) for t, one in zip((begin, end), FAULT, strict=True)]
        rows = sorted([*fault, asked, (8.0, *answered[1:])], key=lambda one: one[0])
        assert verdict("response.prompt", *rows, *lags(9)) is Outcome.SKIP


def test_a_server_that_has_just_come_back_may_be_slow_for_longer():
    asked, answered = opened(**{"content-type": "text/event-stream"})[:2]
    back = [(0.3, "server.stop", {"how": "crash"}), (0.4, "server.start", {"epoch": "e"})]
    for t, outcome in ((6.0, Outcome.PASS), (8.0, Outcome.FAIL)):
        assert verdict("response.prompt", *back, asked, (t, *answered[1:]), *lags(9)) is outcome
