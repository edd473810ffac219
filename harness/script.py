"""What a server plays on one connection attempt: a script, a tuple of steps, as data.

A step acts on the connection's own transport, so the same script can be well-behaved HTTP or anything else.  A script
that runs out of steps ends as `Finish` does.  `Stream` hands over to the server's real stream (retry, replay, live
events, heartbeats), perhaps through filters, until its end is reached; the next step then follows.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from harness.errors import HarnessError

Framing: TypeAlias = Literal["chunked", "length", "close"]
Cut: TypeAlias = Literal["after-id", "inside-data", "before-empty-line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Send a response head; `headers` None are those of a good stream, else exactly these and the framing's own.

    framing: None as a good stream (chunked, or close-delimited for an HTTP/1.0 client). length: Content-Length.
    http: the version in the status line. A 1xx status is an interim response: another `Respond` follows.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] | None = None
    framing: Framing | None = None
    length: int | None = None
    http: Literal["1.1", "1.0"] = "1.1"


@dataclass(frozen=True, slots=True)
class Send:
    """Send bytes of the body, as a chunk of their own where the framing has chunks; `raw` past any framing."""

    data: bytes
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Finish:
    """End the response properly: the final chunk where there are chunks, then FIN."""


@dataclass(frozen=True, slots=True)
class Close:
    """Send FIN without the final chunk."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Send RST; bytes that wait in the send buffer are lost."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing any more, not even heartbeats, and keep the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """From here on the real stream.

    The step ends after `events` whole events (0: after the retry field), after `seconds`, after `cut_bytes` bytes
    of the stream, or, with `cut`, inside the event that follows `events` (or 0) whole ones.
    duplicate, omit, reorder: every n-th event is sent twice, left out, or sent after the one that follows it.
    dribble: seconds between single bytes on the wire. buffer: bytes are delivered only every so many seconds.
    """

    events: int | None = None
    seconds: float | None = None
    cut: Cut | None = None
    cut_bytes: int | None = None
    duplicate: int | None = None
    omit: int | None = None
    reorder: int | None = None
    dribble: float | None = None
    buffer: float | None = None

    @property
    def plain(self) -> bool:
        """Whether this is the good stream, without end and without filters."""
        return self == PLAIN


Step: TypeAlias = Respond | Send | Wait | Finish | Close | Reset | Silence | Stream
Script: TypeAlias = tuple[Step, ...]

STEPS: Final[Mapping[str, type[Any]]] = {
    one.__name__.lower(): one for one in (Respond, Send, Wait, Finish, Close, Reset, Silence, Stream)
}
PLAIN: Final = Stream()
GOOD: Final[Script] = (Respond(), PLAIN)
LARGEST: Final = 4 * 1024 * 1024


def streams(script: Script) -> bool:
    """Whether the script needs the real stream, and so everything that a stream needs (token, flag, slot)."""
    return any(isinstance(step, Stream) for step in script)


def to_json(script: Script) -> list[dict[str, Any]]:
    """The script as plain JSON: each step an object with its name in `step`; fields at their default are left out."""
    return [_plain(step) for step in script]


def from_json(steps: Any) -> Script:
    """The script that `to_json` gave, or that a user wrote: `data` of a send is text, or `base64` is given instead.

    Raises HarnessError.
    """
    if isinstance(steps, str | bytes | Mapping) or not isinstance(steps, Sequence):
        raise HarnessError("a script is a list of steps; give a JSON array of objects")
    return tuple(_step(step, number) for number, step in enumerate(steps))


def _plain(step: Step) -> dict[str, Any]:
    plain: dict[str, Any] = {"step": type(step).__name__.lower()}
    for one in dataclasses.fields(step):
        value = getattr(step, one.name)
        if value == one.default:
            continue
        if isinstance(value, bytes):
            plain["base64"] = base64.b64encode(value).decode()
        else:
            plain[one.name] = [list(pair) for pair in value] if isinstance(value, tuple) else value
    return plain


def _step(given: Any, number: int) -> Step:
    if not isinstance(given, Mapping) or given.get("step") not in STEPS:
        raise HarnessError(f"step {number} of the script has no known name in `step`; known: {', '.join(STEPS)}")
    kind = STEPS[given["step"]]
    values = {name: value for name, value in given.items() if name != "step"}
    if kind is Send:
        values = _send(values, number)
    if values.get("headers") is not None:
        values["headers"] = _headers(values["headers"], number)
    names = {one.name for one in dataclasses.fields(kind)}
    if unknown := sorted(set(values) - names):
        raise HarnessError(
            f"step {number} of the script ({given['step']}) does not know {', '.join(unknown)}; "
            f"known: {', '.join(sorted(names)) or 'nothing'}"
        )
    for name, value in values.items():
        _demand(kind, name, value, number)
    try:
        step: Step = kind(**values)
    except TypeError as exc:
        raise HarnessError(f"step {number} of the script ({given['step']}) lacks a field ({exc}); add it") from exc
    return step


def _send(values: dict[str, Any], number: int) -> dict[str, Any]:
    try:
        if "base64" in values:
            values["data"] = base64.b64decode(values.pop("base64"), validate=True)
        elif isinstance(values.get("data"), str):
            values["data"] = values["data"].encode("utf-8")
    except (ValueError, TypeError) as exc:
        raise HarnessError(f"step {number} of the script (send) cannot be decoded; give `data` or `base64`") from exc
    return values


def _headers(given: Any, number: int) -> tuple[tuple[str, str], ...]:
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    try:
        headers = tuple((str(name), str(value)) for name, value in pairs)
        "".join(name + value for name, value in headers).encode("latin-1")
    except (ValueError, TypeError) as exc:
        raise HarnessError(f"headers of step {number} of the script are no list of [name, value] in Latin-1") from exc
    return headers


_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "framing": ("chunked", "length", "close", None),
    "http": ("1.1", "1.0"),
    "cut": ("after-id", "inside-data", "before-empty-line", None),
}
_COUNTS: Final = ("events", "cut_bytes", "length")
_EVERY: Final = ("duplicate", "omit", "reorder")
_SECONDS: Final = ("seconds", "dribble", "buffer")


def _demand(kind: type[Any], name: str, value: Any, number: int) -> None:
    """Raise HarnessError unless this value of this field is one that a player can play."""
    where = f"{name} of step {number} of the script ({kind.__name__.lower()})"
    optional = value is None and kind is not Wait
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name in _CHOICES and value not in _CHOICES[name]:
        raise HarnessError(f"{where} is one of {', '.join(str(one) for one in _CHOICES[name])}")
    if name == "status" and not (whole and 100 <= value <= 599):
        raise HarnessError(f"{where} is a number from 100 to 599")
    if name in _COUNTS and not (optional or (whole and value >= 0)):
        raise HarnessError(f"{where} is a whole number, 0 or more")
    if name in _EVERY and not (optional or (whole and value >= 1)):
        raise HarnessError(f"{where} is a whole number, 1 or more")
    if name in _SECONDS and not (optional or ((whole or isinstance(value, float)) and 0 <= value <= 86400)):
        raise HarnessError(f"{where} is in seconds, 0 to 86400")
    if name == "data" and not (isinstance(value, bytes) and len(value) <= LARGEST):
        raise HarnessError(f"{where} is text of at most {LARGEST} bytes")
    if name == "raw" and not isinstance(value, bool):
        raise HarnessError(f"{where} is true or false")
