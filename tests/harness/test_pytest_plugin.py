import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.pytest_plugin import ROOT

pytestmark = pytest.mark.slow

CONFTEST = 'pytest_plugins = ["harness.pytest_plugin"]\n'
INI = "[pytest]\nfilterwarnings = error\naddopts = --strict-markers --strict-config\n"
PROJECT = '[tool.sse-harness]\nscenarios = ["mine"]\n'
HEAD = "from harness import AwaitOpen, Burst, Scenario\n"
QUICK = '"heartbeat": 1.0, "retry_ms": 300'
SCENARIOS = {
    "good": f"""{HEAD}
scenario = Scenario(checks=("delivery", "response.stream_head"), steps=(AwaitOpen(), Burst(2)))
""",
    "bad": f"""{HEAD}
scenario = Scenario(checks=("response", "delivery.nothing_lost"), steps=(AwaitOpen(), Burst(2)),
                    server={{{QUICK}, "defects": ["cacheable"]}})
""",
    "impossible": f"""{HEAD}
scenario = Scenario(checks=("delivery.nothing_lost",), needs=frozenset({{"time-travel"}}))
""",
    "late": f"""{HEAD}
scenario = Scenario(checks=("response.stream_head",), limit=0.0, server={{"heartbeat": 0.001}})
""",
    "dead": f"""import os, sys
{HEAD}
if sys.argv[0] == "harness.run":
    os._exit(7)
scenario = Scenario(checks=("delivery.nothing_lost",))
""",
    "mute": f"""{HEAD}
scenario = Scenario(checks=("replay.strictly_after", "replay"), steps=(AwaitOpen(),), needs=frozenset())
""",
}
# The runs of these scenarios are real processes that do nothing: see FAKE_RUN in tests/conftest.py.
FAKE = (
    "from types import SimpleNamespace\n\nimport harness.children\n\n"
    'harness.children.sys = SimpleNamespace(executable="{}")\n'
)
NEEDLESS = HEAD + 'scenario = Scenario(checks=("delivery.in_order", "delivery.nothing_lost", "schema.valid"))\n'


def project(folder, *, tests=(), ini="", conftest=CONFTEST, scenarios=SCENARIOS):
    (folder / "mine").mkdir(exist_ok=True)
    for name, text in scenarios.items():
        (folder / "mine" / f"{name}.py").write_text(f'"""Is it so?"""\n{text}')
    for name, text in dict(tests).items():
        (folder / name).write_text(text)
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text(INI + ini)
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


def pytested(folder, *arguments, cwd=None):
    """Runs pytest as a user does: (exit code, what it said)."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "PYTEST_", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:benchmark", "-p", "no:randomly", *arguments],
        cwd=cwd or folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


def outcomes(said):
    """The outcome of each item by its node id."""
    found = re.findall(r"^(\S+::\S+)(?: <- \S+)? (PASSED|FAILED|ERROR|SKIPPED)", said, re.MULTILINE)
    return dict(found)


def items(said):
    return [line for line in said.splitlines() if "::" in line]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every kind of outcome, in one run of pytest."""
    folder = project(tmp_path_factory.mktemp("project"))
    code, said = pytested(folder, "--sse-scenarios", ",".join(SCENARIOS), "--sse-out", "out", "-rs")
    return folder, code, said


def test_each_outcome_is_one_of_pytests(ran):
    _, code, said = ran
    assert code == 1
    found = {nodeid.removeprefix(f"{ROOT}::"): outcome for nodeid, outcome in outcomes(said).items()}
    assert found["good::delivery.nothing_lost"] == found["good::response.stream_head"] == "PASSED"
    assert found["good::delivery.every_stream"] == "SKIPPED"
    assert found["bad::response.not_cached"] == "FAILED"
    assert found["bad::delivery.nothing_lost"] == found["bad::response.stream_head"] == "PASSED"
    assert found["impossible::delivery.nothing_lost"] == "SKIPPED"
    assert found["late::response.stream_head"] == "ERROR"
    assert found["dead::delivery.nothing_lost"] == "ERROR"
    assert found["mute::replay.strictly_after"] == "ERROR"


def test_a_failure_tells_what_was_expected_and_where_the_history_is(ran):
    folder, _, said = ran
    failure = said[said.index("_ bad: response.not_cached _") : said.index("short test summary")]
    assert re.search(r"_\nFAIL response\.not_cached \(", failure)
    assert re.search(r"^  expected: .+\n  actual:   .+\n  evidence: .+", failure, re.MULTILINE)
    history = folder / "out" / "bad" / "history.jsonl"
    assert f"history: {history}\n" in failure
    assert history.exists()
    assert "pytest_plugin.py" not in said
    assert "Traceback" not in said


