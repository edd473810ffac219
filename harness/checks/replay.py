"""Replay: what a server makes of the Last-Event-ID that a client comes back with, and of ids as such."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from harness import attempts, declared, ledger
from harness.attempts import Attempt, Life
from harness.check import Finding, check, failed, passed, skipped, waived
from harness.history import History, Record
from harness.ledger import DROPPED
from harness.published import Publication
from harness.timing import disturbed, scripted

HEARTBEATS = frozenset({"heartbeat", "ping", "keepalive", "keep-alive"})
Name = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Resume:
    """An accepted attempt with a Last-Event-ID: the event that the id belongs to, and what had been dispatched."""

    life: Life
    attempt: Attempt
    last: Publication
    before: frozenset[Name]

    def __str__(self) -> str:
        return f"{self.life.sub} attempt {self.attempt.number} with Last-Event-ID {self.attempt.header!r}"


def resumes(history: History) -> list[Resume]:
    """All accepted resumes whose Last-Event-ID is that of an event which was published."""
    return history.memo("replay.resumes", lambda one: [*_resumes(one)])


def _resumes(history: History) -> Iterator[Resume]:
    published = ledger.of(history).published
    rows = published.by_channel.values()
    many = Counter(one.id for row in rows for one in row)
    by_id = {one.id: one for row in rows for one in row if one.id and many[one.id] == 1}
    for life in attempts.lives(history).values():
        got: dict[str, Publication] = {}
        before: set[Name] = set()
        for one in life.attempts:
            header = one.header or ""
            last = None if many[header] > 1 else by_id.get(header) or got.get(header)
            if header and one.t_open is not None and last is not None:
                yield Resume(life, one, last, frozenset(before))
            for name, record in names(history, one):
                before.add(name)
                if record["id"] and (event := published.by_name.get(name)) is not None:
                    got[record["id"]] = event


def names(history: History, one: Attempt) -> Iterator[tuple[Name, Record]]:
    """The names of the test events dispatched on an attempt, with their records."""
    published = ledger.of(history).published
    for record in one.seen:
        if record.kind == "sub.event" and record.get("channel") is not None:
            seq = int(record["seq"])
            yield published.name(str(record["epoch"]), record["channel"], seq, record.get("digest")), record
        elif record.kind == "sub.run":
            for seq in range(int(record["first"]), int(record["last"]) + 1):
                yield (str(record["epoch"]), str(record["channel"]), seq), record


@check("replay.strictly_after", "QA-2", "SRV-4", subject="server")
def strictly_after(history: History) -> Finding:
    """A replay begins strictly after the event that the Last-Event-ID names."""
    published, found = ledger.of(history).published, resumes(history)
    wrong = [
        f"{one}: got {name[1]} #{name[2]} again at {record.t:.6f}"
        for one in found
        for name, record in names(history, one.attempt)
        if name in one.before and (event := published.by_name.get(name)) and event.number <= one.last.number
    ]
    if not found:
        return skipped("no resume named an event that was published")
    expected = "nothing up to the last event ID comes again"
    if wrong:
        return failed(expected, f"{len(wrong)} events did", wrong, reconnects=len(found))
    return passed(expected, f"{len(found)} resumes", (), reconnects=len(found))


@check("replay.reset_when_too_old", "QA-2", "SRV-5", subject="server")
def reset_when_too_old(history: History) -> Finding:
    """A resume whose id is older than the replay buffer is answered with an explicit reset."""
    promises = declared.of(history).promises
    if promises.replay_events is None or promises.reset_event is None:
        return waived("the target promises no replay buffer or no reset event")
    judged, wrong = 0, []
    for one in resumes(history):
        if _behind(history, one.last, one.attempt.t_request) <= promises.replay_events:
            continue
        told, gone_on = _reset(one.attempt, promises.reset_event), _went_on(one.attempt)
        judged += told is not None or gone_on
        if told is None and gone_on and (missing := _missing(history, one)):
            wrong.append(f"{one}: no {promises.reset_event}, and {missing} events were never dispatched")
    if not judged:
        return skipped("no resume came with an id older than the replay buffer")
    expected = f"a {promises.reset_event} event when the id is older than {promises.replay_events} events"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} resumes lost events silently", wrong, reconnects=judged)
    return passed(expected, f"{judged} resumes", (), reconnects=judged)


def _behind(history: History, last: Publication, t: float) -> int:
    """How many events, of all channels, had been published after this one by then."""
    rows = ledger.of(history).published.by_channel.values()
    return sum(one.number > last.number and one.done <= t for row in rows for one in row)


def _reset(one: Attempt, type: str) -> Record | None:
    """The reset that this attempt was answered with: one that came before any test event."""
    for record in one.seen:
        if record.kind == "sub.event" and record["type"] == type:
            return record
        if record.kind == "sub.run" or (record.kind == "sub.event" and record.get("channel") is not None):
            return None
    return None


def _went_on(one: Attempt) -> bool:
    """Whether the stream brought a test event, so that a reset would have come by then."""
    return any(record.kind == "sub.run" or record.get("channel") is not None for record in one.seen)


def _missing(history: History, one: Resume) -> int:
    """How many of the subscriber's events between the last event ID and this request it never dispatched."""
    fates = ("lost", "unseen", "announced")
    told = ledger.settled(history)[1]
    published = ledger.of(history).published.by_name
    missing = (published[name] for t in told if t.sub == one.life.sub and t.fate in fates and (name := _name(t)))
    return sum(e.number > one.last.number and e.done <= one.attempt.t_request for e in missing)


