"""Ranges of sequence numbers, and what was published under which name."""

from hypothesis import given
from hypothesis import strategies as st

from harness.history import Record
from harness.published import Publications, Ranges

SPANS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 6)), max_size=20)


@given(SPANS, st.integers(1, 45), st.integers(0, 12))
def test_ranges_are_a_set(spans, low, width):
    ranges, plain = Ranges(), set()
    for start, length in spans:
        new = set(range(start, start + length + 1))
        assert ranges.add(start, start + length) == len(new & plain)
        plain |= new
    assert {n for n in range(60) if n in ranges} == plain
    assert ranges.top == max(plain, default=0)
    window = set(range(low, low + width + 1))
    assert ranges.within(low, low + width) == len(window & plain)
    gaps = {n for a, b in ranges.missing(low, low + width) for n in range(a, b + 1)}
    assert gaps == window - plain
    assert all(b + 1 < a for b, a in zip(ranges.highs, ranges.lows[1:], strict=False))


def published(t, seq, digest, *, channel="all", done=None, epoch="e"):
    data = {"channel": channel, "owner": None, "epoch": epoch, "seq": seq, "id": None, "type": "message"}
    return Record(t, "published", {**data, "digest": digest, "at": t, "done": done})


def test_a_name_used_again_for_another_payload_gets_a_suffix():
    many = Publications()
    for record in (published(1.0, 1, "a"), published(1.1, 1, "a"), published(2.0, 1, "b", done=2.5)):
        many.feed(record)
    assert [one.epoch for one in many.by_channel["all"]] == ["e", "e#2"]
    assert many.name("e", "all", 1, "b") == ("e#2", "all", 1)
    assert many.name("e", "all", 1, "x") == many.name("e", "all", 1, None) == ("e", "all", 1)
    assert many.differs("e", "all", 1, "x")
    assert not many.differs("e", "all", 1, "a")
    assert not many.differs("e", "all", 2, "x")
    assert [one.done for one in many.by_channel["all"]] == [1.0, 2.5]


def test_a_slice_begins_behind_a_moment():
    many = Publications()
    for n in range(1, 5):
        many.feed(published(float(n), n, f"d{n}"))
    assert [one.seq for one in many.slice("all", 2.0)] == [3, 4]
    assert many.slice("user:x", 0.0) == []


def test_a_number_that_is_left_out_is_a_record_that_we_lack():
    many = Publications()
    for record in (published(1.0, 1, "a"), published(2.0, 2, "b"), published(3.0, 1, "c"), published(4.0, 2, "d")):
        many.feed(record)
    assert many.gaps() == []
    many.feed(published(5.0, 5, "f"))
    assert many.gaps() == ["all of epoch e: no record of #3 to #4"]
