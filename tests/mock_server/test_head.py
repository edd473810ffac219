import pytest

from harness.script import Respond
from mock_server.head import head_of


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
