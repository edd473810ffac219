"""Replay: what a server makes of the Last-Event-ID that a client comes back with, and of ids as such."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from harness import attempts, declared, ledger
from harness.attempts import Attempt, Life
from harness.check import Finding, check, failed, passed, skipped, waived, weighed
from harness.history import History, Record
from harness.ledger import DROPPED
from harness.published import Publication
from harness.scenario import MOST_REPLAY
from harness.timing import disturbed, quiet, scripted, too_late

HEARTBEATS = frozenset({"heartbeat", "ping", "keepalive", "keep-alive"})
BEGINNING = 1.0  # seconds in which a new stream may say that what was before it is incomplete
TOGETHER = 0.001  # seconds within which records of one block are written
_SETS_ID = ("sub.event", "sub.id", "sub.run")
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
    if not judged and promises.replay_events >= MOST_REPLAY:
        return waived(f"the target promises to replay {promises.replay_events} events: no run publishes so many")
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


def _missing(history: History, one: Resume, fates: tuple[str, ...] = ("lost", "unseen", "announced")) -> int:
    """How many of the subscriber's events between the last event ID and this request it never dispatched."""
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
    judged, wrong = 0, []
    for one in resumes(history):
        until = one.attempt.t_open or one.attempt.t_request
        if _restarted(history, one.last.t, until) or scripted(history, until):
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


@check("replay.no_reset_in_between", "QA-1", "SRV-5", subject="server")
def no_reset_in_between(history: History) -> Finding:
    """A stream that nothing disturbs brings no reset once it has begun: to own up to a loss there is to have lost."""
    name = declared.of(history).promises.reset_event
    if name is None:
        return waived("the target promises no reset event")
    judged, found = 0, []
    for one in attempts.streams(history):
        opened = one.t_open or one.t_request
        begun, end = opened + BEGINNING, min(t for t in (one.t_last, history.end) if t is not None)
        if end <= begun or not quiet(history, opened, begun):
            continue
        judged += 1
        for record in one.seen:
            late = record.kind == "sub.event" and record["type"] == name and record.t > begun
            if late and quiet(history, opened, record.t) and not scripted(history, record.t):
                text = f"{one.sub} attempt {one.number}: {name} at {record.t:.6f}, open since {opened:.6f}"
                found.append((too_late(history, record.t - begun, opened, record.t), text))
    if not judged:
        return skipped("no stream was undisturbed for long enough")
    return weighed(
        found, f"no {name} on a stream that nothing disturbs", fails="{n} resets in between",
        passes=f"none on {judged} streams", streams=judged,
    )  # fmt: skip


def _restarted(history: History, t0: float, t1: float) -> bool:
    """Whether the server was restarted in between, as it or the run says (a foreign server writes no records)."""
    own = [record.t for record in history.of("server.start", "server.stop")]
    return any(t0 <= t <= t1 for t in (*own, *(t for t, _ in _restarts(history))))


def _restarts(history: History) -> list[tuple[float, str]]:
    """When the run restarted the server, and how."""
    steps = (one for one in history.of("step") if str(one["step"]).lower().startswith("restart"))
    return [(one.t, str(one.get("how", ""))) for one in steps]


@check("replay.survives_restart", "QA-2", subject="server")
def survives_restart(history: History) -> Finding:
    """A server that promises so replays after a graceful restart what it could replay before."""
    promises = declared.of(history).promises
    if not promises.restart_keeps_replay or promises.replay_events is None:
        return waived("the target promises no replay over a graceful restart")
    judged, wrong = 0, []
    for one in resumes(history):
        until = one.attempt.t_open or one.attempt.t_request
        over = {how for t, how in _restarts(history) if one.last.t <= t <= until}
        behind = _behind(history, one.last, until)
        if over != {"graceful"} or scripted(history, until) or behind >= promises.replay_events:
            continue
        judged += 1
        told = None if promises.reset_event is None else _reset(one.attempt, promises.reset_event)
        missing = _missing(history, one, ("lost", "announced"))
        if told is not None or missing:
            how = "nothing said" if told is None else f"{promises.reset_event} at {told.t:.6f}"
            wrong.append(f"{one}: {how}, {missing} of the events before it never came")
    if not judged:
        return skipped("nobody resumed over a graceful restart with an id within the replay buffer")
    expected = "a resume over a graceful restart goes on where it was"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} did not", wrong, reconnects=judged)
    return passed(expected, f"{judged} resumes", (), reconnects=judged)


@check("replay.ids_unique", "QA-2", "SRV-6", subject="server")
def ids_unique(history: History) -> Finding:
    """An id names one event and never another, not even after a restart."""
    digests: dict[str, set[str]] = defaultdict(set)
    for record in history.of("published"):
        if record["id"]:
            digests[str(record["id"])].add(str(record["digest"]))
    wrong = [f"id {id!r} was given to {len(many)} events" for id, many in digests.items() if len(many) > 1]
    judged, carried = len(digests), _carried(history)
    for life in attempts.lives(history).values():
        count, bad = _ids_of(life, carried)
        judged += count
        wrong += bad
    expected = "each id names one event"
    if wrong:
        return failed(expected, f"{len(wrong)} ids name several", wrong)
    if not judged and declared.of(history).promises.replay_events is None:
        return waived("the target promises no replay, and no event had an id")
    if not judged:
        return skipped("no event had an id")
    if not digests and history.of("sub.run"):
        return skipped("the ids of the events in a summary are not known")
    return passed(expected, f"{judged} ids", (), ids=judged)


