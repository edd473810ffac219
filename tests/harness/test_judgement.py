"""From a history to the result of a run."""

import random

import pytest

from harness import checks, history, judgement, simulate
from harness.check import Outcome
from harness.history import History, Record

checks.load()


@pytest.mark.parametrize("plot", ["drop", "steady"])
def test_a_clean_run_is_a_pass_with_figures_that_were_counted(plot, tmp_path):
    plots = [name for name in simulate.PLOTS if name.startswith(plot)]
    kept = simulate.play(plots[0] if plots else sorted(simulate.PLOTS)[0], random.Random(5))
    history.save(kept, tmp_path / "history.jsonl")
    run = judgement.judged(tmp_path / "history.jsonl")
    assert run.outcome is Outcome.PASS, run.reason
    assert run.history == str(tmp_path / "history.jsonl")
    assert run.figures["deliveries"] == sum(one.delivered for one in run.accounts) > 0
    assert all(one.entitled == one.delivered + one.announced + one.lost + one.unseen for one in run.accounts)
    assert sum(value for _, value in run.series["deliveries per second"]) == len(kept.of("sub.event"))
    assert run.series["open streams"][-1][1] >= 0


def test_what_was_skipped_is_not_judged():
    header = {"scenario": "x", "skipped": "needs restart, which neither target nor client offers"}
    run = judgement.result_of(History((Record(0.0, "history", header),), header))
    assert (run.outcome, run.reason, run.verdicts) == (Outcome.SKIP, header["skipped"], ())


def test_trouble_is_the_reason_and_nothing_passes():
    kept = simulate.clean(random.Random(1))
    troubled = History((*kept.records, Record(kept.end, "trouble", {"reason": "the mock server died"})), kept.header)
    run = judgement.result_of(troubled)
    assert run.outcome is Outcome.UNKNOWN
    assert run.reason == "the environment failed: the mock server died"
    assert {one.outcome for one in run.verdicts} <= {Outcome.UNKNOWN, Outcome.SKIP}


def test_an_empty_history_is_unknown():
    run = judgement.result_of(History((), {}))
    assert run.outcome is Outcome.UNKNOWN
    assert run.figures["deliveries"] == 0


def test_fault_windows_are_plotted_and_end_with_the_run():
    records = (
        Record(1.0, "net.fault", {"proxy": "p", "fault": "disabled", "state": "on"}),
        Record(2.0, "net.fault", {"proxy": "p", "fault": "disabled", "state": "off"}),
        Record(3.0, "net.fault", {"proxy": "p", "fault": "timeout", "state": "on"}),
        Record(4.0, "step", {"step": "network", "state": "begin"}),
        Record(5.0, "lag", {"worst": 0.25}),
    )
    series = judgement.series(History(records, {}))
    assert series["fault: p disabled"] == [(0.0, 1.0), (1.0, 0.0)]
    assert series["fault: p timeout"] == [(2.0, 1.0), (4.0, 0.0)]
    assert not any("step" in name for name in series)
    assert judgement.figures(History(records, {}))["lag"] == 0.25


@pytest.mark.parametrize(
    "records",
    [
        [("sub.start", {"sub": "a", "user": "u", "options": [1]})],
        [("sub.open", {"sub": "a", "attempt": 0}), ("sub.event", {"sub": "a", "attempt": 0, "id": "1", "type": "m",
          "channel": "all", "owner": None, "epoch": "e", "seq": "x"})],
    ],
)  # fmt: skip
def test_records_that_make_no_sense_are_unknown_and_no_traceback(records):
    rows = [Record(float(at + 1), kind, data, "run") for at, (kind, data) in enumerate(records)]
    run = judgement.result_of(History((Record(0.0, "history", {}), *rows), {"scenario": "x"}))
    assert run.outcome is Outcome.UNKNOWN
    assert run.reason.startswith("its records do not make sense: ")


def test_a_check_that_failed_all_the_same_is_not_forgotten(monkeypatch):
    def stumble(history):
        raise KeyError("sub")

    kept = simulate.play("drop_fin", random.Random(3), defects=("ignores-last-event-id",))
    monkeypatch.setattr(judgement, "series", stumble)
    run = judgement.result_of(kept)
    assert (run.outcome, run.reason) == (Outcome.FAIL, "its records do not make sense: KeyError: 'sub'")


@pytest.mark.parametrize(
    "plot, defect, column",
    [
        ("isolation", "leaks-to-other-user", "cross_user"), ("steady", "buffers-2s", "stale"),
        ("drop_fin", "replays-twice", "duplicated"),
    ],
)  # fmt: skip
def test_the_accounts_count_what_the_checks_say(plot, defect, column):
    run = judgement.result_of(simulate.play(plot, random.Random(3), defects=(defect,)))
    names = {"cross_user": "security.own_events", "stale": "lag.live", "duplicated": "delivery.nothing_twice"}
    [verdict] = [one for one in run.verdicts if one.check == names[column]]
    assert verdict.outcome is Outcome.FAIL
    assert sum(getattr(one, column) for one in run.accounts) == int(verdict.actual.split()[0]) > 0
    assert all(one.entitled == one.delivered + one.announced + one.lost + one.unseen for one in run.accounts)


def test_what_came_on_foreign_channels_is_one_row():
    run = judgement.result_of(simulate.play("isolation", random.Random(3), defects=("leaks-to-other-user",)))
    foreign = [one for one in run.accounts if one.cross_user]
    assert foreign
    assert len(foreign) == len({one.subscriber for one in foreign})
    assert all((one.channel, one.entitled, one.delivered) == (judgement.OTHERS, 0, 0) for one in foreign)


def test_a_summary_is_plotted_like_the_events_that_it_stands_for():
    about = {"sub": "s", "attempt": 0, "channel": "all", "epoch": "e", "id": "e-9", "since": 1.0, "slowest": 0.1}
    rows = [
        Record(1.5, "sub.run", {**about, "first": 1, "last": 9, "types": {"message": 9}}),
        Record(2.5, "lag", {"worst": 0.1}),
    ]
    told = judgement.series(History((Record(0.0, "history", {}), *rows), {}))
    assert told["deliveries per second"] == [(0.0, 0.0), (1.0, 9.0), (2.0, 0.0)]
