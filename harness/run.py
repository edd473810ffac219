"""One run of one scenario, from start to its saved history, in a process of its own; and the verdicts on it.

Phases:
 1. resolve    scenario, client and target are loaded; what the run needs and nobody offers makes it a SKIP
 2. start      the server (the mock in its own process), this process's lag ticker, and where a step acts on the network
               the proxy (in its own process)
 3. subscribe  the scenario's users open their streams, through the proxy if there is one
 4. steps      the nemesis plays them while the publisher publishes
 5. heal       every fault is taken back
 6. drain      a sentinel is published per channel and awaited
 7. close      every subscriber is closed
 8. stop       server and proxy end; the parts of the history are merged into OUT/history.jsonl
 9. leave      a server of the user's gets the time that it promises to need, so that the next run finds its slots free
Judging comes later and elsewhere (`judged`), from that file alone.  A server or proxy that dies, a hook that fails, a
run that exceeds its limit or is interrupted leaves a record `trouble`: then nothing is a pass or a failure.
"""

import asyncio
import contextlib
import inspect
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import httpx

from harness import clients, history, locate, meters, testevent, tls
from harness.children import Start, executed
from harness.clients import CAPABILITIES as CLIENT_CAPABILITIES
from harness.clients import Client
from harness.config import MOCK
from harness.crowd import Crowd
from harness.errors import HarnessError
from harness.history import Writer
from harness.nemesis import Nemesis
from harness.proxy.control import Proxy, start_network, upstream_of
from harness.scenario import Network, Scenario, name_of
from harness.servers import ForeignServer, MockServer, Server
from harness.subscriber import Options
from harness.target import Promises, Target, load_target

