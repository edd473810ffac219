"""Both forms of Retry-After, and whatever else stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import retryafter

NOW = "Sun, 22 Nov 2026 20:00:00 GMT"


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("20", 20.0),
        (" 0\t", 0.0),
        ("Sun, 22 Nov 2026 20:01:00 GMT", 60.0),
        ("Sunday, 22-Nov-26 20:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 19:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 20:01:00 -0000", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²0", None),
        ("", None),
    ],
)
def test_seconds_from_the_response_on(value, seconds):
    assert retryafter.seconds({"retry-after": value, "date": NOW}) == seconds


def test_a_date_needs_the_servers_own():
    assert retryafter.seconds({"retry-after": NOW}) is None
    assert retryafter.seconds({}) is None


@pytest.mark.parametrize("value, valid", [("20", True), (NOW, True), ("soon", False), ("", False), ("-1", False)])
def test_what_a_client_can_read(value, valid):
    assert retryafter.valid(value) is valid


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_a_server_says_raises(value, date):
    found = retryafter.seconds({"retry-after": value, "date": date})
    assert found is None or found >= 0.0
    assert retryafter.valid(value) in (True, False)
