"""The catalogue of requirements: id, level, source and sentence.  Ids never move; a new requirement is a new row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["MUST", "SHOULD", "MAY", "OPEN"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: OPEN means that the standard leaves it open, so it is reported and never failed."""

    id: str
    level: Level
    source: str
    sentence: str


PLAN: Final = "product plan"
SERVER: Final = "product plan, server"

_PRODUCT: Final = """
VAL-1   MUST    The stream's endpoint answers 200 with text/event-stream, uncached, its first bytes at once.
VAL-2   MUST    Streaming works in the browsers that the users have.
QA-1    MUST    Whatever is published reaches its subscribers, in the order of publication, and is shown.
QA-2    MUST    After a drop a client comes back with the last event ID, and no event is lost or comes twice.
QA-3    MUST    An unsubscribe leaves nothing behind: no memory, socket, timer or task, and no slot at the server.
QA-4    MUST    The user learns of a connection error, and the client does not hammer the server.
EDGE-1  MUST    Subscribing and unsubscribing in quick succession does no harm.
EDGE-2  MUST    Each of several streams of one user gets all of that user's events.
EDGE-3  MUST    A subscriber survives its network going away and coming back.
REG-1   MUST    The dashboard's REST calls behave the same whether the flag is on or off.
REG-2   MUST    The first page load is not slower with streaming than without, in paired runs.
PM-1    MUST    Heartbeats reveal a silent drop, and clients return with exponential backoff and jitter.
PM-2    MUST    Streams are closed on unmount, and a page shares one connection where it can.
PM-3    MUST    Overload is bounded by a limit per user, throttling and bounded queues, and others do not feel it.
SEC-1   MUST    The data of each event is valid against its schema.
SEC-2   MUST    A stream needs a valid token, ends when the token expires, and no token is written down anywhere.
SEC-3   MUST    A subscriber gets its own events only, also under concurrency, after reconnects and in replays.
SEC-4   MUST    Event data stays data: it can inject neither fields into the stream nor scripts into a page or report.
UX-1    MUST    The user sees the state of the connection, and it is the true one.
UX-2    MUST    Polling takes over where streaming is not to be had.
UX-3    MUST    A failure shows a toast.
FLAG-1  MUST    The feature flag decides who gets the endpoint.
FLAG-2  MUST    A roll-out from 10 to 50 to 100 % keeps whoever had it, and its share lies in the binomial band.
RB-1    MUST    The kill switch ends live streams within five seconds, and no client loops.
RB-2    MUST    A rollback clears the connection state that pages have cached.
RB-3    MUST    After a rollback the error rates return to what they were.
PATH-1  MUST    Nothing on the path holds events back.
PATH-2  MUST    Idle timeouts on the path are longer than twice the heartbeat.
PATH-3  MUST    A cut without a final chunk is survived.
"""

