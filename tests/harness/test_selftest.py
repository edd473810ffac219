"""What a selftest makes of verdicts; the live matrix itself is `sse-harness selftest`."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import selftest
from harness.check import Outcome, Verdict
from harness.defects import Defect
from harness.results import RunResult, SelfTest

ALL = selftest.plants("quick")
DEFECT = Defect("breaks-x", "steady", ("x.must",), ("x.may",))


def run(**outcomes):
    verdicts = tuple(
        Verdict(name.replace("_", "."), (), "MUST", "server", outcome, "", "seen", (), {})
        for name, outcome in outcomes.items()
    )
    return RunResult(
        scenario="steady", target="mock", client="reference", outcome=Outcome.PASS, history="", verdicts=verdicts
    )


@pytest.mark.parametrize(
    ("outcomes", "silent", "false_alarms"),
    [
        ({"x_must": Outcome.FAIL}, (), ()),
        ({"x_must": Outcome.FAIL, "x_may": Outcome.UNKNOWN, "y_other": Outcome.PASS}, (), ()),
        ({"x_must": Outcome.UNKNOWN}, ("x.must",), ()),
        ({"x_must": Outcome.PASS, "x_may": Outcome.FAIL}, ("x.must",), ()),
        ({"x_must": Outcome.FAIL, "y_other": Outcome.FAIL}, (), ("y.other FAIL: seen",)),
        ({"x_must": Outcome.FAIL, "y_other": Outcome.UNKNOWN}, (), ("y.other UNKNOWN: seen",)),
    ],
)
def test_a_trial_of_a_defect(outcomes, silent, false_alarms):
    told = selftest.trial(DEFECT, run(**outcomes))
    assert (told.silent, told.false_alarms) == (silent, false_alarms)


def test_in_a_clean_run_everything_that_rings_is_a_false_alarm():
    told = selftest.trial(None, run(x_must=Outcome.FAIL, y_other=Outcome.SKIP, z_good=Outcome.PASS))
    assert told.false_alarms == ("x.must FAIL: seen",)


def test_a_run_without_verdicts_is_no_proof():
    assert selftest.trial(DEFECT, run()).silent == ("x.must",)
    assert selftest.trial(None, run()).false_alarms


def test_the_summary_counts_and_names():
    profile = selftest.Profile("tiny", (1,), (), 4)
    trials = [
        selftest.trial(DEFECT, run(x_must=Outcome.FAIL)),
        selftest.trial(DEFECT, run(y_other=Outcome.FAIL)),
        selftest.trial(None, run(x_must=Outcome.PASS)),
    ]
    report = selftest._report(profile, "0123456789abcdef", trials, ("an alarm on a random history",))
    assert (report.summary.caught, report.summary.planted, report.summary.false_alarms) == (1, 2, 2)
    assert report.summary.missed == ("breaks-x: x.must did not ring",)
    assert report.clean_runs == 1
    assert not report.summary.sound


def test_a_result_is_found_again_for_the_same_code_only(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert selftest.stored() is None
    kept = SelfTest(caught=ALL, planted=ALL, false_alarms=0, digest=selftest.digest(), missed=())
    selftest._store(kept)
    assert selftest.stored() == kept
    monkeypatch.setattr(selftest, "versions", lambda: {"python": "0.0"})
    assert selftest.stored() is None


@pytest.mark.parametrize("cache", [None, "a file"])
def test_a_result_that_cannot_be_kept_is_a_result(tmp_path, monkeypatch, cache):
    def homeless():
        raise RuntimeError("no home")

    async def found(*_):
        return selftest.Report(summary=SOUND, trials=(), histories=0, alarms_on_histories=(), clean_runs=0)

    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(selftest.Path, "home", homeless)
    monkeypatch.setenv("XDG_CACHE_HOME", "" if cache is None else str(tmp_path / cache))
    monkeypatch.setattr(selftest, "_run", found)
    told = []
    assert selftest.run_selftest(say=told.append).summary == SOUND
    assert told[0].startswith("the result cannot be kept (")
    assert selftest.stored() is None


SOUND = SelfTest(caught=3, planted=3, false_alarms=0)
KEPT = {"caught": ALL, "planted": ALL, "false_alarms": 0, "profile": "quick", "missed": []}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 200_000,
        json.dumps(KEPT),
        json.dumps({**KEPT, "digest": "0" * 16}),
        *(
            json.dumps({**KEPT, "digest": selftest.digest(), **changed})
            for changed in (
                {"caught": str(ALL)},
                {"caught": 1, "planted": 1},
                {"planted": True},
                {"false_alarms": 0.0},
                {"profile": "none"},
                {"profile": []},
                {"x": 1},
            )
        ),
    ],
)
def test_what_no_selftest_of_this_code_wrote_is_no_result(tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    selftest._store(SelfTest(caught=ALL, planted=ALL, false_alarms=0, digest=selftest.digest()))
    assert selftest.stored() is not None
    selftest._store_path().write_text(text)
    assert selftest.stored() is None


def test_what_is_planted_is_what_a_profile_plants():
    planted = [*selftest.DEFECTS, *selftest.wirecases.packed()]
    trials = [one for each in planted for one in selftest.trials_of(each, run())]
    assert (selftest.plants("quick"), selftest.plants("full")) == (len(trials), 2 * len(trials))


def test_random_clean_histories_raise_no_alarm():
    assert selftest._on_histories(5) == ()


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no priority of its own here")
def test_what_runs_beside_the_live_runs_gives_way_to_them():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=selftest._beside) as pool:
        assert pool.submit(os.getpriority, os.PRIO_PROCESS, 0).result() == selftest.IDLE_PRIORITY
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
