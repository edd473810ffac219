"""Who has to be let in, and what may keep him out."""

import pytest

from harness import checks
from harness.check import REGISTRY, Outcome, judge
from harness.checks.admission import PATIENCE
from tests.harness.planted import history

checks.load()
OWN = {"client": {"own": True}, "target": {"own": True}}
FAIL, UNKNOWN, SKIP, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.SKIP, Outcome.PASS


def verdict(name, *records, **header):
    told = history(sorted(records, key=lambda one: one[0]), **{**OWN, **header})
    [one] = judge(told, [REGISTRY[f"admission.{name}"]])
    return one.outcome


def sub(t, kind, name="s", **data):
    return (t, f"sub.{kind}", {"sub": name, **data})


def start(t=0.0, name="s", **more):
    return sub(t, "start", name, user="u", options={}, **more)


def asked(t, number=0, name="s", header=None):
    return sub(t, "attempt", name, attempt=number, last_event_id=header)


def refused(t, status, number=0, name="s"):
    """An attempt and its refusal."""
    answer = sub(t + 0.1, "response", name, attempt=number, status=status, headers={"x": "y"})
    return [asked(t, number, name), answer, sub(t + 0.1, "end", name, attempt=number, reason=f"status {status}")]


def opened(t, number=0, name="s"):
    return [asked(t, number, name), sub(t + 0.1, "open", name, attempt=number)]


def conn(t, user, number=0):
    """A request as the server saw it."""
    head = {"method": "GET", "path": "/", "headers": {}, "last_event_id": None, "sub": "s"}
    return (t, "conn.request", {"conn": number, "user": user, **head})


def flag(t, enabled, **more):
    return (t, "flag.set", {"enabled": enabled, **more})


def fault(t, state, kind="server.fault", **data):
    return (t, kind, {**({"name": "status"} if kind == "server.fault" else {}), **data, "state": state})


END = sub(30, "close")


def first(*records, **header):
    return verdict("valid_token", start(), *records, **header)


def again(*records, **header):
    return verdict("resume", start(), *opened(1), sub(2, "end", attempt=0, reason="x"), *records, **header)


def test_who_got_a_stream_was_let_in():
    assert first(*opened(1)) is PASS
    assert first(*refused(1, 503), *refused(3, 503, 1), *opened(9, 2), END) is PASS
    assert again(END) is SKIP
    assert again(*refused(3, 503, 1), *opened(4, 2), END) is PASS


@pytest.mark.parametrize("status", [204, 302, 401, 403, 404, 410])
def test_one_final_refusal_is_enough(status):
    assert first(*refused(1, status), END) is FAIL
    assert again(*refused(3, status, 1), END) is FAIL


def test_a_redirect_that_a_client_does_not_follow_keeps_nobody_out():
    told = sub(1.1, "response", attempt=0, status=302, headers={"location": "/there"})
    assert first(asked(1), told, sub(1.1, "end", attempt=0, reason="status 302"), END) is SKIP


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_refusal_that_asks_to_come_back_has_to_last(status):
    once, often = refused(1, status), [*refused(1, status), *refused(1 + PATIENCE, status, 1)]
    assert first(*once, END) is UNKNOWN
    assert first(*once, sub(4, "close")) is SKIP  # the run itself closed it too early to know
    assert first(*once, sub(1.3, "closed", reason="gave up"), END) is UNKNOWN
    assert first(*often, END) is FAIL


def test_what_never_came_to_an_answer_is_nobodys_word():
    lost = [one for t, n in ((1, 0), (9, 1)) for one in (asked(t, n), sub(t + 1, "end", attempt=n, reason="reset"))]
    assert first(*lost, END) is UNKNOWN
    assert first(asked(1), END) is SKIP  # still under way: the late head is told elsewhere


def test_a_response_of_another_type_is_told_elsewhere():
    assert first(*refused(1, 200), END) is SKIP


def test_a_subscriber_that_nobody_saw_ask_is_unknown():
    assert first(END) is UNKNOWN
    assert first(sub(3, "close")) is SKIP
    assert first(fault(1, "on"), END) is SKIP
    assert first(flag(0.5, False), END) is SKIP
    assert first((30, "step", {"step": "wait", "state": "end"})) is UNKNOWN


def test_who_borrows_a_connection_asks_for_none():
    assert verdict("valid_token", sub(0, "start", user="u", options={"shared": True}), END) is SKIP


def test_a_fault_of_the_server_and_what_it_leaves_behind_excuse():
    window = [fault(2.9, "on"), fault(4, "off")]
    for status in (404, 503):
        assert again(*window, *refused(3, status, 1), END) is SKIP
        assert again(*window, *refused(8, status, 1), END) is SKIP
    assert again(*window, *refused(10, 404, 1), END) is FAIL
    defect = fault(2.9, "on", defect=True)
    assert again(defect, *refused(3, 404, 1), END) is FAIL