_CLIENT: Final = """
1   MUST    construction        The URL is resolved against its base; one that cannot be resolved raises at once.
3   MUST    construction        The request is a GET without a body.
4   MUST    construction        The Accept header admits text/event-stream.
5   MUST    construction        The response is neither taken from a cache nor put into one.
6   MUST    construction        The first request has no Last-Event-ID.
8   MUST    construction        The state is CONNECTING as soon as the client exists.
10  MUST    last event ID       The Last-Event-ID header never holds NUL, LF or CR.
11  MUST    connection          An aborted fetch fails the connection for good.
12  MUST    connection          A network error leads to another attempt.
13  MUST    connection          Any status but 200 fails the connection, success or not.
14  MUST    connection          204 No Content tells the client to stop.
15  MUST    connection          The content type has to be text/event-stream, in any case and with any parameters.
16  MUST    connection          Nothing of a failed response is dispatched.
17  MUST    connection          The opening is announced when the head is in, before any event.
18  MUST    connection          Every reconnect announces an opening again.
19  MUST    HTTP                Informational responses are skipped.
20  MUST    HTTP                Transfer and content codings make no difference to the events.
21  MUST    interpretation      A complete event is delivered without waiting for further bytes.
22  MUST    fetch               Redirects 301, 302, 303, 307 and 308 are followed.
23  MUST    fetch               A redirect may be absolute or relative.
24  MUST    fetch               A redirect without a usable Location fails and does not loop.
25  MUST    fetch               More than twenty redirects in a row are an error.
26  OPEN    fetch               Whether a reconnect goes to the first URL or to the one redirected to.
28  MUST    fetch               Credentials do not follow a redirect to another origin.
29  MUST    reestablishment     A stream that ends, in whatever way, leads to another attempt.
30  MUST    reestablishment     While the client comes back its state is CONNECTING and an error has been signalled.
31  MUST    reestablishment     The next attempt is not made before the reconnection time has passed.
32  MUST    close               close() during the wait cancels the next attempt.
33  OPEN    reestablishment     The reconnection time before the server has named one.
34  MUST    reestablishment     Network errors are retried for ever; a final response ends that.
35  MUST    reestablishment     A reconnect carries the headers and credentials of the first request.
36  MUST    last event ID       Last-Event-ID is sent exactly when the last event ID is not empty.
37  MUST    last event ID       Last-Event-ID is sent as the UTF-8 bytes of the id.
39  MUST    last event ID       An id that no header can hold does not stop the client.
40  MUST    reestablishment     A 200 with an empty body leads to another attempt.
41  MUST    parsing             The stream is UTF-8, whatever charset is declared.
42  MUST    parsing             One byte order mark at the start of each connection is removed, even when split.
43  MUST    parsing             A byte order mark elsewhere is data.
44  MUST    parsing             Invalid bytes are replaced by U+FFFD.
45  MUST    parsing             A character may be split over chunks.
46  MUST    parsing             CRLF, LF and CR end a line, and no other character does.
47  MUST    parsing             Line ends of different kinds may be mixed.
48  MUST    parsing             A CRLF split over chunks is one line end.
49  MUST    parsing             A CR at the end of the stream ends its line.
50  OPEN    parsing             Whether an event that ends in CR CR is dispatched before the next byte.
51  MUST    parsing             The way a stream is cut into chunks changes nothing.
52  OPEN    parsing             Limits on the size of lines and events, which must fail loudly where they exist.
53  MUST    interpretation      An empty line dispatches the event.
54  MUST    interpretation      Comments are ignored, inside a block too.
55  MUST    interpretation      The first colon separates name and value.
56  MUST    interpretation      One space after the colon is removed, and only one.
57  MUST    interpretation      A line without a colon is a field with an empty value.
58  MUST    interpretation      Field names are compared as they are, case included.
59  MUST    interpretation      Unknown fields are ignored.
60  MUST    interpretation      The last event field of a block names the type.
61  MUST    interpretation      Several data fields are joined by LF.
62  MUST    interpretation      NUL in data is kept.
63  MUST    interpretation      An id with a NUL is ignored.
64  MUST    interpretation      An empty id resets the last event ID.
65  MUST    interpretation      A retry field counts only if it consists of ASCII digits, read as decimal.
66  MUST    interpretation      A retry field acts when it is read, without a dispatch.
67  OPEN    interpretation      What an empty retry field does.
68  MUST    interpretation      A retry of zero is obeyed.
69  MUST    interpretation      A huge retry does not crash the client.
70  MUST    dispatch            The id of a block counts even if the block has no data.
71  MUST    dispatch            A block without data dispatches nothing.
72  MUST    dispatch            One empty data field makes an event.
73  MUST    dispatch            One LF at the end of the data is removed.
74  MUST    dispatch            An empty first data line is kept.
75  MUST    dispatch            The type does not outlive its block.
76  MUST    dispatch            Every event carries the last event ID in force.
77  MUST    last event ID       The last event ID survives reconnects.
78  MUST    dispatch            Events come in order, and none after close().
79  MUST    dispatch            Events named open and error by the server can be told from the client's own signals.
81  MUST    end of stream       An unfinished block is discarded when the stream ends.
82  MUST    end of stream       An unfinished block leaves neither its id nor its buffers behind.
83  MUST    close               close() works in any state, any number of times, and is followed by silence.
84  MUST    connection          A failed connection stays failed.
87  MUST    states              Only the legal changes of state happen.
"""

_SERVER: Final = """
1   MUST    A stream is answered with the right head, flushed before the first event.
2   MUST    Every byte sent is a valid frame: UTF-8, no NUL in an id, each line of the data in a field.
3   MUST    Heartbeats come at the promised cadence.
4   MUST    A replay begins strictly after the Last-Event-ID.
5   MUST    An id older than the buffer is answered with an explicit reset.
6   MUST    Ids stay unique across restarts.
7   MUST    Control and heartbeat frames carry no id.
8   MUST    Between replay and live events there is neither a gap nor a duplicate.
9   MUST    A client that has gone, by FIN, RST or silence, is noticed and its slot freed.
10  MUST    The limit per user is exact, also under races.
11  MUST    A request beyond the limit gets 429 with Retry-After.
12  MUST    Connection attempts are throttled.
13  MUST    No stream shows what belongs to another user.
14  MUST    An expired token opens no stream and keeps none open.
15  MUST    The flag and the kill switch are obeyed.
16  SHOULD  HEAD, OPTIONS and a wrong Accept are answered and do not hang.
17  MUST    After a restart the service recovers without an operator.
18  MUST    A slow consumer costs a bounded amount of memory.
"""


def _rows() -> Iterator[Requirement]:
    for line in _PRODUCT.strip().splitlines():
        id, level, sentence = line.split(maxsplit=2)
        yield Requirement(id, _level(level), PLAN, sentence)
    for line in _CLIENT.strip().splitlines():
        number, level, rest = line.split(maxsplit=2)
        clause, _, sentence = rest.partition("  ")
        yield Requirement(f"SSE-{number}", _level(level), f"HTML standard 9.2, {clause}", sentence.strip())
    for line in _SERVER.strip().splitlines():
        number, level, sentence = line.split(maxsplit=2)
        yield Requirement(f"SRV-{number}", _level(level), SERVER, sentence)


def _level(word: str) -> Level:
    match word:
        case "MUST" | "SHOULD" | "MAY" | "OPEN":
            return word
        case _:
            raise ValueError(f"{word} is no level")


CATALOGUE: Final[Mapping[str, Requirement]] = {one.id: one for one in _rows()}