def _carried(history: History) -> set[tuple[str, object]]:
    """The ids that events brought themselves for certain, with the digests of these events: ids that were new to some
    subscriber.  Only of a client that tells of everything which sets an id is that known."""
    if not declared.of(history).can("comments"):
        return set()
    lives = attempts.lives(history).values()
    return {(id, record.get("digest")) for life in lives for record, id, before in _ids(life) if id != before}


def _ids(life: Life) -> Iterator[tuple[Record, str, str]]:
    """Each event of a subscriber with its id, and the last event ID before it."""
    before = ""
    for one in life.attempts:
        before = one.header or before
        for record in (record for record in one.seen if record.kind in _SETS_ID):
            if record.kind == "sub.event":
                yield record, str(record["id"]), before
            before = str(record["id"])


def _ids_of(life: Life, carried: set[tuple[str, object]]) -> tuple[int, list[str]]:
    """How many ids one subscriber saw, and those that came back with another payload.

    An event without an id has that of the event before it: the same id twice in a row proves nothing, unless the
    second event brought it to somebody else as well.
    """
    payloads: dict[str, object] = {}
    wrong = []
    for record, id, before in _ids(life):
        digest = record.get("digest")
        own = id != before or (id, digest) in carried
        if id and own and digest is not None and payloads.setdefault(id, digest) != digest:
            wrong.append(f"{life.sub}: id {id!r} came back at {record.t:.6f} with another event")
    return len(payloads), wrong


@check("replay.no_id_on_control", "QA-2", "SRV-7", subject="server")
def no_id_on_control(history: History) -> Finding:
    """Control and heartbeat frames carry no id: they must not move the place from which a resume goes on."""
    return _no_id(history, heartbeats_only=False)


@check("heartbeat.no_id", "PM-1", "SRV-7", subject="server")
def heartbeat_no_id(history: History) -> Finding:
    """A heartbeat carries no id."""
    return _no_id(history, heartbeats_only=True)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A control or heartbeat frame, or an id-only block; `own`: the id that it set, if it set another one."""

    record: Record
    own: str


def _no_id(history: History, *, heartbeats_only: bool) -> Finding:
    reset = declared.of(history).promises.reset_event
    types = HEARTBEATS if heartbeats_only else HEARTBEATS | {DROPPED, reset or DROPPED}
    frames = moved = resumed = 0
    wrong = []
    for life in attempts.lives(history).values():
        for one, following in zip_longest(life.attempts, life.attempts[1:]):
            found = [*_frames(history, one, types, heartbeats_only=heartbeats_only)]
            frames, moved = frames + len(found), moved + sum(bool(frame.own) for frame in found)
            if not found or following is None or following.t_open is None or not following.header:
                continue
            last = _last(one, found)
            harm = _harm(history, life, last, following) if last is not None and following.header == last.own else ""
            resumed += harm is not None
            wrong += [f"{life.sub}: {_named(last)}, and the resume from it {harm}"] if harm and last else []
    expected = "no id on " + ("heartbeats" if heartbeats_only else "control and heartbeat frames")
    expected += ", unless a resume from it loses nothing"
    if wrong:
        return failed(expected, f"{len(wrong)} led a resume astray", wrong)
    if moved and not resumed:
        return skipped(f"{moved} frames had an id of their own, and nobody resumed after one")
    if not frames:
        return skipped("no control or heartbeat frame was seen")
    return passed(expected, f"{frames} frames, {moved} with an id of their own", (), frames=frames)


def _named(frame: _Frame) -> str:
    return f"{frame.record.get('type', 'a block without data')} set id {frame.own!r} at {frame.record.t:.6f}"


def _frames(history: History, one: Attempt, types: frozenset[str], *, heartbeats_only: bool) -> Iterator[_Frame]:
    """The frames of one stream that are no events of the product's, up to when its server broke it on purpose."""
    end = disturbed(history, one.t_request, one.told_end or history.end)
    last, before = one.header or "", None
    for record in one.seen:
        id = str(record.get("id") or "")
        alone = record.kind == "sub.id" and (not heartbeats_only or _beat_with(before, record))
        control = record.kind == "sub.event" and record["type"] in types and record.get("channel") is None
        if (alone or control or record.kind == "sub.comment") and record.t <= end and not scripted(history, record.t):
            yield _Frame(record, id if (alone or control) and id != last else "")
        last, before = id or last, record


def _beat_with(before: Record | None, record: Record) -> bool:
    """Whether an id without data came in the same block as a comment, as a heartbeat with an id does."""
    return before is not None and before.kind == "sub.comment" and record.t - before.t <= TOGETHER


def _last(one: Attempt, frames: list[_Frame]) -> _Frame | None:
    """The frame from whose id the next attempt goes on, if there is one."""
    setting = [record for record in one.seen if record.kind in _SETS_ID and record["id"]]
    owning = [frame for frame in frames if frame.own]
    if not owning or not setting or setting[-1]["id"] != owning[-1].own:
        return None
    return owning[-1]


def _harm(history: History, life: Life, frame: _Frame, resumed: Attempt) -> str | None:
    """What came of a resume from a frame's id: "" if all was well, None if it cannot be told."""
    t, until, promises = frame.record.t, resumed.t_open, declared.of(history).promises
    if until is None or scripted(history, until) or _restarted(history, t, until):
        return None
    since = [one for one in ledger.of(history).published.by_name.values() if t < one.done and one.t <= until]
    within = promises.replay_events is not None and len(since) < promises.replay_events
    if within and promises.reset_event is not None and _reset(resumed, promises.reset_event) is not None:
        return f"was answered with {promises.reset_event}"
    told = (one for one in ledger.settled(history)[1] if one.sub == life.sub and one.fate == "lost")
    lost = sum(t < one.t <= resumed.t_request for one in told)
    return f"lost {lost} events" if lost else ""
