import pytest

from mock_server.worker import loop_factory


def test_the_event_loop_is_uvloop_where_it_is_installed():
    uvloop = pytest.importorskip("uvloop")
    assert loop_factory("auto") is loop_factory("uvloop") is uvloop.new_event_loop


def test_the_event_loop_may_be_chosen():
    assert loop_factory("asyncio") is None
