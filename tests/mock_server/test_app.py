"""The data plane of a started server, byte by byte."""

import json
import threading
import time

import pytest

from harness.eventstream import Comment, Decoder, Event, Retry
from harness.testevent import read
from mock_server import auth


def items(raw):
    return Decoder().feed(raw.body)


def events(raw):
    return [one for one in items(raw) if isinstance(one, Event)]


def test_a_stream_begins_at_once_and_is_neither_cached_nor_buffered(mock):
    raw = mock.stream()
    assert raw.seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.head["content-type"] == "text/event-stream"
    assert raw.head["cache-control"] == "no-cache, no-store, no-transform"
    assert raw.head["x-accel-buffering"] == "no"
    assert raw.head["transfer-encoding"] == "chunked"
    assert items(raw)[0] == Retry(3000)


def test_events_come_as_they_were_published(mock):
    raw = mock.stream()
    ids = mock.publish(count=3) + mock.publish(None, count=2)
    mock.publish("bob")
    assert raw.until_ids(5).ids == ids
    assert all(read(one.data).intact for one in events(raw))
    assert b"data: {\ndata:  " in raw.body, "every fourth event has several data lines"
    assert all(b"id: " + one.encode() + b"\n" in raw.body for one in ids)
    types = [one.type for one in events(raw)]
    assert raw.body.count(b"event: ") == sum(one != "message" for one in types) < len(types)


def test_a_heartbeat_is_a_comment_without_an_id(mock):
    raw = mock.stream()
    raw.until(lambda _: sum(isinstance(one, Comment) for one in items(raw)) >= 2)
    assert items(raw) == [Retry(3000), Comment("heartbeat"), Comment("heartbeat")]
    assert b"id:" not in raw.body


def test_a_token_may_stand_in_the_query_because_eventsource_sets_no_headers(mock):
    assert mock.request(f"/api/stream/events?access_token={mock.token()}", token=None).status == 200


@pytest.mark.parametrize("path", ["/api/stream/events", "/api/dashboard", "/api/events", "/api/flags"])
def test_nobody_is_let_in_without_a_good_token(mock, path):
    good = mock.token()
    assert mock.request(path, token=good).status == 200
    for token in (None, "", "x", good[:-4], good[2:], auth.mint("other", "alice", time.time() + 9), mock.token(ttl=-1)):
        raw = mock.request(path, token=token)
        assert raw.status == 401
        assert raw.head["www-authenticate"].startswith("Bearer")
        assert "token" in json.loads(raw.until(b"}").body)["error"]


def test_other_methods_are_refused_and_say_which_is_allowed(mock):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        raw = mock.request(method=method, headers={"Content-Length": "0"})
        assert (raw.status, raw.head["allow"]) == (405, "GET, HEAD")


def test_head_is_answered_with_the_head_of_a_stream_and_takes_no_slot(mock):
    raw = mock.request(method="HEAD", headers={"Connection": "close"})
    assert (raw.status, raw.head["content-type"]) == (200, "text/event-stream")
    assert raw.to_end() == "fin"
    assert raw.body == b""
    assert mock.stats()["slots"] == {}


@pytest.mark.parametrize(
    "accept, status",
    [
        ("text/event-stream", 200), ("*/*", 200), ("text/*;q=0.1", 200), ("application/json", 406),
        ("text/event-stream;q=0, */*", 406), ("TEXT/Event-Stream", 200), ("", 200),
    ],
)  # fmt: skip
def test_who_does_not_accept_event_streams_gets_none(mock, accept, status):
    assert mock.request(headers={"Accept": accept}).status == status


def test_a_client_of_http_1_0_gets_no_chunks(mock):
    raw = mock.stream(http="1.0")
    assert "transfer-encoding" not in raw.head
    (id,) = mock.publish()
    assert raw.until(b"\n\n").until(id.encode()).body.startswith(b"retry: 3000\n\n")


