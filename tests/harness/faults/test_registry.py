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
        ("zzz", "there is no fault 'zzz'; the faults are bom, broken-chunk, "),
        ("gzp", "there is no fault 'gzp'; did you mean 'gzip'?"),
        ("latency", 'latency is a fault of the network: a step of a scenario, Network("add", Toxic("latency", ...))'),
        ("fin:bytes=x", "bytes of fault fin is 'x'; write a whole number, 0 or more"),
        ('retry:value="\\ud800"', "fault retry cannot be played with value='\\ud800': "),
        ("rst:when=1", "fault rst does not know when; known: events, bytes"),
        ("rst:events", "fault 'rst:events' cannot be read; write NAME or NAME:PARAMETER=VALUE,PARAMETER=VALUE"),
        ("status:status=soon", "status of fault status is 'soon'; write a whole number, 0 or more"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(HarnessError) as caught:
        parse(text)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "name, parameters, sentence",
    [
        ("flood", {}, "there is no fault 'flood'; the faults are bom, broken-chunk, "),
        ("rst", {"after": 1}, "fault rst does not know after; known: events, bytes"),
        ("status", {"after": 1}, "fault status does not know after; known: status, retry_after"),
        ("rst", {"events": -1}, "events of fault rst is -1; write a whole number, 0 or more"),
        ("rst", {"bytes": -1}, "bytes of fault rst is -1; write a whole number, 0 or more"),
        ("cut-event", {"at": "here"}, "at of fault cut-event is 'here'; write one of after-id, "),
        ("status", {"status": "x"}, "status of fault status is 'x'; write a whole number, 0 or more"),
        (
            "redirect",
            {"status": 200},
            "fault redirect cannot be played with status=200: status of step 0 of the script (redirect) is a ",
        ),
        ("redirect", {"to": "hell"}, "to of fault redirect is 'hell'; write one of absolute, path, "),
        (
            "content-type",
            {"value": "a\r\nb: c"},
            "fault content-type cannot be played with value='a\\r\\nb: c': but of step 0 ",
        ),
        ("bom", {"kind": "half"}, "fault bom cannot be played with kind='half': kind is one of whole, split, twice"),
        (
            "broken-chunk",
            {"kind": "x"},
            "fault broken-chunk cannot be played with kind='x': kind is one of not-hex, no-size, ",
        ),
        ("line-ends", {"ends": "nel"}, "ends of fault line-ends is 'nel'; write one of lf, cr, "),
        ("giant", {"size": 10**9}, "fault giant cannot be played with size=1000000000: insert_fill of step 1 of "),
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
