"""The flag: what counts as ended, refused and looping."""

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


PROMISE = {"promises": {"kill_switch_within": 1.0}}
OPEN, OFF = sub(0.5, "open", attempt=0), (2.0, "flag.set", {"enabled": False})


def kill(*records):
    return verdict("flag.kill_switch", *sorted([OPEN, OFF, *records], key=lambda one: one[0]), **PROMISE)


def test_a_stream_has_to_end_in_time():
    assert kill(sub(2.5, "end", attempt=0, reason="eof"), *lags(6)) is Outcome.PASS
    assert kill(*lags(6)) is Outcome.FAIL
    assert kill(sub(5, "end", attempt=0, reason="eof")) is Outcome.UNKNOWN
    assert kill(sub(5, "comment", attempt=0), *lags(6)) is Outcome.FAIL


def test_a_client_that_hangs_up_by_itself_shows_nothing_of_the_switch():
    patience = {"client": {"capabilities": [], "options": {"heartbeat_deadline": 0.5}}}

    def ended(t, **header):
        rows = [OPEN, sub(1.9, "comment", attempt=0), OFF, sub(t, "end", attempt=0, reason="silence"), *lags(6)]
        return verdict("flag.kill_switch", *sorted(rows, key=lambda one: one[0]), **PROMISE, **header)

    assert ended(2.45, **patience) is Outcome.UNKNOWN
    assert ended(2.1, **patience) is ended(2.45) is Outcome.PASS
    assert ended(4.0, **patience) is Outcome.FAIL


def test_what_cannot_be_told_is_not_judged():
    assert kill() is Outcome.SKIP
    assert kill((2.1, "flag.set", {"enabled": False}), (2.5, "flag.set", {"enabled": True}), *lags(9)) is Outcome.SKIP
    assert kill(sub(1.0, "end", attempt=0, reason="eof"), *lags(6)) is Outcome.SKIP
    assert kill(sub(2.2, "close"), *lags(6)) is Outcome.SKIP
    for name in ("kill_switch", "gates", "no_client_loop"):
        assert verdict(f"flag.{name}") is verdict(f"flag.{name}", **PROMISE) is Outcome.SKIP


def test_a_request_while_the_flag_is_off_gets_no_stream():
    asked = [sub(4, "attempt", attempt=0, last_event_id=None)]
    assert verdict("flag.gates", OFF, *asked, sub(4.1, "open", attempt=0), *lags(6), **PROMISE) is Outcome.FAIL
    refused = sub(4.1, "response", attempt=0, status=204, headers={})
    assert verdict("flag.gates", OFF, *asked, refused, *lags(6), **PROMISE) is Outcome.PASS


def test_a_probe_counts_only_while_the_flag_is_off():
    def probe(t, status):
        return (t, "probe", {"name": "p", "status": status, "headers": {}, "began": t - 0.01})

    before, meanwhile = probe(1.0, 200), (probe(4.0, 204), probe(4.0, 200))
    assert verdict("flag.gates", before, OFF, *lags(6), **PROMISE) is Outcome.SKIP
    assert verdict("flag.gates", before, OFF, meanwhile[0], *lags(6), **PROMISE) is Outcome.PASS
    assert verdict("flag.gates", before, OFF, meanwhile[1], *lags(6), **PROMISE) is Outcome.FAIL


def test_a_client_that_came_later_is_not_one_that_loops():
    assert verdict("flag.no_client_loop", OFF, sub(3, "open", attempt=0), *lags(6)) is Outcome.SKIP


def stage(t, percent):
    return (t, "flag.set", {"enabled": percent > 0, "percent": percent})


def ask(t, user, status, told=None, began=None):
    known = {"name": "p", "user": user, "status": status, "began": t - 0.001 if began is None else began}
    return (t, "probe.flag", known | {"told": told})


def asked(t, on, of, status=204):
    """Users u0 ... are asked for at a time: the first so many get a stream."""
    return [ask(t + n / 10_000, f"u{n}", 200 if n < on else status) for n in range(of)]


def rolled(name, *records, **header):
    rows = sorted(records, key=lambda one: one[0])
    return verdict(f"flag.{name}", *rows, (rows[-1][0] + 1, "lag", {"worst": 0.001}), **(header or PROMISE))


def test_the_flag_gates_by_percentage_and_by_the_servers_own_word():
    assert rolled("gates", stage(1, 0), ask(3, "u", 200)) is Outcome.FAIL
    assert rolled("gates", stage(1, 0), ask(3, "u", 204)) is Outcome.PASS
    assert rolled("gates", stage(1, 100), ask(3, "u", 204)) is Outcome.FAIL
    assert rolled("gates", stage(1, 50), ask(3, "u", 200, told=False)) is Outcome.FAIL
    assert rolled("gates", stage(1, 50), ask(3, "u", 200, told=True)) is Outcome.PASS


