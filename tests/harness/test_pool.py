import asyncio
from pathlib import Path

import pytest

from harness.pool import run_all
from harness.run import Job


def jobs(tmp_path, *names):
    return [Job(scenario=name, out=str(tmp_path / f"{number}-{name}")) for number, name in enumerate(names)]


def played(given, *, at_once=4):
    heard = []
    complaints = asyncio.run(run_all(given, at_once=at_once, on_phase=lambda job, phase: heard.append((job, phase))))
    return complaints, heard


def test_each_job_has_a_process_and_says_its_phases(tmp_path, fake_runs):
    given = jobs(tmp_path, "works", "works")
    complaints, heard = played(given)
    assert complaints == {given[0].out: "", given[1].out: ""}
    for job in given:
        assert [phase for one, phase in heard if one is job] == ["start", "stop", "done"]
        assert sorted(path.name for path in Path(job.out).iterdir()) == ["history.jsonl"]


@pytest.mark.parametrize(
    ("name", "complaint"), [("complains", "one sentence"), ("dies", "the run's process ended with exit 7")]
)
def test_a_process_without_a_history_has_a_reason(tmp_path, fake_runs, name, complaint):
    [job, good] = jobs(tmp_path, name, "works")
    complaints, _ = played([job, good])
    assert complaints == {job.out: complaint, good.out: ""}


@pytest.mark.slow
def test_no_more_at_once_than_asked_for(tmp_path, fake_runs):
    _, heard = played(jobs(tmp_path, *["works"] * 4), at_once=1)
    running, most = set(), 0
    for job, phase in heard:
        running = running - {job.out} if phase == "done" else running | {job.out}
        most = max(most, len(running))
    assert most == 1


@pytest.mark.slow
def test_no_more_begin_at_once_than_there_are_processors(tmp_path, fake_runs, monkeypatch):
    monkeypatch.setattr("harness.pool.os.cpu_count", lambda: 1)
    _, heard = played(jobs(tmp_path, *["works"] * 4), at_once=4)
    phases = [phase for _, phase in heard if phase != "done"]
    assert phases == ["start", "stop"] * 4


def test_cancelled_it_lets_every_child_save_what_it_knows(tmp_path, fake_runs):
    given = jobs(tmp_path, "hangs", "hangs", "works")

    async def interrupted():
        hanging = []

        def on_phase(job, phase):
            hanging.extend([job] if phase == "steps" else [])
            if len(hanging) == 2:
                work.cancel()

        work = asyncio.create_task(run_all(given, at_once=2, on_phase=on_phase))
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(interrupted())
    assert [(Path(job.out) / "history.jsonl").exists() for job in given] == [True, True, False]