DEADLINE_BEATS: Final = 2.5
GLANCE: Final = 0.1
DYING: Final = 1.0
STARTING: Final = "start"
CLIENTS: Final = Path(clients.__file__).resolve().parent
ADAPTERS: Final = ("httpx_sse",)  # they stand there for clients of other people
PACKAGES: Final = ("starlette", "uvicorn", "uvloop", "httptools", "httpx", "httpcore", "h11", "httpx-sse")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: a scenario (NAME or path) with a client and a target file (None: the mock) into the folder `out`.

    `defects` are switches of the mock, `settings` override the scenario's settings of the mock, `options` those of
    the client; `folders` are the user's own, by room. `label` names the run where it is not the scenario's name.
    `users` are the most that it has, where fewer prove as much.
    """

    scenario: str
    out: str
    client: str = "reference"
    target: str | None = None
    seed: int = 1
    label: str | None = None
    users: int | None = None
    defects: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


async def record(job: Job, say: Say, start: Start = executed) -> Path:
    """Run the job and return the path of its merged history; `say` is told each phase."""
    out = Path(job.out)
    parts = out / "parts"
    say(STARTING)
    plan = resolve(job)
    writer = meters.open_history(parts / "run.jsonl", "run", **plan.header())
    interrupted = False
    try:
        if not plan.missing:
            interrupted = await _watched(plan, _phases(plan, writer, parts, say, start), writer)
    finally:
        writer.close()
    merged = history.merge(history.read(path) for path in sorted(parts.glob("*.jsonl")))
    history.save(merged, out / "history.jsonl")
    if plan.target is not None and not plan.missing and not interrupted:
        await leave(ForeignServer(plan.target, writer))
    return out / "history.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """A job with everything it names loaded."""

    job: Job
    scenario: Scenario
    question: str
    client: Client
    target: Target | None
    promises: Promises
    settings: Mapping[str, Any]

    @property
    def capabilities(self) -> frozenset[str]:
        """What the target offers; `network` is ours: the proxy stands in front of whatever speaks plain HTTP."""
        if self.target is None:
            return MockServer.offers | {"network"}
        plain = httpx.URL(self.target.url).scheme == "http"
        return self.target.capabilities | ({"network"} if plain else set())

    @property
    def networked(self) -> bool:
        """Whether a step acts on the network: only then does a proxy stand between subscribers and server."""
        return any(isinstance(step, Network) for step in self.scenario.steps)

    @property
    def missing(self) -> list[str]:
        """What the scenario needs, by its own word or because of its steps, and nobody offers."""
        implied = {"network"} if self.networked else set()
        return sorted((self.scenario.needs | implied) - self.capabilities - self.client.CAPABILITIES)

    @property
    def skipped(self) -> str | None:
        """Why there is nothing to run, if so."""
        if not self.missing:
            return None
        why = "; faults of the network need a target with an http:// URL" if "network" in self.missing else ""
        return f"needs {', '.join(self.missing)}, which neither target nor client offers{why}"

    @property
    def options(self) -> dict[str, Any]:
        """The law that the client goes by: its own word (`OPTIONS`); if it is configurable, the scenario's above it."""
        own = dict(getattr(self.client, "OPTIONS", {}))
        if "configurable" not in self.client.CAPABILITIES:
            return own
        heartbeat = self.promises.heartbeat
        deadline = {} if heartbeat is None else {"heartbeat_deadline": DEADLINE_BEATS * heartbeat}
        return {**own, **deadline, **self.scenario.client, **self.job.options}

    @property
    def target_name(self) -> str:
        """The target as results name it."""
        return MOCK if self.target is None else self.target.name

    @property
    def client_name(self) -> str:
        """The client as results name it."""
        return Path(self.job.client).stem if self.job.client.endswith(".py") else self.job.client

    @property
    def own_client(self) -> bool:
        """Whether the code that subscribes is the harness's own, by whatever name or path the client was given."""
        file = locate.source(self.client.subscribe)
        return file is not None and file.parent == CLIENTS and file.stem not in ADAPTERS

    def header(self) -> dict[str, Any]:
        """Everything a check may ask, for the first record of the history."""
        job = self.job
        return {
            "scenario": job.label or name_of(job.scenario),
            "question": self.question,
            "checks": list(self.scenario.checks),
            "skipped": self.skipped,
            "seed": job.seed,
            "target": {"name": self.target_name, "own": self.target is None},
            "promises": self.promises.as_dict(),
            "capabilities": sorted(self.capabilities),
            "client": {
                "name": self.client_name,
                "own": self.own_client,
                "capabilities": sorted(self.client.CAPABILITIES),
                "options": self.options,
            },
            "users": self.scenario.users,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Versions of whatever decides a result: this project, Python, and the packages on the path of the bytes."""
    found = {"python": platform.python_version(), "sse-harness": metadata.version("sse-harness")}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def resolve(job: Job) -> Plan:
    """Load everything that a job names. Raises HarnessError for what the user has to mend."""
    from mock_server.settings import load_settings, promises

    folders = {room: [Path(one) for one in paths] for room, paths in job.folders.items()}
    loaded = locate.load("scenarios", job.scenario, folders.get("scenarios", ()))
    scenario: Scenario = getattr(loaded, "scenario", loaded)
    if not isinstance(scenario, Scenario):
        raise HarnessError(f"{job.scenario} defines no `scenario = Scenario(...)`; add it")
    _demand_names(
        scenario.needs, MockServer.offers | {"network"} | CLIENT_CAPABILITIES.keys(), f"scenario {job.scenario} needs"
    )
    if job.users is not None:
        scenario = replace(scenario, users=min(scenario.users, job.users))
    client = locate.load("harness.clients", job.client, folders.get("clients", ()))
    _demand_client(client, job.client)
    question = " ".join((getattr(loaded, "__doc__", None) or "").split("\n\n")[0].split())
    settings = {**scenario.server, **job.settings} | ({"defects": list(job.defects)} if job.defects else {})
    target = None if job.target is None else load_target(Path(job.target))
    if target is not None and target.ca_file is not None:
        tls.context(target.ca_file)
    promised = promises(load_settings(settings)) if target is None else target.promises
    plan = Plan(job, scenario, question, client, target, promised, settings)
    if plan.own_client:  # it would say so in the midst of the run
        Options(policy=plan.options.get("policy", "resilient"))
    return plan


def _demand_client(client: Any, name: str) -> None:
    """Raises HarnessError, one sentence with the remedy, for what is no client."""
    if not hasattr(client, "subscribe") or not hasattr(client, "CAPABILITIES"):
        raise HarnessError(f"client {name!r} lacks CAPABILITIES or `async def subscribe(session)`; add them")
    declared, options = client.CAPABILITIES, getattr(client, "OPTIONS", {})
    if not isinstance(declared, frozenset | set):
        raise HarnessError(f"client {name!r}: CAPABILITIES is no set of names; write frozenset() or frozenset({{...}})")
    _demand_names(declared, CLIENT_CAPABILITIES.keys(), f"client {name!r} declares")
    if not isinstance(options, Mapping):
        raise HarnessError(f"client {name!r}: OPTIONS is no dict of seconds by name; mend it")
    if not inspect.iscoroutinefunction(client.subscribe):
        raise HarnessError(f"client {name!r}: subscribe is not `async def subscribe(session)`; make it one")
    try:
        inspect.signature(client.subscribe).bind(None)
    except TypeError:
        raise HarnessError(f"client {name!r}: subscribe does not take the session and nothing else; mend it") from None


def _demand_names(given: Set[str], known: Set[str], who: str) -> None:
    """Raises HarnessError for a slip of the pen; a name that nobody knows may be one of the user's own."""
    for one in sorted(map(str, given - known)):
        if near := get_close_matches(one, known, n=1, cutoff=0.75):
            raise HarnessError(f"{who} the capability {one!r}; did you mean {near[0]!r}?")


async def _watched(plan: Plan, work: Coroutine[Any, Any, None], writer: Writer) -> bool:
    """Run the phases; whatever keeps them from ending is trouble. Whether the user interrupted them."""
    loop = asyncio.get_running_loop()
    phases = asyncio.create_task(work)
    interrupted = asyncio.Event()

    def interrupt() -> None:
        interrupted.set()
        phases.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    beat = plan.promises.heartbeat or 1.0
    limit = plan.scenario.limit + 10 * beat
    watchdog = asyncio.create_task(meters.elapse(limit), name="watchdog")
    watchdog.add_done_callback(lambda task: task.cancelled() or phases.cancel())
    try:
        await phases
    except asyncio.CancelledError:
        if interrupted.is_set():
            writer.write("trouble", reason="the run was interrupted")
        elif watchdog.done():
            writer.write("trouble", reason=f"the run did not end within its limit of {limit:.0f} s")
        else:
            raise
    except (HarnessError, httpx.HTTPError, OSError) as exc:
        writer.write("trouble", reason=str(exc) or type(exc).__name__)
    finally:
        await _cancelled(watchdog)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return interrupted.is_set()


async def _phases(plan: Plan, writer: Writer, parts: Path, say: Say, start: Start) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(_cancelled, asyncio.create_task(meters.record_lag(writer), name="lag"))
        server = await _server(plan, writer, parts, start)
        stack.push_async_callback(server.stop)
        watchers = [asyncio.create_task(server.died())]
        proxy = None
        if plan.networked:
            network = await start_network(history=parts / "network.jsonl", start=start)
            stack.push_async_callback(network.stop)
            watchers.append(asyncio.create_task(network.died()))
            proxy = await network.proxy("stream", upstream_of(server.url))
        nemesis = _nemesis(plan, writer, server, proxy)
        stack.push_async_callback(nemesis.crowd.close)
        work = asyncio.create_task(_scenario(plan, nemesis, say), name="scenario")
        try:
            await _until_over(work, watchers)
        finally:
            for task in (work, *watchers):
                await _cancelled(task)
        say("stop")


async def _until_over(work: asyncio.Task[None], watchers: Sequence[asyncio.Task[str]]) -> None:
    """Wait for the work. Raises what it raised, or HarnessError if a part died: that is the better reason."""
    await asyncio.wait([work, *watchers], return_when=asyncio.FIRST_COMPLETED)
    if not work.done() or work.cancelled() or work.exception() is not None:
        # Whoever does not answer may be dying.
        dead, _ = await asyncio.wait(watchers, timeout=DYING, return_when=asyncio.FIRST_COMPLETED)
        for one in dead:
            raise HarnessError(one.result())
    await work


async def _server(plan: Plan, writer: Writer, parts: Path, start: Start) -> Server:
    if plan.target is not None:
        return ForeignServer(plan.target, writer)
    return await MockServer.start(parts / "server.jsonl", plan.settings, start)


def _nemesis(plan: Plan, writer: Writer, server: Server, proxy: Proxy | None) -> Nemesis:
    crowd = Crowd(
        client=plan.client, server=server, writer=writer, options=plan.options, seed=plan.job.seed,
        address=None if proxy is None else proxy.listen, tagged=server.own,
    )  # fmt: skip
    users = tuple(server.users(plan.scenario.users))
    return Nemesis(server, crowd, proxy, writer, users, plan.promises.heartbeat or 1.0)


async def _scenario(plan: Plan, nemesis: Nemesis, say: Say) -> None:
    say("subscribe")
    for user in nemesis.users:
        for number in range(plan.scenario.streams):
            await nemesis.crowd.open(f"{user}-{number}", user)
    await nemesis.crowd.until_open(10.0 + 2 * nemesis.beat)
    say("steps")
    enough = asyncio.Event()
    publisher = asyncio.create_task(nemesis.publish_until(enough, plan.scenario.rate), name="publisher")
    steps = asyncio.create_task(nemesis.play(plan.scenario.steps), name="steps")
    try:
        await asyncio.wait([publisher, steps], return_when=asyncio.FIRST_COMPLETED)
        enough.set()
        await publisher
        await steps
    finally:
        await _cancelled(publisher)
        await _cancelled(steps)
    say("drain")
    await nemesis.heal()
    await drain(nemesis, plan.scenario.drain + 2 * nemesis.beat)
    say("close")
    await nemesis.crowd.close()


async def drain(nemesis: Nemesis, seconds: float) -> None:
    """Publish a sentinel on every channel that somebody still listens to, and wait until it has been dispatched."""
    crowd, writer = nemesis.crowd, nemesis.writer
    await crowd.until_open(seconds)
    writer.write("drain", state="begin", alive=[one.session.sub for one in crowd.live()])
    users = sorted({one.session.user for one in crowd.live()})
    if not users or "publish" not in nemesis.server.capabilities:
        writer.write("drain", state="end", timed_out=False, missing=[])
        return
    digests = {}
    for user in (*users, None):
        [digests[testevent.channel_of(user)]] = await nemesis.server.publish(user, 1, "sentinel")
    channels = {user: (testevent.channel_of(user), testevent.ALL) for user in users}
    missing = await crowd.drain(digests, channels, seconds)
    writer.write("drain", state="end", timed_out=bool(missing), missing=missing)


async def leave(server: Server) -> None:
    """Wait until a server has given back every slot: as it says itself, or for as long as it promises to need."""
    promises, loop = server.promises, asyncio.get_running_loop()
    if promises.limit_per_user is not None and promises.frees_slot_within is not None:
        until = loop.time() + promises.frees_slot_within
        while not await _empty(server) and (left := until - loop.time()) > 0:
            await asyncio.sleep(min(GLANCE, left))
    await server.stop()


async def _empty(server: Server) -> bool:
    """Whether a server says that it holds neither a stream nor a slot."""
    stats: Mapping[str, Any] | None = None
    with contextlib.suppress(HarnessError):  # what it has shown is saved by now
        stats = await server.stats()
    if stats is None or stats.get("open") != 0:
        return False
    slots = stats.get("slots")
    return not any(slots.values()) if isinstance(slots, Mapping) else slots == 0


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what it raised was its own business."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


def main(start: Start = executed) -> int:
    """A run as a program: its argument is the job in JSON; it prints its phases, a line each. The exit code."""
    order = json.loads(sys.argv[1])
    job = Job(**{**order, "defects": tuple(order["defects"])})
    # What a client under test prints must not be taken for what we tell, and it has nothing to read.
    telling = os.dup(1)
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def say(phase: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # whoever asked is gone, and we are being told so
            os.write(telling, f"{phase}\n".encode())

    runner = asyncio.Runner()
    try:
        runner.run(record(job, say, start))
    except HarnessError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 2
    finally:
        # The process ends here: a client that does not let itself be cancelled must not keep it.
        if not asyncio.all_tasks(runner.get_loop()):
            runner.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
