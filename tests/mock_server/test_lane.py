import pytest

from harness.script import Stream
from mock_server.hub import Hub
from mock_server.lane import Dropped, Filter, Lane
from mock_server.settings import Settings


def frames(count):
    hub = Hub(Settings(), "e", set())
    return [hub.publish("ann", None, None, 1.0) for _ in range(count)]


def taken(lane, now=0.0):
    out = []
    while (one := lane.take(now)) is not None:
        out.append(one if isinstance(one, Dropped) else one.number)
    return out


def test_a_full_lane_drops_the_oldest_and_says_which():
    lane = Lane(3, None, "e-0")
    for one in frames(8):
        lane.push(one)
    assert len(lane) == 3
    assert taken(lane) == [Dropped(5, "e-0", "e-6"), 6, 7, 8]
    assert lane.needless


def test_what_was_dropped_lies_between_what_was_sent_and_what_follows():
    lane = Lane(2, None, "e-0")
    first, *rest = frames(6)
    lane.push(first)
    assert taken(lane) == [1]
    for one in rest:
        lane.push(one)
    assert taken(lane) == [Dropped(3, "e-1", "e-5"), 5, 6]


def test_nothing_of_a_replay_is_dropped():
    lane = Lane(2, None, "e-0")
    replay, live = frames(9)[:6], frames(9)[6:]
    lane.replay(replay)
    for one in live[:2]:
        lane.push(one)
    assert taken(lane) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_throttle_keeps_events_apart_and_is_never_needless():
    lane = Lane(10, 2.0, "e-0")
    lane.replay(frames(3))
    assert taken(lane, 10.0) == [1]
    assert lane.due(10.0) == pytest.approx(0.5)
    assert taken(lane, 10.4) == []
    assert taken(lane, 10.5) == [2]
    assert taken(lane, 11.7) == [3]
    assert lane.due(11.7) is None
    assert not lane.needless


@pytest.mark.parametrize(
    "step, expected",
    [
        (Stream(duplicate=3), [1, 2, 3, 3, 4, 5, 6, 6]),
        (Stream(omit=2), [1, 3, 5]),
        (Stream(reorder=2), [1, 3, 2, 5, 4]),
        (Stream(reorder=1), [2, 1, 4, 3, 6, 5]),
        (Stream(omit=3, duplicate=2), [1, 2, 2, 4, 4, 5]),
        (Stream(), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_filters(step, expected):
    through = Filter(step)
    assert [one.number for frame in frames(6) for one in through.through(frame)] == expected


def test_what_a_filter_holds_back_can_be_had():
    first, second = frames(2)
    held = Filter(Stream(reorder=2))
    assert held.through(first) == [first]
    assert held.through(second) == []
    assert held.rest() == [second]
    assert held.rest() == []
