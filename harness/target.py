"""What is under test and what it promises: data only.

A target file (TOML) describes a server of the user's own; the built-in mock describes itself.  A promise that is
None is not made, and the checks that would judge it are skipped.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the server's owner promises; seconds as float.

    heartbeat: longest silence on an idle stream. max_latency: from commit to dispatch when nothing is wrong.
    replay_events: how many of the latest events a resume can replay. reset_event: type of the event that says that a
    resume is incomplete. limit_per_user: streams of one user. frees_slot_within: after the client has gone.
    kill_switch_within: flag off -> last live stream ended. unauthorized: statuses for a missing or bad token.
    token_expiry_within: how long after its token's expiry a live stream may still run.
    restart_keeps_replay: a graceful restart loses nothing. schemas: JSON Schema of the data, by event type.
    """

    heartbeat: float | None = None
    max_latency: float | None = None
    replay_events: int | None = None
    reset_event: str | None = "reset"
    limit_per_user: int | None = None
    frees_slot_within: float | None = None
    kill_switch_within: float | None = None
    unauthorized: tuple[int, ...] = (401, 403)
    token_expiry_within: float | None = None
    restart_keeps_replay: bool = False
    schemas: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> "Promises":
        """The promises that the header of a history carries; unknown names are ignored."""
        known = {one.name for one in fields(cls)}
        plain = {name: value for name, value in header.get("promises", {}).items() if name in known}
        if "unauthorized" in plain:
            plain["unauthorized"] = tuple(plain["unauthorized"])
        return cls(**plain)
