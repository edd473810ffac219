import os
import signal
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from harness import batch, history, simulate
from harness.check import REGISTRY, Outcome
from harness.clients import httpx_sse
from harness.config import load_config
from harness.errors import HarnessError
from harness.run import Job


def configured(tmp_path, **options):
    (tmp_path / "pyproject.toml").write_text("")
    return load_config(options, environ={}, folder=tmp_path)


def test_one_job_per_scenario_and_seed(tmp_path):
    config = configured(tmp_path, client="httpx_sse")
    jobs = batch.jobs_of(["steady", "churn", "steady"], config, out=tmp_path, seeds=(3, 4))
    names = ["steady-3", "steady-4", "churn-3", "churn-4"]
    assert [job.out for job in jobs] == [str(tmp_path / name) for name in names]
    assert [job.seed for job in jobs] == [3, 4, 3, 4]
    assert {job.client for job in jobs} == {"httpx_sse"}
    [single] = batch.jobs_of(["./mine.py"], config, out=tmp_path)
    assert single.out == str(tmp_path / "mine")


def test_two_scenarios_never_share_a_folder(tmp_path):
    with pytest.raises(HarnessError, match=r"a/x.py and b/x.py would share the folder"):
        batch.jobs_of(["a/x.py", "b/x.py"], configured(tmp_path), out=tmp_path)


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (Job(scenario="stedy", out=""), "there is no scenario 'stedy'; did you mean steady?"),
        (Job(scenario="steady", out="", client="referense"), "there is no client 'referense'; did you mean reference?"),
        (
            Job(scenario="steady", out="", target="no.toml"),
            "no.toml cannot be read (No such file or directory); "
            "give the path of a target file, or none to test the built-in mock",
        ),
        (
            Job(scenario="steady", out="", target="no.toml", defects=("no-heartbeat",)),
            "defect no-heartbeat is a switch of the mock; leave out --defect or --target",
        ),
    ],
)
def test_what_a_job_names_is_found_before_anything_starts(job, sentence):
    with pytest.raises(HarnessError) as caught:
        batch.resolved([job])
    assert str(caught.value) == sentence


def test_a_check_that_a_scenario_names_is_found_before_anything_starts(tmp_path):
    (tmp_path / "mine.py").write_text("from harness import Scenario\nscenario = Scenario(checks=('lag.liv',))\n")
    with pytest.raises(HarnessError, match=r"scenario mine: there is no .+ 'lag.liv'; did you mean 'lag.live'"):
        batch.resolved([Job(scenario=str(tmp_path / "mine.py"), out="")])


def test_an_unknown_defect_is_one_sentence():
    with pytest.raises(HarnessError, match=r"nope|known defects"):
        batch.resolved([Job(scenario="steady", out="", defects=("nope",))])


HTTPX = Path(httpx_sse.__file__)
BORROWED = "from harness.clients.reference import CAPABILITIES, subscribe\n"
WRITTEN = "CAPABILITIES = frozenset()\nasync def subscribe(session): ...\n"


@pytest.mark.parametrize(
    ("client", "own"),
    [
        ("reference", True),
        ("reference_spec", True),
        (str(HTTPX.with_name("reference.py")), True),
        ("harness.clients:reference", True),
        ("harness.clients.faulty:forgets_id", True),
        ("httpx_sse", False),
        (str(HTTPX), False),
    ],
)
def test_whose_run_it_is_says_the_code_and_not_the_name(client, own):
    [plan] = batch.resolved([Job(scenario="steady", out="", client=client)])
    assert batch.is_own(plan) is own
    assert plan.header()["client"]["own"] is own


@pytest.mark.parametrize(("text", "own"), [(BORROWED, True), (WRITTEN, False)])
def test_a_file_of_the_users_that_only_hands_the_reference_client_on_is_not_theirs(tmp_path, text, own):
    path = tmp_path / "reference.py"
    path.write_text(text)
    [plan] = batch.resolved([Job(scenario="steady", out="", client=str(path))])
    assert batch.is_own(plan) is own


