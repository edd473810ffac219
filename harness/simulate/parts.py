"""What the simulated parties deal with: the law that they keep, an event, a connection, a client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

HEARTBEAT: Final = 1.0
DEADLINE: Final = 2.5
RETRY: Final = 0.5
CAP: Final = 4.0
BASE: Final = 0.4
LIMIT: Final = 3
BANNED: Final = "banned"
HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store"}
CAPABILITIES: Final = (
    "backoff",
    "jitter",
    "heartbeat-deadline",
    "comments",
    "status-retry",
    "retry-after",
    "token-refresh",
    "polling",
)
POLL: Final = 0.5
AGAIN: Final = 1.5
TYPES: Final = ("message", "notice")
SCHEMA: Final = {"type": "object", "required": ["channel", "seq"], "properties": {"body": {"type": "object"}}}


@dataclass(slots=True)
class Event:
    """One published event as the simulated server keeps it."""

    number: int
    id: str
    type: str
    payload: dict[str, Any]
    epoch: str

    @property
    def owner(self) -> str | None:
        owner: str | None = self.payload["owner"]
        return owner


@dataclass(slots=True)
class Stream:
    """One connection: the server's end and the way to the client."""

    conn: str
    sub: "Sub"
    attempt: int
    alive: bool = True
    last_arrival: float = 0.0
    handed_over: bool = True
    resumed: bool = False
    held: list[Callable[[], None]] | None = None


@dataclass(slots=True)
class Sub:
    """One simulated client."""

    name: str
    user: str
    ttl: float | None
    attempt: int = -1
    last_id: str = ""
    type: str = "message"
    failures: int = 0
    stream: Stream | None = None
    heard: float = 0.0
    gone: bool = False
    retry: float = RETRY
    polling: bool = False
    cached: str = ""
    token_until: float = inf
    sentinels: set[str] = field(default_factory=set)
