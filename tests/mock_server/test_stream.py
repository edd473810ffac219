"""Scripts and faults on the wire of a started server, and how it gets rid of a peer."""

import re
import time

import pytest

GOOD = [{"step": "respond"}, {"step": "stream"}]


@pytest.mark.parametrize(
    "last, how, seen",
    [
        ("finish", "fin", b"\r\n\r\n4\r\n: a\n\r\n0\r\n\r\n"),
        ("close", "fin", b"\r\n\r\n4\r\n: a\n\r\n"),
        ("reset", "rst", b"\r\n\r\n4\r\n: a\n\r\n"),
    ],
)
def test_a_script_is_played_byte_for_byte(mock, last, how, seen):
    script = [{"step": "respond"}, {"step": "send", "data": ": a\n"}, {"step": "wait", "seconds": 0.05}, {"step": last}]
    mock.order("/script", script=script, sub="s")
    raw = mock.request(sub="s", token=None)
    assert raw.to_end() == how
    assert raw.seen.endswith(seen)


def test_scripts_are_played_one_attempt_after_the_other_and_only_to_whom_they_are_for(mock):
    answers = [[{"step": "respond", "status": status, "headers": []}, {"step": "close"}] for status in (500, 503)]
    mock.order("/script", scripts=[*answers, GOOD], sub="s")
    assert mock.request(sub="other").status == 200
    assert [mock.request(sub="s").status for _ in range(4)] == [500, 503, 200, 200]


def test_a_script_may_lie_about_its_framing(mock):
    script = [
        {"step": "respond", "headers": {"Content-Type": "text/event-stream"}, "framing": "length", "length": 9},
        {"step": "send", "data": "data: a"},
        {"step": "close"},
    ]
    mock.order("/script", script=script)
    raw = mock.request()
    assert raw.to_end() == "fin"
    assert raw.seen == b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: a"


def test_a_script_without_a_stream_step_is_played_to_anybody_and_one_with_it_needs_a_token(mock):
    mock.order("/script", script=GOOD, attempts=2)
    assert mock.request(token=None).status == 401
    assert mock.request().status == 200


def test_play_has_nothing_but_scripts(mock):
    assert mock.request("/play/case-1", token=None).status == 404
    script = [{"step": "respond", "status": 302, "headers": {"Location": "/play/case-2"}}, {"step": "finish"}]
    mock.order("/script", script=script, sub="case-1")
    raw = mock.request("/play/case-1", token=None, method="POST")
    assert (raw.status, raw.head["location"]) == (302, "/play/case-2")


def test_an_interim_response_comes_before_the_real_one(mock):
    mock.order("/script", script=[{"step": "respond", "status": 103, "headers": []}, *GOOD])
    raw = mock.request().until(b"retry")
    assert raw.seen.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_fault_status(mock):
    mock.order("/fault", name="status", status=503, retry_after=7, attempts=1)
    raw = mock.request()
    assert (raw.status, raw.head["retry-after"]) == (503, "7")
    assert mock.request().status == 200


def test_a_fault_without_a_number_of_attempts_stays_until_it_is_taken_back(mock):
    mock.order("/fault", name="status")
    assert [mock.request().status for _ in range(3)] == [503] * 3
    mock.ask("DELETE", "/fault", {"name": "status"})
    assert mock.request().status == 200


@pytest.mark.parametrize("name, how, end", [("rst", "rst", b""), ("fin", "fin", b"0\r\n\r\n")])
def test_faults_that_end_a_stream_hit_the_live_ones_now(mock, name, how, end):
    raw = mock.stream()
    assert mock.order("/fault", name=name) == {"live": 1}
    assert raw.to_end() == how
    assert raw.seen.endswith(end)
    assert mock.stats()["slots"] == {}
    assert mock.request().status == 200


def test_faults_that_end_a_stream_may_wait_for_the_next_attempts(mock):
    mock.order("/fault", name="fin", attempts=1, events=2, clean=False)
    raw = mock.stream()
    ids = mock.publish(count=3)
    assert raw.to_end() == "fin"
    assert raw.ids == ids[:2]
    assert not raw.seen.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "at, end",
    [("after-id", rb"id: [^\n]*\n"), ("inside-data", rb"\ndata: [^\n]*[^}\n]"), ("before-empty-line", rb"}\n")],
)
def test_fault_cut_event(mock, at, end):
    raw = mock.stream()
    (whole,) = mock.publish(type="job")
    raw.until_ids(1)
    mock.order("/fault", name="cut-event", at=at)
    (torn,) = mock.publish(type="sentinel")
    assert raw.to_end() == "fin"
    assert raw.ids == [whole, torn]
    assert re.search(end + rb"\Z", raw.body)
    again = mock.stream(last_event_id=whole).until_ids(1)
    assert again.ids == [torn]


