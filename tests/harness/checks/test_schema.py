"""Schemas of events."""

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


PROMISE = {"promises": {"schemas": {"reset": {"type": "object", "required": ["reason"]}}}}


def valid(text, **more):
    record = sub(1, "event", attempt=0, id="", type="reset", data=text, **more)
    return verdict("schema.valid", record, **PROMISE)


def test_data_that_is_no_test_event_is_judged_by_its_text():
    assert valid('{"reason": "x"}') is Outcome.PASS
    assert valid("{}") is valid("no json") is Outcome.FAIL


def test_text_that_was_cut_for_the_record_is_not_judged():
    assert valid('{"rea', size=9000) is Outcome.SKIP
    assert verdict("schema.valid") is Outcome.SKIP


def test_a_test_event_that_says_more_is_judged_by_its_text():
    schema = {"type": "object", "properties": {"seq": {"type": "integer"}}, "additionalProperties": False}
    own = {"id": "e-1", "type": "message", "channel": "all", "epoch": "e", "seq": 1}

    def judged(text):
        told = sub(1, "event", attempt=0, **own, data=text, size=len(text))
        return verdict("schema.valid", told, promises={"schemas": {"message": schema}})

    assert judged('{"seq": 1}') is Outcome.PASS
    assert judged('{"seq": "1"}') is judged('{"seq": 1, "password": "x"}') is Outcome.FAIL


def test_what_is_torn_was_not_sent_like_that_and_is_told_elsewhere():
    about = {"channel": "all", "epoch": "e", "seq": 1, "id": "e-1"}
    published = (0.5, "published", {**about, "owner": None, "type": "job", "digest": "d"})

    def judged(**event):
        told = sub(1, "event", attempt=0, **{**about, **event}, data='{"seq": 1}', size=10)
        promised = {"schemas": {name: {"required": ["x"]} for name in ("job", "message")}}
        return verdict("schema.valid", published, told, promises=promised)

    assert judged(type="job") is Outcome.FAIL
    assert judged(type="message") is Outcome.SKIP
    piece = sub(1, "event", attempt=0, id="", type="job", data='{"channel": "a')
    promised = {"schemas": {"job": {"required": ["x"]}}}
    assert verdict("schema.valid", published, piece, promises=promised) is Outcome.SKIP