def test_with_a_target_of_the_users_it_is_no_rehearsal(tmp_path):
    (tmp_path / "t.toml").write_text('url = "http://127.0.0.1:9/"\n')
    [plan] = batch.resolved([Job(scenario="steady", out="", target=str(tmp_path / "t.toml"))])
    assert not batch.is_own(plan)


def test_a_new_folder_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configured(tmp_path)
    first, second = batch.new_folder(config, now=0.0), batch.new_folder(config, now=0.0)
    assert first != second
    assert first.parent == second.parent == config.results
    assert list(first.iterdir()) == []


def test_a_default_of_the_project_is_where_folders_are_made(tmp_path):
    config = load_config({}, environ={"SSE_HARNESS_OUT": str(tmp_path / "all")}, folder=tmp_path)
    assert batch.new_folder(config, now=0.0).parent == tmp_path / "all"


@pytest.mark.parametrize("left", ["verdicts.json", "history.jsonl", "steady/history.jsonl", "steady/parts/run.jsonl"])
def test_a_folder_that_holds_a_run_is_refused(tmp_path, left):
    """What is left there would be judged as what a run came to that saved nothing."""
    config = configured(tmp_path, out=str(tmp_path / "out"))
    assert batch.new_folder(config, now=0.0) == batch.new_folder(config, now=0.0) == tmp_path / "out"
    (tmp_path / "out" / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / left).write_text("")
    with pytest.raises(HarnessError, match=r"holds a run already; give a new one with --out"):
        batch.new_folder(config, now=0.0)


def test_what_is_judged_of_a_run_may_lie_beside_it(tmp_path):
    config = configured(tmp_path, out=str(tmp_path))
    (tmp_path / "history.jsonl").write_text("")
    assert batch.new_folder(config, now=0.0, records=False) == tmp_path
    (tmp_path / "verdicts.json").write_text("")
    with pytest.raises(HarnessError, match="holds a run already"):
        batch.new_folder(config, now=0.0, records=False)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError) as caught:
        batch.new_folder(configured(tmp_path, out=str(tmp_path / "file" / "out")), now=0.0)
    assert str(caught.value) == (
        f"folder {tmp_path / 'file' / 'out'} cannot be written (Not a directory); give another one with --out"
    )


@pytest.mark.slow
def test_a_proxy_that_does_not_start_is_one_sentence(monkeypatch):
    monkeypatch.setenv("TOXIPROXY_SERVER", "/bin/false")
    with pytest.raises(HarnessError, match=r"TOXIPROXY_SERVER"):
        batch.try_network()


def test_without_a_proxy_of_the_users_nothing_is_tried(monkeypatch):
    for name in ("TOXIPROXY_SERVER", "TOXIPROXY_URL"):
        monkeypatch.delenv(name, raising=False)
    batch.try_network()


def test_checks_of_the_user(tmp_path, monkeypatch):
    known = dict(REGISTRY)
    (tmp_path / "own.py").write_text(
        "from harness import check, passed\n\n\n@check('own.rule')\ndef rule(history):\n"
        "    'It holds.'\n    return passed('a', 'b')\n"
    )
    config = configured(tmp_path)
    values = {**config.values, "checks": replace(config.values["checks"], value=(str(tmp_path),))}
    batch.load_checks(replace(config, values=values))
    try:
        assert REGISTRY["own.rule"].sentence == "It holds."
    finally:
        for name in REGISTRY.keys() - known.keys():
            del REGISTRY[name]


def outcomes(tmp_path, *names, on_phase=lambda job, phase: None):
    jobs = [Job(scenario=name, out=str(tmp_path / "out" / name)) for name in names]
    return batch.batch(jobs, at_once=2, on_phase=on_phase, out=tmp_path / "out")