def test_errors_and_skips_have_their_reason(ran):
    _, _, said = ran
    assert "the run did not end within its limit" in said
    assert "UNKNOWN delivery.nothing_lost: the run's process ended with exit 7\n" in said
    assert "not judged, though the scenario is for it: replay.strictly_after (no resume" in said
    assert "mine/impossible.py:1: needs time-travel, which neither target nor client offers" in said


def test_a_scenario_runs_once(ran):
    folder, _, _ = ran
    assert {path.name for path in (folder / "out").iterdir()} == set(SCENARIOS)


def test_nothing_is_left_running(ran):
    folder, _, _ = ran
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in running if str(folder).encode() in line]


@pytest.fixture
def faked(tmp_path, fake_runs):
    conftest = CONFTEST + FAKE.format(tmp_path / "fake_python")
    return project(tmp_path, conftest=conftest, scenarios={"one": NEEDLESS, "two": NEEDLESS})


def test_without_the_option_there_are_no_items(tmp_path):
    code, said = pytested(project(tmp_path), "--collect-only", "-qq")
    assert (code, items(said)) == (5, [])


def test_items_are_known_at_collection_and_nothing_runs(faked):
    code, said = pytested(faked, "--collect-only", "-qq", "--sse-scenarios", "one", "--sse-out", "out")
    checks = ("delivery.in_order", "delivery.nothing_lost", "schema.valid")
    assert (code, items(said)) == (0, [f"{ROOT}::one::{check}" for check in checks])
    assert not (faked / "out").exists()


def test_a_family_is_expanded_and_all_means_ours_too(tmp_path):
    scenarios = {"own": HEAD + 'scenario = Scenario(checks=("delivery", "delivery.untorn"))\n'}
    _, said = pytested(project(tmp_path, scenarios=scenarios), "--collect-only", "-qq", "--sse-scenarios", "all")
    own = [one.rpartition("::")[2] for one in items(said) if "::own::" in one]
    assert len(own) > 3
    assert len(own) == len(set(own))
    assert all(check.startswith("delivery.") for check in own)
    assert f"{ROOT}::drop_fin::reconnection.happens" in items(said)


def test_the_selection_decides_what_runs(faked):
    _, said = pytested(faked, "--sse-scenarios", "one,two", "--sse-out", "out", "-k", "two and nothing_lost")
    assert outcomes(said) == {f"{ROOT}::two::delivery.nothing_lost": "ERROR"}
    assert [path.name for path in (faked / "out").iterdir()] == ["two"]
    _, said = pytested(faked, "--sse-scenarios", "one,two", "--sse-out", "out", "--lf")
    assert outcomes(said) == {f"{ROOT}::two::delivery.nothing_lost": "ERROR"}
    assert sorted(path.name for path in (faked / "out").iterdir()) == ["two", "two-2"]


def test_the_ini_file_names_scenarios_and_a_node_id_selects(faked):
    (faked / "pytest.ini").write_text(INI + "sse_scenarios =\n    one\n    ./mine/two.py\n")
    (faked / "test_own.py").write_text("def test_own():\n    pass\n")
    assert len(items(pytested(faked, "--collect-only", "-qq")[1])) == 7
    assert len(items(pytested(faked, "--collect-only", "-qq", ".")[1])) == 7
    assert items(pytested(faked, "--collect-only", "-qq", "test_own.py")[1]) == ["test_own.py::test_own"]
    one = f"{ROOT}::two::schema.valid"
    assert items(pytested(faked, "--collect-only", "-qq", one)[1]) == [one]


