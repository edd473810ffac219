"""The control plane: JSON over HTTP on a port of its own, on loopback, every request with the control token.

    POST /publish   POST /token    POST /script   POST, DELETE /fault   POST /defect   POST /drop   POST /restart
    POST /flag      POST /reset    GET /stats     GET /history

Errors are `{"error": one sentence}`.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness import script
from harness.errors import HarnessError
from mock_server import auth
from mock_server.defects import DEFECTS, known
from mock_server.frames import Frame
from mock_server.handoff import connection_of
from mock_server.mock import Mock
from mock_server.schemas import PUBLISHED, example

MOST_EVENTS: Final = 100_000
LONGEST: Final = 3600.0
# So many events are published in one go; then readers get a turn.
GO: Final = 64
LARGEST_BODY: Final = 16 * 1024 * 1024

Restart = Callable[[str, float], None]


class Control:
    """The handlers. `restart` is told how and for how long to be away; after it nothing is answered any more."""

    def __init__(self, mock: Mock, restart: Restart) -> None:
        self._mock = mock
        self._restart = restart
        self.leaving = False

    async def publish(self, order: dict[str, Any]) -> Any:
        users = order.pop("user", None)
        kind, body = order.pop("type", None), order.pop("body", None)
        count, rate = _whole(order, "count", 1), _number(order, "rate", 0.0)
        size = _whole(order, "size", 0)
        _nothing_else("publish", order)
        users = users if isinstance(users, list) else [users]
        if not all(user is None or (isinstance(user, str) and user) for user in users):
            raise HarnessError("`user` of publish is a name, null for all, or a list of these")
        if not 1 <= count * len(users) <= MOST_EVENTS or (rate and count * len(users) / rate > LONGEST):
            raise HarnessError(f"publish at most {MOST_EVENTS} events in {LONGEST:.0f} s; ask for less at once")
        if body is not None and not isinstance(body, dict):
            raise HarnessError("`body` of publish is a JSON object")
        if kind is not None and kind not in PUBLISHED:
            raise HarnessError(f"there is no event type {kind!r} to publish; known: {', '.join(PUBLISHED)}")
        if size:
            body = {**(example(kind or "metric", 1) if body is None else body), "pad": "x" * min(size, 1_000_000)}
            kind = kind or "metric"
        events = await self._publish(users, kind, body, count, rate)
        return {"ids": [one["id"] for one in events], "events": events}

    async def _publish(
        self, users: list[str | None], kind: str | None, body: Mapping[str, Any] | None, count: int, rate: float
    ) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(count):
            for user in users:
                if rate and (ahead := began + len(told) / rate - loop.time()) > 0:
                    await asyncio.sleep(ahead)
                elif len(told) % GO == GO - 1:
                    await asyncio.sleep(0)
                if self.leaving:
                    return told
                told.append(_told(self._mock.publish(user, kind, body), self._mock.hub.epoch))
        return told

    async def token(self, order: dict[str, Any]) -> Any:
        user, ttl = order.pop("user", None), _number(order, "ttl", self._mock.settings.token_ttl, least=-1e8)
        _nothing_else("token", order)
        if not isinstance(user, str):
            raise HarnessError("`user` of token is a name")
        return {"token": auth.mint(self._mock.secret, user, time.time() + ttl), "user": user, "ttl": ttl}

    async def script(self, order: dict[str, Any]) -> Any:
        sub, attempts = order.pop("sub", None), order.pop("attempts", 1)
        given = order.pop("scripts", None)
        given = [order.pop("script", None)] if given is None else given
        _nothing_else("script", order)
        if not isinstance(given, list):
            raise HarnessError("`scripts` is a list of scripts")
        scripts = [script.from_json(one) for one in given]
        self._mock.plans.add_scripts(scripts, sub=sub, attempts=attempts)
        self._mock.record("server.fault", name="script", state="on", sub=sub, attempts=attempts)
        return {"scripts": len(scripts)}

    async def fault(self, order: dict[str, Any]) -> Any:
        """A fault's parameters stand in `parameters` or beside its name."""
        name, sub = order.pop("name", None), order.pop("sub", None)
        attempts, live = order.pop("attempts", None), order.pop("live", None)
        given = order.pop("parameters", None) or {}
        if not isinstance(given, dict) or not (live is None or isinstance(live, bool)):
            raise HarnessError("`parameters` of fault is a JSON object, and `live` true, false or null")
        parameters = {**given, **order}
        hit = self._mock.add_fault(str(name), parameters, attempts=attempts, sub=sub, live=live)
        return {"live": hit}

    async def no_fault(self, order: dict[str, Any]) -> Any:
        name, sub = order.pop("name", None), order.pop("sub", None)
        _nothing_else("fault", order)
        self._mock.remove_fault(name, sub)
        return {}

    async def defect(self, order: dict[str, Any]) -> Any:
        name, on = known(str(order.pop("name", None))), order.pop("on", True)
        _nothing_else("defect", order)
        self._mock.set_defect(name, bool(on))
        self._mock.record("server.fault", name=f"defect:{name}", state="on" if on else "off")
        return {"defects": sorted(self._mock.defects)}

    async def drop(self, order: dict[str, Any]) -> Any:
        how, user = order.pop("how", "fin"), order.pop("user", None)
        _nothing_else("drop", order)
        return {"dropped": self._mock.drop(str(how), user)}

    async def restart(self, order: dict[str, Any]) -> Any:
        how, down = order.pop("how", "graceful"), _number(order, "down", 0.5)
        _nothing_else("restart", order)
        if how not in ("graceful", "crash"):
            raise HarnessError(f"a restart is graceful or a crash, not {how!r}")
        self.leaving = True
        self._restart(str(how), min(down, LONGEST))
        return {"how": how, "down": down}

    async def flag(self, order: dict[str, Any]) -> Any:
        change = {name: order.pop(name) for name in ("enabled", "percent", "user") if order.get(name) is not None}
        _nothing_else("flag", {name: value for name, value in order.items() if value is not None})
        if not isinstance(change.get("enabled", True), bool) or isinstance(change.get("percent", 0), str | bool):
            raise HarnessError("`enabled` of flag is true or false, and `percent` a number")
        return {"ended": self._mock.set_flag(**change), **self._mock.flag.as_dict()}

    async def reset(self, order: dict[str, Any]) -> Any:
        self._mock.heal()
        self._mock.record("server.fault", name="all", state="off")
        return {"defects": sorted(self._mock.defects)}

    async def stats(self, order: dict[str, Any]) -> Any:
        return self._mock.stats()

    async def history(self, order: dict[str, Any]) -> Any:
        return {"records": list(self._mock.records), "settings": self._mock.settings.as_dict()}

    async def defects(self, order: dict[str, Any]) -> Any:
        return {"known": DEFECTS, "on": sorted(self._mock.defects)}