def test_a_run_without_a_history_is_unknown_with_its_reason(tmp_path, fake_runs):
    done = outcomes(tmp_path, "works", "complains", "dies")
    assert not done.interrupted
    good, bad, dead = done.runs
    assert (good.scenario, good.history) == ("works", "works/history.jsonl")
    assert (bad.outcome, bad.reason) == (Outcome.UNKNOWN, "one sentence")
    assert (dead.outcome, dead.reason) == (Outcome.UNKNOWN, "the run's process ended with exit 7")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_judges_what_is_known(tmp_path, fake_runs, number):
    def on_phase(job, phase):
        if phase == "steps":
            os.kill(os.getpid(), number)

    done = outcomes(tmp_path, "hangs", "works", "never", on_phase=on_phase)
    assert done.interrupted
    assert done.runs[0].reason == "the environment failed: the run was interrupted"
    assert done.runs[0].outcome is Outcome.UNKNOWN
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_ends_at_once(tmp_path, fake_runs):
    """The first is sent when the run is under way, the second when its SIGTERM has been seen to be ignored."""

    def on_phase(job, phase):
        if phase == "steps":
            os.kill(os.getpid(), signal.SIGINT)
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            outcomes(tmp_path, "stubborn", on_phase=on_phase)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_broken_history_is_unknown(tmp_path):
    (tmp_path / "history.jsonl").write_text("nothing\nmore\n")
    run = batch.result_of(Job(scenario="steady", out=str(tmp_path)), "", tmp_path)
    assert run.outcome is Outcome.UNKNOWN
    assert run.reason.endswith("is no record; give a history.jsonl of a run")


def test_what_is_saved(tmp_path, fake_runs):
    outcomes(tmp_path, "one", "two")
    out = tmp_path / "out"
    assert [(run.scenario, run.history) for run in batch.saved(out)] == [
        ("one", "one/history.jsonl"),
        ("two", "two/history.jsonl"),
    ]
    assert [run.history for run in batch.saved(out / "one")] == ["history.jsonl"]
    assert [run.scenario for run in batch.saved(out / "one" / "history.jsonl")] == ["one"]


def test_every_run_below_a_folder_is_judged(tmp_path):
    def keep(folder, *, defects=()):
        folder.mkdir(parents=True)
        history.save(simulate.play("drop_fin", Random(3), defects=defects), folder / "history.jsonl")

    keep(tmp_path / "good")
    keep(tmp_path / "load" / "load_steady", defects=("ignores-last-event-id",))
    (tmp_path / "ended" / "parts").mkdir(parents=True)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "history.jsonl").write_text("{}\n{}\n")
    found = {run.scenario: run for run in batch.saved(tmp_path)}
    assert {name: run.outcome.name for name, run in found.items()} == {
        "broken": "UNKNOWN", "drop_fin": "FAIL", "ended": "UNKNOWN",
    }  # fmt: skip
    assert [run.history for run in batch.saved(tmp_path)] == [
        "", "", "good/history.jsonl", "load/load_steady/history.jsonl",
    ]  # fmt: skip
    assert found["ended"].reason == "its process left no history, only ended/parts"
    assert "line 1 is no record; give a history.jsonl" in found["broken"].reason
    assert [run.outcome.name for run in batch.saved(tmp_path / "ended")] == ["UNKNOWN"]
    with pytest.raises(HarnessError, match="is no record"):
        batch.saved(tmp_path / "broken")


def test_nothing_saved_is_one_sentence(tmp_path):
    with pytest.raises(HarnessError, match=r"there is no run .*nope; give the folder of a run or its history.jsonl"):
        batch.saved(tmp_path / "nope")
    with pytest.raises(HarnessError, match=r"holds no history.jsonl; give the folder of a run"):
        batch.saved(tmp_path)


def test_the_policy_of_the_client():
    plans = batch.resolved([Job(scenario="steady", out=""), Job(scenario="churn", out="")])
    assert batch.policy_of(plans) == "resilient"
