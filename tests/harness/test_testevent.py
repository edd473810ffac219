"""The payload that can be judged alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import testevent

BODIES = st.dictionaries(
    st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=4
)


@given(user=st.none() | st.text(min_size=1), seq=st.integers(1, 2**53), at=st.floats(0, 1e10), body=BODIES)
def test_what_is_made_is_read_whole_however_it_is_written(user, seq, at, body):
    payload = testevent.make(user, epoch="e", seq=seq, at=at, body=body)
    for text in (
        json.dumps(payload),
        json.dumps(payload, indent=2, ensure_ascii=False),
        json.dumps(payload, sort_keys=True),
    ):
        told = testevent.read(text)
        assert told is not None
        assert (told.owner, told.seq, told.at, told.body, told.intact) == (user, seq, at, body, True)
        assert told.channel == ("all" if user is None else f"user:{user}")


@pytest.mark.parametrize("field", testevent.FIELDS)
def test_any_changed_field_breaks_the_digest(field):
    payload = testevent.make("u", epoch="e", seq=1, at=5.0, body={"x": 1})
    payload[field] = {"seq": 2, "at": 6.0, "body": {}}.get(field, "other")
    told = testevent.read(json.dumps(payload))
    assert told is not None
    assert not told.intact


@pytest.mark.parametrize("change", [{"password": "x"}, {"seq": "1"}, {"seq": True}, {"owner": 7}, {"at": "5"}])
def test_a_payload_that_says_more_or_says_it_otherwise_is_not_exact(change):
    payload = testevent.make("u", epoch="e", seq=1, at=5.0, body={})
    assert testevent.read(json.dumps(payload)).exact
    assert not testevent.read(json.dumps({**payload, **change})).exact


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"channel": "x"}', '{"a":' * 5000, "hello"])
def test_anything_else_is_no_test_event(text):
    assert testevent.read(text) is None


@given(st.text())
def test_no_text_raises(text):
    testevent.read(text)


def test_what_many_get_is_read_once_and_what_is_long_is_not_kept():
    def text(size):
        return json.dumps(testevent.make("u", epoch="e", seq=1, at=5.0, body={"x": "x" * size}))

    short, long = text(10), text(testevent.LONGEST_REMEMBERED)
    assert testevent.read(short) is testevent.read(short)
    assert testevent.read(long) == testevent.read(long)
    assert testevent.read(long) is not testevent.read(long)
