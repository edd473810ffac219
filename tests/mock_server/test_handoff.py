"""What uvicorn reads before a connection is handed over, on a started server."""

import pytest


def test_a_request_whose_head_never_ends_is_cut(mock):
    raw = mock.connect().send("GET /api/stream/events HTTP/1.1\r\nX: ")
    try:
        for _ in range(64):
            raw.send("x" * 65536)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert raw.to_end() in ("rst", "fin")
    assert raw.seen == b""


def test_a_large_order_is_no_large_head(mock):
    assert mock.order("/publish", type="sentinel", body={"note": "x" * 200_000})["ids"]


@pytest.mark.slow
def test_a_client_that_leaves_at_once_holds_no_slot(mock):
    token = mock.token()
    for _ in range(20):
        mock.request(token=token).reset()
    mock.until(lambda: mock.stats()["slots"] == {})
    assert mock.request(token=token).status == 200


def test_what_is_no_http_is_answered_and_closed(mock):
    raw = mock.connect().send("nonsense\r\n\r\n")
    assert raw.status == 400
    assert raw.to_end() == "fin"


def test_two_answers_come_on_one_connection_before_the_stream_takes_it(mock):
    raw = mock.request("/api/flags").until(b"}")
    raw.send(f"GET /api/stream/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mock.token()}\r\n\r\n")
    raw.until(b"retry: 3000")
    assert raw.seen.count(b"HTTP/1.1 200 OK") == 2
