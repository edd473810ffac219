"""From a history to the result of a run: verdicts, accounts, figures and the series that reports plot. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Final

from harness import attempts, ledger, timing
from harness.check import Outcome, judge
from harness.checks import lag
from harness.history import History, load
from harness.results import FAULT, Account, RunResult, run_outcome

OTHERS: Final = "other channels"
_COUNTED: Final = ("duplicated", "phantom", "cross-user", "stale", "torn", "reordered")


def judged(path: Path) -> RunResult:
    """The result of the run whose merged history is in this file."""
    return replace(result_of(load(path)), history=str(path))


def result_of(history: History) -> RunResult:
    """The result of the run that this history is of; one that cannot be reckoned with is no better than UNKNOWN."""
    header = history.header
    skipped = str(header.get("skipped") or "")
    verdicts = () if skipped else tuple(judge(history))
    named = tuple(map(str, header.get("checks", ())))
    outcome, reason = run_outcome(verdicts, named, skipped=skipped)
    if troubles := history.of("trouble"):
        reason = f"the environment failed: {troubles[0]['reason']}"
    result = RunResult(
        scenario=str(header.get("scenario", "?")),
        question=str(header.get("question", "")),
        target=str(header.get("target", {}).get("name", "?")),
        client=str(header.get("client", {}).get("name", "?")),
        outcome=outcome,
        history="",
        verdicts=verdicts,
        named=named,
        seed=int(header.get("seed", 0)),
        started=float(header.get("wall", 0.0)),
        seconds=history.end - history.start,
        reason=reason,
    )
    try:
        return replace(result, figures=figures(history), accounts=accounts(history), series=series(history))
    except Exception as exc:  # the checks that stumbled over the same records are UNKNOWN, and so is the whole
        reason = f"its records do not make sense: {type(exc).__name__}: {exc}"
        return replace(result, outcome=max(outcome, Outcome.UNKNOWN), reason=reason)


def figures(history: History) -> dict[str, float]:
    """What the run measured as a whole: deliveries, reconnects, users, minutes, lag (worst, in seconds)."""
    lives = attempts.lives(history).values()
    streams = [sum(one.t_open is not None for one in life.attempts) for life in lives]
    worst = timing.lag(history, history.start, history.end) if history.of("lag") else 0.0
    return {
        "deliveries": float(sum(one.delivered for one in ledger.settled(history)[0])),
        "reconnects": float(sum(max(0, count - 1) for count in streams)),
        "users": float(len({life.user for life, count in zip(lives, streams, strict=True) if count})),
        "streams": float(sum(streams)),
        "minutes": (history.end - history.start) / 60,
        "lag": worst if isfinite(worst) else max(float(one["worst"]) for one in history.of("lag")),
    }


def accounts(history: History) -> tuple[Account, ...]:
    """The accounts per subscriber and channel, with what is counted beside them.

    What came of channels on which a subscriber is entitled to nothing is one row, however many they are.
    """
    settled, anomalies = ledger.settled(history)
    beside = Counter((one.sub, one.channel, str(one.fate)) for one in anomalies) + ledger.of(history).untold
    beside += Counter(
        (one.sub, one.event.channel, "stale") for found, one in lag.judged(history) if found is Outcome.FAIL
    )
    known = {(one.sub, one.channel) for one in settled}
    for (sub, channel, fate), number in [*beside.items()]:
        if (sub, channel) not in known:
            beside[sub, OTHERS, fate] += number
    others = sorted({sub for sub, channel, fate in beside if channel == OTHERS and fate in _COUNTED})
    return tuple(
        Account(
            subscriber=one.sub, channel=one.channel, entitled=one.entitled, delivered=one.delivered,
            announced=one.announced, lost=one.lost, unseen=one.unseen,
            **{fate.replace("-", "_"): beside[one.sub, one.channel, fate] for fate in _COUNTED},
        )
        for one in (*settled, *(ledger.Account(sub, OTHERS) for sub in others))
    )  # fmt: skip


def series(history: History) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Per second of the run: deliveries and open streams; and every fault window under its name."""
    told: dict[str, Sequence[tuple[float, float]]] = {
        "deliveries per second": _deliveries(history),
        "open streams": _open_streams(history),
    }
    faults: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for window in timing.fault_windows(history):
        if not window.what.startswith("step "):
            end = min(window.end, history.end)
            faults[FAULT + window.what] += [(window.start - history.start, 1.0), (end - history.start, 0.0)]
    return {**told, **faults}


def _deliveries(history: History) -> list[tuple[float, float]]:
    counts = Counter(int(record.t - history.start) for record in history.of("sub.event"))
    for run in history.of("sub.run"):  # it lasts no longer than an interval of a second
        counts[int(run.t - history.start)] += run["last"] - run["first"] + 1
    return [(float(second), float(counts[second])) for second in range(int(history.end - history.start) + 1)]


def _open_streams(history: History) -> list[tuple[float, float]]:
    changes: list[tuple[float, int]] = []
    for one in attempts.streams(history):
        opened = one.t_open or history.start
        ends = [t for t in (one.t_end, one.t_wait, attempts.lives(history)[one.sub].gone) if t is not None]
        changes += [(opened, 1), (max(opened, min(ends, default=history.end)), -1)]
    level, points = 0, [(0.0, 0.0)]
    for t, change in sorted(changes):
        level += change
        points.append((t - history.start, float(level)))
    return points
