import pytest

from harness.errors import HarnessError
from harness.faults.registry import LIVE, applied, parse, rest_of, until
from harness.script import GOOD, Close, Reset, Respond, Stream


def test_faults_add_up():
    both = applied("cut-event", applied("dribble", GOOD, {"seconds": 1}), {})
    assert both == (Respond(), Stream(events=0, cut="inside-data", dribble=1), Close())


def test_what_hits_a_live_stream_is_the_rest_from_the_stream_step_on():
    assert rest_of(applied("rst")) == (Stream(events=0), Reset())
    assert all(isinstance(rest_of(applied(name))[0], Stream) for name in LIVE)


@pytest.mark.parametrize(
    "text, name, parameters",
    [
        ("rst", "rst", {}),
        ("status:status=503,retry_after=2", "status", {"status": 503, "retry_after": 2}),
        ("fin:clean=false,bytes=3", "fin", {"clean": False, "bytes": 3}),
        ("content-type:value=null", "content-type", {"value": None}),
        ("content-type:value=text/html; charset=utf-8", "content-type", {"value": "text/html; charset=utf-8"}),
        ('id:value="a,\\u0000=\\"b\\"",events=2', "id", {"value": 'a,\0="b"', "events": 2}),
        ("retry:value=", "retry", {"value": ""}),
    ],
)
def test_a_fault_on_a_command_line(text, name, parameters):
    assert parse(text) == (name, parameters)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("fog", "there is no fault 'fog'; known: bom, "),
        ("rst:when=1", "fault rst does not know when; known: events, bytes"),
        ("rst:events", "fault 'rst:events' cannot be read; write NAME or NAME:PARAMETER=VALUE,PARAMETER=VALUE"),
        ("status:status=soon", "a parameter of fault status has the wrong type"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(HarnessError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "name, parameters, sentence",
    [
        ("flood", {}, "there is no fault 'flood'; known: bom, broken-chunk, "),
        ("rst", {"after": 1}, "fault rst does not know after; known: events, bytes"),
        ("status", {"after": 1}, "fault status does not know after; known: status, retry_after"),
        ("rst", {"events": -1}, "events of step 1 of the script (stream) is a whole number, 0 or more"),
        ("rst", {"bytes": -1}, "cut_bytes of step 1 of the script (stream) is a whole number, 0 or more"),
        ("cut-event", {"at": "here"}, "cut of step 1 of the script (stream) is one of after-id, "),
        ("status", {"status": "x"}, "a parameter of fault status has the wrong type"),
        ("redirect", {"status": 200}, "status of step 0 of the script (redirect) is a number from 300 to 399"),
        ("redirect", {"to": "hell"}, "to of step 0 of the script (redirect) is one of absolute, path, "),
        ("content-type", {"value": "a\r\nb: c"}, "but of step 0 of the script have a line end in them; "),
        ("bom", {"kind": "half"}, "kind of bom is one of whole, split, twice, not 'half'"),
        ("broken-chunk", {"kind": "x"}, "kind of broken-chunk is one of not-hex, no-size, "),
        ("line-ends", {"ends": "nel"}, "line_ends of step 1 of the script (stream) is one of lf, cr, "),
        ("giant", {"size": 10**9}, "insert_fill of step 1 of the script (stream) is at most 67108864"),
    ],
)
def test_a_wrong_name_or_parameter_is_refused_in_one_sentence(name, parameters, sentence):
    with pytest.raises(HarnessError) as caught:
        applied(name, GOOD, parameters)
    assert str(caught.value).startswith(sentence)


def test_a_script_without_a_stream_has_its_end_left_and_takes_no_other():
    refusal = (Respond(status=503), Close())
    assert rest_of(refusal) == (Close(),)
    assert until(refusal, Stream(events=0), Reset()) == refusal
