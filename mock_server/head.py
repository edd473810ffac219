"""The response head of a scripted connection, as a careful production server sends it (or as the script says)."""

from collections.abc import Container
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from harness.script import Framing, Respond

_BODILESS: Final = (204, 304)


def stream_headers(origin: str | None, defects: Container[str]) -> list[tuple[str, str]]:
    """The headers of a good stream; `origin` is an origin that may read it across origins."""
    kind = "text/plain; charset=utf-8" if "wrong-content-type" in defects else "text/event-stream"
    headers = [("content-type", kind)]
    if "cacheable" not in defects:
        # no-transform: a path that compresses would hold events back. X-Accel-Buffering: nginx buffers otherwise.
        headers += [("cache-control", "no-cache, no-store, no-transform"), ("x-accel-buffering", "no")]
    if origin is not None:
        headers += [("access-control-allow-origin", origin), ("vary", "Origin")]
    return headers


def head_of(
    step: Respond, http: str, origin: str | None, defects: Container[str]
) -> tuple[bytes, dict[str, str], bool]:
    """The head's bytes for a client of this HTTP version, its headers by lower-case name, and whether chunks follow."""
    if step.headers is None:
        # Nobody answers a second request on this connection: it ends with the stream (RFC 9112, section 9.6).
        date = ("date", formatdate(usegmt=True))
        headers = [date, *stream_headers(origin, defects), ("connection", "close")]
    else:
        headers = list(step.headers)
    framing = step.framing or _framing(step.status, http)
    if framing == "chunked":
        headers.append(("transfer-encoding", "chunked"))
    elif framing == "length":
        headers.append(("content-length", str(step.length or 0)))
    lines = [f"HTTP/{step.http} {step.status} {_phrase(step.status)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    shown = {name.lower(): value for name, value in headers}
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), shown, framing == "chunked"


def _framing(status: int, http: str) -> Framing:
    bodiless = status < 200 or status in _BODILESS
    return "close" if http == "1.0" or bodiless else "chunked"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
