import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from harness import history, run
from harness.check import Outcome
from harness.errors import HarnessError
from harness.judgement import judged
from harness.run import Job, Plan, drain, resolve
from harness.scenario import Network, Scenario
from harness.servers import MockServer
from harness.target import Promises, Target
from tests.harness import certificate
from tests.harness.doubles import HOLD, OPENED, Clock, Notes, NotingServer, Scripted, client
from tests.harness.test_nemesis import made

SCENARIO = '''"""Is it so?

And more."""
from harness.scenario import *

scenario = Scenario({})
'''


@pytest.fixture
def job(tmp_path):
    """A job whose scenario has these arguments."""

    def written(arguments, **more):
        path = tmp_path / "mine.py"
        path.write_text(SCENARIO.format(arguments))
        return Job(scenario=str(path), out=str(tmp_path / "out"), **more)

    return written


def target_file(tmp_path, text):
    path = tmp_path / "target.toml"
    path.write_text(text)
    return str(path)


# What is resolved before anything starts


def test_the_header_has_whatever_a_check_may_ask(job, tmp_path):
    (tmp_path / "theirs.py").write_text(
        "CAPABILITIES = frozenset({'backoff'})\nOPTIONS = {'backoff_base': 2.0}\nasync def subscribe(session): ...\n"
    )
    plan = resolve(job("checks=('delivery',), users=9", client=str(tmp_path / "theirs.py"), seed=7, users=4))
    header = plan.header()
    assert json.loads(json.dumps(header)) == json.loads(json.dumps(dict(header)))
    assert (header["scenario"], header["question"], header["checks"]) == ("mine", "Is it so?", ["delivery"])
    assert (header["seed"], header["users"], header["skipped"]) == (7, 4, None)
    assert header["target"] == {"name": "mock", "own": True}
    assert header["client"] == {
        "name": "theirs", "own": False, "capabilities": ["backoff"], "options": {"backoff_base": 2.0}
    }  # fmt: skip
    assert Promises.of(header).heartbeat == plan.promises.heartbeat
    assert set(header["capabilities"]) == MockServer.offers | {"network"}
    assert header["versions"].keys() >= {"python", "sse-harness", "httpx"}


def test_a_label_names_the_run(job):
    assert resolve(job("checks=()", label="mine-2")).header()["scenario"] == "mine-2"


def test_who_is_configurable_gets_the_scenarios_law_and_a_deadline(job):
    plan = resolve(job("checks=(), client={'backoff_cap': 1.0}, server={'heartbeat': 2.0}", options={"jitter": False}))
    assert plan.options == {"heartbeat_deadline": run.DEADLINE_BEATS * 2.0, "backoff_cap": 1.0, "jitter": False}


def test_a_target_without_a_heartbeat_gives_no_deadline(job, tmp_path):
    plan = resolve(job("checks=()", target=target_file(tmp_path, 'url = "http://127.0.0.1:9/"\n')))
    assert "heartbeat_deadline" not in plan.options
    assert plan.header()["target"] == {"name": "target", "own": False}


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        ("x = 1\n", r"mine.py defines no `scenario = Scenario\(...\)`; add it"),
        ("scenario = 1\n", r"mine.py defines no `scenario = Scenario\(...\)`; add it"),
    ],
)
def test_a_file_that_is_no_scenario_is_one_sentence(tmp_path, scenario, told):
    path = tmp_path / "mine.py"
    path.write_text(scenario)
    with pytest.raises(HarnessError, match=told):
        resolve(Job(scenario=str(path), out=""))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("checks=(), needs={'publsh'}", r"scenario .*mine.py needs the capability 'publsh'; did you mean 'publish'\?"),
        ("checks=(), client={'policy': 'spek'}", "subscriber option policy is 'spek'; use one of spec, resilient"),
    ],
)
def test_what_a_scenario_wants_of_target_and_client_is_known_before_anything_starts(job, arguments, told):
    with pytest.raises(HarnessError, match=told):
        resolve(job(arguments))


