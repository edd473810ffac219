"""The server under test as a run sees it: the built-in mock in a process of its own, or a server of the user's.

Both offer the same small interface; what a server cannot do is missing from `capabilities`, and scenarios that need
it are skipped with that reason.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import httpx

from harness import testevent, tls
from harness.children import Child, Start, end, executed, fate
from harness.errors import HarnessError
from harness.history import Writer
from harness.redaction import redact_url
from harness.target import Promises, Target

START_WITHIN = 30.0
MOST_SAID = 65_536
TYPES = ("metric", "notification", "job")


@dataclass(frozen=True, slots=True)
class Pass:
    """What a request carries to be let in: headers, and a query string that may hold the token."""

    headers: Mapping[str, str]
    query: str = ""


class Server(Protocol):
    """What a run needs of a server. `published` of a test event is recorded by whoever knows the time of its commit."""

    @property
    def name(self) -> str: ...
    @property
    def own(self) -> bool: ...
    @property
    def url(self) -> str: ...
    @property
    def promises(self) -> Promises: ...
    @property
    def capabilities(self) -> frozenset[str]: ...

    @property
    def twins(self) -> Mapping[str, str]: ...
    @property
    def ca_file(self) -> Path | None: ...

    def users(self, count: int) -> list[str]: ...
    async def admit(self, user: str, ttl: float | None = None) -> Pass: ...
    async def publish(self, user: str | None, count: int = 1, type: str | None = None) -> list[str]: ...
    async def command(self, name: str, /, **arguments: Any) -> None: ...
    async def stats(self) -> Mapping[str, Any] | None: ...
    async def stop(self) -> None: ...
    async def died(self) -> str: ...


@dataclass(slots=True)
class MockServer:
    """The mock server in its own process; `died` returns when it ends without having been told to."""

    offers: ClassVar[frozenset[str]] = frozenset(
        {"publish", "restart", "flag", "drop", "stats", "mint", "auth", "mock", "limit", "replay", "heartbeat"}
        | {"rollout", "rest"}
    )

    url: str
    control: httpx.AsyncClient
    process: Child
    promises: Promises
    name: str = "mock"
    own: bool = True
    ca_file: Path | None = None
    passes: dict[str, Pass] = field(default_factory=dict)

    @classmethod
    async def start(cls, history: Path, settings: Mapping[str, Any], start: Start = executed) -> "MockServer":
        """Start it; its part of the history goes beside `history`. Raises HarnessError if it does not come up."""
        from mock_server.settings import load_settings, promises

        control_token = secrets.token_urlsafe(24)
        secret = secrets.token_urlsafe(24)
        process = await start(
            "mock_server", "--stop-with-stdin", "--history", str(history), "--settings", json.dumps(dict(settings)),
            more={"SSE_MOCK_CONTROL_TOKEN": control_token, "SSE_MOCK_SECRET": secret}, line=True,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101 - asked for above
        try:
            async with asyncio.timeout(START_WITHIN):
                told = json.loads(await process.stdout.readline())
        except (TimeoutError, ValueError) as exc:
            await end(process)
            raise HarnessError(
                f"the mock server did not start (exit {process.returncode}); run `sse-harness mock` to see why"
            ) from exc
        except BaseException:
            await end(process)
            raise
        control = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{told['control_port']}",
            headers={"Authorization": f"Bearer {control_token}"},
            verify=tls.context(),
            timeout=httpx.Timeout(10.0),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            trust_env=False,
        )
        url = f"http://127.0.0.1:{told['port']}/api/stream/events"
        return cls(url, control, process, promises(load_settings(settings)))

    @property
    def capabilities(self) -> frozenset[str]:
        return self.offers

    @property
    def twins(self) -> Mapping[str, str]:
        """The URLs of the stream's REST twins, by name."""
        return {name: str(httpx.URL(self.url).join(f"/api/{name}")) for name in ("events", "dashboard", "flags")}

    def users(self, count: int) -> list[str]:
        """Names of so many users; the mock mints a token for anybody."""
        return [f"u{number}" for number in range(count)]

    async def admit(self, user: str, ttl: float | None = None) -> Pass:
        if ttl is None and user in self.passes:
            return self.passes[user]
        answer = await self._post("/token", user=user, ttl=3600.0 if ttl is None else ttl)
        admitted = Pass({"Authorization": f"Bearer {answer['token']}"})
        if ttl is None:
            self.passes[user] = admitted
        return admitted

    async def publish(self, user: str | None, count: int = 1, type: str | None = None) -> list[str]:
        order = {"user": user, "count": count} | ({} if type is None else {"type": type})
        answer = await self._post("/publish", **order)
        return [str(event["digest"]) for event in answer["events"]]

    async def command(self, name: str, /, **arguments: Any) -> None:
        await self._post("/flag" if name == "rollout" else f"/{name}", **arguments)
        if name == "restart":
            await self._back()

    async def stats(self) -> Mapping[str, Any] | None:
        answer = await self.control.get("/stats")
        found: Mapping[str, Any] = answer.json()
        return found

    async def stop(self) -> None:
        await self.control.aclose()
        await end(self.process)

    async def died(self) -> str:
        return f"the mock server died ({await fate(self.process)})"

    async def _post(self, path: str, **body: Any) -> Any:
        answer = await self.control.post(path, json=body)
        if answer.status_code >= 400:
            raise HarnessError(f"the mock's control plane refused {path}: {answer.text[:200]}")
        return answer.json()

    async def _back(self) -> None:
        """Wait until the control plane answers again after a restart."""
        try:
            async with asyncio.timeout(START_WITHIN):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        await self.control.get("/stats")
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError as exc:
            raise HarnessError(
                f"the mock server did not come back within {START_WITHIN:.0f} s of its restart; see its standard error"
            ) from exc


