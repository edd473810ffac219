"""Sharing: that the subscribers of one user which share a connection really have only one."""

from itertools import pairwise

from harness import declared
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown
from harness.history import History
from harness.timing import too_late

NOTICED = 1.0  # seconds within which a server knows of the end of the connection before, where it promises nothing


@check("sharing.one_connection", "PM-2", subject="client")
def one_connection(history: History) -> Finding:
    """Subscribers that share a connection hold one stream of the server's per user, however many they are."""
    users = {str(one["user"]) for one in history.of("sub.start") if (one["options"] or {}).get("shared")}
    if not users:
        return skipped("no subscribers shared a connection")
    streams = _streams(history, users)
    if not streams:
        return skipped("the server's connections were not seen")
    promised = declared.of(history).promises.frees_slot_within
    within = NOTICED if promised is None else promised
    beside = [
        (
            too_late(history, min(end, later_end) - t - within, t, min(end, later_end)),
            f"user {user}: {later} was accepted at {t:.6f} while {earlier} was open",
        )
        for user, of_user in streams.items()
        for (earlier, _, end), (later, t, later_end) in pairwise(of_user)
    ]
    expected, judged = "one open stream per user", sum(map(len, streams.values()))
    worst = max((outcome for outcome, _ in beside), default=Outcome.PASS)
    rows = [text for outcome, text in beside if outcome is worst]
    if worst is Outcome.FAIL:
        return failed(expected, f"{len(rows)} of {judged} were opened beside another", rows)
    if worst is Outcome.UNKNOWN:
        return unknown(expected, "beside another for no longer than our own lag", rows)
    return passed(expected, f"{judged} streams of {len(streams)} users, one at a time", (), streams=judged)


def _streams(history: History, users: set[str]) -> dict[str, list[tuple[str, float, float]]]:
    """Accepted connections by user, in the order of their requests: (name, when accepted, when over)."""
    owners = {one["conn"]: str(one["user"]) for one in history.of("conn.request")}
    ends = {one["conn"]: one.t for one in history.of("conn.end")}
    found: dict[str, list[tuple[str, float, float]]] = {}
    for one in history.of("conn.response"):
        user = owners.get(one["conn"])
        if one["status"] == 200 and user in users:
            found.setdefault(user, []).append((str(one["conn"]), one.t, ends.get(one["conn"], history.end)))
    return found