def test_a_file_that_is_no_client_is_one_sentence(job, tmp_path):
    (tmp_path / "not.py").write_text("CAPABILITIES = frozenset()\n")
    with pytest.raises(HarnessError, match=r"not.py' lacks CAPABILITIES or `async def subscribe\(session\)`; add them"):
        resolve(job("checks=()", client=str(tmp_path / "not.py")))


GOOD = "CAPABILITIES = frozenset()\nasync def subscribe(session): ...\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("frozenset()", "None"), "CAPABILITIES is no set of names; write frozenset() or frozenset({...})"),
        (GOOD.replace("()\n", "({'back-off'})\n", 1), "declares the capability 'back-off'; did you mean 'backoff'?"),
        (GOOD + "OPTIONS = [1]\n", "OPTIONS is no dict of seconds by name; mend it"),
        (GOOD.replace("async ", ""), "subscribe is not `async def subscribe(session)`; make it one"),
        (GOOD.replace("session", ""), "subscribe does not take the session and nothing else; mend it"),
        ("raise SystemExit(3)\n" + GOOD, "cannot be imported: SystemExit: 3; mend the client"),
    ],
)
def test_a_client_that_is_none_is_one_sentence(job, tmp_path, text, told):
    path = tmp_path / "theirs.py"
    path.write_text(text)
    with pytest.raises(HarnessError) as caught:
        resolve(job("checks=()", client=str(path)))
    assert told in str(caught.value)


def test_a_capability_of_the_users_own_is_none_of_our_business(job, tmp_path):
    path = tmp_path / "ours.py"
    path.write_text(GOOD.replace("()\n", "({'of-our-own'})\n", 1))
    client = resolve(job("checks=()", client=str(path))).client
    assert set(client.CAPABILITIES) == {"of-our-own"}


def test_certificates_that_are_none_are_found_before_anything_starts(job, tmp_path):
    (tmp_path / "ca.pem").write_text("")
    target = target_file(tmp_path, 'url = "https://127.0.0.1:9/"\nca_file = "ca.pem"\n')
    with pytest.raises(HarnessError, match="holds no certificates"):
        resolve(job("checks=()", target=target))


def plan_of(scenario, *capabilities, url=None):
    target = None if url is None else Target(name="t", url=url, hooks={"publish": "true"})
    return Plan(Job(scenario="x", out=""), scenario, "", client(None, *capabilities), target, Promises(), {})


def test_what_a_scenario_needs_can_come_from_either_side():
    needy = Scenario(checks=(), needs=frozenset({"publish", "polling", "rest"}))
    assert plan_of(needy, "polling").missing == []
    assert plan_of(needy, url="http://h/").missing == ["polling", "rest"]
    assert plan_of(needy, url="http://h/").skipped == "needs polling, rest, which neither target nor client offers"


def test_faults_of_the_network_need_a_proxy_and_that_needs_plain_http():
    cut = Scenario(checks=(), steps=(Network("disable"),))
    assert plan_of(cut).missing == plan_of(cut, url="http://h/").missing == []
    assert plan_of(cut, url="https://h/").missing == ["network"]
    assert plan_of(cut, url="https://h/").skipped == (
        "needs network, which neither target nor client offers; faults of the network need a target with an http:// URL"
    )
    assert plan_of(Scenario(checks=()), url="https://h/").missing == []


# The drain


def drained(*, subscribe=None, capabilities=frozenset({"publish"})):
    async def stays(session):
        session.opened()
        await asyncio.Event().wait()

    async def play():
        nemesis = made(server=NotingServer(capabilities=capabilities), subscribe=subscribe or stays)
        await nemesis.crowd.open("a", "u0")
        await nemesis.crowd.open("b", "u1")
        await drain(nemesis, 0.05)
        await nemesis.crowd.close()
        return nemesis

    return asyncio.run(play())


