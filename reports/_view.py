"""What the readable reports show, in the order in which they show it; no format's markup."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from harness.check import Outcome, Verdict
from harness.plaintext import redacted
from harness.requirements import CATALOGUE
from harness.results import FAULT, Account, Criterion, Decision, Results, RunResult, label

ACCOUNTS: Final = 40
SOME: Final = 4
COLUMNS: Final = 12
COUNTS: Final = tuple(one.name for one in fields(Account) if one.name not in ("subscriber", "channel"))

# An outcome is never told by colour alone.
SIGNS: Final[Mapping[str, str]] = {
    "PASS": "✓", "FAIL": "✕", "UNKNOWN": "?", "SKIP": "–", "GO": "✓", "HOLD": "‖", "NO-GO": "✕",
}  # fmt: skip
TITLES: Final[Mapping[str, str]] = {
    "run": "Scenarios", "signoff": "Sign-off", "matrix": "Conformance", "selftest": "Selftest",
}  # fmt: skip


def sentence(requirement: str) -> str:
    """What the catalogue says of a requirement; nothing for an id that it does not know."""
    known = CATALOGUE.get(requirement)
    return known.sentence if known else ""


def moment(started: float) -> str:
    """Wall-clock seconds as a reader has them."""
    try:
        return datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M UTC") if started > 0 else "time not known"
    except (ValueError, OverflowError, OSError):  # a clock, or a file, that was wrong
        return "time not known"


def span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def number(value: float) -> str:
    """A figure without false precision: whole numbers whole, others to three digits."""
    if value != value or value in (float("inf"), float("-inf")):
        return "–"
    if value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def meaning(results: Results) -> str:
    """One sentence on what the headline means."""
    stage = f"the {results.signoff.stage} % stage" if results.signoff else ""
    match results.outcome:
        case Decision.GO:
            return f"Every requirement of {stage} passed, on enough evidence."
        case Decision.HOLD:
            return f"Nothing that blocks failed, but {stage} is not shown to be safe."
        case Decision.NO_GO:
            return f"A check failed: {stage} must not start."
        case Outcome.PASS:
            return "Everything that was judged is as it has to be."
        case Outcome.FAIL:
            return "At least one check failed."
        case _:
            return "Not everything could be judged."


def evidence(criterion: Criterion) -> str:
    """Measured against least, for example "3 412 deliveries (least 3 000)"."""
    parts = []
    for name, amount in criterion.evidence.items():
        least = f" (least {number(criterion.least[name])})" if name in criterion.least else ""
        parts.append(f"{number(amount)} {name if amount != 1 else name.removesuffix('s')}{least}")
    return ", ".join(parts)


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SOME} more" if len(names) > SOME + 1 else ""
    return ", ".join(names[:SOME] if more else names) + more


def ordered(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """What needs attention first; what was not exercised is left out."""
    return sorted((one for one in verdicts if one.outcome is not Outcome.SKIP), key=lambda one: -one.outcome)


def not_exercised(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [one for one in verdicts if one.outcome is Outcome.SKIP]


def anchor(place: int, run: RunResult) -> str:
    return (
        f"run-{place}-"
        + "".join(one if one.isascii() and one.isalnum() else "-" for one in redacted(run.scenario))[:60]
    )


def total(run: RunResult) -> Account:
    """The sum of a run's accounts."""
    sums = {name: sum(getattr(one, name) for one in run.accounts) for name in COUNTS}
    return Account(subscriber=f"all {len(run.accounts)}", channel="", **sums)


def worst_accounts(run: RunResult) -> list[Account]:
    """The accounts to print, those with anomalies first."""

    def trouble(one: Account) -> int:
        return one.entitled + one.phantom + one.cross_user - one.delivered + one.duplicated + one.torn + one.reordered

    return sorted(run.accounts, key=trouble, reverse=True)[:ACCOUNTS]


@dataclass(frozen=True, slots=True)
class Window:
    """A fault that was on from `begin` to `end`, in seconds since the start of the run."""

    name: str
    begin: float
    end: float


def windows(run: RunResult) -> list[Window]:
    """The fault windows of a run; one that never ended lasts as long as the run."""
    found = []
    for name, points in run.series.items():
        if name.startswith(FAULT):
            begin: float | None = None
            for t, level in [*points, (run.seconds, 0.0)]:
                if level and begin is None:
                    begin = t
                elif not level and begin is not None:
                    found.append(Window(name.removeprefix(FAULT), begin, max(begin, t)))
                    begin = None
    return sorted(found, key=lambda one: (one.begin, one.name))


def curves(run: RunResult) -> dict[str, Sequence[tuple[float, float]]]:
    """The series to plot: all that are no fault windows and have points."""
    return {name: points for name, points in run.series.items() if points and not name.startswith(FAULT)}


@dataclass(frozen=True, slots=True)
class Condensed:
    """Curves as a table: mean values over equal slices of time."""

    slices: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def condensed(run: RunResult) -> Condensed | None:
    """The curves as a table of at most a dozen columns, in place of a plot."""
    plots = curves(run)
    if not plots:
        return None
    end = max(points[-1][0] for points in plots.values()) or 1.0
    width = end / COLUMNS
    names = tuple(f"{number(round(width * place, 1))} s" for place in range(COLUMNS))
    return Condensed(names, tuple((name, _means(points, width)) for name, points in plots.items()))


def _means(points: Sequence[tuple[float, float]], width: float) -> tuple[str, ...]:
    slices: list[list[float]] = [[] for _ in range(COLUMNS)]
    for t, value in points:
        slices[min(max(int(t / width), 0), COLUMNS - 1)].append(value)
    return tuple(number(sum(one) / len(one)) if one else "" for one in slices)


def matrix(results: Results) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Clients, and per requirement the worst outcome of each client ("" where it was not judged)."""
    clients = list(dict.fromkeys(run.client for run in results.runs))
    cells: dict[str, dict[str, Outcome]] = {}
    for run in results.runs:
        for verdict in run.verdicts:
            for requirement in verdict.requirements:
                row = cells.setdefault(requirement, {})
                row[run.client] = max(row.get(run.client, Outcome.SKIP), verdict.outcome)
    rows = [(one, [label(row[name]) if name in row else "" for name in clients]) for one, row in cells.items()]
    return clients, sorted(rows, key=lambda row: _natural(row[0]))


def _natural(requirement: str) -> tuple[str, int]:
    family, _, digits = requirement.rpartition("-")
    return family, int(digits) if digits.isdigit() else 0
