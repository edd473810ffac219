import pytest

from harness.errors import HarnessError
from harness.faults import FAULTS, LIVE, Toxic, applied, rest_of
from harness.script import GOOD, Close, Finish, Reset, Respond, Send, Silence, Stream, from_json, streams, to_json


def test_a_toxic_is_named_by_type_and_stream():
    assert Toxic("latency", {"latency": 5}).name == "latency_downstream"


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_is_documented_in_one_line_and_changes_the_good_script_into_one_that_json_can_carry(name):
    assert FAULTS[name].__doc__.count("\n") == 0
    script = applied(name)
    assert script != GOOD
    assert from_json(to_json(script)) == script


@pytest.mark.parametrize(
    "name, parameters, script",
    [
        ("rst", {"events": 2}, (Respond(), Stream(events=2), Reset())),
        ("fin", {}, (Respond(), Stream(events=0), Finish())),
        ("fin", {"clean": False}, (Respond(), Stream(events=0), Close())),
        ("cut-event", {"at": "after-id"}, (Respond(), Stream(events=0, cut="after-id"), Close())),
        ("cut-event", {"how": "rst"}, (Respond(), Stream(events=0, cut="inside-data"), Reset())),
        ("silence", {"events": 1}, (Respond(), Stream(events=1), Silence())),
        ("unfinished-chunk", {}, (Respond(), Stream(events=0), Send(b'64\r\ndata: {"un', raw=True), Close())),
        ("dribble", {"seconds": 0.5}, (Respond(), Stream(dribble=0.5))),
        ("buffer", {"seconds": 3}, (Respond(), Stream(buffer=3))),
        ("duplicate", {"every": 3}, (Respond(), Stream(duplicate=3))),
        ("reorder", {"every": 3}, (Respond(), Stream(reorder=3))),
        ("omit", {"every": 3}, (Respond(), Stream(omit=3))),
    ],
)
def test_what_a_fault_makes_of_the_good_script(name, parameters, script):
    assert applied(name, GOOD, parameters) == script


def test_a_status_needs_no_stream_and_may_say_when_to_come_back():
    respond, *_ = script = applied("status", GOOD, {"status": 429, "retry_after": 7})
    assert not streams(script)
    assert respond.status == 429
    assert ("Retry-After", "7") in respond.headers


def test_a_status_without_a_body_has_none():
    assert applied("status", GOOD, {"status": 204})[0].framing is None


def test_faults_add_up():
    both = applied("cut-event", applied("dribble", GOOD, {"seconds": 1}), {})
    assert both == (Respond(), Stream(events=0, cut="inside-data", dribble=1), Close())


def test_what_hits_a_live_stream_is_the_rest_from_the_stream_step_on():
    assert rest_of(applied("rst")) == (Stream(events=0), Reset())
    assert all(isinstance(rest_of(applied(name))[0], Stream) for name in LIVE)


@pytest.mark.parametrize(
    "name, parameters, sentence",
    [
        ("flood", {}, "there is no fault 'flood'; known: buffer, cut-event, "),
        ("rst", {"after": 1}, "fault rst does not know after; known: events"),
        ("status", {"after": 1}, "fault status does not know after; known: status, retry_after"),
        ("rst", {"events": -1}, "events of step 1 of the script (stream) is a whole number, 0 or more"),
        ("cut-event", {"at": "here"}, "cut of step 1 of the script (stream) is one of after-id, "),
        ("status", {"status": "x"}, "a parameter of fault status has the wrong type"),
    ],
)
def test_a_wrong_name_or_parameter_is_refused_in_one_sentence(name, parameters, sentence):
    with pytest.raises(HarnessError) as caught:
        applied(name, GOOD, parameters)
    assert str(caught.value).startswith(sentence)
