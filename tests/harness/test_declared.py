"""What a header declares; more in test_attempts.py, where there are attempts."""

from harness import declared
from harness.history import History


def test_a_header_that_declares_nothing():
    declares = declared.of(History(()))
    assert declares.capabilities == frozenset()
    assert not declares.retries_refusals


def test_a_resilient_client_says_that_it_retries_refusals():
    header = {"client": {"capabilities": ["status-retry"], "options": None}}
    assert declared.of(History((), header)).retries_refusals
