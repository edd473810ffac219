from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.load.plan import new_folder, plan_of, run_time
from harness.policy import LONGEST, MOST_USERS
from harness.run import Plan as OrdinaryPlan

ROOT = Path(__file__).parents[3]
STEADY = ROOT / "scenarios" / "load" / "steady.py"


def plan(tmp_path, environ=None, **more):
    given = {"rate": 5.0, "seed": 1, "settings": "", "out": None, **more}
    return plan_of(STEADY, ("delivery", "lag"), environ=environ or {}, folder=tmp_path, **given)


def target(tmp_path, text=""):
    path = tmp_path / "target.toml"
    path.write_text('url = "http://127.0.0.1:9/s"\n' + text)
    return {"SSE_TARGET": str(path)}


def test_the_mock_is_the_default_target(tmp_path):
    one = plan(tmp_path)
    header = one.header(users=7, processes=2)
    assert (header["scenario"], header["target"]) == ("load_steady", {"name": "mock", "own": True})
    assert header["question"].startswith("A steady load of subscribers")
    assert header["checks"] == ["delivery", "lag"]
    assert header["load"] == {"users": 7, "rate": 5.0, "processes": 2}
    assert header["promises"]["heartbeat"] == one.settings["heartbeat"]
    assert one.options["heartbeat_deadline"] == 2.5 * one.settings["heartbeat"]


def test_the_header_says_what_that_of_an_ordinary_run_says(tmp_path):
    names = OrdinaryPlan.header.__code__.co_consts
    said = {one for const in names if isinstance(const, tuple) for one in const if isinstance(one, str)}
    assert {"scenario", "checks", "promises", "client", "users", "versions"} <= said
    assert {"scenario", "question", "checks", "skipped", "seed", "target", "promises", "capabilities", "client",
            "users", "versions"} <= set(plan(tmp_path).header(users=1, processes=1))  # fmt: skip


@pytest.mark.parametrize("wrong, sentence", [
    ({"rate": 0.0}, "--sse-rate is 0; give events per second above 0"),
    ({"rate": 1e6}, "at most 1000"),
    ({"settings": "[]"}, "--sse-mock-settings is no JSON object; give one"),
    ({"settings": "{"}, "--sse-mock-settings is no JSON"),
    ({"settings": '{"hartbeat": 1}'}, "no setting 'hartbeat'"),
])  # fmt: skip
def test_what_the_user_has_to_mend_is_a_sentence(tmp_path, wrong, sentence):
    with pytest.raises(HarnessError, match=sentence):
        plan(tmp_path, **wrong)


def test_a_target_needs_a_way_to_publish(tmp_path):
    with pytest.raises(HarnessError, match=r"target has no hook `publish`; add one under \[hooks\]"):
        plan(tmp_path, target(tmp_path))


def test_a_remote_target_needs_leave(tmp_path):
    path = tmp_path / "target.toml"
    path.write_text('url = "http://192.0.2.1/s"\n')
    with pytest.raises(HarnessError, match="allow_remote"):
        plan(tmp_path, {"SSE_TARGET": str(path)})


def test_listed_tokens_bound_the_users(tmp_path):
    text = '[tokens.list]\na = "1"\nb = "2"\n[hooks]\npublish = "true"\n[promises]\nlimit_per_user = 3\n'
    assert plan(tmp_path, target(tmp_path, text)).most_users == 6
    assert plan(tmp_path).most_users == MOST_USERS


def test_each_run_gets_a_folder_of_its_own(tmp_path):
    one = replace(plan(tmp_path), results=tmp_path)
    first, second = new_folder(one, 1, now=0.0), new_folder(one, 2, now=0.0)
    assert first != second
    assert first.is_dir()
    chosen = replace(one, out=tmp_path / "out")
    assert [new_folder(chosen, number, now=0.0).name for number in (1, 2)] == ["out", "out-2"]


def test_a_folder_with_a_run_is_refused(tmp_path):
    one = replace(plan(tmp_path), out=tmp_path)
    (tmp_path / "load_steady").mkdir()
    (tmp_path / "load_steady" / "history.jsonl").touch()
    with pytest.raises(HarnessError, match="holds a run already"):
        new_folder(one, 1, now=0.0)


def test_a_run_has_an_end_whatever_is_given():
    assert [run_time(one) for one in (None, 6, 1e9)] == [60.0, 6.0, LONGEST]
