"""The control plane of a started server."""

import http.client
import socket
import time

import pytest

CONTROL = "control-token-of-the-test"


@pytest.mark.parametrize("token", [None, "", "wrong", "ä"])
@pytest.mark.parametrize("path", ["/stats", "/history", "/nothing"])
def test_nobody_is_let_in_without_its_token(mock, path, token):
    token = None if token is None else token.encode().decode("latin-1")
    status, answer = mock.ask("GET", path, token=token)
    assert (status, answer) == (401, {"error": "the control plane wants `Authorization: Bearer` with its token"})


def test_the_data_plane_knows_nothing_of_it(mock):
    assert mock.request("/stats").status == 404


def test_publish_says_what_was_published(mock):
    answer = mock.order("/publish", user=["ann", None], count=2, type="job")
    assert answer["ids"] == [one["id"] for one in answer["events"]]
    assert [one["channel"] for one in answer["events"]] == ["user:ann", "all"] * 2
    assert set(answer["events"][0]) == {"channel", "seq", "id", "epoch", "type", "at", "digest"}
    records = mock.records("published")[-4:]
    assert [one["digest"] for one in records] == [one["digest"] for one in answer["events"]]


@pytest.mark.slow
def test_publish_at_a_rate_takes_its_time(mock):
    first, *_, last = mock.order("/publish", user="ann", count=6, rate=20.0)["events"]
    assert last["at"] - first["at"] > 0.24


def test_stats_say_what_the_process_holds(mock):
    idle = mock.stats()
    streams = [mock.stream() for _ in range(3)]
    busy = mock.stats()
    assert (busy["open"], busy["slots"]) == (3, {"alice": 3})
    assert busy["descriptors"] - idle["descriptors"] == 3
    assert busy["tasks"] == idle["tasks"], "an idle stream has no task"
    for one in streams:
        one.close()
    mock.until(lambda: mock.stats()["descriptors"] == idle["descriptors"])


def test_a_defect_given_later_goes_with_a_reset(mock):
    assert mock.order("/defect", name="cacheable")["defects"] == ["cacheable"]
    assert mock.ask("GET", "/defect")[1]["on"] == ["cacheable"]
    assert mock.order("/reset")["defects"] == []
    assert [(one["name"], one["state"]) for one in mock.records("server.fault")][-2:] == [
        ("defect:cacheable", "on"),
        ("all", "off"),
    ]


@pytest.mark.parametrize(
    "path, order, sentence",
    [
        ("/publish", {"usr": "ann"}, "publish does not know usr"),
        ("/publish", {"user": 5}, "`user` of publish is a name, null for all, or a list of these"),
        ("/publish", {"count": 0}, "publish at most 100000 events in 3600 s; ask for less at once"),
        ("/publish", {"count": -1}, "`count` is a whole number, 0 or more, not -1"),
        ("/publish", {"rate": "x"}, "`rate` is a number, not 'x'"),
        ("/publish", {"type": "reset"}, "there is no event type 'reset' to publish; known: metric, "),
        ("/publish", {"type": "job", "body": {}}, "body does not fit the schema of job: 'job' is a required property"),
        ("/token", {"user": 5}, "`user` of token is a name"),
        ("/script", {"script": [{"step": "x"}]}, "step 0 of the script has no known name in `step`"),
        ("/script", {"script": [], "attempts": 0}, "attempts is a whole number from 1, or null for all, not 0"),
        ("/fault", {"name": "x"}, "there is no fault 'x'; the faults are "),
        ("/fault", {"name": "rst", "parameters": {"x": 1}}, "fault rst does not know x; known: events"),
        ("/defect", {"name": "x"}, "there is no defect 'x'; known: "),
        ("/drop", {"how": "x"}, "streams are dropped by fin, rst, silence or mid-event, not 'x'"),
        ("/restart", {"how": "x"}, "a restart is graceful or a crash, not 'x'"),
        ("/flag", {}, "a flag is set with `enabled` (for all, or for `user`) or with `percent`; give one"),
        ("/flag", {"enabled": "no"}, "`enabled` of flag is true or false, and `percent` a number"),
    ],
)
def test_a_wrong_order_is_refused_in_one_sentence(mock, path, order, sentence):
    status, answer = mock.ask("POST", path, order)
    assert status == 400
    assert answer["error"].startswith(sentence)


