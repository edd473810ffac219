"""What a server plays on one connection attempt: a script, a tuple of steps, as data.

A step acts on the connection's own transport, so the same script can be well-behaved HTTP or anything else.  A script
that runs out of steps ends as `Finish` does.  `Stream` hands over to the server's real stream (retry, replay, live
events, heartbeats), perhaps through filters, until its end is reached; the next step then follows.
"""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from harness.errors import HarnessError

Framing: TypeAlias = Literal["chunked", "length", "close"]
Cut: TypeAlias = Literal["after-id", "inside-data", "before-empty-line"]
LineEnds: TypeAlias = Literal["lf", "cr", "crlf", "mixed", "split"]
Location: TypeAlias = Literal[
    "absolute", "path", "relative", "other-origin", "other-scheme", "missing", "empty", "invalid"
]  # fmt: skip
Headers: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Send a response head; `headers` None are those of a good stream, else exactly these and the framing's own.

    but: headers of a good stream that are others here, by lower-case name; None: left out.
    framing: None as a good stream (chunked, or close-delimited for an HTTP/1.0 client). length: Content-Length.
    http: the version in the status line. coding: of the body, flushed with each part of it.
    A 1xx status is an interim response: another `Respond` follows.
    """

    status: int = 200
    headers: Headers | None = None
    framing: Framing | None = None
    length: int | None = None
    http: Literal["1.1", "1.0"] = "1.1"
    but: tuple[tuple[str, str | None], ...] = ()
    coding: Literal["gzip"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Answer with a redirection to the same stream and end; a request redirected `hops` times passes (None: never).

    to: how the Location is written; `path` begins with a slash, `relative` has the last segment only. other-origin is
    the same server under another name; the rest leads nowhere.
    """

    status: int = 302
    to: Location = "absolute"
    hops: int | None = 1


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
    insert: bytes sent once, after `insert_after` events (0: right behind the retry field); with `insert_fill` so many
    bytes `x` and an empty line follow them. line_ends: how the lines of events end; `split`: CR and LF come apart.
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
    insert: bytes = b""
    insert_after: int = 0
    insert_fill: int | None = None
    line_ends: LineEnds | None = None

    @property
    def plain(self) -> bool:
        """Whether this is the good stream, without end and without filters."""
        return self == PLAIN


Step: TypeAlias = Respond | Redirect | Send | Wait | Finish | Close | Reset | Silence | Stream
Script: TypeAlias = tuple[Step, ...]

STEPS: Final[Mapping[str, type[Any]]] = {
    one.__name__.lower(): one for one in (Respond, Redirect, Send, Wait, Finish, Close, Reset, Silence, Stream)
}
PLAIN: Final = Stream()
GOOD: Final[Script] = (Respond(), PLAIN)
LARGEST: Final = 4 * 1024 * 1024
MOST_FILL: Final = 64 * 1024 * 1024


def streams(script: Script) -> bool:
    """Whether the script needs the real stream, and so everything that a stream needs (token, flag, slot)."""
    return any(isinstance(step, Stream) for step in script)


def to_json(script: Script) -> list[dict[str, Any]]:
    """The script as plain JSON: each step an object with its name in `step`; fields at their default are left out."""
    return [_plain(step) for step in script]


