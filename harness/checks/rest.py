"""The stream's REST twins: what the flag must not change."""

from collections import defaultdict
from dataclasses import dataclass, field

from harness.check import Finding, check, failed, passed, skipped, unknown
from harness.checks.flag import Stage, stages
from harness.history import History, Record
from harness.testevent import ALL, channel_of


@dataclass(slots=True)
class _Calm:
    """Answers of one twin to one user between which nothing was published to him: digests by state of the flag."""

    user: str
    twin: str
    last: float
    digests: dict[bool, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def restless(self) -> bool:
        """Whether the twin's answers differ of themselves."""
        return any(len(one) > 1 for one in self.digests.values())


@check("rest.same_bytes", "REG-1", subject="server")
def same_bytes(history: History) -> Finding:
    """The same user gets the same bytes from REST with the flag on and off, as long as nothing is published."""
    calm = _calm(history)
    both = [one for one in calm if len(one.digests) == 2 and not one.restless]
    wrong = [
        f"{one.twin} of user {one.user}: {min(one.digests[True])} with the flag on, {min(one.digests[False])} without"
        for one in both
        if one.digests[True] != one.digests[False]
    ]
    expected = "the same answers with the flag on and off"
    users = len({one.user for one in both})
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(both)} differ", wrong, users=users)
    if any(one.restless for one in calm):
        return unknown(expected, "the answers differ also where nothing has changed")
    if not both:
        return skipped("no user was asked for with the flag on and off while nothing was published")
    return passed(expected, f"{len(both)} pairs of answers", (), users=users)


def _calm(history: History) -> list[_Calm]:
    current: dict[tuple[str, str], _Calm] = {}
    found = []
    for one in history.of("probe.rest"):
        if one["status"] is None or (state := _state(history, one)) is None:
            continue
        name = str(one["user"]), str(one["twin"])
        if name not in current or _changed(history, name[0], current[name].last, one.t):
            current[name] = _Calm(*name, last=one["began"])
            found.append(current[name])
        current[name].digests[state].add(str(one["digest"]))
        current[name].last = one["began"]
    return found


def _state(history: History, probe: Record) -> bool | None:
    """Whether the flag was on for the user when a twin was asked; None where that cannot be told."""
    for stage in stages(history):
        if stage.settled <= probe["began"] and probe.t <= stage.end:
            return _on(stage, str(probe["user"]))
    return None


def _on(stage: Stage, user: str) -> bool | None:
    if stage.percent in (0, 100):
        return stage.percent == 100
    given = stage.answers.get(user, [])
    return given[0] if given and stage.steady else None


def _changed(history: History, user: str, t0: float, t1: float) -> bool:
    """Whether anything that this user's answers may show was published, or the server restarted, in that time."""
    channels = (ALL, channel_of(user))
    told = (one for one in history.of("published") if one["channel"] in channels)
    spans = [(one.t, float(one.get("done", one.t))) for one in told]
    spans += [(one.t, one.t) for one in history.of("server.start", "server.stop")]
    return any(begin <= t1 and end >= t0 for begin, end in spans)