def control_plane(mock: Mock, token: str, restart: Restart) -> ASGIApp:
    """The application of the control plane."""
    control = Control(mock, restart)
    orders = {
        "/publish": control.publish,
        "/token": control.token,
        "/script": control.script,
        "/drop": control.drop,
        "/restart": control.restart,
        "/flag": control.flag,
        "/reset": control.reset,
    }
    routes = [Route(path, _handler(one), methods=["POST"]) for path, one in orders.items()]
    routes += [
        Route("/fault", _handler(control.fault), methods=["POST"]),
        Route("/fault", _handler(control.no_fault), methods=["DELETE"]),
        Route("/defect", _handler(control.defect), methods=["POST"]),
        Route("/defect", _handler(control.defects), methods=["GET"]),
        Route("/stats", _handler(control.stats), methods=["GET"]),
        Route("/history", _handler(control.history), methods=["GET"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Gate, token=token, control=control)],
        exception_handlers={HarnessError: _refused, 404: _unknown, 405: _unknown},
    )


class Gate:
    """Lets nobody in without the control token, and nobody at all once a restart was ordered."""

    def __init__(self, app: ASGIApp, token: str, control: Control) -> None:
        self._app = app
        self._token = token.encode()
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._control.leaving:
            # Whoever waits for the next incarnation must not take this one for it.
            connection_of(scope).drop()
            return
        given = auth.bearer(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")) or ""
        if hmac.compare_digest(given.encode("latin-1"), self._token):
            await self._app(scope, receive, send)
        else:
            answer = JSONResponse({"error": "the control plane wants `Authorization: Bearer` with its token"}, 401)
            answer.headers["www-authenticate"] = "Bearer"
            await answer(scope, receive, send)


def _handler(order: Callable[[dict[str, Any]], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            given = await _body(request)
        except ClientDisconnect:
            # Whoever ordered has gone before the order was complete: nobody waits for an answer.
            return Response(status_code=400)
        return JSONResponse(await order(given))

    return handle


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request, or its query where it has none."""
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > LARGEST_BODY:
            raise HarnessError(f"a request to the control plane has at most {LARGEST_BODY} bytes")
    if not raw.strip():
        return dict(request.query_params)
    try:
        plain = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise HarnessError(f"the body of {request.url.path} is no JSON ({exc})") from exc
    if not isinstance(plain, dict):
        raise HarnessError(f"the body of {request.url.path} is no JSON object")
    return plain


async def _refused(request: Request, exc: Exception) -> Response:
    return JSONResponse({"error": str(exc)}, 400)


async def _unknown(request: Request, exc: Exception) -> Response:
    status: int = getattr(exc, "status_code", 404)
    return JSONResponse({"error": f"the control plane has no {request.method} {request.url.path}"}, status)


def _told(frame: Frame, epoch: str) -> dict[str, Any]:
    return {
        "channel": frame.channel,
        "seq": frame.seq,
        "id": frame.id,
        "epoch": epoch,
        "type": frame.type,
        "at": frame.payload["at"],
        "digest": frame.payload["digest"],
    }


def _whole(order: dict[str, Any], name: str, default: int) -> int:
    value = order.pop(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise HarnessError(f"`{name}` is a whole number, 0 or more, not {value!r}")
    return value


def _number(order: dict[str, Any], name: str, default: float, *, least: float = 0.0) -> float:
    value = order.pop(name, None)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e9:
        raise HarnessError(f"`{name}` is a number, not {value!r}")
    return float(value)


def _nothing_else(what: str, order: Mapping[str, Any]) -> None:
    if order:
        raise HarnessError(f"{what} does not know {', '.join(sorted(order))}")