def test_a_restart_excuses_what_comes_soon_after():
    restart = [("step", {"step": "restart", "state": state}) for state in ("begin", "end")]
    window = [(2.0, *restart[0]), (3.0, *restart[1])]
    assert again(*window, *refused(4, 503, 1), sub(4.2, "closed", reason="gave up"), END) is SKIP
    assert again(*window, *(one for n in range(9) for one in refused(4 + n, 503, n + 1)), END) is UNKNOWN
    assert again(*window, *(one for n in range(11) for one in refused(4 + n, 503, n + 1)), END) is FAIL


def test_the_network_spoils_requests_but_makes_no_404():
    window = [fault(2, "on", "net.fault", proxy="p", fault="x"), fault(3.5, "off", "net.fault", proxy="p", fault="x")]
    assert again(*window, *refused(3, 404, 1), END) is FAIL
    assert again(*window, *refused(3, 400, 1), END) is again(*window, *refused(3, 502, 1), END) is SKIP
    drop = [(2.0, "step", {"step": "drop", "state": state}) for state in ("begin", "end")]
    assert again(*drop, *refused(3, 404, 1), END) is FAIL


def test_the_flag_excuses_while_it_is_not_on_for_everybody():
    assert again(flag(2, False), *refused(3, 204, 1), END) is SKIP
    assert again(flag(2, True, percent=50), *refused(3, 404, 1), END) is SKIP
    assert again(flag(2, False, user="u"), *refused(3, 404, 1), END) is SKIP
    back = [flag(2, False), flag(3, True)]
    soon, late = refused(3.5, 204, 1), refused(9, 204, 1)
    promises = {"promises": {"kill_switch_within": 2.0}}
    assert again(*back, *soon, END, **promises) is SKIP
    assert again(*back, *late, END, **promises) is FAIL


def test_before_the_run_has_set_the_flag_a_target_that_has_one_may_have_it_off():
    assert first(*refused(1, 404), END, capabilities=["flag"]) is UNKNOWN
    assert first(*refused(1, 410), END, capabilities=["flag"]) is FAIL
    assert again(*refused(3, 404, 1), END, capabilities=["rollout"]) is FAIL


def test_an_expired_token_is_refused_rightly():
    def short(*records, **header):
        return verdict("valid_token", start(ttl=2.0), *records, END, **header)

    assert short(*refused(1, 404)) is FAIL
    assert short(*refused(1.5, 401)) is SKIP
    assert short(*refused(3, 401), *refused(3.2, 401, 1)) is SKIP
    refreshes = {"client": {"own": True, "capabilities": ["token-refresh"]}}
    assert short(*refused(3, 401), *refused(3.2, 401, 1), **refreshes) is FAIL
    assert short(*refused(3, 404), **refreshes) is FAIL


def test_where_fresh_tokens_are_noted_the_clients_word_for_them_does_not_count():
    refreshes = {"client": {"own": True, "capabilities": ["token-refresh"]}}
    begin, fresh = start(ttl=2.0, refreshes="told"), sub(3.15, "token")
    twice = [*refused(3, 401), *refused(3.2, 401, 1), END]
    assert verdict("valid_token", begin, *twice, **refreshes) is SKIP
    assert verdict("valid_token", begin, fresh, *twice, **refreshes) is FAIL


def test_who_accepts_no_event_stream_may_be_refused():
    asked = conn(1.05, "u")
    asked[2]["headers"]["accept"] = "application/json"
    assert first(asked, *refused(1, 406), END) is UNKNOWN
    assert first(conn(1.05, "u"), *refused(1, 406), END) is FAIL


def test_a_request_that_came_without_the_users_token_is_refused_rightly():
    assert first(conn(1.05, None), *refused(1, 401), END) is SKIP
    assert first(conn(1.05, "u"), *refused(1, 401), END) is FAIL


def test_what_a_client_or_the_target_file_can_have_done_is_unknown():
    theirs = {"client": {"own": False}, "target": {"own": False}}
    assert first(*refused(1, 404), END, **theirs) is UNKNOWN
    assert first(*refused(1, 404), END, target={"own": False}) is FAIL
    assert first(*refused(1, 404), sub(2, "close"), **theirs) is UNKNOWN
    assert first(conn(1.05, "u"), *refused(1, 404), END, client={"own": False}) is FAIL
    assert first(*refused(1, 503), *refused(9, 503, 1), END, **theirs) is FAIL
    listed = {"target": {"own": False}}
    assert first(*refused(1, 403), END, **listed) is again(*refused(3, 401, 1), END, **listed) is UNKNOWN
    assert first(*refused(1, 403), END, **listed, capabilities=["mint"]) is FAIL
    assert again(*refused(3, 403, 1), END, **listed) is FAIL


def test_the_limit_excuses_whatever_it_answers():
    limit = {"promises": {"limit_per_user": 1, "frees_slot_within": 1.0}}
    other = [start(name="o"), *opened(0.5, name="o")]
    for status in (429, 503):
        often = [*refused(1, status), *refused(9, status, 1), END]
        assert first(*other, *often, **limit) is PASS  # of the other one alone
        assert first(*other, *often, promises={"limit_per_user": 2}) is (PASS if status == 429 else FAIL)
    assert first(*other, *refused(1, 429), *refused(9, 429, 1), END) is UNKNOWN  # nobody promised that there is none
    assert first(*refused(1, 429), *refused(9, 429, 1), END) is FAIL
