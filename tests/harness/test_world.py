"""The simulated world keeps its own rules; that its histories are clean is tested in test_simulate.py."""

from itertools import pairwise
from random import Random

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
