r"""Bytes to items and back: the event stream format of the WHATWG HTML standard, section 9.2.

Theory of operation
-------------------
One `Decoder` reads one connection. `feed` takes any bytes, cut anywhere, never raises, and returns what they
complete. Four stages, each of which makes the next one simpler:

1. `_past_bom` takes one BOM off the start of the stream; up to two bytes wait until that is decided.
2. `_to_lf` turns CRLF and CR into LF. A CR at the end of a chunk ends its line at once, so an event is never
   held back for the LF that may follow; that LF, when it comes first in the next chunk, is swallowed.
   From here on LF is the only line end, and **after two LFs in a row no block is open**: the first ends some
   line and the second is an empty line.
3. `_read_lines` is the standard, line by line. It is always right. It works on bytes: LF, the colon and the
   space are ASCII, so to decode a value alone and to cut it out of the decoded stream are the same.
4. `_read_blocks` is the fast path, for bytes that start where no block is open and end in two LFs. `_BLOCKS`
   matches a block of the common form as a whole, and anything else up to its empty line by the last group,
   which goes to `_read_lines`. One of the two matches at every position, so `findall` leaves no gap.
   It does not see invalid UTF-8, NUL, or more bytes than the limit: these go to `_read_lines` beforehand.

Bytes that come one at a time never take the fast path; the tests use that to compare the two.

A block holds only what its event needs: its data, type and id, and the unfinished line. What they weigh is
bounded by `limit`; the line that would pass it, finished or not, ends the decoder with an `Overflow`, at the same
byte however the stream was cut. Comments and ignored fields weigh nothing once their line is read.
"""

import re
from typing import Literal, NamedTuple, TypeAlias, assert_never

DEFAULT_LIMIT = 16 * 1024 * 1024
MAX_RETRY_DIGITS = 15
MAX_RETRY_MS = 10**MAX_RETRY_DIGITS - 1
MAX_IGNORED_BYTES = 256

IgnoredReason: TypeAlias = Literal["unknown field", "NUL in id", "retry is not ASCII digits"]


# NamedTuples of one shape compare equal: tell items apart by class (`match`), not by `==` alone.
class Event(NamedTuple):
    """An event that was dispatched; `id` is the last event ID string at that moment, '' when none."""

    type: str
    data: str
    id: str


class Comment(NamedTuple):
    """A line that began with a colon; `text` is the rest without one leading space."""

    text: str


class Retry(NamedTuple):
    """A valid `retry` line, yielded when the line is read; above `MAX_RETRY_MS` the value is `MAX_RETRY_MS`."""

    retry_ms: int


class IdOnly(NamedTuple):
    """A block with an id and no data: `id` (perhaps '') became the last event ID string, without an event."""

    id: str


class Ignored(NamedTuple):
    """A line without effect: its first `MAX_IGNORED_BYTES` bytes, without its end, and the reason."""

    line: bytes
    reason: IgnoredReason


class Overflow(NamedTuple):
    """The pending event passed the limit; `size` is the number of bytes at which that is certain, limit + 1."""

    size: int


Item: TypeAlias = Event | Comment | Retry | IdOnly | Ignored | Overflow

_BOM = b"\xef\xbb\xbf"
_REPLACED = "\N{REPLACEMENT CHARACTER}"

# `?+` never gives the space back: `id: ` has an empty value (and is left to the last group), not a space. `*+` and
# `++` keep no way back either: a hundred bytes for each line of a block that a peer may make of millions.
_BLOCKS = re.compile(
    r"(?:id: ?+(.+)\n)?"
    r"(?:event: ?+(.*)\n)?"
    r"(?:id: ?+(.+)\n)?"
    r"data: ?+(.*)\n((?:data:.*\n)*+)\n"
    r"|(\n|(?:.+\n)++\n)"
)
_DATA_LINE = re.compile(r"data: ?+(.*)\n")


