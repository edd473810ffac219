import pytest

from harness.script import Redirect, Respond
from mock_server.head import allowed_origin, head_of, location, redirect_head


def test_a_head_says_exactly_what_the_script_says_and_its_framing():
    step = Respond(status=299, headers=(("A", "é"),), framing="length", length=3, http="1.0")
    assert head_of(step, "1.1", None, set()) == (
        b"HTTP/1.0 299 Unknown\r\nA: \xe9\r\ncontent-length: 3\r\n\r\n",
        {"a": "é", "content-length": "3"},
        False,
    )


@pytest.mark.parametrize(
    "status, http, chunks",
    [(200, "1.1", True), (200, "1.0", False), (204, "1.1", False), (103, "1.1", False), (304, "1.1", False)],
)
def test_a_body_has_chunks_where_the_client_knows_them_and_there_is_a_body(status, http, chunks):
    assert head_of(Respond(status=status), http, None, set())[2] is chunks


def test_a_good_head_names_the_origin_that_may_read_it():
    assert head_of(Respond(), "1.1", "http://a", set())[1]["access-control-allow-origin"] == "http://a"


def test_some_headers_of_a_good_head_may_be_others_or_missing():
    step = Respond(but=(("content-type", None), ("cache-control", "public"), ("x-new", "1")))
    shown = head_of(step, "1.1", None, set())[1]
    assert "content-type" not in shown
    assert (shown["cache-control"], shown["x-new"], shown["connection"]) == ("public", "1", "close")


@pytest.mark.parametrize(
    "origin, others, allowed",
    [
        (None, ("*",), False),
        ("http://localhost", (), True),
        ("http://[::1]:80", (), True),
        ("http://localhost:80/x", (), False),
        ("http://a", (), False),
        ("http://a", ("http://a",), True),
        ("http://a", ("*",), True),
    ],
)
def test_whose_pages_may_read(origin, others, allowed):
    assert allowed_origin(origin, others) == (origin if allowed else None)


@pytest.mark.parametrize(
    "to, url, hops, expected",
    [
        ("path", "/a/b?x=1&redirected=3&y=2", 3, "/a/b?x=1&y=2&redirected=4"),
        ("relative", "/a/b", 0, "b?redirected=1"),
        ("relative", "/a/b?next=/c", 0, "/a/b?next=/c&redirected=1"),
        ("other-origin", "/a", 0, "http://127.0.0.1:8/a?redirected=1"),
        ("missing", "/a", 0, None),
    ],
)
def test_where_a_redirection_leads(to, url, hops, expected):
    assert location(Redirect(to=to), url=url, host="localhost:8", hops=hops) == expected


def test_a_redirection_may_be_read_by_the_page_that_asked():
    head, _ = redirect_head(Redirect(to="missing"), url="/", host="h", hops=0, origin="http://localhost")
    assert b"\r\naccess-control-allow-origin: http://localhost\r\n" in head
    assert head.startswith(b"HTTP/1.1 302 Found\r\n")
