"""The matrix of the selftest: for each defect, where it is run and which checks have to, and which may, ring. Data.

A server's defect is a switch of the mock, a client's an attribute of `harness.clients.faulty`; `settings` of the mock
are what it needs beside, `users` how many suffice.  `must`: every one of these checks has to FAIL.  `may`: kin that can
be FAIL or UNKNOWN for the same reason.  Anything else that rings is a false alarm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class Defect:
    """One deliberate breach and the alarms that belong to it."""

    name: str
    scenario: str
    must: tuple[str, ...]
    may: tuple[str, ...] = ()
    subject: Literal["server", "client"] = "server"
    settings: Mapping[str, Any] = field(default_factory=dict)
    users: int = 4

    @property
    def attribute(self) -> str:
        """The name of the bad client in `harness.clients.faulty`."""
        return self.name.replace("-", "_")


def _client(name: str, scenario: str, must: tuple[str, ...], may: tuple[str, ...] = (), users: int = 4) -> Defect:
    return Defect(name, scenario, must, may, "client", users=users)


LOST: Final = "delivery.nothing_lost"
TWICE: Final = "delivery.nothing_twice"
TORN: Final = "delivery.untorn"
ORDER: Final = "delivery.in_order"

DEFECTS: Final[tuple[Defect, ...]] = (
    Defect("ignores-last-event-id", "drop_fin", (LOST,)),
    Defect("replays-one-too-many", "drop_fin", (TWICE, "replay.strictly_after"), (ORDER,)),
    Defect("replays-one-too-few", "drop_fin", (LOST,)),
    Defect("replays-twice", "drop_fin", (TWICE,), (ORDER, "replay.strictly_after")),
    Defect("loses-handover", "drop_fin", (LOST,)),
    Defect("serves-one-stream", "two_streams", ("delivery.every_stream",), (LOST, "lag.live")),
    Defect("leaks-to-other-user", "two_streams", ("security.own_events",)),
    Defect("no-heartbeat", "steady", ("heartbeat.cadence",), ("heartbeat.deadline", "reconnection.no_hammering")),
    Defect("no-heartbeat-on-resume", "drop_idle", ("heartbeat.cadence",), ("reconnection.no_hammering",)),
    Defect("heartbeat-with-id", "drop_idle", ("replay.no_id_on_control", "heartbeat.no_id")),
    Defect("repeats-the-last-event", "drop_idle", (TWICE, "replay.strictly_after"), (ORDER,)),
    Defect("forgets-on-graceful-restart", "restart_graceful", ("replay.survives_restart",), (LOST,)),
    Defect("limit-one-too-many", "per_user_limit", ("limits.exact",)),
    Defect("limit-one-too-few", "per_user_limit", ("limits.exact",), ("limits.slot_freed", LOST)),
    Defect(
        "never-frees-slot", "per_user_limit", ("limits.slot_freed",), ("limits.exact", "cleanup.server_slots", LOST)
    ),
    Defect("never-frees-slot", "unmount", ("cleanup.server_slots",), ("limits.exact", "limits.slot_freed")),
    Defect("resume-frees-slot-twice", "per_user_limit", ("limits.exact",), ("cleanup.server_slots",)),
    Defect("limit-per-token", "per_user_limit", ("limits.exact",)),
    Defect("kill-switch-keeps-slots", "kill_switch", ("limits.slot_freed",), ("limits.exact", LOST)),
    Defect("accepts-no-token", "token_required", ("security.token_required",)),
    Defect("checks-no-signature", "token_required", ("security.token_required",)),
    Defect("accepts-expired-token", "token_expiry", ("security.token_expiry",)),
    Defect("expires-only-on-event", "token_expiry", ("security.token_expiry",)),
    Defect("accepts-no-token-on-resume", "token_required", ("security.token_required",)),
    Defect("accepts-expired-token-on-resume", "token_expiry", ("security.token_expiry",)),
    Defect("reuses-ids-after-restart", "restart_crash", ("replay.ids_unique",), (LOST, TWICE, ORDER)),
    Defect("ignores-flag", "kill_switch", ("flag.gates",), ("flag.kill_switch",)),
    Defect("ignores-kill-switch", "kill_switch", ("flag.kill_switch",), ("reconnection.stops_on_204",)),
    Defect("kill-switch-only-on-event", "kill_switch_idle", ("flag.kill_switch",)),
    Defect("kill-switch-mutes", "kill_switch", ("flag.kill_switch",), (LOST, "lag.live", "delivery.every_stream")),
    Defect("buffers-2s", "steady", ("lag.live",), ("heartbeat.cadence", "heartbeat.deadline", LOST)),
    Defect("bare-lf", "steady", ("security.framing",), (TORN, LOST, "schema.valid", "lag.live")),
    Defect("no-retry-after", "per_user_limit", ("limits.exact",)),
    Defect("retry-after-soon", "per_user_limit", ("limits.exact",)),
    Defect("resets-needlessly", "drop_fin", ("replay.no_needless_reset",)),
    Defect("resets-in-between", "steady", ("replay.no_reset_in_between",)),
    Defect("silent-loss-when-too-old", "resume_beyond_buffer", ("replay.reset_when_too_old",), (LOST,)),
    Defect("wrong-content-type", "steady", ("response.stream_head",)),
    Defect("cacheable", "steady", ("response.not_cached",)),
    # A heartbeat brings the head as well: it has to be rarer than the head may be late.
    Defect("late-headers", "two_streams", ("response.prompt",), ("lag.live",), settings={"heartbeat": 5.0}),
    Defect("late-headers-on-resume", "drop_idle", ("response.prompt",), ("lag.live",), settings={"heartbeat": 5.0}),
    Defect("breaks-schema", "steady", ("schema.valid",)),
    Defect("nul-in-id", "steady", ("security.framing",)),
    # The answers of a flag that is drawn anew lie outside the band once in five hundred runs.
    Defect("flag-not-sticky", "rollout", ("flag.sticky",), ("flag.binomial",)),
    Defect("flag-not-sticky-over-restart", "rollout_restart", ("flag.sticky",), ("flag.binomial",)),
    Defect("flag-not-monotone", "rollout", ("flag.monotone",)),
    Defect("flag-wrong-share", "rollout", ("flag.binomial",)),
    Defect("rest-twin-differs", "rollout", ("rest.same_bytes",)),
    # A scenario that waits for its subscribers in vain only for a short time.
    Defect("refuses-one-user", "wire_fault", ("admission.valid_token",), (LOST,)),
    Defect("refuses-resumes", "drop_fin", ("admission.resume",)),
    Defect("errors-after-rollback", "rollback", ("rollback.error_rate",)),
    _client("no-polling-fallback", "rollback", ("rollback.falls_back",)),
    _client("keeps-cached-state", "rollback", ("rollback.state_cleared",), (TWICE, ORDER)),
    _client("forgets-id", "drop_fin", ("reconnection.last_event_id",), (LOST,)),
    _client("ignores-empty-id", "wire_allowed", ("reconnection.last_event_id",), users=17),
    _client("strips-first-bom-only", "wire_allowed", ("reconnection.not_too_early",)),
    _client("keeps-torn-id", "cut_inside_event", ("reconnection.last_event_id",), (LOST,)),
    _client(
        "dispatches-at-eof",
        "cut_inside_event",
        (TORN,),
        (TWICE, LOST, ORDER, "schema.valid", "reconnection.last_event_id"),
    ),
    _client(
        "no-backoff",
        "refuse",
        ("reconnection.backoff",),
        ("reconnection.jitter", "reconnection.no_hammering"),
        users=12,
    ),
    _client("no-jitter", "refuse", ("reconnection.jitter",), ("reconnection.backoff",), users=12),
    _client("no-jitter-at-cap", "refuse", ("reconnection.jitter",), users=12),
    _client("never-resets-backoff", "refuse", ("reconnection.backoff",), users=12),
    _client("ignores-retry", "drop_fin", ("reconnection.not_too_early",), ("reconnection.no_hammering",)),
    _client("takes-first-retry-only", "wire_allowed", ("reconnection.not_too_early",), users=12),
    _client("obeys-invalid-retry", "wire_allowed", ("reconnection.not_too_early",), users=12),
    _client("reconnects-after-204", "kill_switch", ("reconnection.stops_on_204",), ("flag.no_client_loop",)),
    # It comes back whatever the answer, and at once.
    _client(
        "hammers",
        "kill_switch",
        ("flag.no_client_loop", "reconnection.no_hammering"),
        ("reconnection.stops_on_204", "reconnection.not_too_early", "reconnection.backoff", "reconnection.jitter"),
        users=2,
    ),
    _client("ignores-retry-after", "per_user_limit", ("reconnection.retry_after",)),
    _client("comes-back-after-refusal", "refused_for_good", ("reconnection.stops_on_refusal",)),
    # The wrong type is the mock's, and rings its own alarm.
    Defect(
        "takes-any-content-type",
        "wire_fault",
        ("reconnection.stops_on_refusal",),
        ("response.stream_head",),
        "client",
        settings={"faults": [{"name": "content-type", "parameters": {"value": "text/plain"}}]},
        users=2,
    ),
    _client("leaks-memory", "churn", ("cleanup.memory",)),
    _client("ignores-silence", "silent_stall", ("heartbeat.deadline",), ("reconnection.happens", LOST)),
    _client(
        "never-closes-sockets",
        "unmount",
        ("cleanup.client_sockets", "cleanup.descriptors"),
        # What it leaves behind goes on, unheard, and comes back by itself where a busy machine lets it miss heartbeats.
        ("cleanup.tasks", "cleanup.server_slots", "reconnection.last_event_id"),
    ),
    _client("hides-errors", "drop_fin", ("signals.error",)),
    _client("dispatches-empty", "steady", ("signals.nothing_invented",), ("schema.valid",)),
    _client("dispatches-comments", "steady", ("signals.nothing_invented",), ("schema.valid",)),
    _client("keeps-type", "steady", (TORN,), ("schema.valid",)),
    _client(
        "sends-ids-raw",
        "wire_allowed",
        ("reconnection.happens",),
        (LOST, "reconnection.last_event_id", "admission.resume"),
        users=17,
    ),
    _client("goes-on-after-close", "two_streams", ("cleanup.silent_after_close",), ("cleanup.tasks",)),
    _client(
        "loses-at-chunks",
        "chunks",
        (LOST,),
        (TORN, "reconnection.last_event_id", "reconnection.happens", "schema.valid"),
    ),
    _client("one-event-a-chunk", "chunks", (LOST,), ("reconnection.last_event_id",)),
    _client("resets-on-open", "accept_and_close", ("reconnection.backoff",), ("reconnection.no_hammering",), users=12),
    _client("crashes", "steady", ("reconnection.survives",), (LOST, "delivery.every_stream", "reconnection.happens")),
    _client("gives-up", "drop_fin", ("reconnection.survives", "reconnection.happens"), (LOST,)),
    _client("forgets-token", "drop_fin", ("reconnection.credentials",), (LOST,)),
    _client("connects-twice", "token_expiry", ("sharing.one_at_a_time",), ("cleanup.tasks", LOST)),
    _client("borrows-token", "chunks", ("reconnection.credentials",), (LOST, "security.own_events", "lag.live")),
    _client(
        "keeps-expired-token",
        "token_expiry",
        ("reconnection.refreshes_token",),
        (LOST, "reconnection.stops_on_refusal"),
    ),
    _client("asks-for-json", "chunks", ("request.for_a_stream",), ("admission.valid_token",)),
    _client("sends-empty-id", "chunks", ("reconnection.last_event_id",)),
    _client("leaks-on-reconnect", "many_drops", ("cleanup.descriptors", "cleanup.tasks")),
    _client("hangs-in-close", "two_streams", ("cleanup.ends",), ("cleanup.silent_after_close",)),
    _client(
        "ends-healthy-streams", "steady", ("heartbeat.patience",), ("reconnection.no_hammering", "reconnection.backoff")
    ),
    _client(
        "opens-one-each",
        "shared_connection",
        ("sharing.one_connection",),
        ("limits.exact", "limits.slot_freed", "delivery.every_stream", LOST, "reconnection.no_hammering"),
    ),
)

# These keep a scenario waiting for a stream, an event or a socket until its patience ends: theirs are the longest runs.
STALLING: Final = frozenset(
    {
        "accepts-expired-token-on-resume", "bare-lf", "buffers-2s", "connects-twice", "ends-healthy-streams",
        "kill-switch-keeps-slots", "late-headers", "late-headers-on-resume", "limit-one-too-few",
        "never-closes-sockets", "never-frees-slot", "refuses-one-user", "sends-ids-raw", "serves-one-stream",
    }
)  # fmt: skip
