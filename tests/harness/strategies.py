"""Hypothesis strategies for event streams: bytes, cuts, legal items and streams that carry them."""

from itertools import pairwise

from hypothesis import strategies as st

from harness.eventstream import MAX_RETRY_MS, Comment, Event, Retry

NEWLINES = st.sampled_from([b"\n", b"\r", b"\r\n"])

# Everything that has a meaning somewhere in the format, its near misses, and whole blocks that take the fast path.
# fmt: off
FRAGMENTS = st.sampled_from([
    b"data", b"event", b"id", b"retry", b"foo", b":", b": ", b" ", b"\0", b"\n", b"\r", b"\r\n", b"\n\n",
    b"data: ", b"data:", b"event: ", b"id: ", b"retry: ", b"id: \n", b"data: x\n\n", b"id: 1\n", b"event: x\n",
    b"id: 1\nevent: x\ndata: y\n\n", b"event: x\nid: 2\ndata: y\n\n", b"data:z\n\n\n", b": c\n\n", b"DATA: x\n",
    b"data: 1\ndata:2\ndata:\n\n",
    b"\xef", b"\xbb", b"\xbf", b"\xef\xbb\xbf", b"\xef\xbf\xbd", b"\xe2\x82\xac", b"\xe2", b"\xff", b"\x80",
    b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\x0b", b"\x85", b"0", b"7", b"-", b"99999999999999999999", b"x",
])
# fmt: on

wires = st.lists(FRAGMENTS, max_size=40).map(b"".join) | st.binary(max_size=60)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def _without(*characters: str) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters=characters), max_size=20)


events = st.builds(
    Event,
    type=st.just("message") | _without("\r", "\n").filter(bool),
    data=_without("\r") | st.lists(_without("\r"), max_size=4).map("\n".join),
    id=_without("\r", "\n", "\0"),
)
comments = st.builds(Comment, _without("\r", "\n"))
retries = st.builds(Retry, st.integers(0, MAX_RETRY_MS))


@st.composite
def chunked(draw: st.DrawFn, source: st.SearchStrategy[bytes] = wires) -> list[bytes]:
    """Bytes cut at any places, with empty chunks among them."""
    wire = draw(source)
    return cut(wire, draw(st.lists(st.integers(0, len(wire)), max_size=12)))


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(wire)]
    return [wire[start:stop] for start, stop in pairwise(bounds)]
