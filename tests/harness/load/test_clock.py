"""A clock that is told over a slow line, by a master of the same machine or of another one."""

import pytest

from harness import meters
from harness.load.clock import ROUNDS, UNMEASURED, Clock, measured


@pytest.fixture
def now(monkeypatch):
    """Monotonic time as a list of one number, on a machine with the boot id "ours"."""
    time = [100.0]
    monkeypatch.setattr(meters, "identity", lambda role: {"role": role, "boot": "ours", "mono": time[0], "wall": 5.0})
    return time


def master(now, *lines, boot="theirs", ahead=50.0):
    """A master whose clock is ahead; `lines`: seconds to it and back, None for an answer that does not come."""
    waiting = list(lines)

    def ask():
        line = waiting.pop(0)
        if line is None:
            now[0] += 1.0
            return None
        now[0] += line[0]
        told = {"boot": boot, "mono": now[0] + ahead}
        now[0] += line[1]
        return told

    return ask


def test_the_quickest_answer_is_believed_to_within_half_its_time(now):
    found = measured(master(now, (0.5, 0.1), (0.02, 0.04), None, (0.2, 0.2), (3.0, 0.0)))
    assert found.error == pytest.approx(0.03)
    assert abs(found.shift - 50.0) <= found.error
    header = found.header("load-1", 1000.0)
    assert (header["wall"], header["wall_error"]) == (header["mono"] + found.shift + 1000.0, found.error)


def test_one_boot_has_one_clock(now):
    assert measured(master(now, (0.5, 0.1), boot="ours")) == Clock()


def test_without_an_answer_nothing_is_known_of_the_clock(now):
    assert measured(master(now, *[None] * ROUNDS)).error == UNMEASURED
