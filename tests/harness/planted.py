"""Planted histories: for every check a history that makes it FAIL, and the table of defects that they come from.

A plant is a plot of the simulated world, with a defect switched on or with its records changed afterwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from harness import testevent
from harness.history import History, Record
from harness.simulate import play

Change = Callable[[list[Record]], list[Record]]


@dataclass(frozen=True, slots=True)
class Plant:
    """How a check is made to FAIL: the plot, the defect, and a change of the records."""

    plot: str
    defects: tuple[str, ...] = ()
    change: Change = lambda records: records
    client: tuple[str, ...] | None = None

    def history(self, rng: Random) -> History:
        made = play(self.plot, rng, defects=self.defects)
        header = dict(made.header)
        if self.client is not None:
            header["client"] = {**header["client"], "capabilities": list(self.client)}
        first, *rest = self.change(list(made.records))
        return History((replace(first, data=header), *sorted(rest, key=lambda one: one.t)), header)


def with_data(record: Record, **data: object) -> Record:
    return replace(record, data={**record.data, **data})


def _phantom(records: list[Record]) -> list[Record]:
    """An event nobody published appears behind a real one."""
    at = next(i for i, one in enumerate(records) if one.kind == "sub.event" and one.get("channel") == "all")
    payload = testevent.make(None, epoch="e0", seq=999, at=0.0, body={})
    ghost = with_data(records[at], **payload, id="e0-999", intact=True)
    return [*records[: at + 1], ghost, *records[at + 1 :]]


def _swapped(records: list[Record]) -> list[Record]:
    """Two events of one channel change places."""
    events = [i for i, one in enumerate(records) if one.kind == "sub.event" and one.get("channel") == "all"]
    first = events[0]
    second = next(i for i in events[1:] if records[i]["sub"] == records[first]["sub"])
    records[first], records[second] = (
        replace(records[second], t=records[first].t),
        replace(records[first], t=records[second].t),
    )
    return records


def _late_head(records: list[Record]) -> list[Record]:
    """The first response comes three seconds after its request."""
    at = next(i for i, one in enumerate(records) if one.kind == "sub.attempt")
    records[at] = replace(records[at], t=records[at].t - 3.0)
    lags = [Record(records[at].t + n, "lag", {"worst": 0.001}, "run") for n in range(5)]
    return [replace(records[0], t=records[at].t - 1), *records[1:], *lags]


def _never_returns(records: list[Record]) -> list[Record]:
    """A client gives up when its stream ends."""
    end = next(one for one in records if one.kind == "sub.end")
    kept = [one for one in records if one.t <= end.t or one.get("sub") != end["sub"]]
    return [*kept, Record(end.t + 0.001, "sub.closed", {"sub": end["sub"], "reason": "gave up"}, "run")]


def _asks_for_json(records: list[Record]) -> list[Record]:
    """Clients ask for something else than a stream."""
    return [
        with_data(one, headers={**one["headers"], "accept": "application/json"}) if one.kind == "conn.request" else one
        for one in records
    ]


def _second_streams(records: list[Record]) -> list[Record]:
    """Each request of a client comes twice, and both are given a stream that lasts to the end."""
    kinds, end = ("conn.request", "conn.response"), records[-1].t
    twins = [replace(one, data={**one.data, "conn": f"{one['conn']}b"}) for one in records if one.kind in kinds]
    ends = {"by": "client", "how": "fin", "bytes": 0}
    over = [
        replace(one, t=end, kind="conn.end", data={"conn": one["conn"], **ends})
        for one in twins
        if one.kind == "conn.request"
    ]
    return [*records, *twins, *over]


def _without_pause(records: list[Record]) -> list[Record]:
    """A client asks twenty times within a tenth of a second."""
    last = records[-1].t
    said = {"sub": "u0-0", "last_event_id": None}
    return [*records, *(Record(last + n / 200, "sub.attempt", {**said, "attempt": 50 + n}, "run") for n in range(20))]


def _left_behind(**counts: int) -> Change:
    def change(records: list[Record]) -> list[Record]:
        return [
            with_data(one, **{name: one[name] + more for name, more in counts.items()})
            if one.kind in ("meter", "server.stats") and one["label"] == "after" and set(counts) <= set(one.data)
            else one
            for one in records
        ]

    return change


# check -> how to make it FAIL; a check that is not here fails the test of the table
PLANTS: dict[str, Plant] = {
    "admission.resume": Plant("drop_fin", ("refuses-resumes",)),
    "admission.valid_token": Plant("isolation", ("refuses-one-user",)),
    "cleanup.client_sockets": Plant("churn", ("never-closes-sockets",)),
    "cleanup.descriptors": Plant("churn", change=_left_behind(descriptors=2)),
    "cleanup.ends": Plant("two_streams", ("hangs-in-close",)),
    "cleanup.memory": Plant("churn", ("leaks-memory",)),
    "cleanup.server_slots": Plant("churn", change=_left_behind(slots=1)),
    "cleanup.silent_after_close": Plant("two_streams", ("goes-on-after-close",)),
    "cleanup.tasks": Plant("churn", change=_left_behind(tasks=1)),
    "delivery.every_stream": Plant("two_streams", ("serves-one-stream",)),
    "delivery.in_order": Plant("steady", change=_swapped),
    "delivery.no_phantom": Plant("steady", change=_phantom),
    "delivery.nothing_lost": Plant("drop_fin", ("ignores-last-event-id",)),
    "delivery.nothing_twice": Plant("drop_fin", ("replays-twice",)),
    "delivery.untorn": Plant("cut_inside_event", ("dispatches-at-eof",)),
    "flag.binomial": Plant("rollout", ("flag-wrong-share",)),
    "flag.gates": Plant("kill_switch", ("ignores-flag",)),
    "flag.kill_switch": Plant("kill_switch", ("ignores-kill-switch",)),
    "flag.monotone": Plant("rollout", ("flag-not-monotone",)),
    "flag.no_client_loop": Plant("kill_switch", ("hammers",)),
    "flag.sticky": Plant("rollout", ("flag-not-sticky",)),
    "heartbeat.cadence": Plant("steady", ("no-heartbeat",)),
    "heartbeat.deadline": Plant("silent_stall", ("ignores-silence",)),
    "heartbeat.patience": Plant("steady", ("ends-healthy-streams",)),
    "heartbeat.no_id": Plant("drop_idle", ("heartbeat-with-id",)),
    "lag.live": Plant("steady", ("buffers-2s",)),
    "limits.exact": Plant("per_user_limit", ("limit-one-too-many",)),
    "limits.slot_freed": Plant("per_user_limit", ("never-frees-slot",)),
    "reconnection.credentials": Plant("drop_fin", ("forgets-token",)),
    "reconnection.refreshes_token": Plant("token_expiry", ("keeps-expired-token",)),
    "reconnection.backoff": Plant("refuse", ("no-backoff",)),
    "reconnection.happens": Plant("drop_fin", change=_never_returns),
    "reconnection.jitter": Plant("refuse", ("no-jitter",)),
    "reconnection.last_event_id": Plant("drop_fin", ("forgets-id",)),
    "reconnection.no_hammering": Plant("drop_fin", change=_without_pause),
    "reconnection.not_too_early": Plant("drop_fin", ("ignores-retry",)),
    "reconnection.retry_after": Plant("per_user_limit", ("ignores-retry-after",)),
    "reconnection.stops_on_204": Plant("kill_switch", ("reconnects-after-204",)),
    "reconnection.stops_on_refusal": Plant("token_required", ("comes-back-after-refusal",)),
    "reconnection.survives": Plant("steady", ("crashes",)),
    "replay.ids_unique": Plant("restart_crash", ("reuses-ids-after-restart",)),
    "replay.no_id_on_control": Plant("drop_idle", ("heartbeat-with-id",)),
    "replay.no_reset_in_between": Plant("steady", ("resets-in-between",)),
    "replay.no_needless_reset": Plant("drop_fin", ("resets-needlessly",)),
    "replay.reset_when_too_old": Plant("resume_beyond_buffer", ("silent-loss-when-too-old",)),
    "replay.strictly_after": Plant("drop_fin", ("replays-one-too-many",)),
    "replay.survives_restart": Plant("restart_graceful", ("forgets-on-graceful-restart",)),
    "request.for_a_stream": Plant("steady", change=_asks_for_json),
    "response.not_cached": Plant("steady", ("cacheable",)),
    "response.prompt": Plant("steady", change=_late_head),
    "response.stream_head": Plant("steady", ("wrong-content-type",)),
    "rest.same_bytes": Plant("rollout", ("rest-twin-differs",)),
    "rollback.error_rate": Plant("rollback", ("errors-after-rollback",)),
    "rollback.falls_back": Plant("rollback", ("no-polling-fallback",)),
    "rollback.state_cleared": Plant("rollback", ("keeps-cached-state",)),
    "schema.valid": Plant("steady", ("breaks-schema",)),
    "security.framing": Plant("steady", ("nul-in-id",)),
    "security.own_events": Plant("isolation", ("leaks-to-other-user",)),
    "security.token_expiry": Plant("token_expiry", ("accepts-expired-token",)),
    "security.token_required": Plant("token_required", ("accepts-no-token",)),
    "signals.error": Plant("drop_fin", ("hides-errors",)),
    "signals.nothing_invented": Plant("steady", ("dispatches-comments",)),
    "sharing.one_at_a_time": Plant("steady", change=_second_streams),
    "sharing.one_connection": Plant("shared_connection", ("opens-one-each",)),
}


def history(records: Sequence[tuple[float, str, dict[str, object]]], **header: object) -> History:
    """A history from scratch: (t, kind, data) rows, all of one process, with this header."""
    first = Record(records[0][0] if records else 0.0, "history", header, "run")
    return History((first, *(Record(t, kind, data, "run") for t, kind, data in records)), header)