def test_twenty_racing_connects_get_exactly_the_limit(mock):
    token = mock.token()
    raws, gate = [], threading.Barrier(20)

    def connect():
        gate.wait()
        raws.append(mock.request(token=token))

    threads = [threading.Thread(target=connect) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    statuses = sorted(raw.status for raw in raws)
    assert statuses == [200] * 3 + [429] * 17
    assert all(raw.head["retry-after"] == "1" for raw in raws if raw.status == 429)
    assert mock.stats()["slots"] == {"alice": 3}
    assert mock.request(user="bob").status == 200, "another user is not affected"


@pytest.mark.parametrize("leave", ["leave", "reset"])
def test_a_slot_is_free_again_when_its_idle_client_has_gone_by_fin_or_rst(mock, leave):
    raw = mock.stream()
    assert mock.stats()["slots"] == {"alice": 1}
    getattr(raw, leave)()
    mock.until(lambda: mock.stats()["slots"] == {})
    end = mock.until(lambda: mock.records("conn.end"))[-1]
    assert (end["by"], end["how"]) == ("client", "fin" if leave == "leave" else "rst")


def test_a_resume_gets_exactly_what_it_missed_and_then_what_comes(mock):
    ids = mock.publish(count=4)
    mock.publish("bob", count=2)
    ids += mock.publish(None)
    raw = mock.stream(last_event_id=ids[1])
    ids += mock.publish(count=2)
    assert raw.until_ids(5).ids == ids[2:]


@pytest.mark.parametrize("stale", ["too-old", "epoch"])
def test_a_resume_that_cannot_be_complete_begins_with_a_reset(mock, stale):
    first, *_, last = mock.publish(count=25)
    raw = mock.stream(last_event_id=first if stale == "too-old" else "other-1").until(b"event: reset")
    (reset,) = events(raw.until(b"}"))
    assert (reset.type, reset.id) == ("reset", "")
    assert json.loads(reset.data) == {"reason": stale, "after": last, "epoch": mock.stats()["epoch"]}


def test_the_flag_gates_the_stream_and_its_kill_switch_ends_live_ones(mock):
    raw, other = mock.stream(), mock.stream(user="bob")
    mock.order("/flag", enabled=False, user="alice")
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b"0\r\n\r\n")
    assert mock.request().status == 204
    assert mock.stats()["slots"] == {"bob": 1}
    mock.order("/flag", enabled=False)
    assert other.to_end() == "fin"
    mock.order("/flag", enabled=True, user="alice")
    assert mock.request().status == 200


def test_the_dashboard_is_the_same_bytes_with_the_flag_on_and_off(mock):
    mock.publish(count=3)
    on = mock.twin("/api/dashboard")
    mock.order("/flag", enabled=False)
    assert mock.twin("/api/dashboard") == on
    assert json.loads(on)["metrics"]
    assert json.loads(mock.twin("/api/flags")) == {"enable_sse_streaming": False}


def test_the_rest_twin_polls_the_same_events(mock):
    start = json.loads(mock.twin("/api/events"))
    ids = mock.publish(count=2)
    mock.publish("bob")
    polled = json.loads(mock.twin("/api/events", after=start["last"]))
    assert [one["id"] for one in polled["events"]] == ids
    assert (polled["reset"], polled["last"]) == (False, ids[-1])
    assert polled["events"][0]["data"]["owner"] == "alice"
    assert json.loads(mock.twin("/api/events", after="other-1"))["reset"] is True


@pytest.mark.slow
def test_a_stream_ends_when_its_token_does(mock):
    raw = mock.stream(token=mock.token(ttl=0.3))
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b"retry: 3000\n\n\r\n0\r\n\r\n")
    assert mock.records("conn.end")[-1]["reason"] == "token-expired"


def test_no_token_stands_in_a_record(mock):
    token = mock.token()
    mock.request(
        f"/api/stream/events?access_token={token}&sub=s1", token=None, headers={"Referer": f"http://h/?t={token}"}
    )
    request = mock.until(lambda: [one for one in mock.records("conn.request") if one["sub"] == "s1"])[-1]
    assert request["path"].startswith("/api/stream/events?access_token=alice:")
    mock.request(token=token).until(b"retry")
    for file in mock.folder.iterdir():
        text = file.read_text()
        assert token not in text
        assert token.rpartition(".")[2] not in text


