"""The decoder against literal bytes and an independent reading of the standard; the encoder against the decoder."""

import random
import re
import sys
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.eventstream import (
    DEFAULT_LIMIT,
    MAX_RETRY_MS,
    Comment,
    Decoder,
    Event,
    IdOnly,
    Ignored,
    Item,
    Overflow,
    Retry,
    encode,
)
from tests.harness.corpus import CASES, Case
from tests.harness.strategies import NEWLINES, chunked, comments, cut, events, retries, text, wires

REQUIRED = {f"SSE-{n}" for n in range(41, 83)} - {"SSE-80"}

case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@dataclass(frozen=True)
class Reading:
    """All that a decoder tells about bytes; items by their repr, since NamedTuples of one shape are equal."""

    items: list[str]
    last_event_id: str
    pending: bool
    invalid_utf8: int


def read(chunks: list[bytes], *, known_id: str = "", limit: int = DEFAULT_LIMIT) -> Reading:
    decoder = Decoder(last_event_id=known_id, limit=limit)
    items = [repr(item) for chunk in chunks for item in decoder.feed(chunk)]
    return Reading(items, decoder.last_event_id, decoder.pending, decoder.invalid_utf8)


def bytewise(wire: bytes) -> list[bytes]:
    return [wire[i : i + 1] for i in range(len(wire))]


def expected(case: Case) -> Reading:
    return Reading([repr(item) for item in case.items], case.last_event_id, case.pending, case.invalid_utf8)


# ---- the corpus


def test_corpus_covers_every_requirement_on_decoding():
    assert set(" ".join(case.covers for case in CASES).split()) == REQUIRED
    assert len({case.name for case in CASES}) == len(CASES) >= 90


@case
def test_whole(case: Case):
    assert read([case.wire], known_id=case.known_id, limit=case.limit) == expected(case)


@case
def test_byte_by_byte(case: Case):
    assert read(bytewise(case.wire), known_id=case.known_id, limit=case.limit) == expected(case)


@case
def test_every_cut_in_two(case: Case):
    for place in range(0, len(case.wire), 1 + len(case.wire) // 300):
        assert read(cut(case.wire, [place]), known_id=case.known_id, limit=case.limit) == expected(case), place


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=400)
def test_any_cuts(data: st.DataObject):
    case = data.draw(st.sampled_from(CASES))
    chunks = data.draw(chunked(st.just(case.wire)))
    assert read(chunks, known_id=case.known_id, limit=case.limit) == expected(case)


@pytest.mark.parametrize("cut_there", [True, False])
@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.pending and c.limit > 10 and c.wire != b"\xef\xbb\xbf"], ids=lambda c: c.name
)
def test_with_something_behind(case: Case, cut_there: bool):
    behind = b"event: after\nid: b\ndata: behind\n\n"
    chunks = [case.wire, behind] if cut_there else [case.wire + behind]
    reading = read(chunks, known_id=case.known_id)
    assert reading.items == [*expected(case).items, repr(Event("after", "behind", "b"))]
    assert reading.last_event_id == "b"


@case
def test_end_discards_what_is_pending(case: Case):
    decoder = Decoder(last_event_id=case.known_id, limit=case.limit)
    decoder.feed(case.wire)
    decoder.end()
    assert decoder.last_event_id == case.last_event_id
    assert not decoder.pending
    assert decoder.feed(b"\n\ndata: 1\n\n") == []
    assert decoder.last_event_id == case.last_event_id


def test_the_next_connection_starts_clean_but_knows_the_id():
    first = Decoder()
    first.feed(b"id: 1\ndata: 1\n\nevent: torn\nid: 2\ndata: torn\r")
    first.end()
    second = Decoder(last_event_id=first.last_event_id)
    assert second.feed(b"\ndata: 2\n\n") == [Event("message", "2", "1")]


# ---- one transcript for each rule that depends on when bytes come


def test_an_event_is_dispatched_at_the_second_cr_and_the_late_lf_is_swallowed():
    decoder = Decoder()
    assert decoder.feed(b"data: 1\r") == []
    assert decoder.feed(b"\r") == [Event("message", "1", "")]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: 2\n\n") == [Event("message", "2", "")]


def test_an_empty_chunk_between_cr_and_lf_changes_nothing():
    decoder = Decoder()
    assert [decoder.feed(chunk) for chunk in (b"data: 1\r", b"", b"\n", b"data: 2")] == [[], [], [], []]
    assert decoder.feed(b"\n\n") == [Event("message", "1\n2", "")]


def test_only_one_lf_is_swallowed():
    decoder = Decoder()
    assert decoder.feed(b"data: 1\r") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\n") == [Event("message", "1", "")]


