"""Steers a Toxiproxy server, the embedded one or the real one, through toxiproxy-python; nobody else imports that.

toxiproxy-python keeps host and port on one class and sets no timeouts: each `Network` has a subclass of its own, and
every call gives a timeout and runs in a thread.  Toxics are checked before they are sent, because the real server dies
of some and passes over a misspelt attribute in silence.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

import httpx

from harness.children import Child, Start, end, executed, fate
from harness.errors import HarnessError
from harness.faults import Toxic
from harness.proxy.embedded import bound
from harness.proxy.toxics import ATTRIBUTES, checked

Kind = Literal["embedded", "binary", "url"]

ANSWER_WITHIN: Final = 10.0
START_WITHIN: Final = 10.0
PROGRAM: Final = "toxiproxy-server"
INSTALL: Final = "go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"


@dataclass(slots=True, eq=False)
class Proxy:
    """One proxy; `listen` is "127.0.0.1:port", the same while it lives, also when it is disabled."""

    network: "Network"
    name: str
    listen: str
    reserved: socket.socket | None = None

    async def add(self, toxic: Toxic) -> None:
        """Add the toxic, to live links too. Raises HarnessError if Toxiproxy would not take it."""
        body = {
            "name": toxic.name, "type": toxic.type, "stream": toxic.stream, "toxicity": toxic.toxicity,
            "attributes": attributes(toxic),
        }  # fmt: skip
        await self.network.call("post", f"{self._path}/toxics", body)

    async def remove(self, name: str) -> None:
        await self.network.call("delete", f"{self._path}/toxics/{quote(name, safe='')}")

    async def disable(self) -> None:
        """Close every link and refuse connections; the port stays ours."""
        await self.network.call("post", self._path, {"enabled": False})

    async def enable(self) -> None:
        await self.network.call("post", self._path, {"enabled": True})

    async def heal(self) -> None:
        """Remove every toxic and enable the proxy."""
        for toxic in await self.network.call("get", f"{self._path}/toxics"):
            await self.remove(toxic["name"])
        await self.enable()

    async def destroy(self) -> None:
        await self.network.call("delete", self._path)
        if self.reserved is not None:
            self.reserved.close()

    @property
    def _path(self) -> str:
        return f"/proxies/{quote(self.name, safe='')}"


@dataclass(slots=True, eq=False)
class Network:
    """One Toxiproxy server. `version` is "embedded" or what the real one says; `place` is its path or address."""

    kind: Kind
    api: Any
    process: Child | None = None
    reserved: socket.socket | None = None
    version: str = ""
    place: str = ""
    proxies: list[Proxy] = field(default_factory=list)

    @property
    def described(self) -> str:
        """Which server this is, for a report."""
        return "embedded" if self.kind == "embedded" else f"Toxiproxy {self.version} ({self.place})"

    async def proxy(self, name: str, upstream: str) -> Proxy:
        """A proxy on an ephemeral loopback port to `upstream` ("host:port"); created disabled, then enabled."""
        if self.kind == "url":  # others use it too, and several runs of ours at a time
            name = f"{name}-{os.getpid()}-{secrets.token_hex(4)}"
        # The real server forgets the port of a disabled proxy; a bound socket that does not listen keeps it.
        reserved = None if self.kind == "embedded" else bound("127.0.0.1", 0)
        listen = "127.0.0.1:0" if reserved is None else f"127.0.0.1:{reserved.getsockname()[1]}"
        body = {"name": name, "upstream": upstream, "listen": listen, "enabled": False}
        try:
            told = await self.call("post", "/proxies", body)
        except BaseException:
            if reserved is not None:
                reserved.close()
            raise
        proxy = Proxy(self, name, told["listen"], reserved)
        self.proxies.append(proxy)
        await proxy.enable()
        return proxy

    async def died(self) -> str:
        """Returns, with a sentence, when the server's process ends without having been told to."""
        if self.process is None:
            await asyncio.Event().wait()
            return ""
        return f"the proxy died ({await fate(self.process)})"

    async def stop(self) -> None:
        """End the server, or take our proxies out of the one that was there."""
        if self.process is None:
            for proxy in self.proxies:
                with contextlib.suppress(HarnessError):
                    await proxy.destroy()
        else:
            await end(self.process)
        for held in (self.reserved, *(proxy.reserved for proxy in self.proxies)):
            if held is not None:
                held.close()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One call of the API; its JSON. Raises HarnessError if it is refused or not answered."""
        return await asyncio.to_thread(_call, self.api, method, path, body)


async def start_network(kind: Kind | None = None, history: Path | None = None, start: Start = executed) -> Network:
    """A Toxiproxy server: the one at `TOXIPROXY_URL`, the binary `TOXIPROXY_SERVER` or on PATH, or the embedded one.

    Without `kind` the environment decides (`chosen`). Only the embedded one writes `history`. Raises HarnessError if it
    does not start or answer.
    """
    api = _consumer()
    match kind or chosen(os.environ):
        case "embedded":
            network = await _embedded(api, history, start)
        case "binary":
            network = await _binary(api, start)
        case _:
            network = _url(api)
    try:
        network.version = await _answers(network)
    except BaseException:
        await network.stop()
        raise
    return network


def upstream_of(url: str) -> str:
    """The server of an http URL as proxies take it: "host:port", an IPv6 address in brackets."""
    parts = httpx.URL(url)
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{host}:{parts.port or 80}"


def attributes(toxic: Toxic) -> dict[str, int]:
    """The toxic's attributes as whole numbers. Raises HarnessError for an unknown or impossible one."""
    known = ATTRIBUTES[toxic.type]
    if unknown := sorted(toxic.attributes.keys() - known.keys()):
        raise HarnessError(f"toxic {toxic.type} does not know {', '.join(unknown)}; known: {', '.join(known)}")
    whole = {name: int(value) if float(value).is_integer() else value for name, value in toxic.attributes.items()}
    try:
        return checked(toxic.type, whole)
    except ValueError as exc:
        raise HarnessError(f"{exc}; mend the toxic {toxic.name}") from exc