def test_what_follows_a_request_is_ignored(mock):
    raw = mock.stream().send("GET /api/dashboard HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    (id,) = mock.publish()
    assert raw.until_ids(1).ids == [id]
    assert raw.seen.count(b"HTTP/1.1") == 1


@pytest.mark.slow
def test_a_page_of_another_origin_may_read_only_if_it_is_listed(start_mock):
    mock = start_mock(cors_origins=["http://page.test"])
    listed = mock.stream(headers={"Origin": "http://page.test"})
    assert listed.head["access-control-allow-origin"] == "http://page.test"
    assert "access-control-allow-origin" not in mock.stream(headers={"Origin": "http://evil.test"}).head
    preflight = {"Origin": "http://page.test", "Access-Control-Request-Method": "GET"}
    assert mock.request(method="OPTIONS", token=None, headers=preflight).status == 200


LOOPBACK = ["http://localhost:5173", "http://127.0.0.1:8000", "https://127.1.2.3", "http://[::1]:3000"]


@pytest.mark.parametrize("origin", LOOPBACK)
@pytest.mark.parametrize("path", ["/api/stream/events", "/api/dashboard"])
def test_a_page_of_this_machine_may_read_and_send_its_cookie(mock, origin, path):
    raw = mock.request(path, headers={"Origin": origin})
    assert (raw.status, raw.head["access-control-allow-origin"]) == (200, origin)
    assert raw.head["access-control-allow-credentials"] == "true"
    assert "Origin" in raw.head["vary"]


@pytest.mark.parametrize(
    "origin", ["null", "http://localhost.evil.test", "http://127.0.0.1.evil.test:80", "file://localhost", "http://page.test"]
)  # fmt: skip
def test_any_other_page_may_not(mock, origin):
    raw = mock.request(headers={"Origin": origin})
    assert raw.status == 200
    assert "access-control-allow-origin" not in raw.head
    preflight = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    raw = mock.request(method="OPTIONS", token=None, headers=preflight)
    assert raw.status == 400
    assert "access-control-allow-origin" not in raw.head


def test_a_preflight_is_answered_without_a_token(mock):
    asked = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id,cache-control",
    }
    raw = mock.request(method="OPTIONS", token=None, headers=asked)
    assert (raw.status, raw.head["access-control-allow-origin"]) == (200, "http://localhost:5173")
    assert raw.head["access-control-allow-credentials"] == "true"
    assert {"authorization", "last-event-id", "cache-control"} <= {
        one.strip().lower() for one in raw.head["access-control-allow-headers"].split(",")
    }


def test_a_cookie_lets_in_and_stands_in_no_record(mock):
    token = mock.token()
    raw = mock.request(token=None, headers={"Cookie": f"theme=dark; access_token={token}"})
    assert raw.status == 200
    request = mock.records("conn.request")[-1]
    assert (request["user"], token in str(request)) == ("alice", False)
    assert mock.request(token=None, headers={"Cookie": "access_token=x"}).status == 401
    assert mock.request(token=mock.token("bob"), headers={"Cookie": f"access_token={token}"}).status == 200
    assert mock.records("conn.request")[-1]["user"] == "bob", "the header goes before the cookie"


@pytest.mark.slow
def test_a_fault_of_the_settings_lasts_and_is_recorded_as_what_is_judged(start_mock):
    mock = start_mock(faults=[{"name": "content-type", "sub": "a"}, {"name": "status", "attempts": 1, "sub": "b"}])
    mock.order("/reset")
    for _ in range(2):
        assert mock.request(sub="a").head["content-type"] == "text/plain"
    assert [mock.request(sub="b").status for _ in range(2)] == [503, 200]
    faults = [one for one in mock.records("server.fault") if one["name"] != "all"]
    assert [(one["name"], one["state"], one["defect"]) for one in faults] == [
        ("content-type", "on", True), ("status", "on", True), ("status", "off", True),
    ]  # fmt: skip