def test_retry_and_comment_are_yielded_when_their_line_ends():
    decoder = Decoder()
    assert decoder.feed(b"data: 1\nretry: 5") == []
    assert decoder.feed(b"\r") == [Retry(5)]
    assert decoder.feed(b"\n: x\n") == [Comment("x")]
    assert decoder.feed(b"\n") == [Event("message", "1", "")]


def test_an_id_is_committed_by_the_empty_line():
    decoder = Decoder()
    decoder.feed(b"id: 1\n")
    assert (decoder.last_event_id, decoder.pending) == ("", True)
    assert decoder.feed(b"\n") == [IdOnly("1")]
    assert (decoder.last_event_id, decoder.pending) == ("1", False)


def test_a_bom_in_three_chunks():
    decoder = Decoder()
    assert [decoder.feed(chunk) for chunk in (b"\xef", b"", b"\xbb", b"\xbf")] == [[], [], [], []]
    assert decoder.feed(b"data: 1\n\n") == [Event("message", "1", "")]


def test_nothing_comes_after_an_overflow():
    decoder = Decoder(limit=8)
    assert decoder.feed(b"data:1\n\ndata: 78") == [Event("message", "1", "")]
    assert decoder.feed(b"9") == [Overflow(9)]
    assert decoder.feed(b"\n\ndata:2\n\n") == []
    assert not decoder.pending


# ---- an independent reading of the standard, slow and plain


def standard(wire: bytes) -> tuple[list[str], str]:
    """Section 9.2.5 and 9.2.6 on a whole stream: decode, split into lines, interpret; then the last event ID."""
    stream = wire.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", stream)[:-1]  # what follows the last line end is no line yet
    items: list[Item] = []
    data, event_type, id_buffer, id_string, id_in_block = "", "", "", "", False
    for line in lines:
        field, value = line, ""
        if ":" in line:
            field, value = line[: line.index(":")], line[line.index(":") + 1 :]
            if value[:1] == " ":
                value = value[1:]
        if line == "":
            id_string = id_buffer
            if data != "":
                items.append(Event(event_type if event_type != "" else "message", data[:-1], id_string))
            elif id_in_block:
                items.append(IdOnly(id_string))
            data, event_type, id_in_block = "", "", False
        elif line[0] == ":":
            items.append(Comment(value))
        elif field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer, id_in_block = value, True
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            items.append(Retry(min(int(value), MAX_RETRY_MS)))
    return [repr(item) for item in items], id_string


def without_ignored(reading: Reading) -> tuple[list[str], str]:
    return [item for item in reading.items if not item.startswith("Ignored(")], reading.last_event_id


@pytest.mark.slow
@given(chunked() | chunked(st.binary(max_size=1000)))
@settings(max_examples=1000)
@example([b"id: \ndata: x\n\n"])
@example([b"data: x\n\n\ndata: y\n\n"])
def test_reads_as_the_standard_says(chunks: list[bytes]):
    wire = b"".join(chunks)
    assert without_ignored(read(chunks)) == standard(wire)
    assert without_ignored(read([wire])) == standard(wire)


# ---- properties


@pytest.mark.slow
@given(chunked(), st.sampled_from([1, 2, 3, 7, 20, 50, DEFAULT_LIMIT]), st.sampled_from(["", "known"]))
@settings(max_examples=800)
def test_chunking_never_changes_the_result(chunks: list[bytes], limit: int, known_id: str):
    wire = b"".join(chunks)
    slow = read(bytewise(wire), limit=limit, known_id=known_id)
    assert read(chunks, limit=limit, known_id=known_id) == slow
    assert read([wire], limit=limit, known_id=known_id) == slow


@pytest.mark.slow
@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_raise(chunks: list[bytes]):
    decoder = Decoder()
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()


@pytest.mark.slow
@given(wires)
@example(b"\xef\xef\xbf\xbd\xbb\n")
def test_counts_each_malformed_sequence_of_finished_lines(wire: bytes):
    finished = wire[: max(wire.rfind(b"\n"), wire.rfind(b"\r")) + 1].removeprefix(b"\xef\xbb\xbf")
    marked = finished.replace("\ufffd".encode(), b"?")  # not nothing: what stands around it must not be joined
    assert read([wire]).invalid_utf8 == marked.decode(errors="replace").count("\ufffd")


