"""The payload of a test event: it names its own channel, owner, epoch, seq, commit time and digest.

So each event can be judged alone, whoever delivered it and whatever id the server gave it.  Wire form: one JSON
object as the data of the event; `at` is the commit time in wall-clock seconds; `digest` is the first sixteen hex
digits of the SHA-256 of the object without it, in canonical JSON (sorted keys, no blanks).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

ALL: Final = "all"
REMEMBERED: Final = 16  # payloads: what is on its way to many just now, and soon full, so that nothing grows with time
LONGEST_REMEMBERED: Final = 4096  # characters of one
FIELDS: Final = ("channel", "owner", "epoch", "seq", "at", "body")
_KINDS: Final = {
    "channel": (str,), "owner": (str, type(None)), "epoch": (str,), "seq": (int,), "at": (float, int), "digest": (str,),
}  # fmt: skip


def channel_of(user: str | None) -> str:
    """The channel that reaches one user, or everybody when there is none."""
    return ALL if user is None else f"user:{user}"


@dataclass(frozen=True, slots=True)
class TestEvent:
    """What a payload says of itself.

    `intact` tells whether its digest is right, `exact` whether it has these fields alone, each of its own type.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    channel: str
    owner: str | None
    epoch: str
    seq: int
    at: float
    body: Mapping[str, Any]
    digest: str
    intact: bool
    exact: bool = True


def digest_of(payload: Mapping[str, Any]) -> str:
    plain = {name: payload[name] for name in FIELDS}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def make(user: str | None, *, epoch: str, seq: int, at: float, body: Mapping[str, Any]) -> dict[str, Any]:
    """A payload for one user (None: for all), ready for `json.dumps`."""
    payload = {"channel": channel_of(user), "owner": user, "epoch": epoch, "seq": seq, "at": at, "body": body}
    return {**payload, "digest": digest_of(payload)}


def read(data: str) -> TestEvent | None:
    """The test event in an event's data, or None if it is none at all (some other JSON, or torn text).

    What everybody gets is read once: a process of load has thousands of subscribers, each with the same text.
    """
    return _read_once(data) if len(data) <= LONGEST_REMEMBERED else _read(data)


def _read(data: str) -> TestEvent | None:
    try:
        payload = json.loads(data)
        event = TestEvent(
            channel=str(payload["channel"]),
            owner=None if payload["owner"] is None else str(payload["owner"]),
            epoch=str(payload["epoch"]),
            seq=int(payload["seq"]),
            at=float(payload["at"]),
            body=payload["body"],
            digest=str(payload["digest"]),
            intact=digest_of(payload) == payload["digest"],
            exact=_exact(payload),
        )
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return None
    return event


_read_once = lru_cache(REMEMBERED)(_read)


def _exact(payload: Mapping[str, Any]) -> bool:
    fields = payload.keys() == {*FIELDS, "digest"}
    return fields and all(type(payload[name]) in kinds for name, kinds in _KINDS.items())
