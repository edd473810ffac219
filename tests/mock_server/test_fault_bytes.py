"""Every wire fault on a raw socket: exactly its bytes, and its end. `{}` stands for the head of a good stream."""

import gzip
import re

import pytest

RETRY = b"retry: 3000\n\n"


def chunks(*parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def body(raw):
    return raw.seen.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "name, parameters, seen, how",
    [
        ("rst", {}, chunks(RETRY), "rst"),
        ("rst", {"bytes": 0}, b"", "rst"),
        ("rst", {"bytes": 5}, chunks(b"retry"), "rst"),
        ("fin", {"bytes": 0}, b"0\r\n\r\n", "fin"),
        ("fin", {"bytes": 13}, chunks(RETRY) + b"0\r\n\r\n", "fin"),
        ("fin", {"bytes": 12, "clean": False}, chunks(RETRY[:12]), "fin"),
        ("unfinished-chunk", {}, chunks(RETRY) + b'64\r\ndata: {"un', "fin"),
        ("broken-chunk", {}, chunks(RETRY) + b"xyz\r\n: a\n\r\n", "fin"),
        ("broken-chunk", {"kind": "no-size"}, chunks(RETRY) + b"\r\n: a\n\r\n", "fin"),
        ("broken-chunk", {"kind": "negative"}, chunks(RETRY) + b"-4\r\n: a\n\r\n", "fin"),
        ("broken-chunk", {"kind": "too-long"}, chunks(RETRY) + b"f" * 24 + b"\r\n: a\n\r\n", "fin"),
        ("broken-chunk", {"kind": "no-line-end"}, chunks(RETRY) + b"4\r\n: a\nXX4\r\n: b\n\r\n", "fin"),
        ("content-length", {"length": 99, "events": 0}, RETRY, "fin"),
        ("content-length", {"length": 3, "events": 0}, RETRY, "fin"),
        ("status", {"status": 503}, b"fault: status\n", "fin"),
        ("status", {"status": 204}, b"", "fin"),
    ],
)
def test_the_body_and_the_end(mock, name, parameters, seen, how):
    mock.order("/fault", name=name, parameters=parameters, attempts=1)
    raw = mock.request()
    assert raw.to_end() == how
    assert body(raw) == seen


@pytest.mark.parametrize(
    "name, parameters, seen",
    [
        ("bom", {}, b"\xef\xbb\xbf" + RETRY),
        ("bom", {"kind": "split"}, b"\xef\xbb\xbf" + RETRY),
        ("bom", {"kind": "twice"}, b"\xef\xbb\xbf\xef\xbb\xbf: a\n\n" + RETRY),
        ("retry", {"value": "-1"}, RETRY + b"retry: -1\n\n"),
        ("retry", {"value": ""}, RETRY + b"retry: \n\n"),
        ("id", {"value": "a\0b"}, RETRY + b"event: notice\nid: a\0b\ndata: an id\n\n"),
        ("id", {"value": " a "}, RETRY + b"event: notice\nid:  a \ndata: an id\n\n"),
        ("id", {"length": 9000}, RETRY + b"event: notice\nid: " + ("ünï-☃" * 1800).encode() + b"\ndata: an id\n\n"),
        ("invalid-utf8", {}, RETRY + b"event: notice\ndata: \xc3(\xff\n\n"),
        ("invalid-utf8", {"where": "comment"}, RETRY + b": \xc3(\xff\n\n"),
        ("giant", {"size": 300_000}, RETRY + b"event: notice\ndata: " + b"x" * 300_000 + b"\n\n"),
    ],
)
def test_the_beginning_of_the_body(mock, name, parameters, seen):
    mock.order("/fault", name=name, parameters=parameters, attempts=1)
    raw = mock.request()
    raw.until(lambda _: len(raw.body) >= len(seen))
    assert raw.body.startswith(seen)


@pytest.mark.parametrize(
    "name, parameters, first, headers",
    [
        ("status", {"status": 301}, b"301 Moved Permanently", {"content-type": "text/plain; charset=utf-8"}),
        ("status", {"status": 500, "retry_after": 3}, b"500 Internal Server Error", {"retry-after": "3"}),
        ("status", {"status": 429}, b"429 Too Many Requests", {"x-refused": "fault"}),
        ("status", {"status": 205}, b"205 Reset Content", {"content-length": "0"}),
        ("content-type", {}, b"200 OK", {"content-type": "text/plain"}),
        ("content-type", {"value": ""}, b"200 OK", {"content-type": ""}),
        ("content-type", {"value": None}, b"200 OK", {"content-type": None}),
        ("close-delimited", {}, b"200 OK", {"transfer-encoding": None, "content-length": None}),
        ("content-length", {"length": 7, "events": 0}, b"200 OK", {"transfer-encoding": None, "content-length": "7"}),
        ("gzip", {}, b"200 OK", {"content-encoding": "gzip"}),
        ("slow-headers", {"seconds": 0.01}, b"200 OK", {"content-type": "text/event-stream"}),
    ],
)  # fmt: skip
def test_the_head(mock, name, parameters, first, headers):
    mock.order("/fault", name=name, parameters=parameters, attempts=1)
    raw = mock.request()
    assert raw.until(b"\r\n\r\n").seen.startswith(b"HTTP/1.1 " + first + b"\r\n")
    assert {name: raw.head.get(name) for name in headers} == headers


