"""The table of alarms on simulated histories: each rings for its defect, none rings on a clean run."""

import importlib.util
from pathlib import Path
from random import Random

import pytest

from harness import checks
from harness.check import REGISTRY, Outcome, judge
from harness.defects import DEFECTS
from harness.history import load, save
from harness.simulate import clean, play
from harness.simulate.plots import PLOTS

SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).parent.parent / "planted.py")
planted = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(planted)
checks.load()
PLAYED = [one for one in DEFECTS if one.scenario in PLOTS]


def alarms(history):
    return {
        v.check: f"{v.outcome.name} {v.actual} {v.evidence[:3]}" for v in judge(history) if v.outcome > Outcome.PASS
    }


def outcomes(history):
    return {one.check: one.outcome for one in judge(history)}


def test_every_check_has_a_plant():
    assert sorted(planted.PLANTS) == sorted(REGISTRY)


@pytest.mark.parametrize("name", sorted(planted.PLANTS))
def test_the_planted_history_makes_its_check_fail(name):
    [verdict] = judge(planted.PLANTS[name].history(Random(7)), [REGISTRY[name]])
    assert verdict.outcome is Outcome.FAIL, verdict
    assert verdict.evidence or verdict.actual


@pytest.mark.parametrize("name", sorted(planted.PLANTS))
def test_the_clean_history_of_the_same_plot_makes_it_pass(name):
    [verdict] = judge(play(planted.PLANTS[name].plot, Random(7)), [REGISTRY[name]])
    assert verdict.outcome is Outcome.PASS, verdict


@pytest.mark.parametrize("plot", sorted(PLOTS))
@pytest.mark.parametrize("foreign", [False, True])
def test_no_alarm_rings_on_a_clean_history(plot, foreign):
    for seed in range(2):
        assert alarms(play(plot, Random(seed), foreign=foreign)) == {}, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("tens", range(10))
def test_no_alarm_rings_on_many_clean_histories(tens):
    for seed in range(tens * 20, tens * 20 + 20):
        assert alarms(clean(Random(seed))) == {}, f"simulate.clean(Random({seed}))"


@pytest.mark.parametrize("defect", PLAYED, ids=lambda one: one.name)
def test_a_defect_rings_its_alarms_and_no_other(defect):
    for seed in range(2):
        found = alarms(play(defect.scenario, Random(seed), defects=(defect.name,)))
        failed = {name for name, text in found.items() if text.startswith("FAIL")}
        assert set(defect.must) <= failed, f"seed {seed}: {found}"
        assert set(found) <= {*defect.must, *defect.may}, f"seed {seed}: {found}"


def test_the_same_seed_gives_the_same_history():
    assert clean(Random(3)).records == clean(Random(3)).records


def test_a_history_survives_being_saved_and_is_judged_the_same(tmp_path):
    history = play("drop_fin", Random(1), defects=("replays-twice",))
    save(history, tmp_path / "history.jsonl")
    assert outcomes(load(tmp_path / "history.jsonl")) == outcomes(history)
