"""Faults as data and as functions: toxics of the network, and functions script -> script of a stream.

A fault of the stream takes the script that would be played and returns the one that is: `FAULTS` names them, a
function's name with hyphens.  `applied` calls one by name; `rest_of` is what of it can still hit a live stream.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

from harness.errors import HarnessError
from harness.script import GOOD, Close, Cut, Finish, Reset, Respond, Script, Send, Silence, Stream, from_json, to_json


@dataclass(frozen=True, slots=True)
class Toxic:
    """A network fault in Toxiproxy's words: type, stream, toxicity (0..1) and the type's own attributes.

    Attributes are Toxiproxy's: milliseconds, KB/s, bytes or microseconds, as its documentation has them.
    """

    type: Literal["latency", "bandwidth", "timeout", "reset_peer", "slicer", "limit_data"]
    attributes: Mapping[str, float] = field(default_factory=dict)
    stream: Literal["downstream", "upstream"] = "downstream"
    toxicity: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.type}_{self.stream}"


Fault: TypeAlias = Callable[..., Script]

FAULTS: Final[dict[str, Fault]] = {}
# Those that end or cut a stream: without a number of attempts they hit the live streams, once.
LIVE: Final = frozenset({"rst", "fin", "cut-event", "unfinished-chunk", "silence"})


def fault(function: Fault) -> Fault:
    """Register a function script -> script under its own name."""
    FAULTS[function.__name__.replace("_", "-")] = function
    return function


@fault
def status(script: Script, *, status: int = 503, retry_after: int | None = None) -> Script:
    """The attempt is answered with this status, perhaps with Retry-After in seconds."""
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), ("Connection", "close")]
    if retry_after is not None:
        headers.append(("Retry-After", str(retry_after)))
    body = b"" if status in (204, 304) or status < 200 else b"fault: status\n"
    return (
        Respond(status=status, headers=tuple(headers), framing="length" if body else None, length=len(body) or None),
        Send(body, raw=True),
        Close(),
    )


@fault
def rst(script: Script, *, events: int = 0) -> Script:
    """After so many events the connection is reset."""
    return _until(script, Stream(events=events), Reset())


@fault
def fin(script: Script, *, events: int = 0, clean: bool = True) -> Script:
    """After so many events the stream ends: cleanly, or with FIN but without the final chunk."""
    return _until(script, Stream(events=events), Finish() if clean else Close())


@fault
def cut_event(script: Script, *, at: Cut = "inside-data", events: int = 0, how: str = "fin") -> Script:
    """After so many events the next is cut (after-id, inside-data, before-empty-line) and FIN or RST follows."""
    return _until(script, Stream(events=events, cut=at), Reset() if how == "rst" else Close())


@fault
def unfinished_chunk(script: Script, *, events: int = 0) -> Script:
    """After so many events a chunk announces more bytes than come, and FIN follows."""
    return _until(script, Stream(events=events), Send(b'64\r\ndata: {"un', raw=True), Close())


@fault
def silence(script: Script, *, events: int = 0) -> Script:
    """After so many events nothing comes any more, not even heartbeats, and the connection stays."""
    return _until(script, Stream(events=events), Silence())


@fault
def dribble(script: Script, *, seconds: float = 0.001) -> Script:
    """Every byte comes alone, so many seconds after the one before."""
    return _through(script, dribble=seconds)


@fault
def buffer(script: Script, *, seconds: float = 2.0) -> Script:
    """The stream is delivered in batches, one every so many seconds."""
    return _through(script, buffer=seconds)


@fault
def duplicate(script: Script, *, every: int = 2) -> Script:
    """Every n-th event comes twice."""
    return _through(script, duplicate=every)


@fault
def reorder(script: Script, *, every: int = 2) -> Script:
    """Every n-th event comes after the one that follows it."""
    return _through(script, reorder=every)


@fault
def omit(script: Script, *, every: int = 2) -> Script:
    """Every n-th event is left out."""
    return _through(script, omit=every)


def applied(name: str, script: Script = GOOD, parameters: Mapping[str, Any] | None = None) -> Script:
    """The script with the named fault in it. Raises HarnessError for an unknown name or parameter."""
    if name not in FAULTS:
        raise HarnessError(f"there is no fault {name!r}; known: {', '.join(sorted(FAULTS))}")
    given = dict(parameters or {})
    known = [one for one in inspect.signature(FAULTS[name]).parameters if one != "script"]
    if unknown := sorted(set(given) - set(known)):
        raise HarnessError(f"fault {name} does not know {', '.join(unknown)}; known: {', '.join(known) or 'nothing'}")
    try:
        # The way through JSON holds the values of the parameters to what a player can play.
        return from_json(to_json(FAULTS[name](script, **given)))
    except (TypeError, ValueError) as exc:
        raise HarnessError(f"a parameter of fault {name} has the wrong type ({exc}); mend it") from exc


def rest_of(script: Script) -> Script:
    """What of a script is still to be played on a stream that is live: from its first Stream on, else its end."""
    for number, step in enumerate(script):
        if isinstance(step, Stream):
            return script[number:]
    return script[-1:]


def _until(script: Script, *steps: Stream | Send | Finish | Close | Reset | Silence) -> Script:
    """The script up to its Stream, which takes the new one's end and keeps its own filters; then the new steps."""
    for number, step in enumerate(script):
        if isinstance(step, Stream) and isinstance(steps[0], Stream):
            stream = replace(step, events=steps[0].events, cut=steps[0].cut)
            return (*script[:number], stream, *steps[1:])
    return script


def _through(script: Script, **filters: Any) -> Script:
    return tuple(replace(step, **filters) if isinstance(step, Stream) else step for step in script)
