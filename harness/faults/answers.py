"""Faults of the answer: its status, its head, how its body is delimited and coded."""

from typing import Literal

from harness.faults.registry import answering, fault, until
from harness.script import Close, Location, Redirect, Reset, Respond, Script, Send, Stream, Wait

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"


@fault
def status(script: Script, *, status: int = 503, retry_after: int | None = None) -> Script:
    """The attempt is answered with this status, perhaps with Retry-After in seconds; a 1xx goes before the answer."""
    if status < 200:
        return (Respond(status=status, headers=()), *script)
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), ("Connection", "close")]
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    if status == 429:
        # Without it this would pass for the limit per user.
        headers.append(("X-Refused", "fault"))
    body = b"" if status in (204, 205, 304) else b"fault: status\n"
    framing: Literal["length", "close"] = "close" if status in (204, 304) else "length"
    return (
        Respond(status=status, headers=tuple(headers), framing=framing, length=len(body)),
        Send(body, raw=True),
        Close(),
    )


@fault
def redirect(script: Script, *, status: int = 302, to: Location = "absolute", hops: int | None = 1) -> Script:
    """So many redirections (null: a loop) lead to the stream; `to` says how the Location is written, or missing."""
    return (Redirect(status=status, to=to, hops=hops), *script)


@fault
def content_type(script: Script, *, value: str | None = "text/plain") -> Script:
    """The stream comes with this content type, or with none (null)."""
    return answering(script, but=(("content-type", value),))


@fault
def slow_headers(script: Script, *, seconds: float = 3.0) -> Script:
    """The head of the response comes only after so many seconds."""
    return (Wait(seconds), *script)


@fault
def cut_head(script: Script, *, bytes: int = 40, how: Literal["fin", "rst"] = "fin") -> Script:
    """The connection ends inside the head of the response, after so many bytes of it, by FIN or RST."""
    return (Send(_HEAD[:bytes], raw=True), Reset() if how == "rst" else Close())


@fault
def http_1_0(script: Script) -> Script:
    """The answer is one of HTTP/1.0, delimited by the end of the connection."""
    return answering(script, http="1.0", framing="close")


@fault
def close_delimited(script: Script) -> Script:
    """The body has neither chunks nor a length: it goes on until the connection ends."""
    return answering(script, framing="close")


@fault
def content_length(script: Script, *, length: int = 1_000_000, events: int | None = 1) -> Script:
    """A Content-Length is announced; FIN comes after so many events (null: never), be that too early or too late."""
    announced = answering(script, framing="length", length=length)
    return announced if events is None else until(announced, Stream(events=events), Close())


@fault
def gzip(script: Script) -> Script:
    """The body is compressed, with a flush after each event."""
    return answering(script, coding="gzip")
