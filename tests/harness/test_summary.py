"""Full records and their summary give the same accounts and the same verdicts."""

import importlib.util
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import checks, judgement, ledger
from harness.check import REGISTRY, Outcome, judge
from harness.defects import DEFECTS
from harness.history import History, Record
from harness.simulate import PLOTS, clean, play
from harness.summary import KEPT, REMEMBERED, Summary
from harness.target import Promises

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)
checks.load()
PLAYED = sorted({(one.scenario, one.name) for one in DEFECTS if one.scenario in PLOTS})
SHARES = (0.0, 0.02, 1.0)  # how often an interval ends: never before the end, now and then, after each record


def summarised(history, rng, share=0.02):
    summary, kept = Summary(Promises.of(history.header)), []
    for record in history:
        kept += summary.feed(record)
        if rng.random() < share:
            kept += summary.flush()
    first, *rest = [*kept, *summary.flush()]
    return History((first, *sorted(rest, key=lambda one: one.t)), history.header)


def outcomes(history):
    return {one.check: one.outcome.name for one in judge(history)}


def assert_same(full, rng):
    told, counted = outcomes(full), judgement.accounts(full)
    for share in SHARES:
        short = summarised(full, rng, share)
        assert outcomes(short) == told, f"an interval ends with probability {share}"
        assert judgement.accounts(short) == counted
        assert sum(n for _, n in judgement.series(short)["deliveries per second"]) == len(full.of("sub.event"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(planted.PLANTS))
def test_a_summary_of_a_planted_history_is_judged_like_the_full_records(name):
    full = planted.PLANTS[name].history(Random(7))
    assert outcomes(full)[name] == "FAIL"
    assert_same(full, Random(7))


@pytest.mark.slow
@pytest.mark.parametrize("plot, defect", PLAYED)
def test_a_summary_of_what_a_defect_did_is_judged_like_the_full_records(plot, defect):
    assert_same(play(plot, Random(2), defects=(defect,)), Random(2))


# 24: a run whose streams break between two heartbeats while two channels are under way
@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(6), 24])
def test_a_summary_of_a_clean_run_is_judged_like_the_full_records(seed):
    full = clean(Random(seed))
    told = outcomes(full)
    for share in SHARES:
        short = outcomes(summarised(full, Random(seed), share))
        # A foreign server does not say which ids it gives, and a summary does not keep them.
        assert {name for name in told if short[name] != told[name]} <= {"replay.ids_unique"}
        assert "FAIL" not in short.values()


def test_ids_that_a_summary_does_not_keep_are_no_evidence():
    full = play("restart_crash", Random(1), defects=("reuses-ids-after-restart",), foreign=True)
    assert outcomes(full)["replay.ids_unique"] == "FAIL"
    assert outcomes(summarised(full, Random(1)))["replay.ids_unique"] == "SKIP"


class Life:
    """One subscriber's life in records, as a list of steps tells it; everybody keeps the law."""

    def __init__(self):
        self.now, self.rows, self.seqs, self.number, self.attempt, self.last = 1.0, [], {}, 0, 0, None
        self.note("sub.start", sub="s", user="u", options={})
        self.open()

    def note(self, kind, **data):
        self.rows.append(Record(self.now, kind, data, "run"))

    def open(self):
        self.note("sub.attempt", sub="s", attempt=self.attempt, last_event_id=self.last)
        self.now += 0.01
        self.note("sub.open", sub="s", attempt=self.attempt)

    def take(self, step):
        match step:
            case "all" | "own":
                self.publish("all" if step == "all" else "user:u")
            case "comment":
                self.note("sub.comment", sub="s", attempt=self.attempt)
            case "drop":
                self.drop()
            case _:
                self.now = round(self.now + step, 6)

    def publish(self, channel):
        self.number += 1
        seq = self.seqs[channel] = self.seqs.get(channel, 0) + 1
        told = {"channel": channel, "owner": None if channel == "all" else "u", "epoch": "e", "seq": seq}
        told |= {"id": f"e-{self.number}", "type": "m", "at": self.now, "digest": f"{self.number:x}"}
        self.note("published", **told)
        self.note("sub.event", sub="s", attempt=self.attempt, intact=True, **told)
        self.last = told["id"]

    def drop(self):
        said = {"sub": "s", "attempt": self.attempt, "reason": "end of stream"}
        self.note("sub.end", **said)
        self.note("sub.error", **said)
        self.note("sub.wait", **said, delay=0.5)
        self.now = round(self.now + 0.5, 6)
        self.attempt += 1
        self.open()


@pytest.mark.slow
@given(st.lists(st.sampled_from(["all", "own", "comment", "drop", 0.001, 0.3, 0.8]), max_size=25))
def test_whatever_the_order_of_events_comments_and_reconnects_a_summary_keeps_it(steps):
    life = Life()
    for step in steps:
        life.take(step)
    life.note("sub.close", sub="s")
    header = {"promises": {"heartbeat": 0.5, "max_latency": 0.1}, "client": {"capabilities": ["comments"]}}
    lags = [Record(float(t), "lag", {"worst": 0.001}, "run") for t in range(int(life.now) + 2)]
    first = Record(0.0, "history", header, "run")
    full = History((first, *sorted([*life.rows, *lags], key=lambda one: one.t)), header)
    assert outcomes(full)["reconnection.last_event_id"] in ("PASS", "SKIP")
    assert_same(full, Random(0))


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


