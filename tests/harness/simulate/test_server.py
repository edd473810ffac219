"""The simulated server keeps its own rules; that its histories are clean is tested in test_simulate.py."""

from itertools import pairwise
from random import Random

from harness.simulate.parts import RETRY
from harness.simulate.world import World


def test_a_foreign_server_writes_nothing_itself():
    world = World(Random(1), foreign=True)
    world.clients.open("a", "u")
    world.run(0.5)
    world.server.publish(None)
    world.run(0.5)
    assert {record.role for record in world.records} == {"run"}
    assert not [record for record in world.records if record.kind.startswith(("conn.", "server."))]


def test_a_server_that_is_down_publishes_nothing_and_clients_wait_at_least_the_reconnection_time():
    world = World(Random(1))
    world.clients.open("a", "u")
    world.run(0.2)
    world.server.crash(1.0)
    world.server.publish(None)
    world.run(3.0)
    times = [record.t for record in world.records if record.kind == "sub.attempt"]
    assert not [record for record in world.records if record.kind == "published"]
    assert all(b - a >= RETRY for a, b in pairwise(times))
