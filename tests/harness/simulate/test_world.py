"""Time in the simulated world."""

from random import Random

from harness.simulate.world import World


def test_virtual_time_passes_in_order():
    world, seen = World(Random(1)), []
    start = world.now
    for delay in (0.3, 0.1, 0.2):
        world.at(delay, lambda delay=delay: seen.append((delay, round(world.now - start, 6))))
    world.run(0.25)
    assert seen == [(0.1, 0.1), (0.2, 0.2)]
    assert world.now == start + 0.25
