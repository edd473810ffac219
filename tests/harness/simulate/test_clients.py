"""Who has been closed hears of nothing more; that the histories are clean is tested in test_simulate.py."""

from random import Random

import pytest

from harness.simulate.world import World


@pytest.mark.parametrize("seed", range(40))
def test_who_has_been_closed_hears_of_nothing_more_whatever_is_on_its_way(seed):
    """Closed at a random moment of a random plot: nothing of its own is told later than the close and its answer."""
    rng = Random(seed)
    world = World(rng)
    world.server.replay_events = 2
    world.clients.open("a", "u")
    for _ in range(12):
        match rng.randrange(7):
            case 0 if world.server.up and world.server.buffer:
                world.server.cut_inside()
            case 1:
                world.server.drop(rng.choice(["fin", "rst"]))
            case 2:
                world.server.crash(rng.random() / 5)
            case 3:
                world.hush(rng.random() < 0.5)
            case 4:
                world.server.flag(rng.random() < 0.8)
            case _:
                world.server.publish(None)
        world.run(rng.random() / 10)
    world.clients.close()
    end = world.now
    world.hush(False)
    world.server.publish(None)
    world.run(3.0)
    told = [one.kind for one in world.records if one.kind.startswith("sub.") and one.t > end + 0.001]
    assert set(told) <= {"sub.closed"}


def test_what_was_on_its_way_when_it_was_closed_is_not_told():
    for what in ("torn", "reset"):
        world = World(Random(1), defects=frozenset({"resets-needlessly"}))
        world.clients.open("a", "u")
        world.run(0.3)
        world.server.publish(None)
        world.run(0.3)
        if what == "torn":
            world.server.cut_inside()
        else:
            world.server.drop("fin")
            until = world.now + 5.0
            while not [one for one in world.records if one.kind == "conn.sent" and one["what"] == "reset"]:
                world.run(0.0005)
                assert world.now < until
        world.clients.close()
        told = len([one for one in world.records if one.kind.startswith("sub.")])
        world.run(2.0)
        assert len([one for one in world.records if one.kind.startswith("sub.")]) == told