@pytest.mark.parametrize(
    "chunk",
    [b"x", b":", b"data: x\n", b"data\n", b"id: x\n", b"event: xxxxxx\n", b"data: x\rdata: ", b"\xff", b"\xef"],
    ids=repr,
)
def test_memory_is_bounded(chunk: bytes):
    limit = 10_000
    decoder = Decoder(limit=limit)
    items: list[Item] = []
    fed = 0
    while not items and fed < 30 * limit:
        items += decoder.feed(chunk * 100)
        fed += 100 * len(chunk)
        held = [getattr(decoder, name) for name in Decoder.__slots__]
        assert sum(sys.getsizeof(value) for value in held) < 3 * (limit + 100 * len(chunk)) + 1000
    assert items[-1] == Overflow(limit + 1)


def test_endless_comments_and_unknown_fields_hold_nothing():
    decoder = Decoder(limit=100)
    for _ in range(500):
        items = decoder.feed(b": heartbeat\nfoo: bar\nretry: 5\n")
        assert items == [Comment("heartbeat"), Ignored(b"foo: bar", "unknown field"), Retry(5)]
        assert not decoder.pending


# ---- the encoder


def test_wire_form():
    assert encode(Event("x", "1\n2", "7")) == b"id: 7\nevent: x\ndata: 1\ndata: 2\n\n"
    assert encode(Event("message", "", "")) == b"data:\n\n"
    assert encode(Event("x", "1", "7"), newline=b"\r\n") == b"id: 7\r\nevent: x\r\ndata: 1\r\n\r\n"
    assert encode(Comment("heartbeat")) == b": heartbeat\n\n"
    assert encode(Comment(""), newline=b"\r") == b":\r\r"
    assert encode(Retry(3000)) == b"retry: 3000\n\n"


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (Event("x\n", "", ""), r"the event of an item must not contain '\\n'"),
        (Event("x\ry", "", ""), r"the event of an item must not contain '\\r'"),
        (Event("", "", ""), "the type of an event must not be empty"),
        (Event("x", "1\r2", ""), r"the data of an item must not contain '\\r'"),
        (Event("x", "1\r\n2", ""), r"the data of an item must not contain '\\r'"),
        (Event("x", "", "1\n2"), r"the id of an item must not contain '\\n'"),
        (Event("x", "", "1\r2"), r"the id of an item must not contain '\\r'"),
        (Event("x", "", "1\x002"), r"the id of an item must not contain '\\x00'"),
        (Event("x", "\ud800", ""), "surrogates not allowed"),
        (Comment("a\nb"), r"the comment of an item must not contain '\\n'"),
        (Comment("a\rb"), r"the comment of an item must not contain '\\r'"),
        (Retry(-1), "a retry must be 0 to 999999999999999 ms, not -1"),
        (Retry(10**15), "a retry must be 0 to 999999999999999 ms"),
    ],
    ids=repr,
)
def test_refuses_what_the_wire_cannot_carry(item: Event | Comment | Retry, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        encode(item)


def test_refuses_other_line_ends():
    with pytest.raises(ValueError, match="ends in LF, CR or CRLF"):
        encode(Comment(""), newline=b"\n\n")  # type: ignore[arg-type]


@pytest.mark.slow
@given(events | comments | retries, NEWLINES)
@settings(max_examples=500)
def test_what_was_encoded_is_decoded(item: Event | Comment | Retry, newline: bytes):
    assert read([encode(item, newline=newline)]) == Reading([repr(item)], getattr(item, "id", ""), False, 0)


@pytest.mark.slow
@given(st.lists(events, max_size=8), text, st.integers(0, 2**32), st.booleans())
@settings(max_examples=300)
def test_what_was_encoded_is_decoded_in_company(sent: list[Event], noise: str, seed: int, bom: bool):
    """Events among comments, unknown fields and any line ends, behind a BOM, cut anywhere."""
    rng = random.Random(seed)
    ends = [b"\n", b"\r\n", b"\r"]
    company = [": x", ":", "foo: bar", "ID: 9", "retry: -1", "unknown-" + re.sub("[\r\n]", "", noise)]
    wire, last_id, want = b"\xef\xbb\xbf" if bom else b"", "", []
    for event in sent:
        for line in encode(event).split(b"\n")[:-1]:
            for other in rng.choices(company, k=rng.choice([0, 0, 1, 2])):
                wire += other.encode() + rng.choice(ends)
            # LF alone would only finish a CR before it.
            wire += line + (rng.choice(ends) if line or not wire.endswith(b"\r") else b"\r\n")
        last_id = event.id or last_id
        want.append(repr(event._replace(id=last_id)))
    chunks = cut(wire, [rng.randint(0, len(wire)) for _ in range(rng.randint(0, 9))])
    assert [item for item in read(chunks).items if item.startswith("Event(")] == want
