import pytest

from harness.config import load_config
from harness.errors import HarnessError
from harness.judgement import judged
from harness.live.choice import Choice, plan_of
from harness.live.run import Live
from harness.scenario import Drop

pytestmark = pytest.mark.slow


def test_a_test_leaves_one_history_behind_that_can_be_judged_again(tmp_path):
    choice = Choice(load_config({}, environ={}, folder=tmp_path), 1, ())
    live = Live.start(plan_of(choice, "mine", {}), tmp_path / "out")
    try:
        live.loop.call(live.nemesis.crowd.open("s0-u0", "u0"))
        live.loop.call(live.nemesis.crowd.until_open(10.0))
        live.loop.call(live.server.publish("u0", 2))
        live.act(Drop("fin"))
        live.settle()
        first = live.records()
        assert first is live.records()
        assert [one.kind for one in first].count("sub.open") == 2
        sofar = live.history()
        assert {one.role for one in sofar} == {"run", "server"}
        assert "Authorization" not in repr(live)
    finally:
        live.end()
    assert [one.kind for one in sofar.of("lag")]
    run = judged(live.path)
    assert run.scenario == "mine"
    assert {one.check: one.outcome.name for one in run.verdicts}["delivery.nothing_lost"] == "PASS"
    assert sorted(path.name for path in live.folder.iterdir()) == ["history.jsonl", "parts"]


def test_a_server_that_dies_is_trouble_and_nobodys_failure(tmp_path):
    choice = Choice(load_config({}, environ={}, folder=tmp_path), 1, ())
    live = Live.start(plan_of(choice, "mine", {}), tmp_path / "out")
    try:
        live.server.process.kill()
        live.loop.call(live.server.process.wait())
        with pytest.raises(HarnessError, match="the server or proxy of this test does not answer"):
            live.loop.call(live.server.publish("u0"))
    finally:
        live.end()
    assert judged(live.path).reason == "the environment failed: the mock server died (exit -9)"
