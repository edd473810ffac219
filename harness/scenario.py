"""A scenario: who subscribes, what is published, what the nemesis does, and which checks must be able to judge it.

Everything here is data; `harness.run` executes it.  Durations are seconds; a step's `beats` are multiples of the
target's heartbeat, so one scenario fits a server with heartbeats of 1 s and one of 30 s; so do `expiries`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.errors import HarnessError
from harness.faults import Toxic
from harness.typed import demand_fields


def name_of(reference: str) -> str:
    """How results name a scenario that was given as a NAME, as a path or as `package.module:attribute`."""
    if reference.endswith(".py") or "/" in reference:
        return reference.rpartition("/")[2].removesuffix(".py")
    return reference.replace(":", ".")


# The product's laws at a pace that fits a test run; the figures are in every history.
FAST_SERVER: Final[Mapping[str, Any]] = {"heartbeat": 1.0, "retry_ms": 300}
FAST_CLIENT: Final[Mapping[str, Any]] = {
    "policy": "resilient", "reconnection_time": 0.3, "backoff_base": 0.25, "backoff_cap": 4.0, "stable_after": 1.0,
}  # fmt: skip

MOST_REPLAY: Final = 2000  # events; nobody is kept waiting for a burst beyond a replay that is larger


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass: `seconds`, `beats` heartbeats of the target, and `expiries` times as long as the target promises
    that a stream may outlive its token."""

    seconds: float = 0.0
    beats: float = 0.0
    expiries: float = 0.0


@dataclass(frozen=True, slots=True)
class AwaitOpen:
    """Wait until every live subscriber is open (after a `Drop`: anew), or polls where it may.

    It is bounded by `seconds` + `beats`; what is missing is for the checks.
    """

    seconds: float = 10.0
    beats: float = 5.0


@dataclass(frozen=True, slots=True)
class Burst:
    """Publish `count` events at once to every user's channel ("each"), to all ("all") or to both ("both").

    With `beyond_replay` as many more as make the whole burst larger than the replay that the target promises, unless
    that is MOST_REPLAY or more.
    """

    count: int
    to: Literal["each", "all", "both"] = "both"
    beyond_replay: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """Add a toxic, remove one, disable or enable the proxy, or heal everything. Raises HarnessError for the rest."""

    act: Literal["add", "remove", "disable", "enable", "heal"]
    toxic: Toxic | None = None

    def __post_init__(self) -> None:
        demand_fields(self)
        if self.act in ("add", "remove") and self.toxic is None:
            raise HarnessError(f'Network("{self.act}") names no toxic; write Network("{self.act}", Toxic(...))')
        if self.act not in ("add", "remove") and self.toxic is not None:
            raise HarnessError(f'Network("{self.act}") takes no toxic; leave it out')


@dataclass(frozen=True, slots=True)
class StreamFault:
    """A fault of the server's own stream, by name (mock only): on the next `attempts` connections, or on live ones.

    `sub` is the one subscriber that it is for; None: any.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    attempts: int | None = None
    sub: str | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The server ends every live stream: FIN, RST, or silence (it stops sending and keeps the connection)."""

    how: Literal["fin", "rst", "silence"]


@dataclass(frozen=True, slots=True)
class Restart:
    """The server restarts: gracefully, or by a crash; it stays away for `down` seconds."""

    how: Literal["graceful", "crash"]
    down: float = 0.5


@dataclass(frozen=True, slots=True)
class Flag:
    """Set the feature flag for everybody."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """Set the flag's percentage, and wait as long as the target promises to need for it."""

    percent: float


@dataclass(frozen=True, slots=True)
class ProbeAll:
    """Ask for so many users, `repeat` times each, whether the stream is offered; an offered one is closed at once."""

    name: str
    users: int = 200
    repeat: int = 2


@dataclass(frozen=True, slots=True)
class ProbeRest:
    """Ask the stream's REST twins for each user of the scenario, `repeat` times; what counts is the answer's bytes."""

    name: str
    repeat: int = 2


@dataclass(frozen=True, slots=True)
class Open:
    """`count` more subscribers of user number `user`, named `label`-0, `label`-1 ...; `ttl` is their token's life.

    Without a user there are so many for each, and their names begin with `label` and the user's number.
    With `beyond_limit` there are as many as the target's limit per user plus that number.
    """

    label: str
    user: int | None = 0
    count: int = 1
    ttl: float | None = None
    beyond_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """Close every subscriber whose name starts with `label` ("" = all)."""

    label: str = ""


@dataclass(frozen=True, slots=True)
class Churn:
    """`cycles` times: open `parallel` subscribers of their own users and close them; every other cycle they are
    closed while still connecting.  A meter `label:number` is read after each cycle."""

    cycles: int
    parallel: int = 4
    label: str = "cycle"


@dataclass(frozen=True, slots=True)
class Probe:
    """One request of the harness's own to the stream's URL, read for at most a second.

    `token` says what it carries: a good one, none, an expired one, a forged one, a truncated one, or a good one with
    one character changed.
    """

    name: str
    token: Literal["good", "none", "expired", "forged", "truncated", "tampered"] = "good"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Meter:
    """Read memory, descriptors, sockets and tasks of the client's process and of the server."""

    label: str


Step = (
    Wait | AwaitOpen | Burst | Network | StreamFault | Drop | Restart | Flag | Rollout | Open | Close | Churn
    | Probe | ProbeAll | ProbeRest | Meter
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario. Its module's docstring says what is asked and what is expected.

    users, streams: so many users, each with so many subscribers, open before the first step.
    rate: events per second of the background publisher, alternating over all users' channels and `all`; 0 = none.
    steps: executed in order; then everything is healed, a sentinel is published per channel and awaited (drain).
    checks: names or families that this scenario must be able to judge. needs: capabilities of target and client
    without which it is skipped, e.g. "publish", "restart", "flag", "rollout", "rest", "mock".
    server: settings of the mock (others keep their own). client: options of the client, where it declares them.
    drain: seconds to wait for the sentinels. limit: the whole run ends by itself after so many seconds + beats * 10,
    without those by which this machine was late.

    Raises HarnessError for a value of another type.
    """

    checks: tuple[str, ...]
    users: int = 1
    streams: int = 1
    rate: float = 0.0
    steps: tuple[Step, ...] = ()
    needs: frozenset[str] = frozenset({"publish"})
    server: Mapping[str, Any] = field(default_factory=lambda: FAST_SERVER)
    client: Mapping[str, Any] = field(default_factory=lambda: FAST_CLIENT)
    drain: float = 8.0
    limit: float = 180.0

    def __post_init__(self) -> None:
        for step in self.steps if isinstance(self.steps, tuple | list) else ():
            if not isinstance(step, Step):
                written = f"{step.__name__}(...)" if isinstance(step, type) else "Wait(1.0) or its like"
                raise HarnessError(f"{step!r} in steps of Scenario is no step; write {written}")
            demand_fields(step, signed=("beyond_limit",))
        demand_fields(self)
