import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.script import (
    GOOD,
    Close,
    Finish,
    Redirect,
    Reset,
    Respond,
    Send,
    Silence,
    Stream,
    Wait,
    from_json,
    streams,
    to_json,
)  # fmt: skip

seconds = st.none() | st.floats(0, 1000, allow_nan=False)
every = st.none() | st.integers(1, 10)
steps = st.one_of(
    st.builds(
        Respond,
        status=st.integers(100, 599),
        headers=st.none() | st.lists(st.tuples(st.text("ab-", min_size=1), st.text("xyé "))).map(tuple),
        framing=st.sampled_from([None, "chunked", "length", "close"]),
        length=st.none() | st.integers(0, 99),
        http=st.sampled_from(["1.1", "1.0"]),
        but=st.lists(st.tuples(st.text("ab-", min_size=1), st.none() | st.text("xyé "))).map(tuple),
        coding=st.sampled_from([None, "gzip"]),
    ),
    st.builds(
        Redirect,
        status=st.integers(300, 399),
        to=st.sampled_from(["absolute", "path", "missing"]),
        hops=st.none() | st.integers(0, 99),
    ),
    st.builds(Send, st.binary(), st.booleans()),
    st.builds(Wait, st.floats(0, 1000, allow_nan=False)),
    st.sampled_from([Finish(), Close(), Reset(), Silence()]),
    st.builds(
        Stream,
        events=st.none() | st.integers(0, 9),
        seconds=seconds,
        cut=st.sampled_from([None, "after-id", "inside-data", "before-empty-line"]),
        cut_bytes=st.none() | st.integers(0, 99),
        duplicate=every,
        omit=every,
        reorder=every,
        dribble=seconds,
        buffer=seconds,
        insert=st.binary(),
        insert_after=st.integers(0, 99),
        insert_fill=st.none() | st.integers(0, 99),
        line_ends=st.sampled_from([None, "cr", "mixed"]),
    ),
)


@pytest.mark.slow
@given(st.lists(steps).map(tuple))
def test_a_script_survives_json(script):
    assert from_json(json.loads(json.dumps(to_json(script)))) == script


def test_fields_at_their_default_are_left_out():
    assert to_json(GOOD) == [{"step": "respond"}, {"step": "stream"}]


def test_data_may_be_written_as_text():
    assert from_json([{"step": "send", "data": "dätä"}]) == (Send("dätä".encode()),)


def test_headers_may_be_written_as_an_object():
    assert from_json([{"step": "respond", "headers": {"A": "b"}}]) == (Respond(headers=(("A", "b"),)),)


def test_which_scripts_need_the_real_stream():
    assert streams(GOOD)
    assert not streams((Respond(status=503), Finish()))


@pytest.mark.parametrize(
    "steps, sentence",
    [
        ("respond", "a script is a list of steps; give a JSON array of objects"),
        (None, "a script is a list of steps; give a JSON array of objects"),
        (
            [{"step": "dance"}],
            "step 0 of the script has no known name in `step`; known: respond, redirect, send, wait, ",
        ),
        ([{"step": "wait"}], "step 0 of the script (wait) lacks a field"),
        ([{"step": "finish", "now": 1}], "step 0 of the script (finish) does not know now; known: nothing"),
        ([{"step": "wait", "seconds": None}], "seconds of step 0 of the script (wait) is in seconds, 0 to 86400"),
        ([{"step": "wait", "seconds": float("nan")}], "seconds of step 0 of the script (wait) is in seconds"),
        ([{"step": "respond", "status": 99}], "status of step 0 of the script (respond) is a number from 100 to 599"),
        ([{"step": "respond", "framing": "x"}], "framing of step 0 of the script (respond) is one of chunked, "),
        ([{"step": "respond", "headers": [["a", "☃"]]}], "headers of step 0 of the script are no list of [name"),
        ([{"step": "send", "base64": "%"}], "step 0 of the script (send) cannot be decoded; give `data` or `base64`"),
        ([{"step": "send", "data": 5}], "data of step 0 of the script (send) is text of at most 4194304 bytes"),
        ([{"step": "send", "data": "", "raw": 1}], "raw of step 0 of the script (send) is true or false"),
        ([{"step": "stream", "omit": 0}], "omit of step 0 of the script (stream) is a whole number, 1 or more"),
        ([{"step": "stream", "events": True}], "events of step 0 of the script (stream) is a whole number, 0 or more"),
    ],
)
def test_what_no_player_could_play_is_refused_in_one_sentence(steps, sentence):
    with pytest.raises(HarnessError) as caught:
        from_json(steps)
    assert str(caught.value).startswith(sentence)


def test_the_plain_stream_has_neither_end_nor_filter():
    assert Stream().plain
    assert not Stream(events=1).plain
    assert not Stream(dribble=0.1).plain
