"""The data plane: Starlette routes that authenticate, limit and choose, then give the connection away or answer.

GET /api/stream/events    the event stream        GET /api/events?after=ID   the same events, polled
GET /api/dashboard        the dashboard's data    any /play/SUB              the scripts waiting for SUB, only
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.accept import admits
from harness.redaction import fingerprint, redact_headers, redact_url
from harness.script import streams
from mock_server import auth, flag
from mock_server.auth import Identity, Refusal
from mock_server.handoff import connection_of
from mock_server.head import HOP, LOOPBACK, allowed_origin, stream_headers
from mock_server.hub import Hub
from mock_server.mock import Mock
from mock_server.stream import Ticket

LONGEST_ID: Final = 8192
# A token lives in a URL only where a browser's EventSource leaves no other way.
_TOKEN: Final = "access_token"


@dataclass(frozen=True, slots=True)
class Request:
    """What the data plane wants to know of a request, read once; headers by lower-case name."""

    conn: str
    method: str
    http: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    who: Identity | Refusal

    @property
    def sub(self) -> str | None:
        return self.query.get("sub")

    @property
    def last_event_id(self) -> str | None:
        """The header; the query parameter of the same meaning is for clients that cannot set one."""
        found = self.headers.get("last-event-id", self.query.get("last_event_id"))
        return None if found is None else found[:LONGEST_ID]


def data_plane(mock: Mock) -> ASGIApp:
    """The application of the data plane."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(mock.settings.cors_origins),
        allow_origin_regex=LOOPBACK,
        allow_methods=["GET", "HEAD"],
        allow_headers=["Authorization", "Last-Event-ID", "Cache-Control"],
        allow_credentials=True,
    )
    return Starlette(
        routes=[
            Route("/api/stream/events", Events(mock)),
            Route("/api/dashboard", Twin(mock, _dashboard)),
            Route("/api/events", Twin(mock, _polled)),
            Route("/api/flags", Twin(mock, _flags)),
            Route("/play/{sub:path}", Play(mock)),
        ],
        middleware=[cors],
    )


class Events:
    """The event stream. Order of the answers: 405, 401, 406, 204 (flag), 429, 200."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mock = self._mock
        if mock.closing:
            connection_of(scope).drop()
            return
        request = _read(mock, scope)
        script, plans = mock.plans.choose(request.sub)
        if plans and not streams(script):
            # A script without the real stream is played to anybody, as a broken hop in front of the server would.
            connection = connection_of(scope)
            if not connection.gone:
                mock.open(connection, Ticket(request.conn, None, request.http, request.sub), script, plans)
            return
        refused = _refused(mock, request)
        if refused is None and request.method == "GET":
            connection, user = connection_of(scope), _user(request.who)
            if connection.gone:
                return
            slot = f"{user} until {request.who.expires}" if "limit-per-token" in mock.defects else user
            if mock.hub.take_slot(slot):
                mock.open(connection, replace(_ticket(mock, request, user), slot=slot), script, plans)
                return
            refused = _too_many(mock)
        answer = refused or _head(mock, request)
        _answered(mock, request, answer)
        await answer(scope, receive, send)


class Play:
    """Plays the scripts that wait for one subscriber by name: nothing else, no token, any method."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mock, sub = self._mock, scope["path_params"]["sub"]
        request = _read(mock, scope)
        waiting = any(one.sub == sub and one.fits(sub) for one in mock.plans.scripts)
        script, plans = mock.plans.choose(sub)
        connection = connection_of(scope)
        if not waiting:
            answer = JSONResponse({"error": f"no script waits for {sub}; give one with POST /script"}, 404)
            _answered(mock, request, answer)
            await answer(scope, receive, send)
        elif not connection.gone:
            user = request.who.user if isinstance(request.who, Identity) else None
            ticket = Ticket(request.conn, user, request.http, sub, request.last_event_id, _origin(mock, request))
            mock.open(connection, replace(ticket, **_way(request)), script, plans)


