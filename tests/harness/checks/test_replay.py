"""Replay: ids that come back, resets, and what cannot be told."""

import importlib.util
from pathlib import Path
from time import perf_counter

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


def event(t, id, digest, **more):
    about = {"channel": "all", "owner": None, "epoch": "e", "seq": 1, "intact": True}
    return sub(t, "event", attempt=0, id=id, type="message", digest=digest, **about, **more)


def test_the_same_id_twice_in_a_row_may_be_an_event_without_one():
    opened = sub(1, "open", attempt=0)
    assert verdict("replay.ids_unique", opened, event(2, "x", "a"), event(3, "x", "b")) is Outcome.PASS
    back = [event(2, "x", "a"), event(3, "y", "b"), event(4, "x", "c")]
    assert verdict("replay.ids_unique", opened, *back) is Outcome.FAIL


def test_an_id_of_two_events_in_a_row_is_known_from_whom_only_the_second_was_for():
    tells = {"client": {"capabilities": ["comments"], "options": {}}}

    def seen(name, t, id, digest):
        return (t, "sub.event", {**event(t, id, digest)[2], "sub": name})

    both = [sub(1, "open", "a", attempt=0), sub(1, "open", "b", attempt=0)]
    both += [seen("b", 1.5, "w", "z"), seen("a", 2, "x", "one"), seen("a", 3, "x", "two")]
    second = seen("b", 3.1, "x", "two")
    assert verdict("replay.ids_unique", *both, second, **tells) is Outcome.FAIL
    assert verdict("replay.ids_unique", *both, second) is Outcome.PASS
    assert verdict("replay.ids_unique", *both, seen("b", 3.1, "w", "two"), **tells) is Outcome.PASS
    alone = sub(3.05, "id", "b", attempt=0, id="x")
    assert verdict("replay.ids_unique", *both, alone, second, **tells) is Outcome.PASS


def test_promises_that_are_not_made_are_not_judged():
    for name in ("reset_when_too_old", "no_needless_reset", "strictly_after", "ids_unique", "no_id_on_control"):
        assert verdict(f"replay.{name}") is Outcome.SKIP
    promised = {"promises": {"replay_events": 3}}
    assert verdict("replay.reset_when_too_old", **promised) is Outcome.SKIP
    assert verdict("replay.no_needless_reset", **promised) is Outcome.SKIP


def test_what_a_script_of_the_mock_sends_is_not_the_servers():
    scripted = (0.5, "server.fault", {"name": "script", "state": "on"})
    records = [sub(1, "open", attempt=0), sub(2, "comment", attempt=0)]
    assert verdict("replay.no_id_on_control", *records) is Outcome.PASS
    assert verdict("replay.no_id_on_control", scripted, *records) is Outcome.SKIP


def published(t, seq):
    about = {"channel": "all", "owner": None, "epoch": "e", "seq": seq, "id": f"e-{seq}", "type": "message"}
    return (t, "published", {**about, "digest": f"d{seq}", "at": t})


def test_a_resume_that_brought_nothing_was_not_reset():
    promised = {"promises": {"replay_events": 1, "reset_event": "reset"}}
    before = [
        sub(0, "start", user="u", options={}),
        sub(1, "open", attempt=0),
        published(2, 1),
        event(2.1, "e-1", "d1"),
    ]
    resumed = [sub(3, "attempt", attempt=1, last_event_id="e-1"), sub(3.1, "open", attempt=1)]
    comment = sub(3.2, "comment", attempt=1)
    assert verdict("replay.no_needless_reset", *before, *resumed, comment, **promised) is Outcome.PASS
    late = [published(2.5, 2), published(2.6, 3)]
    assert verdict("replay.reset_when_too_old", *before, *late, *resumed, comment, **promised) is Outcome.SKIP


@pytest.mark.slow
def test_a_long_life_is_judged_in_a_time_that_grows_no_faster_than_it():
    events = [event(2 + n / 1000, f"e-{n}", f"{n:x}", at=0.0) for n in range(30_000)]
    started = perf_counter()
    assert verdict("replay.no_id_on_control", sub(1, "open", attempt=0), *events) is Outcome.SKIP
    assert perf_counter() - started < 10.0  # with a set copied for each event it takes several times as long


PROMISED = {"promises": {"replay_events": 9, "reset_event": "reset", "restart_keeps_replay": True}}


def came(t, seq, attempt):
    about = {"channel": "all", "owner": None, "epoch": "e", "seq": seq, "intact": True, "digest": f"d{seq}"}
    return sub(t, "event", attempt=attempt, id=f"e-{seq}", type="message", **about)


def resumed(*more, header="hb"):
    """A first event, whatever happened then, and a resume at 3."""
    rows = [
        sub(0, "start", user="u", options={}), sub(1, "open", attempt=0), published(1.1, 1), came(1.2, 1, 0), *more,
        sub(3, "attempt", attempt=1, last_event_id=header), sub(3.1, "open", attempt=1),
    ]  # fmt: skip
    return sorted(rows, key=lambda one: one[0])


BEAT = [sub(2, "comment", attempt=0), sub(2, "id", attempt=0, id="hb")]
RESET = sub(3.2, "event", attempt=1, id="hb", type="reset", data="{}")
NEXT = [published(3.15, 3), came(3.3, 3, 1)]


