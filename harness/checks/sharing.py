"""Sharing: that the subscribers of one user which share a connection have only one, and any other one at a time."""

from collections.abc import Iterator
from itertools import pairwise

from harness import attempts, declared
from harness.attempts import Attempt
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown, weighed
from harness.history import History
from harness.timing import fault_windows, too_late

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
    beside = [
        (
            _beside(history, t, min(end, later_end)),
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


@check("sharing.one_at_a_time", "PM-2", "QA-4", subject="client")
def one_at_a_time(history: History) -> Finding:
    """A subscriber that asks for a stream once is given one: it opens no second one beside it."""
    seen = [one for one in attempts.attempts(history) if one.source == "client" and one.conns]
    if not seen:
        return skipped("nobody saw the connections of a client that tells of its attempts")
    judged = [found for one in seen for found in _second(history, one)]
    return weighed(
        judged, "one stream for each attempt", fails=f"{{n}} of {len(seen)} attempts opened another beside it",
        passes=f"{len(seen)} attempts", attempts=len(seen),
    )  # fmt: skip


def _second(history: History, one: Attempt) -> Iterator[tuple[Outcome, str]]:
    """The streams of one attempt that were open beside one another; where answers are hidden a client may repeat it."""
    streams = [conn for conn in one.conns if conn.status == 200 and conn.t_response is not None]
    for earlier, later in pairwise(streams):
        end = min(history.end if conn.t_end is None else conn.t_end for conn in (earlier, later))
        hidden = any(fault.start <= later.t and fault.end >= earlier.t for fault in fault_windows(history))
        if later.t_response is not None and not hidden:
            text = f"{one.sub} attempt {one.number}: {later.conn} at {later.t:.6f} beside {earlier.conn}"
            yield _beside(history, later.t_response, end), text


def _beside(history: History, begin: float, end: float) -> Outcome:
    """Whether two streams were open beside one another for longer than a server may need to notice an end."""
    promised = declared.of(history).promises.frees_slot_within
    return too_late(history, end - begin - (NOTICED if promised is None else promised), begin, end)


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