class Twin:
    """A REST endpoint: the same token, JSON, whatever the flag says."""

    def __init__(self, mock: Mock, build: Any) -> None:
        self._mock = mock
        self._build = build

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _read(self._mock, scope)
        answer = _method(request) or _unauthorized(self._mock, request) or _broken(self._mock)
        if answer is None:
            body = json.dumps(self._build(self._mock, request, _user(request.who)), ensure_ascii=False)
            answer = Response(body, media_type="application/json", headers={"cache-control": "no-store"})
        _answered(self._mock, request, answer)
        await answer(scope, receive, send)


def _dashboard(mock: Mock, request: Request, user: str) -> dict[str, Any]:
    """What the page shows: the latest metrics of the user's channels. The flag must leave no trace in it (REG-1)."""
    hub = mock.hub
    shown = {**hub.metrics.get("all", {}), **hub.metrics.get(f"user:{user}", {})}
    trace = {"live": mock.flag.is_on(user)} if "rest-twin-differs" in mock.defects else {}
    return {"user": user, "metrics": dict(sorted(shown.items())), "last": _last(hub, user), **trace}


def _polled(mock: Mock, request: Request, user: str) -> dict[str, Any]:
    """The events after an id, as a resume of the stream gives them; without `after` only where to begin."""
    start = mock.hub.resume(user, request.query.get("after"))
    events = [{"id": one.id, "type": one.type, "data": one.payload} for one in start.replay]
    last = start.replay[-1].id if start.replay else start.after
    return {"events": events, "reset": start.reset is not None, "reason": start.reset, "last": last}


def _broken(mock: Mock) -> Response | None:
    """What a defect leaves behind when the flag went off under live streams."""
    if "errors-after-rollback" in mock.defects and time.monotonic() < mock.broken_until:
        return _error(500, "the service has not recovered from the rollback yet")
    return None


def _flags(mock: Mock, request: Request, user: str) -> dict[str, Any]:
    return {flag.NAME: mock.flag.is_on(user)}


def _last(hub: Hub, user: str) -> str | None:
    return next((one.id for one in reversed(hub.buffer) if hub.entitled(one, user)), None)


# reading a request


def _read(mock: Mock, scope: Scope) -> Request:
    """Read and record a request; from here on its token is nowhere but in `who`."""
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    headers = dict(pairs)
    text = scope["query_string"].decode("latin-1")
    query = dict(parse_qsl(text, keep_blank_values=True))
    cookie = auth.cookie(headers.get("cookie"), _TOKEN)
    token = auth.bearer(headers.get("authorization")) or query.get(_TOKEN) or cookie
    who = auth.verify(mock.secret, token, time.time(), any_signature="checks-no-signature" in mock.defects)
    url = scope["path"] + (f"?{text}" if text else "")
    request = Request(mock.next_conn(), scope["method"], scope["http_version"], url, query, headers, who)
    shown = {name: fingerprint(value, who.user) if name == _TOKEN else value for name, value in query.items()}
    path = scope["path"] + (f"?{urlencode(shown, safe=':')}" if shown else "")
    mock.record(
        "conn.request",
        conn=request.conn,
        user=who.user,
        method=request.method,
        path=path,
        headers={name: _shown(value, token) for name, value in redact_headers(pairs, who.user).items()},
        last_event_id=request.last_event_id,
        sub=request.sub,
        query=shown,
    )
    return request


def _shown(value: str, token: str | None) -> str:
    """A header's value, in which a client may have repeated its token (a Referer does)."""
    return redact_url(value, None) if not token else value.replace(token, fingerprint(token, None))


def _user(who: Identity | Refusal) -> str:
    """Whom an accepted request speaks for; without a token (a defect accepts that) it is the user `anonymous`."""
    return who.user or "anonymous"


def _origin(mock: Mock, request: Request) -> str | None:
    return allowed_origin(request.headers.get("origin"), mock.settings.cors_origins)