def test_a_sentinel_per_channel_and_who_misses_one_is_named():
    nemesis = drained()
    assert nemesis.server.orders == [("publish", user, 1, "sentinel") for user in ("u0", "u1", None)]
    begin, end = nemesis.writer.of("drain")
    assert (begin["alive"], end["timed_out"], end["missing"]) == (["a", "b"], True, ["a", "b"])


async def gives_up(session):
    session.error("no")


def test_where_nobody_listens_or_nobody_publishes_there_is_nothing_to_wait_for():
    for nemesis in (drained(capabilities=frozenset()), drained(subscribe=gives_up)):
        assert nemesis.server.orders == []
        assert nemesis.writer.of("drain")[-1]["timed_out"] is False


# Whole runs


def recorded(job):
    said = []
    path = asyncio.run(run.record(job, said.append))
    return history.load(path), said


def test_a_server_is_left_when_it_holds_nothing_or_after_the_time_that_it_promises():
    def seconds(told, **promised):
        server = NotingServer(
            promises=Promises(**{"limit_per_user": 2, "frees_slot_within": 0.3, **promised}), told=told
        )
        with asyncio.Runner(loop_factory=Clock) as runner:
            runner.run(run.leave(server))
            assert server.orders == [("stop",)]
            return runner.get_loop().time()

    assert min(seconds(None), seconds({"open": 1}), seconds({"open": 0, "slots": {"a": 1}})) >= 0.3
    assert max(seconds({"open": 0, "slots": {"a": 0}}), seconds({"open": 0, "slots": 0})) == 0
    assert max(seconds(None, frees_slot_within=None), seconds(None, limit_per_user=None)) == 0


@pytest.mark.slow
def test_a_run_from_start_to_its_saved_history(job):
    order = job("checks=('delivery',), users=2, rate=50, drain=5, steps=(Burst(2), Wait(0.2), Network('disable'),)")
    told, said = recorded(order)
    assert said == ["start", "subscribe", "steps", "drain", "close", "stop"]
    assert told.of("trouble") == []
    assert {record.role for record in told} == {"run", "server", "network"}
    assert [one["state"] for one in told.of("drain")] == ["begin", "end"]
    assert told.of("drain")[-1]["timed_out"] is False
    assert told.header["question"] == "Is it so?"
    assert len(told.of("lag")) >= 1
    assert [
        one.outcome for one in judged(Path(order.out) / "history.jsonl").verdicts if one.outcome is Outcome.FAIL
    ] == []


def test_what_is_missing_is_a_skip_and_nothing_is_started(job):
    order = job("checks=('delivery',), needs=frozenset({'wings'})")
    told, said = recorded(order)
    assert said == ["start"]
    assert [one.kind for one in told] == ["history"]
    result = judged(Path(order.out) / "history.jsonl")
    assert result.outcome is Outcome.SKIP
    assert "needs wings, which neither target nor client offers" in result.reason


@pytest.mark.slow
def test_a_run_beyond_its_limit_is_trouble(job):
    told, _ = recorded(job("checks=(), limit=0, steps=(Wait(60),), server={'heartbeat': 0.1}"))
    assert [one["reason"] for one in told.of("trouble")] == ["the run did not end within its limit of 1 s"]


@pytest.mark.slow
def test_a_hook_that_fails_is_trouble_with_its_reason(job, tmp_path):
    target = target_file(tmp_path, 'url = "http://127.0.0.1:9/"\n[hooks]\npublish = "false"\n')
    told, _ = recorded(job("checks=(), limit=30, rate=5, steps=(Wait(60),)", target=target, client="httpx_sse"))
    assert [one["reason"] for one in told.of("trouble")] == [
        "hook publish of the target file ended with exit 1; mend it"
    ]
    assert [one["reason"] for one in told.of("sub.closed")] == ["gave up"]


