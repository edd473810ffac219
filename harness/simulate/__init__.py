"""Histories of a simulated world: random clean ones, and ones in which a defect is planted."""

from random import Random
from typing import Any

from harness.history import History, Record
from harness.simulate.parts import AGAIN, BASE, CAP, CAPABILITIES, HEARTBEAT, LIMIT, POLL, SCHEMA
from harness.simulate.plots import PLOTS, await_open, meter
from harness.simulate.world import World


def clean(rng: Random) -> History:
    """A random history in which everybody keeps the law; the same for the same state of `rng`."""
    return play(rng.choice(sorted(PLOTS)), rng, foreign=rng.random() < 0.25)


def play(plot: str, rng: Random, *, defects: tuple[str, ...] = (), foreign: bool = False) -> History:
    """One run of a plot in a world with these defects."""
    world = World(rng, defects=frozenset(defects), foreign=foreign)
    start = world.now
    world.at(0.0, world.ticking)
    world.note("server.start", "server", epoch=world.server.epoch)
    PLOTS[plot](world)
    _drain(world)
    world.clients.close()
    world.run(1.2)
    if plot == "churn":
        meter(world, "after")
    world.run(0.1)
    world.ticking()
    header = _header(plot, polls=world.clients.polls, deadline=world.clients.deadline)
    first = Record(start, "history", header, "run")
    return History((first, *sorted(world.records, key=lambda record: record.t)), header)


def _header(plot: str, *, polls: bool, deadline: float | None) -> dict[str, Any]:
    options = {"backoff_base": BASE, "backoff_cap": CAP, "stable_after": 0.0, "heartbeat_deadline": deadline}
    options |= {"poll_every": POLL, "stream_again": AGAIN} if polls else {}
    return {
        "schema": 1, "role": "run", "host": "h", "boot": "b", "pid": 1, "mono": 0.0, "wall": 0.0,
        "scenario": plot, "checks": [], "seed": 0, "versions": {},
        "target": {"name": "simulated", "own": True},
        "client": {"name": "simulated", "own": True, "capabilities": CAPABILITIES, "options": options},
        "capabilities": [],
        "promises": {
            "heartbeat": HEARTBEAT, "max_latency": 0.5, "replay_events": 40, "reset_event": "reset",
            "limit_per_user": LIMIT, "frees_slot_within": 1.0, "kill_switch_within": 2.0,
            "token_expiry_within": 1.0, "unauthorized": [401, 403], "restart_keeps_replay": True,
            "schemas": {"message": SCHEMA},
        },
    }  # fmt: skip


def _drain(world: World) -> None:
    await_open(world)
    world.note("drain", state="begin", alive=[one.name for one in world.clients.alive()])
    users = sorted({one.user for one in world.clients.alive()})
    for user in (*users, None) if users else ():
        world.server.publish(user, "sentinel")
    until = world.now + 5.0

    def missing() -> list[str]:
        return [one.name for one in world.clients.alive() if len(one.sentinels) < 2]

    while missing() and world.now < until:
        world.run(0.1)
    world.note("drain", state="end", timed_out=bool(missing()), missing=missing())
