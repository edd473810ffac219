"""Which values of Accept admit an event stream."""

import pytest

from harness.accept import admits


@pytest.mark.parametrize(
    "accept", [None, "", " ", "text/event-stream", "TEXT/Event-Stream", "*/*", "text/*;q=0.1", "a/b, */*;q=0.5"]
)
def test_what_admits_an_event_stream(accept):
    assert admits(accept)


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream;q=0, */*", "*/*;q=0", "text/*;q=x", ","])
def test_what_does_not(accept):
    assert not admits(accept)