def test_http_1_0(mock):
    mock.order("/fault", name="http-1-0", attempts=1)
    raw = mock.request().until(RETRY)
    assert raw.seen.startswith(b"HTTP/1.0 200 OK\r\n")
    assert body(raw) == RETRY
    assert "transfer-encoding" not in raw.head


def test_an_interim_response_goes_before_the_answer(mock):
    mock.order("/fault", name="status", status=103, attempts=1)
    raw = mock.request().until(b"retry")
    assert raw.seen.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("how, end", [("fin", "fin"), ("rst", "rst")])
def test_a_head_that_is_cut(mock, how, end):
    mock.order("/fault", name="cut-head", bytes=17, how=how, attempts=1)
    raw = mock.request(token=None)
    assert raw.to_end() == end
    assert raw.seen == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("count", [50, 130])
def test_an_event_is_cut_at_any_byte_and_said_to_be_torn(mock, count):
    mock.order("/fault", name="fin", bytes=count, clean=False, attempts=1)
    raw = mock.request()
    raw.until(RETRY)
    (id,) = mock.publish(type="job")
    assert raw.to_end() == "fin"
    assert len(raw.body) == count
    assert [one["bytes"] for one in mock.records("conn.sent") if one.get("torn") == id]


def test_gzip_is_flushed_with_each_event_and_finished_at_the_end(mock):
    mock.order("/fault", name="gzip", attempts=1)
    raw = mock.request()
    raw.until(lambda _: raw.body)
    (id,) = mock.publish()
    before = len(raw.body)
    raw.until(lambda _: len(raw.body) > before + 50)
    mock.order("/drop", how="fin")
    assert raw.to_end() == "fin"
    plain = gzip.decompress(raw.body)
    assert plain.startswith(RETRY)
    assert id.encode() in plain


@pytest.mark.parametrize(
    "ends, pattern",
    [
        ("cr", rb"id: [^\r\n]+\revent: [^\r\n]+\rdata: [^\n]+\r\r"),
        ("crlf", rb"id: [^\r\n]+\r\nevent: [^\r\n]+\r\ndata: [^\r\n]+\r\n\r\n"),
        ("mixed", rb"id: [^\r\n]+\r\nevent: [^\r\n]+\ndata: [^\r\n]+\r\r\n"),
    ],
)
def test_the_ends_of_lines(mock, ends, pattern):
    mock.order("/fault", name="line-ends", ends=ends, attempts=1)
    raw = mock.request().until(b"retry")
    while int(mock.publish()[0].rpartition("-")[2]) % 4 != 2:
        pass  # only of every fourth event the data has several lines
    raw.until(lambda _: re.search(pattern, raw.body))


def test_a_crlf_that_is_split_comes_in_two_chunks(mock):
    mock.order("/fault", name="line-ends", ends="split", attempts=1)
    raw = mock.request().until(b"retry")
    (id,) = mock.publish()
    first = b"id: " + id.encode() + b"\r"
    raw.until(b"%x\r\n%b\r\n" % (len(first), first))
    raw.until(lambda _: b"\n\r\n" in raw.body.partition(first)[2] or raw.body.endswith(b"\n"))


@pytest.mark.parametrize("name, owner", [("foreign", b'"owner": "mallory"'), ("phantom", b'"owner": null')])
def test_events_that_nobody_may_get(mock, name, owner):
    mock.order("/fault", name=name, attempts=1, **({"user": "mallory"} if name == "foreign" else {}))
    raw = mock.request()
    raw.until(lambda _: raw.body.endswith(b"}\n\n"))
    assert owner in raw.body


@pytest.mark.parametrize(
    "to, location",
    [
        ("absolute", "http://{host}/api/stream/events?sub=s&redirected=1"),
        ("path", "/api/stream/events?sub=s&redirected=1"),
        ("relative", "events?sub=s&redirected=1"),
        ("other-origin", "http://{other}/api/stream/events?sub=s&redirected=1"),
        ("other-scheme", "ftp://{host}/api/stream/events?sub=s&redirected=1"),
        ("empty", ""),
        ("invalid", "http://[::bad"),
        ("missing", None),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection(mock, status, to, location):
    mock.order("/fault", name="redirect", status=status, to=to, attempts=1)
    raw = mock.request(sub="s", headers={"Host": f"127.0.0.1:{mock.port}"})
    assert raw.to_end() == "fin"
    assert raw.status == status
    names = {"host": f"127.0.0.1:{mock.port}", "other": f"localhost:{mock.port}"}
    assert raw.head.get("location") == (None if location is None else location.format(**names))
    assert body(raw) == b""
    assert mock.stats()["slots"] == {}


def test_so_many_redirections_lead_to_the_stream_and_a_loop_nowhere(mock):
    path = "/api/stream/events"
    mock.order("/fault", name="redirect", to="path", hops=2)
    for _ in range(2):
        raw = mock.request(path)
        assert raw.status == 302
        path = raw.head["location"]
    assert mock.request(path).status == 200
    mock.order("/reset")
    mock.order("/fault", name="redirect", hops=None)
    assert mock.request("/api/stream/events?redirected=30").status == 302


def test_a_redirection_keeps_a_token_of_the_query_and_no_record_shows_it(mock):
    mock.order("/fault", name="redirect", attempts=1)
    token = mock.token()
    raw = mock.request(f"/api/stream/events?access_token={token}", token=None)
    assert token in raw.head["location"]
    assert token not in str(mock.records("conn.response"))