@pytest.mark.slow
def test_a_mock_that_does_not_start_is_trouble(job, monkeypatch):
    async def refuses(history, settings, start):
        raise HarnessError("the mock server did not start")

    monkeypatch.setattr(MockServer, "start", refuses)
    told, _ = recorded(job("checks=()"))
    assert [one["reason"] for one in told.of("trouble")] == ["the mock server did not start"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved_and_is_trouble(job, number):
    order = job("checks=(), limit=60, steps=(Wait(60),)")

    def say(phase):
        if phase == "steps":
            os.kill(os.getpid(), number)

    told = history.load(asyncio.run(run.record(order, say)))
    assert [one["reason"] for one in told.of("trouble")] == ["the run was interrupted"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
def test_a_stream_over_tls_is_judged_past_the_proxy(job, tmp_path):
    """The certificate of the target file is trusted by the client, and Network steps would have been a skip."""
    _, tls = certificate.made(tmp_path)

    async def play():
        async with Scripted((OPENED, b"data: 1\n\n", HOLD), tls=tls) as there:
            target = target_file(tmp_path, f'url = "{there.url}"\nca_file = "ca.pem"\n')
            order = job("checks=(), needs=frozenset(), steps=(Wait(0.1), Probe('one'))", target=target)
            return await run.record(order, lambda _: None), there.requests

    path, requests = asyncio.run(play())
    told = history.load(path)
    assert told.of("trouble") == []
    assert [one["type"] for one in told.of("sub.event")] == ["message"]
    assert [one["status"] for one in told.of("probe")] == [200]
    assert len(requests) == 2


# The child process


def program(job):
    """What a run as a program prints, in lines, its complaints, and its exit code."""
    words = [sys.executable, "-P", "-m", "harness.run", json.dumps(asdict(job))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines(), done.stderr, done.returncode


@pytest.mark.slow
def test_the_program_records_its_job_and_says_each_phase(job, tmp_path):
    assert program(job("checks=(), needs=frozenset({'wings'})")) == (["start"], "", 0)
    assert (tmp_path / "out" / "history.jsonl").exists()


@pytest.mark.slow
def test_what_a_client_prints_is_no_phase(job, tmp_path):
    (tmp_path / "loud.py").write_text("CAPABILITIES = frozenset()\nasync def subscribe(session):\n    print('stop')\n")
    said, complaints, code = program(job("checks=(), limit=5", client=str(tmp_path / "loud.py")))
    assert (said, code) == (["start", "subscribe", "steps", "drain", "close", "stop"], 0)
    assert complaints == "stop\n"


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_hears_its_phases(job, tmp_path):
    words = [sys.executable, "-P", "-m", "harness.run", json.dumps(asdict(job("checks=(), steps=(Wait(0.3),)")))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        program.stdout.close()
        assert (program.wait(60), program.stderr.read()) == (0, "")
    assert not history.load(tmp_path / "out" / "history.jsonl").of("trouble")


@pytest.mark.slow
def test_the_program_of_a_job_that_cannot_be_says_why(tmp_path):
    said, complaints, code = program(Job(scenario="stedy", out=str(tmp_path)))
    assert (said, complaints, code) == (["start"], "there is no scenario 'stedy'; did you mean steady?\n", 2)


def test_that_a_part_died_is_a_better_reason_than_that_it_does_not_answer(monkeypatch):
    async def work():
        raise OSError("no answer")

    async def play(*deaths):
        tasks = [asyncio.create_task(one, name="watch") for one in deaths]
        try:
            await run._until_over(asyncio.create_task(work()), tasks)
        finally:
            for task in tasks:
                await run._cancelled(task)

    with pytest.raises(HarnessError, match="the mock server died"):
        asyncio.run(play(asyncio.sleep(60), asyncio.sleep(0.01, "the mock server died")))
    monkeypatch.setattr(run, "DYING", 0.01)
    with pytest.raises(OSError, match="no answer"):
        asyncio.run(play(asyncio.sleep(60)))


def test_cancelled_by_nobody_it_is_no_interruption():
    async def play():
        plan = plan_of(Scenario(checks=(), steps=()))
        work = asyncio.create_task(run._watched(plan, asyncio.sleep(60), Notes()))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(play())