def from_json(steps: Any) -> Script:
    """The script that `to_json` gave, or that a user wrote: bytes are text, or `base64` (of a send's data) and
    `insert_base64` are given instead.

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
            plain[_ENCODED[one.name]] = base64.b64encode(value).decode()
        else:
            plain[one.name] = [list(pair) for pair in value] if isinstance(value, tuple) else value
    return plain


def _step(given: Any, number: int) -> Step:
    if not isinstance(given, Mapping) or given.get("step") not in STEPS:
        raise HarnessError(f"step {number} of the script has no known name in `step`; known: {', '.join(STEPS)}")
    kind = STEPS[given["step"]]
    values = {name: value for name, value in given.items() if name != "step"}
    names = {one.name for one in dataclasses.fields(kind)}
    for name, encoded in _ENCODED.items():
        if name in names:
            _decode(values, name, encoded, where=f"step {number} of the script ({given['step']})")
    for name in ("headers", "but"):
        if values.get(name) is not None:
            values[name] = _pairs(values[name], f"{name} of step {number} of the script", lenient=name == "but")
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


# The fields that hold bytes, and what they are called where they are given in Base64.
_ENCODED: Final[Mapping[str, str]] = {"data": "base64", "insert": "insert_base64"}


def _decode(values: dict[str, Any], name: str, encoded: str, *, where: str) -> None:
    """Put bytes in the place of text, or of Base64 under its own name."""
    try:
        if encoded in values:
            values[name] = base64.b64decode(values.pop(encoded), validate=True)
        elif isinstance(values.get(name), str):
            values[name] = values[name].encode("utf-8")
    except (ValueError, TypeError) as exc:
        raise HarnessError(f"{where} cannot be decoded; give `{name}` or `{encoded}`") from exc


def _pairs(given: Any, what: str, *, lenient: bool) -> tuple[tuple[str, Any], ...]:
    """Headers as pairs; where one is `lenient` a value may be None."""
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    try:
        found = tuple((str(name), None if lenient and value is None else str(value)) for name, value in pairs)
        text = "".join(name + (value or "") for name, value in found)
        text.encode("latin-1")
    except (ValueError, TypeError) as exc:
        raise HarnessError(f"{what} are no list of [name, value] in Latin-1") from exc
    if {"\r", "\n"} & set(text):
        raise HarnessError(f"{what} have a line end in them; send such bytes with a `send` step that is raw")
    return found


_CHOICES: Final[Mapping[str, tuple[Any, ...]]] = {
    "framing": ("chunked", "length", "close", None),
    "http": ("1.1", "1.0"),
    "cut": ("after-id", "inside-data", "before-empty-line", None),
    "line_ends": (*get_args(LineEnds), None),
    "to": get_args(Location),
    "coding": ("gzip", None),
}
_COUNTS: Final = ("events", "cut_bytes", "length", "insert_after", "insert_fill", "hops")
_EVERY: Final = ("duplicate", "omit", "reorder")
_SECONDS: Final = ("seconds", "dribble", "buffer")


def _demand(kind: type[Any], name: str, value: Any, number: int) -> None:
    """Raise HarnessError unless this value of this field is one that a player can play."""
    where = f"{name} of step {number} of the script ({kind.__name__.lower()})"
    optional = value is None and kind is not Wait
    whole = isinstance(value, int) and not isinstance(value, bool)
    if name in _CHOICES and value not in _CHOICES[name]:
        raise HarnessError(f"{where} is one of {', '.join(str(one) for one in _CHOICES[name])}")
    least, most = (300, 399) if kind is Redirect else (100, 599)
    if name == "status" and not (whole and least <= value <= most):
        raise HarnessError(f"{where} is a number from {least} to {most}")
    if name == "insert_fill" and whole and value > MOST_FILL:
        raise HarnessError(f"{where} is at most {MOST_FILL}")
    if name in _COUNTS and not (optional or (whole and value >= 0)):
        raise HarnessError(f"{where} is a whole number, 0 or more")
    if name in _EVERY and not (optional or (whole and value >= 1)):
        raise HarnessError(f"{where} is a whole number, 1 or more")
    if name in _SECONDS and not (optional or ((whole or isinstance(value, float)) and 0 <= value <= 86400)):
        raise HarnessError(f"{where} is in seconds, 0 to 86400")
    if name in _ENCODED and not (isinstance(value, bytes) and len(value) <= LARGEST):
        raise HarnessError(f"{where} is text of at most {LARGEST} bytes")
    if name == "raw" and not isinstance(value, bool):
        raise HarnessError(f"{where} is true or false")
