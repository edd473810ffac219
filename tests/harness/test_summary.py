"""Full records and their summary give the same accounts and the same verdicts."""

from random import Random

import pytest

from harness import checks, ledger
from harness.check import REGISTRY, judge
from harness.history import History, Record
from harness.simulate import play
from harness.summary import KEPT, Summary
from harness.target import Promises

checks.load()
# what needs every single event's data or id is judged by the engine as the event comes
PER_EVENT = {"schema.valid", "replay.ids_unique", "security.framing", "signals.no_empty_event"}
CASES = [
    ("steady", ()), ("drop_fin", ()), ("drop_rst", ("replays-twice",)), ("drop_fin", ("ignores-last-event-id",)),
    ("drop_fin", ("replays-one-too-many",)), ("isolation", ("leaks-to-other-user",)), ("steady", ("buffers-2s",)),
    ("steady", ("no-heartbeat",)), ("restart_crash", ()), ("resume_beyond_buffer", ("silent-loss-when-too-old",)),
    ("drop_fin", ("forgets-id",)), ("silent_stall", ()), ("two_streams", ("goes-on-after-close",)),
]  # fmt: skip


def summarised(history, rng):
    summary, kept = Summary(Promises.of(history.header)), []
    for record in history:
        kept += summary.feed(record)
        if rng.random() < 0.02:
            kept += summary.flush()
    first, *rest = [*kept, *summary.flush()]
    return History((first, *sorted(rest, key=lambda one: one.t)), history.header)


@pytest.mark.parametrize("plot, defects", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_summary_is_judged_like_the_full_records(plot, defects, seed):
    full = play(plot, Random(seed), defects=defects)
    short = summarised(full, Random(seed))
    assert ledger.settled(short)[0] == ledger.settled(full)[0]
    chosen = [one for one in REGISTRY.values() if one.name not in PER_EVENT]
    told = {one.check: one.outcome for one in judge(full, chosen)}
    assert {one.check: one.outcome for one in judge(short, chosen)} == told


def test_a_clean_run_shrinks():
    full = play("steady", Random(5))
    runs, events = summarised(full, Random(5)).of("sub.run"), full.of("sub.event")
    assert sum(one["last"] - one["first"] + 1 for one in runs) == len(events)
    assert len(runs) < len(events) / 2


def event(t, seq, **more):
    data = {
        "sub": "s", "attempt": 0, "id": f"e-{seq}", "type": "message", "channel": "all", "owner": None,
        "epoch": "e", "seq": seq, "at": t, "intact": True, "digest": "d", **more,
    }  # fmt: skip
    return Record(t, "sub.event", data, "load")


def test_anomalies_beyond_the_first_thousand_are_counted():
    summary = Summary(Promises())
    written = [one for n in range(KEPT + 5) for one in summary.feed(event(n, 1, intact=False))]
    assert len(written) == KEPT
    assert summary.uncounted == {"torn": 5}


def test_other_records_pass_and_a_comment_counts_as_a_sign_of_life():
    summary = Summary(Promises(max_latency=1.0))
    lag = Record(0.0, "lag", {"worst": 0.0})
    assert summary.feed(lag) == [lag]
    assert summary.feed(event(1.0, 1)) == []
    assert summary.feed(Record(3.5, "sub.comment", {"sub": "s", "attempt": 0})) == []
    assert summary.feed(event(4.0, 2)) == []
    [run] = summary.flush()
    assert (run["first"], run["last"], run["gap"], run["since"], run.t) == (1, 2, 2.5, 1.0, 4.0)
    assert [one.kind for one in summary.feed(event(5.0, 3, at=3.0))] == ["sub.event"]


@pytest.mark.parametrize("late", [True, False])
def test_what_is_no_longer_told_in_full_still_counts_as_delivered(late):
    """Far more late (or unordered) events than are kept: the accounts of the summary are those of the records."""
    number, step = KEPT + 500, 1 if late else 2
    summary = Summary(Promises(max_latency=1.0))
    start = Record(0.0, "sub.start", {"sub": "a", "user": "u", "options": {}})
    records = [start, Record(0.5, "sub.open", {"sub": "a", "attempt": 0})]
    for seq in range(1, number * step + 1, step):
        t = 1.0 + seq
        told = {"channel": "all", "owner": None, "epoch": "e", "seq": seq, "digest": "d", "intact": True}
        records.append(Record(t, "published", {**told, "id": f"e-{seq}", "type": "x", "at": t}))
        got = {"sub": "a", "attempt": 0, "id": f"e-{seq}", "type": "x", "at": t, **told}
        records.append(Record(t + (5.0 if late else 0.1), "sub.event", got))
    records.sort(key=lambda one: one.t)
    written = [one for record in records for one in summary.feed(record)] + summary.flush()
    full, short = (
        ledger.settled(History(tuple(some), {}))[0] for some in (records, sorted(written, key=lambda one: one.t))
    )
    assert short == full
    assert full[0].delivered == number
    assert summary.uncounted.total() > 0
