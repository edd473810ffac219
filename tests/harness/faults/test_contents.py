import json

import pytest

from harness.eventstream import Decoder
from harness.faults import applied
from harness.script import GOOD, Respond, Send, Stream, Wait
from harness.testevent import read


@pytest.mark.parametrize(
    "name, parameters, script",
    [
        ("dribble", {"seconds": 0.5}, (Respond(), Stream(dribble=0.5))),
        ("buffer", {"seconds": 3}, (Respond(), Stream(buffer=3))),
        ("duplicate", {"every": 3}, (Respond(), Stream(duplicate=3))),
        ("reorder", {"every": 3}, (Respond(), Stream(reorder=3))),
        ("omit", {"every": 3}, (Respond(), Stream(omit=3))),
        ("line-ends", {"ends": "cr"}, (Respond(), Stream(line_ends="cr"))),
        ("bom", {}, (Respond(), Send(b"\xef\xbb\xbf"), Stream())),
        ("bom", {"kind": "split"}, (Respond(), Send(b"\xef"), Wait(0.02), Send(b"\xbb\xbf"), Stream())),
        ("giant", {"size": 9}, (Respond(), Stream(insert=b"event: notice\ndata: ", insert_fill=9))),
        ("retry", {"value": "-5", "events": 2}, (Respond(), Stream(insert=b"retry: -5\n\n", insert_after=2))),
        ("invalid-utf8", {"where": "comment"}, (Respond(), Stream(insert=b": \xc3(\xff\n\n"))),
    ],
)
def test_what_a_fault_makes_of_the_good_script(name, parameters, script):
    assert applied(name, GOOD, parameters) == script


@pytest.mark.parametrize(
    "parameters, line",
    [
        ({}, "id: ünï-☃"),
        ({"value": ""}, "id: "),
        ({"value": " a "}, "id:  a "),
        ({"value": "a\0b"}, "id: a\0b"),
        ({"value": "ab", "length": 5}, "id: ababa"),
    ],
)
def test_an_id_of_any_kind(parameters, line):
    inserted = applied("id", GOOD, parameters)[1].insert.decode()
    assert inserted == f"event: notice\n{line}\ndata: an id\n\n"


@pytest.mark.parametrize("name, owner", [("foreign", "somebody-else"), ("phantom", None)])
def test_an_event_that_nobody_may_get_is_a_whole_one(name, owner):
    (event,) = Decoder().feed(applied(name)[1].insert)
    assert (read(event.data).owner, read(event.data).intact, event.id) == (owner, True, "")
    assert json.loads(event.data)["epoch"] == name