@pytest.mark.parametrize("name", ["replay.no_id_on_control", "heartbeat.no_id"])
def test_an_id_of_a_frame_is_a_breach_where_a_resume_from_it_goes_astray(name):
    missed = [published(2.5, 2), published(2.6, 4)]
    assert verdict(name, *resumed(*BEAT, RESET), **PROMISED) is Outcome.FAIL
    assert verdict(name, *resumed(*BEAT, missed[0], *NEXT), **PROMISED) is Outcome.FAIL
    assert verdict(name, *resumed(*BEAT, *NEXT), **PROMISED) is Outcome.PASS
    short = {"promises": {"replay_events": 1, "reset_event": "reset"}}
    assert verdict(name, *resumed(*BEAT, *missed, RESET), **short) is Outcome.PASS


def test_an_id_of_a_frame_shows_nothing_without_a_resume_or_after_a_restart():
    name, away = "replay.no_id_on_control", (2.5, "step", {"step": "restart", "state": "begin", "how": "crash"})
    assert verdict(name, *resumed(*BEAT, away, RESET), **PROMISED) is Outcome.SKIP
    assert verdict(name, *resumed(*BEAT, came(2.5, 2, 0), header="e-2"), **PROMISED) is Outcome.PASS
    assert verdict(name, *resumed(*BEAT, came(2.5, 2, 0), header=None), **PROMISED) is Outcome.SKIP
    assert verdict(name, *resumed(*BEAT)[:-2], **PROMISED) is Outcome.SKIP
    alone = [*BEAT[:1], sub(2.5, "id", attempt=0, id="hb")]
    assert verdict("heartbeat.no_id", *resumed(*alone, RESET), **PROMISED) is Outcome.PASS
    assert verdict(name, *resumed(*alone, RESET), **PROMISED) is Outcome.FAIL


def test_a_reset_may_say_from_where_on_it_is_complete():
    position = sub(2, "event", attempt=0, id="hb", type="reset", data="{}")
    assert verdict("replay.no_id_on_control", *resumed(position, *NEXT), **PROMISED) is Outcome.PASS
    assert verdict("replay.no_id_on_control", *resumed(position, RESET), **PROMISED) is Outcome.FAIL


def test_a_graceful_restart_keeps_the_replay_where_that_is_promised():
    def restart(how):
        return [(2.0, "step", {"step": "restart", "state": "begin", "how": how})]

    def survived(*more, **header):
        return verdict("replay.survives_restart", *resumed(*more, header="e-1"), **{**PROMISED, **header})

    assert survived(*restart("graceful"), RESET) is Outcome.FAIL
    assert survived(*restart("graceful"), published(2.5, 2), *NEXT) is Outcome.FAIL
    assert survived(*restart("graceful"), *NEXT) is Outcome.PASS
    silent = {"promises": {**PROMISED["promises"], "reset_event": None}}
    assert survived(*restart("graceful"), *NEXT, **silent) is Outcome.PASS
    assert survived(*restart("crash"), RESET) is survived(RESET) is Outcome.SKIP
    assert survived(*restart("graceful"), RESET, promises={"replay_events": 9}) is Outcome.SKIP


def test_a_replay_that_is_larger_than_any_burst_is_not_judged():
    def told(count):
        header = {"promises": {"replay_events": count, "reset_event": "reset"}}
        [one] = judge(planted.history([sub(1, "open", attempt=0)], **header), [REGISTRY["replay.reset_when_too_old"]])
        return one.outcome, one.waived

    assert told(2000) == (Outcome.SKIP, True)
    assert told(1999) == (Outcome.SKIP, False)


def test_without_ids_there_is_a_gap_only_where_a_replay_is_promised():
    def told(count):
        header = {"promises": {"replay_events": count}}
        [one] = judge(planted.history([sub(1, "open", attempt=0)], **header), [REGISTRY["replay.ids_unique"]])
        return one.outcome, one.waived

    assert told(None) == (Outcome.SKIP, True)
    assert told(9) == (Outcome.SKIP, False)


def test_a_reset_belongs_to_the_beginning_of_a_stream():
    promise = {"promises": {"reset_event": "reset"}}
    opened = [sub(1, "attempt", attempt=0, last_event_id=None), sub(1.1, "open", attempt=0)]
    last = sub(6, "comment", attempt=0)

    def outcome(*more, **header):
        records = sorted([*opened, *more, last], key=lambda one: one[0])
        return verdict("replay.no_reset_in_between", *records, **header)

    def reset(t):
        return sub(t, "event", attempt=0, id="", type="reset", data="{}")

    def lags(worst):
        return [(float(t), "lag", {"worst": worst}) for t in range(1, 6)]

    calm = lags(0.001)
    broken = [(2.8, "net.fault", {"proxy": "stream", "fault": "latency", "state": state}) for state in ("on", "off")]
    assert outcome(reset(1.5), *calm, **promise) is Outcome.PASS
    assert outcome(reset(3), *calm, **promise) is Outcome.FAIL
    assert outcome(reset(3), *lags(2.0), **promise) is Outcome.UNKNOWN
    assert outcome(reset(3), *calm, *broken, **promise) is Outcome.PASS
    assert verdict("replay.no_reset_in_between", *opened, **promise) is Outcome.SKIP
    assert outcome(reset(3), *calm, promises={"reset_event": None}) is Outcome.SKIP