def test_fault_unfinished_chunk(mock):
    raw = mock.stream()
    mock.order("/fault", name="unfinished-chunk")
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b'64\r\ndata: {"un')


@pytest.mark.slow
@pytest.mark.parametrize("order", [("/fault", {"name": "silence"}), ("/drop", {"how": "silence"})])
def test_silence_keeps_the_connection_and_says_nothing_not_even_heartbeats(mock, order):
    path, body = order
    raw = mock.stream()
    mock.order(path, **body)
    seen = len(raw.seen)
    mock.publish()
    with pytest.raises(TimeoutError):
        raw.more(timeout=0.5)
    assert len(raw.seen) == seen
    assert mock.stats()["slots"] == {"alice": 1}


@pytest.mark.slow
def test_fault_dribble(mock):
    mock.order("/fault", name="dribble", seconds=0.001, attempts=1)
    raw = mock.stream()
    (id,) = mock.publish(type="sentinel")
    reads = 0
    while not raw.body.endswith(b"}\n\n"):
        assert raw.more()
        reads += 1
    assert raw.ids == [id]
    assert reads > 20


@pytest.mark.slow
def test_fault_buffer(mock):
    mock.order("/fault", name="buffer", seconds=0.3, attempts=1)
    raw = mock.stream()
    began = time.monotonic()
    ids = mock.publish(count=3)
    assert raw.until_ids(3).ids == ids
    assert time.monotonic() - began > 0.29


@pytest.mark.parametrize(
    "name, expected", [("duplicate", [1, 2, 2, 3, 4, 4]), ("omit", [1, 3]), ("reorder", [1, 3, 2, 5, 4])]
)
def test_faults_of_the_order(mock, name, expected):
    mock.order("/fault", name=name, attempts=1)
    raw = mock.stream()
    ids = mock.publish(count=5 if name == "reorder" else 4)
    raw.until_ids(len(expected))
    assert raw.ids == [ids[number - 1] for number in expected]


@pytest.mark.parametrize("how, end", [("fin", "fin"), ("rst", "rst"), ("mid-event", "fin")])
def test_drop_ends_the_streams_of_one_user(mock, how, end):
    raw, other = mock.stream(), mock.stream(user="bob")
    assert mock.order("/drop", how=how, user="alice") == {"dropped": 1}
    assert raw.to_end() == end
    assert raw.seen.endswith({"fin": b"0\r\n\r\n", "rst": b"", "mid-event": b'data: {"torn": \r\n'}[how])
    mock.publish("bob")
    other.until_ids(1)


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_peer_that_stops_reading_is_cut_and_one_that_is_slow_is_told_what_it_lost(start_mock, loop):
    mock = start_mock(write_timeout=1.0, send_buffer=4096, queue_events=10, replay_events=5, loop=loop, heartbeat=60)
    deaf, slow = mock.stream(read_buffer=2048), mock.stream(user="bob", read_buffer=2048)
    ids = mock.publish(["alice", "bob"], count=100, size=2000)
    raw = slow.until(b"event: dropped")
    slow.until(ids[-1].encode() + b"\n").until(lambda seen: seen.endswith(b"\n\n\r\n"))
    assert raw.ids[-1] == ids[-1]
    lost = sum(map(int, re.findall(rb'"count": (\d+)', raw.body)))
    assert len(raw.ids) + lost == 100
    mock.until(lambda: mock.stats()["slots"] == {"bob": 1})
    end = mock.records("conn.end")[-1]
    assert (end["by"], end["how"]) == ("server", "timeout")
    assert deaf.to_end() == "rst"


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_every_way_to_end_works_on_both_event_loops(start_mock, loop):
    mock = start_mock(loop=loop, max_lifetime=0.4)
    for how, end in (("fin", "fin"), ("rst", "rst"), ("mid-event", "fin")):
        raw = mock.stream()
        mock.order("/drop", how=how)
        assert raw.to_end() == end
    raw = mock.stream()
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b"retry: 3000\n\n\r\n0\r\n\r\n")
    assert mock.records("conn.end")[-1]["how"] == "limit"


@pytest.mark.slow
def test_a_throttled_connection_gets_so_many_events_a_second_and_loses_none(start_mock):
    mock = start_mock(throttle=20.0)
    raw = mock.stream()
    began = time.monotonic()
    ids = mock.publish(count=8)
    assert raw.until_ids(8).ids == ids
    assert time.monotonic() - began > 0.3
