"""Our own lag, fault windows, and when late is too late."""

from math import inf

import pytest

from harness import timing
from harness.check import Outcome
from harness.history import History, Record
from harness.timing import RESOLUTION, Window


def of(*records, error=0.0):
    return History(tuple(Record(t, kind, data, role) for t, kind, data, role in records), {}, error)


def lags(*rows, error=0.0):
    return of(*((t, "lag", {"worst": worst}, role) for t, role, worst in rows), error=error)


SECONDS = lags(*((float(n), role, 0.001 * n) for n in range(1, 11) for role in ("run", "server")))


def test_lag_is_the_worst_of_the_seconds_that_touch_the_window():
    assert timing.lag(SECONDS, 3.2, 3.4) == 0.004
    assert timing.lag(SECONDS, 3.2, 5.5) == 0.006


def test_a_window_that_no_ticker_covers_is_unknown():
    assert timing.lag(SECONDS, 9.5, 12.0) == inf
    assert timing.lag(SECONDS, -3.0, 1.0) == inf
    assert timing.lag(lags((1.0, "run", 0.0), (5.0, "run", 0.0)), 0.5, 4.5) == inf
    assert timing.lag(of(), 0.0, 1.0) == inf


def test_a_long_overshoot_covers_the_seconds_it_took():
    assert timing.lag(lags((1.0, "run", 0.0), (5.0, "run", 3.0)), 2.0, 3.0) == 3.0


def test_each_process_that_lived_has_to_have_ticked():
    """The server has no ticker, or stops ticking; a process that had ended, and the last second of one, are no gap."""
    run = [(float(n), "lag", {"worst": 0.001}, "run") for n in range(11)]
    server = [(float(n), "lag", {"worst": 0.001}, "server") for n in range(6)]
    sign = [(t, "conn.end", {"conn": 1, "by": "client", "how": "fin", "bytes": 0}, "server") for t in (0.5, 8.0)]

    def allowed(*records):
        return timing.allowance(of(*sorted(records, key=lambda one: one[0])), 6.1, 6.4)

    assert allowed(*run, *server) < inf
    assert allowed(*run, *server, sign[1]) == inf
    assert allowed(*run, *sign) == inf
    assert allowed(*run, *server, (5.8, "conn.end", sign[0][2], "server")) < inf
    again = (7.0, "history", {"schema": 1, "role": "server"}, "server")
    assert allowed(*run, *server, again, sign[1]) < inf


@pytest.mark.parametrize(
    "excess, outcome",
    [(-1.0, Outcome.PASS), (RESOLUTION, Outcome.PASS), (0.007, Outcome.UNKNOWN), (0.0081, Outcome.FAIL)],
)
def test_too_late_is_judged_against_the_lag_of_all_roles(excess, outcome):
    assert timing.too_late(SECONDS, excess, 3.2, 3.4) is outcome


def test_a_wait_of_several_turns_has_the_lag_of_each():
    assert timing.too_late(SECONDS, 0.02, 3.2, 3.4, turns=3) is Outcome.UNKNOWN
    assert timing.too_late(SECONDS, 0.025, 3.2, 3.4, turns=3) is Outcome.FAIL


def test_what_nobody_watched_and_what_clocks_cannot_tell_is_no_failure():
    assert timing.too_late(of(), 5.0, 0.0, 1.0) is Outcome.UNKNOWN
    assert timing.too_late(lags((1.0, "run", 0.0), error=0.1), 0.09, 0.5, 0.9) is Outcome.UNKNOWN


FAULTS = of(
    (1.0, "net.fault", {"proxy": "p", "fault": "latency", "state": "on"}, "network"),
    (2.0, "net.fault", {"proxy": "p", "fault": "latency", "state": "off"}, "network"),
    (5.0, "server.fault", {"name": "defect:x", "state": "on"}, "server"),
    (5.1, "server.fault", {"name": "y", "state": "on", "defect": True}, "server"),
    (10.0, "server.stop", {"how": "crash"}, "server"),
    (11.0, "server.start", {"epoch": "e"}, "server"),
    (20.0, "step", {"step": "drop", "state": "begin"}, "run"),
    (20.5, "step", {"step": "drop", "state": "end"}, "run"),
    (20.6, "step", {"step": "wait", "state": "begin"}, "run"),
    (25.0, "server.fault", {"name": "drop:fin", "state": "on"}, "server"),
    (30.0, "server.fault", {"name": "cut-event", "state": "on"}, "server"),
    (31.0, "server.fault", {"name": "all", "state": "off"}, "server"),
    (40.0, "server.fault", {"name": "script", "state": "on"}, "server"),
)


def test_fault_windows_begin_and_end_where_the_records_say():
    assert timing.fault_windows(FAULTS) == [
        Window(1.0, 2.0, "p latency"),
        Window(10.0, 11.0, "away"),
        Window(20.0, 20.5, "step drop"),
        Window(25.0, 25.0, "server drop:fin"),
        Window(30.0, 31.0, "server cut-event"),
        Window(40.0, inf, "server script"),
    ]


@pytest.mark.parametrize(
    "t0, t1, quiet",
    [(0.0, 0.9, True), (0.0, 1.0, False), (2.5, 2.6, False), (3.5, 9.9, True), (4.9, 5.2, True), (50.0, 60.0, False)],
)
def test_a_window_is_quiet_without_a_fault_in_it_or_just_before(t0, t1, quiet):
    assert timing.quiet(FAULTS, t0, t1) is quiet


@pytest.mark.parametrize(
    "t0, t1, network, excused",
    [
        (1.5, 1.6, False, False),  # the network makes no answers
        (1.5, 1.6, True, True),
        (6.9, 7.0, True, True),
        (7.1, 9.9, True, False),
        (10.5, 10.6, False, True),
        (15.9, 16.0, False, True),
        (16.1, 16.2, False, False),
        (20.1, 20.2, False, False),  # nor does a drop
        (26.0, 26.1, False, False),
        (36.1, 36.2, False, False),
        (50.0, 60.0, False, True),
    ],
)
def test_a_refusal_is_excused_by_what_can_have_caused_it_and_for_a_while_after(t0, t1, network, excused):
    assert timing.excuses(FAULTS, t0, t1, network=network) is excused


@pytest.mark.parametrize(
    "t0, t1, asks, heard",
    [
        (0.0, 0.5, True, True),
        (1.5, 1.6, False, False),
        (2.9, 3.0, False, False),
        (10.5, 10.6, False, True),
        (10.5, 10.6, True, False),
        (20.1, 20.2, True, True),
        (25.0, 25.1, True, True),
    ],
)
def test_an_end_is_heard_unless_the_network_was_broken_and_answered_unless_the_server_was(t0, t1, asks, heard):
    assert timing.heard(FAULTS, t0, t1, asks=asks) is heard


def test_a_stream_is_disturbed_from_the_first_thing_its_server_did_to_it():
    assert timing.disturbed(FAULTS, 0.0, 9.0) == 9.0
    assert timing.disturbed(FAULTS, 0.0, 30.0) == 10.0


def test_scripted_streams_prove_nothing_but_defects_and_drops_are_no_script():
    assert not timing.scripted(FAULTS, 29.0)
    assert timing.scripted(FAULTS, 30.0)
