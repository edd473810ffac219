"""Toxiproxy's HTTP API for the embedded proxy: a Starlette application over a dict of proxies.

Status codes and error bodies are Toxiproxy's 2.12.  Beyond them: a request with an Origin header or a Host that is not
loopback is refused (a page in a browser must not steer it, nor through DNS rebinding), a body is at most 64 KiB.
"""

import ipaddress
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.proxy.embedded import Proxy, Recorder, bound, split, toxic_told
from harness.proxy.toxics import ATTRIBUTES, Toxic, checked

VERSION: Final = "embedded"
LARGEST_BODY: Final = 65536


class Refused(Exception):
    """What the API answers instead: a status and Toxiproxy's sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Api:
    """The proxies of one server and the handlers that act on them."""

    def __init__(self, record: Recorder) -> None:
        self.record = record
        self.proxies: dict[str, Proxy] = {}

    def app(self) -> ASGIApp:
        one, toxics = "/proxies/{proxy}", "/proxies/{proxy}/toxics"
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/version", self.version),
            ("POST", "/reset", self.reset),
            ("POST", "/populate", self.populate),
            ("GET", "/proxies", self.index),
            ("POST", "/proxies", self.create),
            ("GET", one, self.show),
            ("POST PATCH", one, self.update),
            ("DELETE", one, self.delete),
            ("GET", toxics, self.toxics),
            ("POST", toxics, self.add_toxic),
            ("GET", toxics + "/{toxic}", self.show_toxic),
            ("POST PATCH", toxics + "/{toxic}", self.update_toxic),
            ("DELETE", toxics + "/{toxic}", self.delete_toxic),
        ]
        routes = [Route(path, _answering(handler), methods=methods.split()) for methods, path, handler in table]
        return _local_only(Starlette(routes=routes))

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def index(self, _: Request) -> Response:
        return JSONResponse({name: proxy.told() for name, proxy in self.proxies.items()})

    async def reset(self, _: Request) -> Response:
        for proxy in list(self.proxies.values()):
            proxy.enable()
            for toxic in list(proxy.toxics):
                await proxy.remove(toxic)
        return Response(status_code=204)

    async def create(self, request: Request) -> Response:
        return JSONResponse(self._create(_object(await _body(request))).told(), 201)

    async def populate(self, request: Request) -> Response:
        wanted = await _body(request)
        if not isinstance(wanted, list):
            raise Refused(400, "bad request body: a list of proxies is wanted")
        made = []
        for given in map(_object, wanted):
            there = self.proxies.get(_text(given, "name"))
            if there is not None and (there.upstream, there.listen) != (given.get("upstream"), given.get("listen")):
                del self.proxies[there.name]
                await there.destroy()
                there = None
            made.append(there or self._create(given))
        return JSONResponse({"proxies": [proxy.told() for proxy in made]}, 201)

    async def show(self, request: Request) -> Response:
        return JSONResponse(self._proxy(request).told())

    async def update(self, request: Request) -> Response:
        proxy = self._proxy(request)
        given = _object(await _body(request))
        enabled = _boolean(given, "enabled", proxy.enabled)
        upstream = _address(given, "upstream", proxy.upstream)
        listen = _address(given, "listen", proxy.listen)
        if (upstream, listen) != (proxy.upstream, proxy.listen):
            fresh = _bound(listen) if listen != proxy.listen else None
            await proxy.disable()
            proxy.upstream = upstream
            if fresh is not None:
                proxy.reserved.close()
                proxy.reserved = fresh
        if enabled:
            proxy.enable()
        else:
            await proxy.disable()
        return JSONResponse(proxy.told())

    async def delete(self, request: Request) -> Response:
        proxy = self._proxy(request)
        del self.proxies[proxy.name]
        await proxy.destroy()
        return Response(status_code=204)

    async def toxics(self, request: Request) -> Response:
        return JSONResponse([toxic_told(one) for one in self._proxy(request).toxics])

    async def add_toxic(self, request: Request) -> Response:
        proxy = self._proxy(request)
        given = _object(await _body(request))
        kind, stream = given.get("type"), given.get("stream", "downstream")
        if stream not in ("upstream", "downstream"):
            raise Refused(400, "stream was invalid, can be either upstream or downstream")
        if not isinstance(kind, str) or kind not in ATTRIBUTES:
            raise Refused(400, "invalid toxic type")
        name = _text(given, "name") or f"{kind}_{stream}"
        if any(one.name == name for one in proxy.toxics):
            raise Refused(409, "toxic already exists")
        toxic = Toxic(kind, name, stream, _toxicity(given, 1.0), _attributes(kind, given))
        proxy.add(toxic)
        return JSONResponse(toxic_told(toxic))

    async def show_toxic(self, request: Request) -> Response:
        return JSONResponse(toxic_told(self._toxic(request)))

    async def update_toxic(self, request: Request) -> Response:
        toxic = self._toxic(request)
        given = _object(await _body(request))
        attributes, toxicity = _attributes(toxic.type, given, toxic.attributes), _toxicity(given, toxic.toxicity)
        toxic.attributes = attributes
        await self._proxy(request).update(toxic, toxicity)
        return JSONResponse(toxic_told(toxic))

    async def delete_toxic(self, request: Request) -> Response:
        await self._proxy(request).remove(self._toxic(request))
        return Response(status_code=204)

    def _create(self, given: dict[str, Any]) -> Proxy:
        name = _text(given, "name")
        if not name:
            raise Refused(400, "missing required field: name")
        if not given.get("upstream"):
            raise Refused(400, "missing required field: upstream")
        if name in self.proxies:
            raise Refused(409, "proxy already exists")
        upstream, enabled = _address(given, "upstream", ""), _boolean(given, "enabled", True)
        proxy = Proxy(name, upstream, self.record, _bound(_address(given, "listen", "127.0.0.1:0")))
        try:
            if enabled:
                proxy.enable()
        except OSError:
            proxy.reserved.close()
            raise
        self.proxies[name] = proxy
        return proxy

    def _proxy(self, request: Request) -> Proxy:
        if (proxy := self.proxies.get(request.path_params["proxy"])) is None:
            raise Refused(404, "proxy not found")
        return proxy

    def _toxic(self, request: Request) -> Toxic:
        for toxic in self._proxy(request).toxics:
            if toxic.name == request.path_params["toxic"]:
                return toxic
        raise Refused(404, "toxic not found")


def _answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as exc:
            status, sentence = exc.status, str(exc)
        except OSError as exc:
            status, sentence = 500, str(exc)
        return JSONResponse({"error": sentence, "status": status}, status)

    return answered


def _local_only(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            agent = request.headers.get("user-agent", "")
            if (
                "origin" in request.headers
                or agent.startswith("Mozilla/")
                or not _loopback(request.headers.get("host", ""))
            ):
                return await JSONResponse({"error": "not for browsers", "status": 403}, 403)(scope, receive, send)
        await app(scope, receive, send)
        return None

    return guarded


def _loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


async def _body(request: Request) -> Any:
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > LARGEST_BODY:
            raise Refused(413, f"bad request body: more than {LARGEST_BODY} bytes")
    try:
        return json.loads(bytes(read))
    except (ValueError, RecursionError) as exc:
        raise Refused(400, f"bad request body: {str(exc)[:200]}") from exc


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refused(400, "bad request body: an object is wanted")
    return given


def _text(given: dict[str, Any], name: str, default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or len(value) > 200 or "/" in value:
        raise Refused(400, f"bad request body: {name} must be a string of at most 200 characters without a slash")
    return value


def _address(given: dict[str, Any], name: str, default: str) -> str:
    value = _text(given, name, default)
    try:
        split(value)
    except ValueError as exc:
        raise Refused(400, f"bad request body: {name}: {exc}") from exc
    return value


def _boolean(given: dict[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise Refused(400, f"bad request body: {name} must be true or false")
    return value


def _toxicity(given: dict[str, Any], default: float) -> float:
    value = given.get("toxicity", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise Refused(400, "bad request body: toxicity must be a number from 0 to 1")
    return float(value)


def _attributes(kind: str, given: dict[str, Any], before: dict[str, int] | None = None) -> dict[str, int]:
    try:
        return checked(kind, _object(given.get("attributes", {})), before)
    except ValueError as exc:
        raise Refused(400, f"bad request body: {exc}") from exc


def _bound(address: str) -> Any:
    try:
        return bound(*split(address))
    except ValueError as exc:
        raise Refused(400, f"bad request body: listen: {exc}") from exc