def _name(one: ledger.Anomaly) -> Name:
    return one.epoch, one.channel, one.seq


@check("replay.no_needless_reset", "QA-2", subject="server")
def no_needless_reset(history: History) -> Finding:
    """A resume whose id is still in the replay buffer is not answered with a reset."""
    promises = declared.of(history).promises
    if promises.replay_events is None or promises.reset_event is None:
        return waived("the target promises no replay buffer or no reset event")
    starts = [record.t for record in history.of("server.start", "server.stop")]
    judged, wrong = 0, []
    for one in resumes(history):
        until = one.attempt.t_open or one.attempt.t_request
        restarted = any(one.last.t <= t <= until for t in starts)
        if restarted or _restarting(history, one.last.t, until) or scripted(history, until):
            continue
        if _behind(history, one.last, until) < promises.replay_events:
            judged += 1
            if (told := _reset(one.attempt, promises.reset_event)) is not None:
                wrong.append(f"{one}: {promises.reset_event} at {told.t:.6f}")
    if not judged:
        return skipped("no resume came with an id within the replay buffer")
    expected = f"no {promises.reset_event} while the id is among the latest {promises.replay_events} events"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} resumes were reset", wrong, reconnects=judged)
    return passed(expected, f"{judged} resumes", (), reconnects=judged)


def _restarting(history: History, t0: float, t1: float) -> bool:
    """Whether the run restarted the server in between (a foreign server writes no records of its own)."""
    steps = (one for one in history.of("step") if str(one["step"]).lower().startswith("restart"))
    return any(t0 <= one.t <= t1 for one in steps)


@check("replay.ids_unique", "QA-2", "SRV-6", subject="server")
def ids_unique(history: History) -> Finding:
    """An id names one event and never another, not even after a restart."""
    digests: dict[str, set[str]] = defaultdict(set)
    for record in history.of("published"):
        if record["id"]:
            digests[str(record["id"])].add(str(record["digest"]))
    wrong = [f"id {id!r} was given to {len(many)} events" for id, many in digests.items() if len(many) > 1]
    judged = len(digests)
    for life in attempts.lives(history).values():
        count, bad = _ids_of(life)
        judged += count
        wrong += bad
    expected = "each id names one event"
    if wrong:
        return failed(expected, f"{len(wrong)} ids name several", wrong)
    if not judged:
        return skipped("no event had an id")
    if not digests and history.of("sub.run"):
        return skipped("the ids of the events in a summary are not known")
    return passed(expected, f"{judged} ids", (), ids=judged)


def _ids_of(life: Life) -> tuple[int, list[str]]:
    """How many ids one subscriber saw, and those that came back with another payload.

    An event without an id has that of the event before it, so the same id twice in a row proves nothing.
    """
    payloads: dict[str, object] = {}
    previous, wrong = "", []
    for record in (record for one in life.attempts for record in one.seen if record.kind == "sub.event"):
        id, digest = str(record["id"]), record.get("digest")
        if id and id != previous and digest is not None and payloads.setdefault(id, digest) != digest:
            wrong.append(f"{life.sub}: id {id!r} came back at {record.t:.6f} with another event")
        previous = id
    return len(payloads), wrong


@check("replay.no_id_on_control", "QA-2", "SRV-7", subject="server")
def no_id_on_control(history: History) -> Finding:
    """Control and heartbeat frames carry no id: they must not move the place from which a resume goes on."""
    return _no_id(history, heartbeats_only=False)


@check("heartbeat.no_id", "PM-1", "SRV-7", subject="server")
def heartbeat_no_id(history: History) -> Finding:
    """A heartbeat carries no id."""
    return _no_id(history, heartbeats_only=True)


def _no_id(history: History, *, heartbeats_only: bool) -> Finding:
    reset = declared.of(history).promises.reset_event
    types = HEARTBEATS if heartbeats_only else HEARTBEATS | {DROPPED, reset or DROPPED}
    known = {str(one["id"]) for one in history.of("published") if one["id"]}
    judged, wrong = 0, []
    for life in attempts.lives(history).values():
        count, bad = _moved(history, life, known, types)
        judged += count
        wrong += bad
    expected = "no id on " + ("heartbeats" if heartbeats_only else "control and heartbeat frames")
    if wrong:
        return failed(expected, f"{len(wrong)} moved the last event ID", wrong)
    if not judged:
        return skipped("no control or heartbeat frame was seen")
    return passed(expected, f"{judged} frames", (), frames=judged)


def _moved(history: History, life: Life, known: set[str], types: frozenset[str]) -> tuple[int, list[str]]:
    """How many control frames one subscriber saw, and which of them set an id of their own."""
    judged, last, wrong = 0, "", []
    got: set[str] = set()
    for one in life.attempts:
        end = disturbed(history, one.t_request, one.told_end or history.end)
        for record in one.seen:
            judging = record.t <= end and not scripted(history, record.t)
            control = record.kind == "sub.event" and record["type"] in types and record.get("channel") is None
            judged += judging and (control or record.kind in ("sub.comment", "sub.id"))
            id = str(record.get("id") or "")
            own = id in ("", last, one.header) or id in got or id in known
            if judging and (control or record.kind == "sub.id") and not own:
                wrong.append(
                    f"{life.sub}: {record.get('type', 'a block without data')} set id {id!r} at {record.t:.6f}"
                )
            last = id or last
            if record.kind == "sub.event" and not control:
                got.add(id)
    return judged, wrong