class Decoder:
    """Decodes one connection's event stream: bytes in, items out; neither a socket nor a clock.

    `last_event_id` is the last event ID string: given to the constructor it comes from the connection before;
    afterwards it is what the stream committed. `invalid_utf8` counts the malformed sequences in finished lines
    that were read as U+FFFD. `limit` bounds the bytes held for a pending event.
    """

    # fmt: off
    __slots__ = ("_after_cr", "_closed", "_data", "_held", "_id", "_limit", "_line", "_start", "_type",
                 "invalid_utf8", "last_event_id")
    # fmt: on

    def __init__(self, *, limit: int = DEFAULT_LIMIT, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.invalid_utf8 = 0
        self._limit = limit
        self._closed = False
        self._start: bytes | None = b""  # what may become a BOM; None once that is decided
        self._after_cr = False
        self._line = bytearray()
        self._open_block()

    def _open_block(self) -> None:
        self._data = bytearray()
        self._type = b""
        self._id: bytes | None = None
        self._held = 0  # one for each field line of the block and the lengths of their values

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished line or block are held: an end of the stream now would tear it."""
        return bool(self._held or self._line or self._start)

    def end(self) -> None:
        """Take the end of the stream; ask `pending` before. Nothing is dispatched and `feed` returns [] for ever.

        "Once the end of the file is reached, any pending data must be discarded." An id in it is not committed.
        A CR that was the last byte has ended its line already, in `feed`.
        """
        self._closed = True
        self._start = None
        self._line = bytearray()
        self._open_block()

    def feed(self, data: bytes) -> list[Item]:
        """Return the items that these bytes complete, in the order of the stream; never raises."""
        items: list[Item] = []
        if self._closed:
            return items
        if self._start is not None:
            data = self._past_bom(self._start + data)
        if self._after_cr or b"\r" in data:
            data = self._to_lf(data)
        if self.pending:
            block, gap, data = data.partition(b"\n\n")
            self._read_lines(block + gap, items)
        body, gap, rest = data.rpartition(b"\n\n")
        if gap:
            self._read_blocks(body + gap, items)
        if rest:
            self._read_lines(rest, items)
        return items

    def _past_bom(self, data: bytes) -> bytes:
        # "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _to_lf(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _read_blocks(self, body: bytes, items: list[Item]) -> None:
        text = _plain_text(body) if len(body) <= self._limit else None
        if self._closed or text is None:
            self._read_lines(body, items)
            return
        last_id = self.last_event_id
        new, event, append = tuple.__new__, Event, items.append  # Event(...) costs half as much again
        for id_before, type_, id_after, value, more, other in _BLOCKS.findall(text):
            if other:
                self.last_event_id = last_id
                self._read_lines(other.encode(), items)
                last_id = self.last_event_id
            else:
                if more:
                    value = "\n".join((value, *_DATA_LINE.findall(more)))
                last_id = id_after or id_before or last_id
                append(new(event, (type_ or "message", value, last_id)))
        self.last_event_id = last_id

    def _read_lines(self, data: bytes, items: list[Item]) -> None:
        if self._closed:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            if self._held + len(line) > self._limit:
                self._overflow(items)
                return
            if line:
                self._read_line(line, items)
            else:
                self._dispatch(items)
        self._line += rest
        if self._held + len(self._line) > self._limit:
            self._overflow(items)

    def _overflow(self, items: list[Item]) -> None:
        items.append(Overflow(self._limit + 1))
        self.end()

    def _read_line(self, line: bytes, items: list[Item]) -> None:
        if not line.isascii():
            # A U+FFFD that was sent as such is valid, and always decodes to itself.
            text = line.decode(errors="replace")
            self.invalid_utf8 += text.count(_REPLACED) - line.count(_REPLACED.encode())
        # "Collect the characters on the line before the first U+003A COLON character (:), and let field be that
        # string. [...] If value starts with a U+0020 SPACE character, remove it from value." Without a colon the
        # whole line is the name and the value is empty.
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data += value + b"\n"
                self._held += len(value) + 1
            case b"event":
                self._type = value
                self._held += len(value) + 1
            case b"id" if b"\0" not in value:
                self._id = value
                self._held += len(value) + 1
            case b"id":
                items.append(Ignored(line[:MAX_IGNORED_BYTES], "NUL in id"))
            case b"retry" if value.isdigit():  # of bytes: ASCII digits only, and at least one
                items.append(Retry(_retry_ms(value)))
            case b"retry":
                items.append(Ignored(line[:MAX_IGNORED_BYTES], "retry is not ASCII digits"))
            case b"":
                items.append(Comment(_text(value)))
            case _:
                items.append(Ignored(line[:MAX_IGNORED_BYTES], "unknown field"))

    def _dispatch(self, items: list[Item]) -> None:
        # "Set the last event ID string of the event source to the value of the last event ID buffer." comes
        # before "If the data buffer is an empty string, [...] return."
        if self._id is not None:
            self.last_event_id = _text(self._id)
        if self._data:
            # "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove [it]."
            data = _text(self._data[:-1])
            items.append(Event(_text(self._type) or "message", data, self.last_event_id))
        elif self._id is not None:
            items.append(IdOnly(self.last_event_id))
        if self._held:
            self._open_block()


def _plain_text(body: bytes) -> str | None:
    try:
        return None if b"\0" in body else body.decode()
    except UnicodeDecodeError:
        return None


def _text(value: bytes | bytearray) -> str:
    return value.decode(errors="replace")


def _retry_ms(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= MAX_RETRY_DIGITS else MAX_RETRY_MS


def encode(item: Event | Comment | Retry, *, newline: Literal[b"\n", b"\r", b"\r\n"] = b"\n") -> bytes:
    """Return the item as a block of its own: for an event `id`, `event`, one `data` a line, and the empty line.

    No `id` line is written for the id '' and no `event` line for the type 'message': such an event leaves the last
    event ID as it is. A new Decoder gives back the item that went in. Raises ValueError for what the wire cannot
    carry: an empty type, CR or LF in an id, a type or a comment, NUL in an id, CR in data (it would come back as
    LF, so it is refused, not changed), a lone surrogate, a retry outside 0..MAX_RETRY_MS, another `newline`.
    """
    if newline not in (b"\n", b"\r", b"\r\n"):
        raise ValueError(f"a line of an event stream ends in LF, CR or CRLF, not in {newline!r}")
    match item:
        case Event():
            lines = _event_lines(item)
        case Comment(text):
            lines = [_line("", text, refused="\r\n")]
        case Retry(retry_ms):
            if not 0 <= retry_ms <= MAX_RETRY_MS:
                raise ValueError(f"a retry must be 0 to {MAX_RETRY_MS} ms, not {retry_ms}")
            lines = [_line("retry", str(retry_ms), refused="")]
        case _:
            assert_never(item)
    return newline.join(line.encode() for line in (*lines, "", ""))


def _event_lines(event: Event) -> list[str]:
    if not event.type:
        raise ValueError("the type of an event must not be empty: clients would read 'message'")
    lines = [_line("id", event.id, refused="\r\n\0")] if event.id else []
    if event.type != "message":
        lines.append(_line("event", event.type, refused="\r\n"))
    return lines + [_line("data", part, refused="\r") for part in event.data.split("\n")]


def _line(name: str, value: str, *, refused: str) -> str:
    for character in refused:
        if character in value:
            raise ValueError(f"the {name or 'comment'} of an item must not contain {character!r}: {value[:80]!r}")
    return f"{name}: {value}" if value else f"{name}:"
