import json

import pytest

from harness import testevent
from harness.eventstream import Comment, Decoder, Event, Retry
from mock_server import frames


def frame(number, **more):
    payload = testevent.make("ann", epoch="e", seq=number, at=1.0, body={"text": "a\nb ü \u2028"})
    return frames.frame(number, payload, id=f"e-{number}", type="metric", **more)


@pytest.mark.parametrize("number", [1, 4])
def test_a_frame_is_decoded_to_what_was_published(number):
    (event,) = Decoder().feed(frame(number).raw)
    assert (event.type, event.id) == ("metric", f"e-{number}")
    assert json.loads(event.data) == frame(number).payload
    assert testevent.read(event.data).intact


def test_every_fourth_event_has_several_data_lines():
    assert [frame(number).raw.count(b"\ndata:") > 1 for number in range(1, 9)] == [False, False, False, True] * 2


def test_id_comes_before_type_and_type_before_data():
    assert frame(1).raw.startswith(b"id: e-1\nevent: metric\ndata: {")


def test_a_chunk_is_hexadecimal_size_and_bytes():
    assert frames.chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert frame(1).chunked == frames.chunk(frame(1).raw)


def test_the_servers_own_frames_have_no_id():
    own = frames.retry(5) + frames.heartbeat() + frames.control("reset", {"reason": "epoch"})
    assert Decoder().feed(own) == [Retry(5), Comment("heartbeat"), Event("reset", '{"reason": "epoch"}', "")]


def test_a_bare_line_feed_tears_the_data():
    (event,) = [one for one in Decoder().feed(frame(4, bare_lf=True).raw) if isinstance(one, Event)]
    assert testevent.read(event.data) is None