@dataclass(slots=True)
class ForeignServer:
    """A server of the user's, known from a target file: its hooks are URLs (POST JSON) or commands."""

    target: Target
    writer: Writer
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    own: bool = False
    seqs: Counter[str] = field(default_factory=Counter)
    http: httpx.AsyncClient = field(init=False)
    passes: dict[str, Pass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(verify=tls.context(self.ca_file), timeout=10.0, trust_env=False)

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def url(self) -> str:
        return self.target.url

    @property
    def promises(self) -> Promises:
        return self.target.promises

    @property
    def capabilities(self) -> frozenset[str]:
        return self.target.capabilities

    @property
    def twins(self) -> Mapping[str, str]:
        return self.target.rest

    @property
    def ca_file(self) -> Path | None:
        return self.target.ca_file

    def users(self, count: int) -> list[str]:
        """Names of so many users: those whose tokens the target file lists, or made-up ones where it can mint."""
        known = list(self.target.tokens.known)
        return (known if known else [f"u{number}" for number in range(count)])[:count]

    async def admit(self, user: str, ttl: float | None = None) -> Pass:
        if ttl is None and user in self.passes:
            return self.passes[user]
        token = await self._token(user, ttl)
        admitted = Pass({})
        if token is not None:
            match self.target.tokens.how.partition(":"):
                case ["query", _, _]:
                    admitted = Pass({}, f"access_token={token}")
                case ["cookie", _, cookie]:
                    admitted = Pass({"Cookie": f"{cookie}={token}"})
                case _:
                    admitted = Pass({"Authorization": f"Bearer {token}"})
        if ttl is None:
            self.passes[user] = admitted
        return admitted

    async def _token(self, user: str, ttl: float | None) -> str | None:
        tokens = self.target.tokens
        if tokens.command is not None:
            words = [word.format(user=user, ttl=ttl or 3600) for word in shlex.split(tokens.command)]
            return (await self._run(words, "tokens.command", b"")).decode().strip()
        if not tokens.known:
            return None
        if user not in tokens.known:
            raise HarnessError(f"the target file knows no token of user {user!r}; add it under [tokens]")
        return tokens.known[user]

    async def publish(self, user: str | None, count: int = 1, type: str | None = None) -> list[str]:
        digests = []
        for _ in range(count):
            channel = testevent.channel_of(user)
            self.seqs[channel] += 1
            seq = self.seqs[channel]
            kind = type or TYPES[seq % len(TYPES)]
            before, at = time.monotonic(), time.time()
            payload = testevent.make(user, epoch=self.epoch, seq=seq, at=at, body=body_of(kind, seq))
            await self._hook("publish", {"user": user, "type": kind, "data": payload})
            self.writer.write(
                "published", t=before, done=time.monotonic(), channel=channel, owner=user, epoch=self.epoch,
                seq=seq, id=None, type=kind, digest=payload["digest"], at=at,
            )  # fmt: skip
            digests.append(payload["digest"])
        return digests

    async def command(self, name: str, /, **arguments: Any) -> None:
        if name == "flag":
            self.writer.write("flag.set", **arguments)
        elif name == "rollout":
            self.writer.write("flag.set", enabled=arguments["percent"] > 0, **arguments)
        await self._hook(name, arguments)

    async def stats(self) -> Mapping[str, Any] | None:
        if "stats" not in self.target.hooks:
            return None
        answer = await self._asked("stats", "GET")
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise HarnessError(f"{self._named('stats')} answered no JSON object; mend the hook or the target file")
        return found

    async def stop(self) -> None:
        await self.http.aclose()

    async def died(self) -> str:
        """Returns when the server's port refuses connections although nobody was told to restart it: never, here.

        Whether a foreign server is alive is for the checks: a harness cannot know why a port is closed.
        """
        await asyncio.Event().wait()
        raise AssertionError

    def _hook_headers(self) -> dict[str, str]:
        name = self.target.hook_token_env
        return {} if name is None else {"Authorization": f"Bearer {os.environ.get(name, '')}"}

    async def _hook(self, name: str, body: Mapping[str, Any]) -> None:
        hook = self.target.hooks[name]
        text = json.dumps(body)
        if urlsplit(hook).scheme in ("http", "https"):
            await self._asked(name, "POST", text)
        else:
            words = [word.format(**{"how": "", "enabled": "", **body}) for word in shlex.split(hook)]
            await self._run(words, f"hook {name}", text.encode())

    async def _asked(self, name: str, method: str, text: str | None = None) -> httpx.Response:
        """The good answer of a hook that is a URL."""
        headers = self._hook_headers() | ({} if text is None else {"Content-Type": "application/json"})
        try:
            answer = await self.http.request(method, self.target.hooks[name], content=text, headers=headers)
        except httpx.TransportError as exc:
            raise HarnessError(
                f"{self._named(name)} cannot be reached ({type(exc).__name__}); "
                "start the server or mend the target file"
            ) from exc
        if answer.status_code >= 300:
            raise HarnessError(f"{self._named(name)} answered {answer.status_code}; mend the hook or the target file")
        return answer

    def _named(self, name: str) -> str:
        return f"the hook {name} ({redact_url(self.target.hooks[name], None)})"

    async def _run(self, words: list[str], what: str, stdin: bytes) -> bytes:
        """What a command says, at most MOST_SAID bytes of it.

        It speaks with us through files: a daemon that it leaves behind keeps a pipe open and would have us wait.
        """
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(stdin)
            given.seek(0)
            try:
                process = await asyncio.create_subprocess_exec(*words, stdin=given, stdout=said, cwd=self.target.folder)
            except OSError as exc:
                raise HarnessError(
                    f"{what} of the target file cannot be started ({exc.strerror}: {words[0]}); mend it"
                ) from exc
            try:
                async with asyncio.timeout(START_WITHIN):
                    code = await process.wait()
            except TimeoutError:
                raise HarnessError(
                    f"{what} of the target file did not end within {START_WITHIN:.0f} s; mend it"
                ) from None
            finally:
                await end(process)
            if code:
                raise HarnessError(f"{what} of the target file ended with exit {code}; mend it")
            said.seek(0)
            return said.read(MOST_SAID)


def body_of(kind: str, seq: int) -> dict[str, Any]:
    """A body for a test event that a hook publishes: small, typed, with text that has to be escaped on its way."""
    return {"kind": kind, "value": seq, "text": f"line one of {seq}\nline two: ünïcödé \u2028 <b>&amp;</b>"}