def test_an_answer_proves_nothing_before_the_promised_time_or_if_it_is_no_answer():
    assert rolled("gates", stage(1, 0), ask(1.5, "u", 200)) is Outcome.SKIP
    assert rolled("gates", stage(1, 100), ask(3, "u", 503), ask(3.1, "u", 429), ask(3.2, "u", None)) is Outcome.SKIP
    slow = [(3.5, "step", {"step": "rollout", "state": "end"})]
    assert rolled("gates", stage(1, 0), ask(3, "u", 200), *slow) is Outcome.SKIP


def test_the_same_percentage_gives_the_same_answer_also_later():
    twice = [stage(1, 50), ask(3, "u", 200), stage(4, 0), stage(5, 50)]
    assert rolled("sticky", *twice, ask(7, "u", 200)) is Outcome.PASS
    assert rolled("sticky", *twice, ask(7, "u", 204)) is Outcome.FAIL
    assert rolled("sticky", *twice) is Outcome.SKIP
    assert rolled("sticky", stage(1, 10), ask(3, "u", 204), stage(4, 50), ask(6, "u", 200)) is Outcome.SKIP


def test_nobody_loses_what_he_had_while_the_percentage_grows():
    had = [stage(1, 10), ask(3, "u", 200)]
    assert rolled("monotone", *had, stage(4, 50), ask(6, "u", 200)) is Outcome.PASS
    assert rolled("monotone", *had, stage(4, 50), ask(6, "u", 204)) is Outcome.FAIL
    assert rolled("monotone", *had, stage(4, 0), ask(6, "u", 204)) is Outcome.SKIP
    assert rolled("monotone", *had, stage(4, 0), stage(5, 50), ask(7, "u", 204)) is Outcome.SKIP


def test_where_answers_differ_of_themselves_only_stickiness_is_judged():
    both = [stage(1, 10), ask(3, "u", 200), stage(4, 50), ask(6, "u", 204), ask(6.1, "u", 200, told=False)]
    assert rolled("monotone", *both) is Outcome.SKIP
    assert rolled("gates", *both) is Outcome.PASS
    assert rolled("sticky", *both) is Outcome.FAIL


def test_the_share_lies_in_the_band_of_its_percentage():
    assert rolled("binomial", stage(1, 10), *asked(3, 20, 200)) is Outcome.PASS
    assert rolled("binomial", stage(1, 10), *asked(3, 60, 200)) is Outcome.FAIL
    assert rolled("binomial", stage(1, 10), *asked(3, 1, 200, status=404)) is Outcome.FAIL


def test_with_few_users_a_share_proves_nothing():
    assert rolled("binomial", stage(1, 10), *asked(3, 2, 10)) is Outcome.UNKNOWN
    assert rolled("binomial", stage(1, 10), *asked(3, 2, 10, status=500)) is Outcome.UNKNOWN
    assert rolled("binomial", stage(1, 100), *asked(3, 10, 10)) is Outcome.SKIP


def test_a_flag_for_one_user_is_no_stage():
    named = (1, "flag.set", {"enabled": False, "percent": 100, "user": "ann"})
    assert rolled("gates", named, ask(3, "u", 200)) is Outcome.SKIP


def test_a_stream_let_in_before_the_change_was_settled_has_to_end_as_well():
    late = [sub(2.3, "attempt", "z", attempt=0, last_event_id=None), sub(2.4, "open", "z", attempt=0)]
    first = sub(2.5, "end", attempt=0, reason="eof")
    assert kill(first, *late, sub(3.3, "end", "z", attempt=0, reason="eof"), *lags(8)) is Outcome.PASS
    assert kill(first, *late, sub(7, "comment", "z", attempt=0), *lags(8)) is Outcome.FAIL


def test_an_answer_that_is_no_stream_is_none():
    asked = sub(4, "attempt", attempt=0, last_event_id=None)
    answer = sub(4.1, "response", attempt=0, status=200, headers={"content-type": "application/json"})
    assert verdict("flag.gates", OFF, asked, answer, *lags(6), **PROMISE) is Outcome.PASS
    probe = (4.0, "probe", {"name": "p", "status": 200, "headers": {"content-type": "text/html"}, "began": 3.9})
    assert verdict("flag.gates", OFF, probe, *lags(6), **PROMISE) is Outcome.PASS
