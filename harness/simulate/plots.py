"""Plots: what the nemesis does in one simulated run, under the name of the scenario that does the same live."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from harness.simulate.parts import BANNED, HEADERS, LIMIT
from harness.simulate.world import World

Plot = Callable[[World], None]


def _begin(world: World, *, users: int | None = None, streams: int = 1) -> list[str]:
    """Open the first subscribers, and start to publish in the background."""
    names = [f"u{n}" for n in range(users or world.rng.randint(1, 4))]
    for name in names:
        for number in range(streams):
            world.clients.open(f"{name}-{number}", name)
    await_open(world, 3.0)
    world.run(0.2)
    _background(world, names, world.rng.uniform(0.05, 0.4), world.now + 3.0)
    return names


def _background(world: World, names: list[str], pause: float, until: float) -> None:
    if world.now < until:
        world.server.publish(world.rng.choice([*names, None]))
        world.at(pause, lambda: _background(world, names, pause, until))


def _burst(world: World, names: list[str], count: int) -> None:
    for _ in range(count):
        for name in (*names, None):
            world.server.publish(name)


def await_open(world: World, seconds: float = 12.0) -> None:
    until = world.now + seconds
    while world.now < until and any(one.stream is None and not one.polling for one in world.clients.alive()):
        world.run(0.1)


def meter(world: World, label: str) -> None:
    open_streams = len(world.server.streams)
    leaked = "never-closes-sockets" in world.defects and label == "after"
    held = {"rss": 50_000_000, "descriptors": 20 + leaked * 3, "sockets": leaked * 3, "tasks": 5}
    world.note("meter", label=label, role="run", **held)
    slots = sum(world.server.slots.values())
    counts = {"open": open_streams, "slots": slots, "rss": 60_000_000, "descriptors": 30, "tasks": 4}
    world.note("server.stats", "server", label=label, **counts)


def _steady(world: World) -> None:
    names = _begin(world)
    _burst(world, names, 2)
    world.note("probe", name="head", token="good", status=200, headers={}, bytes=10)
    world.run(4.5)


def _drop(how: str) -> Plot:
    def plot(world: World) -> None:
        names = _begin(world, users=world.rng.randint(2, 4))
        _burst(world, names, 2)
        for _ in range(world.rng.randint(1, 2)):
            world.run(0.3)
            _step(world, "drop", lambda: world.server.drop(how))
            world.run(0.2)
            _burst(world, names, 2)
            world.run(0.4)
            _burst(world, names, 1)
            await_open(world)
            _burst(world, names, 1)
        world.run(0.5)

    return plot


def _step(world: World, name: str, do: Callable[[], None], **words: str) -> None:
    world.note("step", step=name, state="begin", **words)
    do()
    world.note("step", step=name, state="end", **words)


def _cut_inside_event(world: World) -> None:
    names = _begin(world, users=2)
    for _ in range(2):
        _burst(world, names, 2)
        world.run(0.3)
        world.note("server.fault", "server", name="cut-event", state="on")
        _burst(world, names, 1)
        world.server.cut_inside()
        world.run(0.2)
        await_open(world)
    world.note("server.fault", "server", name="all", state="off")
    world.run(0.5)


def _silent_stall(world: World) -> None:
    names = _begin(world)
    _burst(world, names, 2)
    world.run(0.5)
    world.hush(True)
    _burst(world, names, 2)
    world.run(4.5)
    world.hush(False)
    world.run(1.0)
    await_open(world)
    world.run(0.5)


def _refuse(world: World) -> None:
    names = _begin(world, users=12)
    _burst(world, names, 1)
    world.run(0.2)
    world.link(False)
    world.run(12.0)
    world.link(True)
    world.run(5.0)
    await_open(world)
    world.run(1.5)
    world.link(False)
    world.run(0.2)
    world.link(True)
    world.run(1.0)
    await_open(world)
    world.run(0.5)


def _restart_crash(world: World) -> None:
    names = _begin(world, users=world.rng.randint(2, 4))
    _burst(world, names, 4)
    world.run(0.3)
    _step(world, "restart", lambda: world.server.crash(0.6), how="crash")
    world.run(1.0)
    await_open(world)
    _burst(world, names, 3)
    world.run(0.5)


def _restart_graceful(world: World) -> None:
    names = _begin(world, users=world.rng.randint(2, 4))
    _burst(world, names, 2)
    world.run(0.3)
    _step(world, "restart", lambda: world.server.restart(0.6), how="graceful")
    world.run(1.0)
    await_open(world)
    _burst(world, names, 1)
    world.run(0.5)


def _drop_idle(world: World) -> None:
    names = _begin(world, users=2)
    world.run(3.2)
    _burst(world, names, 2)
    world.run(1.5)
    for _ in range(2):
        _step(world, "drop", lambda: world.server.drop("fin"))
        world.run(1.0)
        await_open(world)
    world.run(3.0)
    _burst(world, names, 1)
    world.run(0.5)


def _resume_beyond_buffer(world: World) -> None:
    names = _begin(world, users=2)
    _burst(world, names, 2)
    world.run(0.3)
    world.link(False)
    world.run(0.5)
    _burst(world, names, 30)
    world.link(True)
    world.run(0.5)
    await_open(world)
    _burst(world, names, 2)
    world.run(0.5)


def _isolation(world: World) -> None:
    names = _begin(world, users=4)
    _burst(world, names, 3)
    world.run(1.0)


def _per_user_limit(world: World) -> None:
    names = _begin(world, users=2)
    for number in range(LIMIT - 1):
        world.clients.open(f"fill-{number}", names[0])
    world.run(0.5)
    for _ in range(2):
        _burst(world, names, 1)
        world.run(0.2)
        world.link(False)
        world.run(0.2)
        world.link(True)
        await_open(world)
        world.run(1.2)
    for number in range(2):
        world.clients.open(f"extra-{number}", names[0])
    world.clients.open("token-0", names[0], ttl=600.0)
    world.run(1.5)
    world.clients.close("extra")
    world.clients.close("token")
    _burst(world, names, 2)
    world.clients.close("fill-0")
    world.run(1.5)
    world.clients.open("next-0", names[0])
    world.run(3.0)


def _two_streams(world: World) -> None:
    names = _begin(world, users=2, streams=2)
    _burst(world, names, 2)
    world.run(1.0)
    world.clients.close(f"{names[0]}-1")
    world.run(0.4)
    _burst(world, names, 3)
    world.run(1.0)


def _kill_switch(world: World) -> None:
    world.clients.deadline = None
    names = _begin(world, users=3)
    _burst(world, names, 2)
    world.run(0.5)
    _step(world, "flag", lambda: world.server.flag(False))
    world.run(6.0)
    let_in = "ignores-flag" in world.defects
    answer: dict[str, Any] = {"status": 200, "headers": HEADERS} if let_in else {"status": 204, "headers": {}}
    world.note("probe", name="off", token="good", bytes=0, **answer)
    world.run(0.1)
    world.clients.close()
    _step(world, "flag", lambda: world.server.flag(True))
    for number in range(LIMIT):
        world.clients.open(f"again-{number}", names[0])
    world.run(3.5)
    _burst(world, names, 2)
    world.run(0.5)


def _rollout(world: World) -> None:
    names = _polling_crowd(world, 10)
    world.server.probe_all(200)
    _burst(world, names, 1)
    world.run(1.0)
    for percent in (50, 100):
        world.server.probe_rest(names)
        world.server.rollout(percent)
        world.server.probe_all(200)
        world.server.probe_rest(names)
        await_open(world)
        _burst(world, names, 1)
        world.run(1.0)
    world.server.rollout(0)
    world.server.probe_all(200)
    _burst(world, names, 1)
    world.run(1.0)


def _rollback(world: World) -> None:
    names = _polling_crowd(world, 0)
    for percent in (100, 0, 100):
        _burst(world, names, 1)
        world.run(3.5)
        world.server.rollout(percent)
        world.run(0.5 if percent == 0 else 2.5)
    _burst(world, names, 1)
    world.run(1.0)


def _rollout_restart(world: World) -> None:
    names = _begin(world, users=4)
    _burst(world, names, 2)
    world.run(0.5)
    world.server.rollout(50)
    world.server.probe_all(200, repeat=1)
    _step(world, "restart", lambda: world.server.crash(0.6), how="crash")
    world.run(1.0)
    world.server.probe_all(200, repeat=1)


def _polling_crowd(world: World, percent: float) -> list[str]:
    """Subscribers who poll where they may not stream, with the flag at this percentage."""
    world.clients.polls = True
    world.server.rollout(percent)
    names = [f"u{number}" for number in range(8)]
    for name in names:
        world.clients.open(f"{name}-0", name)
    world.run(1.0)
    return names


def _token_expiry(world: World) -> None:
    names = _begin(world, users=2)
    for name in ("busy-0", "idle-0"):
        world.clients.open(name, names[1], ttl=2.0)
        world.run(5.0)
        _burst(world, names, 2)
        world.run(0.5)


def _token_required(world: World) -> None:
    _begin(world, users=1)
    world.note("step", step="streamfault", state="begin")
    world.clients.open("banned-0", BANNED)
    for resumes in (False, True):
        for token in ("good", "none", "forged", "truncated", "tampered"):
            good = token == "good" or (token == "none" and "accepts-no-token" in world.defects)
            good = good or (token == "tampered" and "checks-no-signature" in world.defects)
            good = good or (resumes and "accepts-no-token-on-resume" in world.defects)
            world.note("probe", name=token, token=token, status=200 if good else 401, headers={}, bytes=0)
            world.run(0.1)
    world.note("step", step="streamfault", state="end")


def _churn(world: World) -> None:
    meter(world, "baseline")
    names = _begin(world, users=2)
    grown = 0.0
    for cycle in range(55):
        for number in range(4):
            world.clients.open(f"churn-{cycle}-{number}", names[number % 2])
        world.run(0.03 if cycle % 2 else 0.005)
        world.clients.close(f"churn-{cycle}-")
        for number in range(4):
            del world.clients.subs[f"churn-{cycle}-{number}"]
        world.run(0.03)
        grown += 4 * 900.0 if "leaks-memory" in world.defects else 0.0
        rss = 50_000_000 + int(world.rng.gauss(0, 400) + grown)
        world.note("meter", label=f"churn:{cycle}", role="run", rss=rss, descriptors=20, sockets=0, tasks=5)
    world.run(1.5)


def _shared_connection(world: World) -> None:
    """Members are named that listen to what their user's one connection brings."""
    for name in _begin(world, users=2):
        for number in range(2):
            world.note("sub.start", sub=f"{name}-m{number}", user=name, options={"shared": True})
        if "opens-one-each" in world.defects:
            world.clients.open(f"{name}-second", name)
    world.run(3.0)


PLOTS: Final[Mapping[str, Plot]] = {
    "steady": _steady,
    "drop_fin": _drop("fin"),
    "drop_rst": _drop("rst"),
    "drop_idle": _drop_idle,
    "cut_inside_event": _cut_inside_event,
    "silent_stall": _silent_stall,
    "refuse": _refuse,
    "restart_crash": _restart_crash,
    "restart_graceful": _restart_graceful,
    "resume_beyond_buffer": _resume_beyond_buffer,
    "isolation": _isolation,
    "per_user_limit": _per_user_limit,
    "two_streams": _two_streams,
    "kill_switch": _kill_switch,
    "rollout": _rollout,
    "rollback": _rollback,
    "rollout_restart": _rollout_restart,
    "token_expiry": _token_expiry,
    "token_required": _token_required,
    "churn": _churn,
    "shared_connection": _shared_connection,
}