def _way(request: Request) -> dict[str, Any]:
    """What a script that redirects needs to know of a request; a path with odd characters is left as `/`."""
    hops = request.query.get(HOP, "0")
    url = request.url if request.url.isascii() and request.url.isprintable() else "/"
    return {
        "url": url,
        "host": request.headers.get("host", "localhost"),
        "hops": int(hops) if hops.isdecimal() and len(hops) < 6 else 0,
    }


def _ticket(mock: Mock, request: Request, user: str) -> Ticket:
    deadlines = [(request.who.expires - time.time(), "token-expired")] if request.who.expires else []
    if mock.settings.max_lifetime is not None:
        deadlines.append((mock.settings.max_lifetime, "lifetime"))
    if "accepts-expired-token" in mock.defects:
        deadlines = [one for one in deadlines if one[1] != "token-expired"]
    deadline, reason = min(deadlines, default=(None, ""))
    origin = _origin(mock, request)
    return Ticket(
        request.conn, user, request.http, request.sub, request.last_event_id, origin, deadline, reason,
        **_way(request),
    )  # fmt: skip


# answers that are not a stream


def _refused(mock: Mock, request: Request) -> Response | None:
    if refused := _method(request) or _unauthorized(mock, request):
        return refused
    if not admits(request.headers.get("accept")):
        return _error(406, "this is an event stream; send Accept: text/event-stream")
    if not mock.flag.is_on(_user(request.who)) and "ignores-flag" not in mock.defects:
        # 204: "Clients will reconnect if the connection is closed; a client can be told to stop reconnecting using
        # the HTTP 204 No Content response code." (HTML standard, 9.2.1)
        return Response(status_code=204, headers={"cache-control": "no-store"})
    if "refuses-one-user" in mock.defects:
        mock.unlucky = mock.unlucky or _user(request.who)
        if mock.unlucky == _user(request.who):
            return _error(503, "the service is not there for this user")
    if "refuses-resumes" in mock.defects and request.last_event_id:
        return _error(404, "there is nothing to resume")
    return None


def _method(request: Request) -> Response | None:
    if request.method in ("GET", "HEAD"):
        return None
    return _error(405, f"{request.method} is not allowed here; use GET", {"allow": "GET, HEAD"})


def _unauthorized(mock: Mock, request: Request) -> Response | None:
    match request.who:
        case Identity():
            return None
        case Refusal("missing") if "accepts-no-token" in mock.defects:
            return None
        case Refusal("expired") if "accepts-expired-token" in mock.defects:
            return None
        case Refusal("expired") if request.last_event_id and "accepts-expired-token-on-resume" in mock.defects:
            return None
        case Refusal(reason) if (
            reason != "expired" and request.last_event_id and "accepts-no-token-on-resume" in mock.defects
        ):
            return None
        case Refusal(reason):
            told = "Bearer" if reason == "missing" else f'Bearer error="invalid_token", error_description="{reason}"'
            return _error(401, f"the bearer token is {reason}", {"www-authenticate": told})


def _too_many(mock: Mock) -> Response:
    said = "soon" if "retry-after-soon" in mock.defects else str(mock.settings.retry_after)
    after = {} if "no-retry-after" in mock.defects else {"retry-after": said}
    return _error(429, f"a user may have {mock.settings.limit_per_user} streams at once; close one", after)


def _head(mock: Mock, request: Request) -> Response:
    """The answer to HEAD: the head of a stream and no stream; it takes no slot."""
    answer = Response()
    pairs: Iterable[tuple[str, str]] = stream_headers(_origin(mock, request), mock.defects)
    answer.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    return answer


def _error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, {"cache-control": "no-store", **(headers or {})})


def _answered(mock: Mock, request: Request, answer: Response) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.raw_headers}
    mock.record("conn.response", conn=request.conn, status=answer.status_code, headers=headers)
