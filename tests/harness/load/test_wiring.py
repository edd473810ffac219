"""The wires of one process; how they behave between processes is in tests/scenarios/load."""

import pytest

pytestmark = pytest.mark.slow


def test_a_locustfile_that_is_not_wired_is_told_so(patched):
    patched("""
    from locust.env import Environment
    from harness.errors import HarnessError
    from harness.load.wiring import wires_of
    try:
        wires_of(Environment())
    except HarnessError as exc:
        assert "wiring.wire(events, __file__" in str(exc)
    else:
        raise AssertionError
    """)


def test_a_failure_counts_more_than_what_is_unknown(patched):
    patched("""
    from harness.load.wiring import _worst
    assert [_worst(one) for one in ([], [0], [0, 3], [3, 1, 0], [0, 0])] == [0, 0, 3, 1, 0]
    """)


def test_a_new_token_comes_from_the_process_that_leads(patched):
    patched("""
    from types import SimpleNamespace
    from locust.env import Environment
    from harness.load.wiring import Wires
    environment = Environment(parsed_options=SimpleNamespace(headless=False))
    wires = Wires(environment, environment.create_local_runner(), "f.py", ())
    wires._on("sse-admit", wires._admit)
    wires._on("sse-admitted", wires._admitted)
    assert wires._fresh("u1") is None
    wires.run = SimpleNamespace(publisher=SimpleNamespace(admit=lambda user: {"headers": {"Authorization": user}}))
    assert wires._fresh("u1") == {"Authorization": "u1"}
    assert not wires.passes
    """)