def chosen(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> Kind:
    """Which server the environment asks for: TOXIPROXY_URL, else TOXIPROXY_SERVER ("embedded", or a binary), else a
    binary on PATH, else the embedded one."""
    if environ.get("TOXIPROXY_URL"):
        return "url"
    named = environ.get("TOXIPROXY_SERVER") or which(PROGRAM)
    return "binary" if named and named != "embedded" else "embedded"


def _consumer() -> Any:
    try:
        from toxiproxy.api import APIConsumer
    except ImportError as exc:
        raise HarnessError("toxiproxy-python is missing; pip install 'sse-harness[toxiproxy]'") from exc
    return type("Consumer", (APIConsumer,), {})


async def _embedded(api: Any, history: Path | None, start: Start) -> Network:
    more = () if history is None else ("--history", str(history))
    process = await start("harness.proxy", *more)
    try:
        async with asyncio.timeout(START_WITHIN):
            said = await process.stdout.readline() if process.stdout else b""
            api.port = json.loads(said)["port"]
    except (TimeoutError, ValueError) as exc:
        await end(process)
        raise HarnessError("the embedded proxy did not start; try `python -m harness.proxy` and read why") from exc
    except BaseException:
        await end(process)
        raise
    return Network("embedded", api, process)


async def _binary(api: Any, start: Start) -> Network:
    named = os.environ.get("TOXIPROXY_SERVER") or shutil.which(PROGRAM)
    if not named:
        raise HarnessError(f"there is no Toxiproxy server; set TOXIPROXY_SERVER to its path after `{INSTALL}`")
    found = shutil.which(named)
    if found is None:
        raise HarnessError(f"TOXIPROXY_SERVER {named} does not start (no such program); install it: {INSTALL}")
    reserved = bound("127.0.0.1", 0)
    api.port = reserved.getsockname()[1]
    # The watcher ends it with us, however we end.
    process = await start("harness.proxy.watch", found, "-host", "127.0.0.1", "-port", str(api.port))
    return Network("binary", api, process, reserved, place=found)


def _url(api: Any) -> Network:
    url = os.environ.get("TOXIPROXY_URL", "")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 8474
    except ValueError:
        host, port = None, 0
    if host not in ("127.0.0.1", "localhost"):
        raise HarnessError(f"TOXIPROXY_URL {url!r} is not http://127.0.0.1:PORT; run Toxiproxy on this machine")
    api.host, api.port = host, port
    return Network("url", api, place=f"{host}:{port}")


async def _answers(network: Network) -> str:
    """Its version, as soon as it answers."""
    until = time.monotonic() + START_WITHIN
    while True:
        try:
            return str((await network.call("get", "/version"))["version"])
        except (HarnessError, KeyError, TypeError) as exc:
            ended = network.process is not None and network.process.returncode is not None
            if ended or network.process is None or time.monotonic() > until:
                where = f"{network.api.host}:{network.api.port}"
                raise HarnessError(
                    f"no Toxiproxy answers at {where}; check TOXIPROXY_SERVER and TOXIPROXY_URL, or install: {INSTALL}"
                ) from exc
        await asyncio.sleep(0.05)


def _call(api: Any, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
    import requests
    from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

    more: dict[str, Any] = {} if body is None else {"json": body}
    try:
        # An empty proxy: HTTP_PROXY in the environment is not meant for this.
        answer = getattr(api, method)(path, timeout=ANSWER_WITHIN, proxies={"http": ""}, **more)
        if answer.status_code >= 400:
            raise HarnessError(f"Toxiproxy refused {method} {path}: {answer.text[:200]}; see its log")
        return answer.json() if answer.content else None
    except (InvalidToxic, NotFound, ProxyExists) as exc:
        raise HarnessError(f"Toxiproxy refused {method} {path}: {exc}; check names and attributes") from exc
    except (requests.RequestException, ValueError) as exc:
        where = f"{api.host}:{api.port}"
        raise HarnessError(f"Toxiproxy at {where} did not answer {path} ({type(exc).__name__}); is it alive?") from exc