def test_workers_may_share_the_items(faked):
    code, said = pytested(faked, "--sse-scenarios", "one,two", "--sse-out", "out", "-n", "2", "--dist", "loadscope")
    assert code == 1
    assert "2 skipped, 4 errors" in said
    assert sorted(path.name for path in (faked / "out").iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sse-scenarios", "stedy"], "there is no scenario 'stedy'; did you mean steady?"),
        (["--sse-client", "referense"], "there is no client 'referense'; did you mean reference?"),
        (["--sse-target", "no.toml"], "no.toml cannot be read (No such file or directory); give the path"),
        (["--sse-seed", "-1"], "--sse-seed is -1; write a whole number, 0 or more"),
        (["--sse-scenarios", "wrong"], "scenario wrong: there is no check or family 'delivry'"),
        (["--sse-scenarios", "good,./mine/good.py"], "two scenarios are named good"),
        ([f"{ROOT}::good"], f"there is no {ROOT}::good; name its scenario with --sse-scenarios"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, arguments, sentence):
    wrong = {"wrong": HEAD + 'scenario = Scenario(checks=("delivry",))\n', "good": SCENARIOS["good"]}
    code, said = pytested(project(tmp_path, scenarios=wrong), *arguments)
    assert code == 4
    [line] = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    assert sentence in line
    assert "Traceback" not in said


def test_what_fails_beside_the_named_checks_is_no_success(tmp_path):
    beside = SCENARIOS["bad"].replace('("response", "delivery.nothing_lost")', '("delivery.nothing_lost",)')
    code, said = pytested(project(tmp_path, scenarios={"beside": beside}), "--sse-scenarios", "beside")
    assert outcomes(said) == {f"{ROOT}::beside::delivery.nothing_lost": "PASSED"}
    assert "beside: FAIL response.not_cached: " in said
    assert code == 1


OWN = """
import pytest


@pytest.mark.sse(heartbeat=1.0, limit_per_user=2)
def test_a_cut_loses_nothing(sse_mock, sse_proxy, sse_client, sse_history):
    subscriber = sse_client.subscribe("u0").wait_open()
    sse_mock.publish("u0", count=3)
    subscriber.wait_for(3)
    sse_proxy.disable()
    ids = sse_mock.publish("u0", count=2)
    sse_proxy.enable()
    assert [event.id for event in subscriber.wait_for(5)[3:]] == list(ids)
    sse_history.check("delivery", "reconnection.last_event_id")


@pytest.mark.sse(defects=["cacheable"])
def test_a_defect(sse_server, sse_client, sse_history):
    sse_client.subscribe().wait_open()
    sse_history.check("response")


@pytest.mark.sse(hartbeat=1.0)
def test_no_such_setting(sse_mock):
    pass


def test_leaves_the_loop_alone(sse_mock):
    import asyncio

    asyncio.run(asyncio.sleep(0))
    token = sse_mock.token("u0")
    assert token not in repr(sse_mock)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = project(tmp_path_factory.mktemp("own"), tests={"test_own.py": OWN})
    return folder, *pytested(folder, "-l", "--sse-out", "out")


def test_the_fixtures_in_a_users_own_tests(own):
    _, code, said = own
    assert code == 1
    assert {nodeid.partition("::")[2]: outcome for nodeid, outcome in outcomes(said).items()} == {
        "test_a_cut_loses_nothing": "PASSED",
        "test_a_defect": "FAILED",
        "test_no_such_setting": "ERROR",
        "test_leaves_the_loop_alone": "PASSED",
    }


def test_a_failing_test_says_why_and_where_its_history_is(own):
    folder, _, said = own
    assert "E       AssertionError: FAIL response.not_cached (" in said
    [error] = re.findall(r"ERROR at setup of test_no_such_setting _+\n(.*?)\n[_=]{9}", said, re.DOTALL)
    assert error.startswith("the mock server has no setting 'hartbeat'; known: heartbeat,")
    assert "During handling" not in said
    history = folder / "out" / "test_a_defect" / "history.jsonl"
    assert re.search(rf"-+ sse history -+\n{re.escape(str(history))}\n", said)
    assert history.exists()
    assert "handles.py" not in said


TARGET = 'url = "http://127.0.0.1:9/stream"\n[tokens]\nlist = { alice = "t-1" }\n'
FOREIGN = """
def test_publish(sse_mock):
    sse_mock.publish()


def test_fault(sse_server):
    sse_server.fault("silence")


def test_token(sse_server):
    assert sse_server.token() == "t-1"
    assert sse_server.url == "http://127.0.0.1:9/stream"


def test_client(sse_client):
    sse_client.subscribe().wait_for(1, within=0.2)
"""


def test_the_fixtures_follow_target_and_client(tmp_path):
    project(tmp_path, tests={"test_own.py": FOREIGN, "target.toml": TARGET, "client.py": BROKEN})
    code, said = pytested(tmp_path, "--sse-target", "target.toml", "--sse-client", "./client.py", "-rs")
    assert code == 1
    assert list(outcomes(said).values()) == ["SKIPPED", "SKIPPED", "PASSED", "FAILED"]
    assert "the server target does not offer 'publish' in its target file" in said
    assert "the server target is not the mock" in said
    assert "it ended: raised RuntimeError: I am broken" in said


BROKEN = """
CAPABILITIES = frozenset()


async def subscribe(session):
    raise RuntimeError("I am broken")
"""


def test_a_project_with_a_harness_of_its_own_is_not_affected(tmp_path):
    (tmp_path / "harness.py").write_text("ANSWER = 42\n")
    (tmp_path / "test_own.py").write_text("import harness\n\n\ndef test_own():\n    assert harness.ANSWER == 42\n")
    code, said = pytested(tmp_path)
    assert code == 0, said