def test_what_is_no_json_and_what_is_no_route_are_refused_too(mock):
    assert mock.ask("POST", "/publish", [1]) == (400, {"error": "the body of /publish is no JSON object"})
    assert mock.ask("GET", "/publish") == (405, {"error": "the control plane has no GET /publish"})
    assert mock.ask("GET", "/nothing") == (404, {"error": "the control plane has no GET /nothing"})


def told(mock, name):
    return [one["state"] for one in mock.records("server.fault") if one["name"] == name]


def test_a_fault_that_is_used_up_is_over_when_the_last_connection_that_plays_it_has_gone(mock):
    mock.order("/fault", name="dribble", seconds=0.0001, attempts=1)
    raw = mock.stream()
    assert told(mock, "dribble")[-1] == "on"
    raw.close()
    mock.until(lambda: told(mock, "dribble")[-1] == "off")


@pytest.mark.parametrize("name", ["rst", "fin"])
def test_a_fault_that_hits_the_live_streams_is_over_at_once(mock, name):
    raw = mock.stream()
    mock.order("/fault", name=name)
    raw.to_end()
    assert told(mock, name)[-2:] == ["on", "off"]
    assert mock.order("/fault", name=name) == {"live": 0}
    assert told(mock, name)[-2:] == ["on", "off"]


def test_a_refusal_is_over_with_its_last_answer(mock):
    mock.order("/fault", name="status", attempts=2)
    assert mock.request().status == 503
    assert told(mock, "status")[-1] == "on"
    assert mock.request().status == 503
    mock.until(lambda: told(mock, "status")[-1] == "off")


def test_a_script_that_is_used_up_is_over(mock):
    mock.order("/script", script=[{"step": "respond", "status": 500}, {"step": "finish"}])
    mock.request().to_end()
    mock.until(lambda: told(mock, "script")[-1] == "off")


@pytest.mark.parametrize("how", ["reset", "delete"])
def test_a_stream_whose_fault_is_taken_back_goes_on_as_a_good_one(mock, how):
    mock.order("/fault", name="buffer", seconds=3600)
    raw = mock.request()
    raw.until(b"retry")
    (id,) = mock.publish()
    if how == "reset":
        mock.order("/reset")
    else:
        assert mock.ask("DELETE", "/fault", {"name": "buffer"}) == (200, {})
        assert told(mock, "buffer")[-1] == "off"
    assert raw.until_ids(1).ids == [id]
    (again,) = mock.publish()
    assert raw.until_ids(2).ids == [id, again]


def test_an_event_that_was_held_back_comes_when_its_fault_is_taken_back(mock):
    mock.order("/fault", name="reorder", every=1, live=True)
    raw = mock.stream()
    mock.order("/fault", name="reorder", every=1, live=True)
    (id,) = mock.publish()
    mock.ask("DELETE", "/fault", {"name": "reorder"})
    assert raw.until_ids(1).ids == [id]


def test_an_order_that_is_broken_off_is_no_trouble(mock):
    raw = socket.create_connection(("127.0.0.1", mock.control_port))
    head = f"POST /fault HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CONTROL}\r\nContent-Length: 99\r\n\r\n"
    raw.sendall(head.encode() + b"{")
    mock.stats()
    raw.close()
    mock.stats()
    assert "Traceback" not in (mock.folder / "stderr.txt").read_text()


@pytest.mark.ci
def test_an_idle_connection_to_the_control_plane_is_kept(mock):
    """uvicorn closes one after 5 s; a request that was on its way then had no answer, and a run its trouble."""
    connection = http.client.HTTPConnection("127.0.0.1", mock.control_port, timeout=10)
    try:
        for pause in (6.0, 0.0):
            connection.request("GET", "/stats", headers={"Authorization": f"Bearer {CONTROL}"})
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            kept = connection.sock
            time.sleep(pause)
        assert connection.sock is kept
    finally:
        connection.close()
