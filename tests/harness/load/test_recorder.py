import json

import pytest

from harness.load.recorder import MOST_REASONS, Outbox, Recorder, Tally
from harness.target import Promises


class Sink:
    def __init__(self):
        self.records = []

    def write(self, kind, *, t=None, **data):
        self.records.append((t, kind, data))

    def close(self):
        pass


def recorder(full):
    return Recorder(Sink(), lambda: 5.0, Promises(max_latency=1.0), 100.0, full=full)


def event(writer, t, seq, **more):
    about = {"sub": "s", "attempt": 0, "id": f"e-{seq}", "type": "metric", "channel": "all", "owner": None}
    writer.write("sub.event", t=t, **about, epoch="e", seq=seq, at=100.0 + t - 0.25, intact=True, digest="d", **more)


def test_the_first_events_are_written_whole_and_the_others_in_runs():
    one = recorder(full=2)
    for seq in range(1, 6):
        event(one, seq / 10, seq)
    one.flush()
    assert [(kind, data.get("seq"), data.get("first"), data.get("last")) for _, kind, data in one.sink.records] == [
        ("sub.event", 1, None, None), ("sub.event", 2, None, None), ("sub.run", None, 3, 5),
    ]  # fmt: skip
    assert one.tally.total.total == 5


def test_what_is_wrong_is_written_whole_at_any_time():
    one = recorder(full=0)
    event(one, 1.0, 1)
    event(one, 1.2, 2, body={})
    one.write("sub.event", t=10.0, sub="s", attempt=0, id="e-9", type="metric", channel="user:x", owner="x", epoch="e",
              seq=9, at=110.0, intact=False, digest="d")  # fmt: skip
    assert [kind for _, kind, _ in one.sink.records] == ["sub.run", "sub.event"]


def test_a_record_without_a_time_gets_the_present_one():
    one = recorder(full=1)
    one.write("sub.close", sub="s")
    assert one.sink.records == [(5.0, "sub.close", {"sub": "s"})]


def test_the_tally_measures_latency_connects_and_gaps():
    tally = Tally()
    tally.note(1.0, "sub.attempt", {"sub": "s", "attempt": 0}, 0.0)
    tally.note(1.5, "sub.open", {"sub": "s"}, 0.0)
    tally.note(2.0, "sub.event", {"sub": "s", "at": 101.75, "intact": True}, 100.0)
    tally.note(2.0, "sub.event", {"sub": "s", "at": 999.0, "intact": True}, 100.0)
    tally.note(2.0, "sub.event", {"sub": "s", "at": -1e308, "intact": False}, 100.0)
    tally.note(3.0, "sub.error", {"sub": "s", "reason": "x" * 999}, 0.0)
    tally.note(4.0, "sub.attempt", {"sub": "s", "attempt": 1}, 0.0)
    tally.note(4.5, "sub.error", {"sub": "s", "reason": "again"}, 0.0)
    tally.note(6.0, "sub.attempt", {"sub": "s", "attempt": 2}, 0.0)
    tally.note(6.5, "sub.open", {"sub": "s"}, 0.0)
    latencies, requests = tally.take()
    assert latencies == [0.25, 0.0]
    assert [(one.name, one.seconds, len(one.error)) for one in requests] == [
        ("connect", 0.5, 0), ("stream", 0.0, 80), ("reconnect", 1.5, 5), ("reconnect", 3.5, 0),
    ]  # fmt: skip
    assert tally.take() == ([], [])


def test_a_peer_cannot_make_the_rows_of_errors_many():
    tally = Tally()
    for number in range(10 * MOST_REASONS):
        tally.note(1.0, "sub.error", {"sub": "s", "reason": f"status {number}"}, 0.0)
    assert len({one.error for one in tally.take()[1]}) == MOST_REASONS + 1


def outbox(**more):
    header = {"role": "load-0", "host": "h", "boot": "b", "pid": 1, "mono": 1.0, "wall": 2.0}
    return Outbox(lambda: 7.0, header, **more)


def test_an_outbox_gives_whole_lines_in_bounded_parts():
    one = outbox()
    for number in range(50):
        one.write("lag", worst=float(number))
    parts = []
    while part := one.take(300):
        parts.append(part)
    assert all(part.endswith("\n") and len(part) <= 300 for part in parts)
    lines = [json.loads(line) for line in "".join(parts).splitlines()]
    assert lines[0]["kind"] == "history"
    assert [line["worst"] for line in lines[1:]] == list(range(50))
    assert one.size == 0


def test_an_outbox_that_is_full_drops_and_counts():
    one = outbox(limit=400)
    for _ in range(100):
        one.write("lag", worst=0.0)
    assert one.size <= 400
    assert one.dropped > 80
    assert len(one.take(1).splitlines()) == 1


def test_an_outbox_knows_the_kinds():
    with pytest.raises(ValueError, match="lacks worst"):
        outbox().write("lag")
