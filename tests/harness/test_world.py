"""The simulated world keeps its own rules; that its histories are clean is tested in test_simulate.py."""

from itertools import pairwise
from random import Random

import pytest

from harness.world import RETRY, World


def test_virtual_time_passes_in_order():
    world, seen = World(Random(1)), []
    start = world.now
    for delay in (0.3, 0.1, 0.2):
        world.at(delay, lambda delay=delay: seen.append((delay, round(world.now - start, 6))))
    world.run(0.25)
    assert seen == [(0.1, 0.1), (0.2, 0.2)]
    assert world.now == start + 0.25


def test_a_foreign_server_writes_nothing_itself():
    world = World(Random(1), foreign=True)
    world.open("a", "u")
    world.run(0.5)
    world.publish(None)
    world.run(0.5)
    assert {record.role for record in world.records} == {"run"}
    assert not [record for record in world.records if record.kind.startswith(("conn.", "server."))]


def test_a_server_that_is_down_publishes_nothing_and_clients_wait_at_least_the_reconnection_time():
    world = World(Random(1))
    world.open("a", "u")
    world.run(0.2)
    world.crash(1.0)
    world.publish(None)
    world.run(3.0)
    times = [record.t for record in world.records if record.kind == "sub.attempt"]
    assert not [record for record in world.records if record.kind == "published"]
    assert all(b - a >= RETRY for a, b in pairwise(times))


@pytest.mark.parametrize("seed", range(40))
def test_who_has_been_closed_hears_of_nothing_more_whatever_is_on_its_way(seed):
    """Closed at a random moment of a random plot: nothing of its own is told later than the close and its answer."""
    rng = Random(seed)
    world = World(rng)
    world.replay_events = 2
    world.open("a", "u")
    for _ in range(12):
        match rng.randrange(7):
            case 0 if world.up and world.buffer:
                world.cut_inside()
            case 1:
                world.drop(rng.choice(["fin", "rst"]))
            case 2:
                world.crash(rng.random() / 5)
            case 3:
                world.hush(rng.random() < 0.5)
            case 4:
                world.flag(rng.random() < 0.8)
            case _:
                world.publish(None)
        world.run(rng.random() / 10)
    world.close()
    end = world.now
    world.hush(False)
    world.publish(None)
    world.run(3.0)
    told = [one.kind for one in world.records if one.kind.startswith("sub.") and one.t > end + 0.001]
    assert set(told) <= {"sub.closed"}


def test_what_was_on_its_way_when_it_was_closed_is_not_told():
    for what in ("torn", "reset"):
        world = World(Random(1), defects=frozenset({"resets-needlessly"}))
        world.open("a", "u")
        world.run(0.3)
        world.publish(None)
        world.run(0.3)
        if what == "torn":
            world.cut_inside()
        else:
            world.drop("fin")
            until = world.now + 5.0
            while not [one for one in world.records if one.kind == "conn.sent" and one["what"] == "reset"]:
                world.run(0.0005)
                assert world.now < until
        world.close()
        told = len([one for one in world.records if one.kind.startswith("sub.")])
        world.run(2.0)
        assert len([one for one in world.records if one.kind.startswith("sub.")]) == told
