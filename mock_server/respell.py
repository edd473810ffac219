"""An event's bytes made worse: cut short, or with other ends of its lines."""

import re
from itertools import cycle
from typing import Final

from harness.script import Cut, LineEnds

_ENDS: Final[dict[LineEnds, tuple[bytes, ...]]] = {
    "lf": (b"\n",),
    "cr": (b"\r",),
    "crlf": (b"\r\n",),
    "split": (b"\r\n",),
    "mixed": (b"\r\n", b"\n", b"\r"),
}


def cut(raw: bytes, where: Cut) -> bytes:
    """What of an event's bytes is sent when it is cut there."""
    match where:
        case "after-id":
            return raw[: raw.index(b"\n") + 1]
        case "inside-data":
            start = raw.index(b"data:")
            return raw[: start + (len(raw) - start) // 2]
        case "before-empty-line":
            return raw[:-1]


def respelled(raw: bytes, ends: LineEnds) -> list[bytes]:
    """The event with these line ends, in the parts that are to come one by one."""
    told, following = b"", cycle(_ENDS[ends])
    for line in raw.split(b"\n")[:-1]:
        end = next(following)
        # Behind CR the LF of an empty line would make one CRLF of both.
        if not line and end == b"\n" and told.endswith(b"\r"):
            end = b"\r\n"
        told += line + end
    return re.split(rb"(?<=\r)(?=\n)", told) if ends == "split" else [told]