@pytest.mark.parametrize(
    "fate, channel, more",
    [("torn", "all", {"intact": False}), ("cross-user", "?", {"owner": "v", "channel": "user:v"})],
)
def test_anomalies_beyond_the_first_thousand_are_counted(fate, channel, more):
    summary = Summary(Promises())
    summary.feed(Record(0.0, "sub.start", {"sub": "s", "user": "u", "options": {}}))
    written = [one for n in range(KEPT + 5) for one in summary.feed(event(n / 1000, n + 1, **more))]
    assert len(written) == KEPT
    [told] = summary.flush()
    assert (told.kind, told.data) == ("untold", {"sub": "s", "channel": channel, "fate": fate, "count": 5})
    assert summary.flush() == []
    history = History((*written, told), {})
    assert (ledger.count(history, fate), ledger.of(history).deliveries) == (KEPT + 5, KEPT + 5)
    [account] = judgement.accounts(history)
    assert (account.channel, getattr(account, fate.replace("-", "_"))) == (judgement.OTHERS, KEPT + 5)


def test_other_records_pass_and_a_comment_counts_as_a_sign_of_life():
    summary = Summary(Promises(max_latency=1.0))
    lag = Record(0.0, "lag", {"worst": 0.0})
    assert summary.feed(lag) == [lag]
    assert summary.feed(event(1.0, 1)) == []
    comment = Record(1.4, "sub.comment", {"sub": "s", "attempt": 0})
    assert summary.feed(comment) == [comment]
    assert summary.feed(event(1.8, 2)) == []
    [run] = summary.flush()
    assert (run["first"], run["last"], run["since"], run.t) == (1, 2, 1.0, 1.8)
    assert [one.kind for one in summary.feed(event(5.0, 3, at=3.0))] == ["sub.event"]


def test_a_silence_ends_the_runs_before_it():
    summary = Summary(Promises(heartbeat=2.0))
    assert summary.feed(event(1.0, 1)) == summary.feed(event(2.0, 2)) == []
    [run] = summary.feed(event(3.1, 3))
    assert (run["first"], run["last"], run.t) == (1, 2, 2.0)
    comment = Record(4.2, "sub.comment", {"sub": "s", "attempt": 0})
    assert [one.kind for one in summary.feed(comment)] == ["sub.run", "sub.comment"]


def test_events_of_one_moment_keep_their_order():
    summary = Summary(Promises())
    for channel, seq, id in (("all", 1, "e-1"), ("user:s", 1, "e-2"), ("all", 2, "e-3")):
        assert summary.feed(event(1.0, seq, channel=channel, id=id)) == []
    assert [one["id"] for one in summary.flush()] == ["e-2", "e-3"]


def test_what_was_polled_is_told_in_full():
    summary = Summary(Promises())
    assert summary.feed(event(1.0, 1)) == []
    assert [one.kind for one in summary.feed(event(1.1, 2, via="poll"))] == ["sub.run", "sub.event"]
    assert summary.feed(event(1.2, 3)) == []
    assert [one["first"] for one in summary.flush()] == [3]


SCHEMA = {"message": {"type": "object", "properties": {"body": {"type": "object"}}}}


def test_what_breaks_its_schema_is_told_in_full_and_beyond_the_first_thousand_counted():
    summary, header = Summary(Promises(schemas=SCHEMA)), {"promises": {"schemas": SCHEMA}}
    told = [event(n / 1000, n + 1, body={} if n < 10 else 5, digest=f"d{n}") for n in range(KEPT + 20)]
    written = [one for record in told for one in summary.feed(record)]
    history = History((Record(0.0, "history", header), *written, *summary.flush()), header)
    assert len(history.of("sub.event")) == KEPT
    [verdict] = judge(history, [REGISTRY["schema.valid"]])
    assert (verdict.outcome, verdict.actual) == (Outcome.FAIL, f"{KEPT + 10} of {KEPT + 20} are not")


def test_the_schema_of_a_payload_is_judged_once(monkeypatch):
    summary, asked = Summary(Promises(schemas=SCHEMA)), []
    monkeypatch.setattr(summary._schemas, "breach", lambda record: asked.append(record["seq"]) or "")
    for n in range(REMEMBERED + 2):
        summary.feed(event(n / 1e6, n + 1, digest=f"d{n}"))
        summary.feed(event(n / 1e6, n + 1, digest=f"d{n}", sub="other"))
    assert len(asked) == REMEMBERED + 2
    [run, _] = summary.flush()
    assert (run["valid"], run["invalid"]) == (REMEMBERED + 2, 0)


def test_a_payload_with_more_in_it_than_its_digest_covers_is_judged_by_its_text():
    schemas = {"message": {"type": "object", "properties": {"password": False}}}
    summary = Summary(Promises(schemas=schemas))
    assert summary.feed(event(1.0, 1)) == []
    assert [one.kind for one in summary.feed(event(1.1, 2, data='{"password": 1}'))] == ["sub.run", "sub.event"]
    assert summary.feed(event(1.2, 3)) == []


def test_with_a_schema_that_cannot_be_used_an_event_is_told_for_the_check_to_stumble_over():
    schemas = {"message": {"$ref": "nowhere.json"}}
    summary, header = Summary(Promises(schemas=schemas)), {"promises": {"schemas": schemas}}
    history = History((Record(0.0, "history", header), *summary.feed(event(1.0, 1))), header)
    [verdict] = judge(history, [REGISTRY["schema.valid"]])
    assert verdict.outcome is Outcome.UNKNOWN


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
