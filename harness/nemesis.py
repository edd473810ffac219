"""Who injects and heals: executes a scenario's steps one after another and records each, begin and end.

`step` records carry the step's own words (`step`: the type's name in lower case, and its fields) and `state`
"begin" or "end".  Whatever a step broke, `heal` mends it before the drain.
"""

import asyncio
import contextlib
import gc
import itertools
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, assert_never

import httpx

from harness import meters, probes, tls
from harness.crowd import Crowd
from harness.faults import Toxic
from harness.history import Writer
from harness.proxy.control import Proxy
from harness.redaction import redact_headers
from harness.scenario import (
    MOST_REPLAY,
    AwaitOpen,
    Burst,
    Churn,
    Close,
    Drop,
    Flag,
    Meter,
    Network,
    Open,
    Probe,
    ProbeAll,
    ProbeRest,
    Restart,
    Rollout,
    Step,
    StreamFault,
    Wait,
)  # fmt: skip
from harness.servers import Server

SETTLE: Final = 4.0
GLANCE: Final = 0.1
UNPROMISED: Final = 1.0  # seconds that a change of the flag gets where the target promises none
FORGED: Final = "eyJ1c2VyIjoidTAifQ.Zm9yZ2Vk"


@dataclass(slots=True)
class Nemesis:
    """Everything a step can act on. `proxy` is None where the subscribers reach the server directly."""

    server: Server
    crowd: Crowd
    proxy: Proxy | None
    writer: Writer
    users: tuple[str, ...]
    beat: float
    baseline: Mapping[str, int] | None = None
    stats: Mapping[str, Any] | None = None
    faulted: bool = False
    dropped: Mapping[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    up: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def play(self, steps: tuple[Step, ...]) -> None:
        """Execute the steps in order."""
        for step in steps:
            await self.act(step)

    async def act(self, step: Step) -> None:
        words = {"step": type(step).__name__.lower(), **asdict(step)}
        self.writer.write("step", state="begin", **words)
        await self._do(step)
        self.writer.write("step", state="end", **words)

    async def publish_until(self, enough: asyncio.Event, rate: float) -> None:
        """Publish `rate` events a second, alternating over every user's channel and `all`.

        It ends when told, never by cancelling: a request that is cut short leaves its connection unusable.
        """
        due = time.monotonic()
        for user in itertools.cycle((*self.users, None)):
            if rate and not enough.is_set():
                async with self.up:
                    await self.server.publish(user)
                due = max(due + 1 / rate, time.monotonic() - 1.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(
                    asyncio.get_running_loop().time() + due - time.monotonic() if rate else None
                ):
                    await enough.wait()
                    return

    async def heal(self) -> None:
        """Take back every fault: toxics, a disabled proxy, faults and scripts of the server."""
        if self.proxy is not None:
            await self._mend(self.proxy)
        if self.faulted:
            await self.server.command("reset")
            self.faulted = False

    async def _do(self, step: Step) -> None:
        match step:
            case Wait():
                expiry = self.server.promises.token_expiry_within or 0.0
                await asyncio.sleep(step.seconds + step.beats * self.beat + step.expiries * expiry)
            case AwaitOpen():
                await self.crowd.until_open(step.seconds + step.beats * self.beat, since=self.dropped)
            case Burst():
                await self._burst(step)
            case Network():
                await self._network(step)
            case StreamFault():
                self.faulted = True
                order = {
                    "name": step.name,
                    "parameters": dict(step.parameters),
                    "attempts": step.attempts,
                    "sub": step.sub,
                }
                await self.server.command("fault", **order)
            case Drop():
                self.dropped = self.crowd.opens()
                await self.server.command("drop", how=step.how)
            case Restart():
                async with self.up:
                    await self.server.command("restart", how=step.how, down=step.down)
            case Flag():
                await self.server.command("flag", enabled=step.enabled)
            case Rollout():
                await self.server.command("rollout", percent=step.percent)
                await asyncio.sleep(self.server.promises.kill_switch_within or UNPROMISED)
            case Open():
                await self._open(step)
            case Close():
                await self.crowd.close(step.label)
            case Churn():
                await self._churn(step)
            case Probe():
                await self._probe(step)
            case ProbeAll():
                users = self.server.users(step.users)
                await probes.ask_all(self.server, self.writer, step.name, users, repeat=step.repeat)
            case ProbeRest():
                await probes.ask_twins(self.server, self.writer, step.name, self.users, repeat=step.repeat)
            case Meter():
                await self._meter(step.label)
            case _:
                assert_never(step)

    async def _burst(self, step: Burst) -> None:
        to: list[str | None] = [*self.users] if step.to in ("each", "both") else []
        to += [None] if step.to in ("all", "both") else []
        promised = self.server.promises.replay_events or 0
        more = promised // len(to) + 1 if step.beyond_replay and promised < MOST_REPLAY else 0
        for user in to:
            await self.server.publish(user, max(step.count, more))

    async def _network(self, step: Network) -> None:
        if self.proxy is None:
            return
        match step.act, step.toxic:
            case "add", Toxic() as toxic:
                self._mark(toxic.name, on=True)
                await self.proxy.add(toxic)
            case "remove", Toxic() as toxic:
                await self.proxy.remove(toxic.name)
                self._mark(toxic.name, on=False)
            case "disable", _:
                self._mark("disabled", on=True)
                await self.proxy.disable()
            case "enable", _:
                await self.proxy.enable()
                self._mark("disabled", on=False)
            case "heal", _:
                await self._mend(self.proxy)

    async def _mend(self, proxy: Proxy) -> None:
        await proxy.heal()
        for fault in sorted(self.broken):
            self._mark(fault, on=False)

    def _mark(self, fault: str, *, on: bool) -> None:
        """Record a fault of the network, on before it begins and off after it has ended, whoever causes it."""
        (self.broken.add if on else self.broken.discard)(fault)
        self.writer.write("net.fault", proxy="nemesis", fault=fault, state="on" if on else "off")

    async def _open(self, step: Open) -> None:
        limit = self.server.promises.limit_per_user or 0
        count = step.count if step.beyond_limit is None else max(1, limit + step.beyond_limit)
        chosen = range(len(self.users)) if step.user is None else (step.user,)
        for place, number in itertools.product(chosen, range(count)):
            name = f"{step.label}-{number}" if step.user is not None else f"{step.label}{place}-{number}"
            await self.crowd.open(name, self.users[place], ttl=step.ttl)

    async def _churn(self, step: Churn) -> None:
        for cycle in range(step.cycles):
            for number in range(step.parallel):
                await self.crowd.open(f"{step.label}-{cycle}-{number}", self.users[number % len(self.users)])
            if cycle % 2 == 0:
                await self.crowd.until_open(5.0)
            else:
                await asyncio.sleep(0.002 * (cycle % 7))
            await self.crowd.close(f"{step.label}-{cycle}-")
            for number in range(step.parallel):
                del self.crowd.members[f"{step.label}-{cycle}-{number}"]
            gc.collect()
            self._read(f"{step.label}:{cycle}", meters.holdings() | {"sockets": None})  # which take long to count

    async def _probe(self, step: Probe) -> None:
        """One request past the proxy; its answer's head, and how many bytes of a stream came within a second."""
        headers, query = await self._credentials(step)
        url = self.server.url + (("&" if "?" in self.server.url else "?") + query if query else "")
        began = time.monotonic()
        told: dict[str, Any] = {"name": step.name, "token": step.token, "method": step.method}
        received = 0
        trusted = tls.context(self.server.ca_file)
        async with httpx.AsyncClient(verify=trusted, timeout=httpx.Timeout(5.0, read=1.0), trust_env=False) as http:
            try:
                async with http.stream(
                    step.method, url, headers={"Accept": "text/event-stream", **headers, **step.headers}
                ) as answer:
                    told |= {"status": answer.status_code, "headers": redact_headers(answer.headers.items(), None)}
                    told["head_after"] = time.monotonic() - began
                    async with asyncio.timeout(1.0):
                        async for chunk in answer.aiter_raw():
                            received += len(chunk)
            except (TimeoutError, httpx.ReadTimeout):
                pass
            except httpx.TransportError as exc:
                told |= {"error": type(exc).__name__}
        self.writer.write("probe", **{"status": None, "headers": {}, **told}, bytes=received, began=began)

    async def _credentials(self, step: Probe) -> tuple[dict[str, str], str]:
        ttl = 1.0 if step.token == "expired" else None
        admitted = await self.server.admit(self.users[0], ttl)
        if step.token == "none":
            return {}, ""
        headers, query = dict(admitted.headers), admitted.query
        if step.token == "expired":
            await asyncio.sleep(1.5)
        headers = {name: _spoiled(value, step.token) for name, value in headers.items()}
        name, _, value = query.partition("=")
        query = f"{name}={_spoiled(value, step.token)}" if query else ""
        return headers, query

    async def _meter(self, label: str) -> None:
        """Read what the client's process and the server hold; wait a bounded while for it to settle first."""
        settled = await self._settled()
        self._read(label, settled)  # at once: what is under way just now belongs to it
        stats = await self._server_settled()
        if label == "baseline":
            self.baseline, self.stats = settled, stats
        if stats is not None:
            known = {name: stats.get(name) for name in ("open", "slots", "rss", "descriptors", "tasks")}
            self.writer.write("server.stats", label=label, **known)

    async def _server_settled(self) -> Mapping[str, Any] | None:
        """What the server holds when it is as at the baseline, or after the time that it may take to notice."""
        stats = await self.server.stats()
        within = self.server.promises.frees_slot_within
        until = time.monotonic() + SETTLE + (2 * self.beat if within is None else within)
        while stats is not None and time.monotonic() < until:
            goal, before = self.stats, stats
            await asyncio.sleep(GLANCE)
            stats = await self.server.stats()
            if stats is not None and all(stats.get(name) == (goal or before).get(name) for name in ("open", "slots")):
                break
        return stats

    async def _settled(self) -> dict[str, int]:
        counts = ("descriptors", "sockets", "tasks")
        gc.collect()
        held = _held()
        until = time.monotonic() + SETTLE
        while time.monotonic() < until:
            await asyncio.sleep(GLANCE)
            before, held = held, _held()
            goal = self.baseline or before
            if all(held[name] <= goal[name] for name in counts):
                break
        return held

    def _read(self, label: str, held: Mapping[str, int | None]) -> None:
        self.writer.write("meter", label=label, role="run", **held)


def _held() -> dict[str, int]:
    return meters.holdings() | {"sockets": meters.sockets()}


def tampered(token: str) -> str:
    """The token with one character changed to another of its kind: the first of its last part, or its middle one."""
    # Never the last one: of its bits base64 may ignore some.
    last = token.rfind(".") + 1
    at = last if 0 < last < len(token) else len(token) // 2
    old = token[at : at + 1]
    new = ("1" if old == "0" else "0") if old.isdigit() else ("b" if old in "aA" else "a")
    return token[:at] + (new.upper() if old.isupper() else new) + token[at + 1 :]


# The scheme of a header, or the name of a cookie; a token may end in the = of base64.
_BEFORE: Final = re.compile(r".* |[\w.-]+=(?=[^=])")


def _spoiled(credential: str, how: str) -> str:
    """A header's or query's token made invalid: another one, one character another, or its last ones missing."""
    before = _BEFORE.match(credential)
    prefix = before[0] if before else ""
    token = credential[len(prefix) :]
    match how:
        case "forged":
            return prefix + FORGED
        case "truncated":
            return prefix + token[:-4]
        case "tampered":
            return prefix + tampered(token)
        case _:
            return credential
