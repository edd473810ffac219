"""The response head of a scripted connection, as a careful production server sends it (or as the script says)."""

import re
from collections.abc import Container
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from harness.script import Framing, Redirect, Respond

# A page under development is served from anywhere on this machine; it needs no permission of its own.
LOOPBACK: Final = r"https?://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?"
HOP: Final = "redirected"
_BODILESS: Final = (204, 304)
_HOP_IN_QUERY: Final = re.compile(rf"(?:^|(?<=&)){HOP}=\d*(?:&|\Z)")


def allowed_origin(origin: str | None, others: Container[str]) -> str | None:
    """The origin, if its pages may read what the mock sends: one of this machine, or one that a setting names."""
    if origin is None or not (re.fullmatch(LOOPBACK, origin) or origin in others or "*" in others):
        return None
    return origin


def stream_headers(origin: str | None, defects: Container[str]) -> list[tuple[str, str]]:
    """The headers of a good stream; `origin` is an origin that may read it across origins."""
    kind = "text/plain; charset=utf-8" if "wrong-content-type" in defects else "text/event-stream"
    headers = [("content-type", kind)]
    if "cacheable" not in defects:
        # no-transform: a path that compresses would hold events back. X-Accel-Buffering: nginx buffers otherwise.
        headers += [("cache-control", "no-cache, no-store, no-transform"), ("x-accel-buffering", "no")]
    if origin is not None:
        headers += readable(origin)
    return headers


def readable(origin: str) -> list[tuple[str, str]]:
    """The headers that let a page of this origin read an answer, also one that its cookie was sent for."""
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin"),
    ]


def redirect_head(step: Redirect, *, url: str, host: str, hops: int, origin: str | None) -> tuple[bytes, str | None]:
    """The bytes of a redirection of the request for `url` (path and query), and its Location."""
    where = location(step, url=url, host=host, hops=hops)
    headers = [("cache-control", "no-store"), ("content-length", "0"), ("connection", "close")]
    headers += readable(origin) if origin is not None else []
    headers += [("location", where)] if where is not None else []
    return _bytes(f"HTTP/1.1 {step.status} {_phrase(step.status)}", headers), where


def location(step: Redirect, *, url: str, host: str, hops: int) -> str | None:
    """The Location of a redirection; its query counts how often the request has been redirected."""
    path, _, query = url.partition("?")
    kept = _HOP_IN_QUERY.sub("", query).strip("&")
    target = f"{path}?{kept}{'&' if kept else ''}{HOP}={hops + 1}"
    match step.to:
        case "absolute":
            return f"http://{host}{target}"
        case "path":
            return target
        case "relative":
            return target.rpartition("/")[2] if "/" not in query else target
        case "other-origin":
            return f"http://{_other_name(host)}{target}"
        case "other-scheme":
            return f"ftp://{host}{target}"
        case "empty":
            return ""
        case "invalid":
            return "http://[::bad"
        case _:
            return None


def _other_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, ""
    return ("127.0.0.1" if name == "localhost" else "localhost") + colon + port


def head_of(
    step: Respond, http: str, origin: str | None, defects: Container[str]
) -> tuple[bytes, dict[str, str], bool]:
    """The head's bytes for a client of this HTTP version, its headers by lower-case name, and whether chunks follow."""
    if step.headers is None:
        # Nobody answers a second request on this connection: it ends with the stream (RFC 9112, section 9.6).
        date = ("date", formatdate(usegmt=True))
        good = [date, *stream_headers(origin, defects), ("connection", "close")]
        headers = _but(good, dict(step.but))
    else:
        headers = list(step.headers)
    if step.coding is not None:
        headers.append(("content-encoding", step.coding))
    framing = step.framing or _framing(step.status, http)
    if framing == "chunked":
        headers.append(("transfer-encoding", "chunked"))
    elif framing == "length":
        headers.append(("content-length", str(step.length or 0)))
    shown = {name.lower(): value for name, value in headers}
    return _bytes(f"HTTP/{step.http} {step.status} {_phrase(step.status)}", headers), shown, framing == "chunked"


def _bytes(first: str, headers: list[tuple[str, str]]) -> bytes:
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


def _but(good: list[tuple[str, str]], others: dict[str, str | None]) -> list[tuple[str, str]]:
    """The headers of a good stream with some of them others, left out, or added."""
    known = {name for name, _ in good}
    changed = [(name, others.get(name, value)) for name, value in good]
    changed += [(name, value) for name, value in others.items() if name not in known]
    return [(name, value) for name, value in changed if value is not None]


def _framing(status: int, http: str) -> Framing:
    bodiless = status < 200 or status in _BODILESS
    return "close" if http == "1.0" or bodiless else "chunked"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
