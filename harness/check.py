"""What a check is, the one registry of checks, and how a history is judged.

A check is a pure function of a history that returns a `Finding`; its docstring is the sentence that the report
prints, its name never moves.  A check that raises knows nothing: UNKNOWN.  If the environment failed (a record
`trouble`), nothing that was seen is a pass or the target's failure: UNKNOWN with that reason.
"""

import enum
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final, Literal, get_args

from harness.errors import HarnessError
from harness.history import History
from harness.requirements import CATALOGUE, Level

Subject = Literal["server", "client", "path", "both"]
_NAME: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


class Outcome(enum.IntEnum):
    """The outcomes of one requirement in one run, in order: the worst of several is their maximum."""

    SKIP = 0
    PASS = 1
    UNKNOWN = 2
    FAIL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: what had to be, what was, the records that show it, and how much was judged.

    `measured` counts what the outcome rests on (deliveries, reconnects, users, minutes ...) and any figure that the
    report shall show; numbers only. `waived`: skipped because nobody promised or declared what the check judges.
    """

    outcome: Outcome
    expected: str
    actual: str
    evidence: tuple[str, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A named, registered check. `requirements` are ids of the catalogue; `subject` says who is judged."""

    name: str
    requirements: tuple[str, ...]
    level: str
    subject: Subject
    sentence: str
    function: Callable[[History], Finding]

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check's finding on one history, as it stands in verdicts.json."""

    check: str
    requirements: tuple[str, ...]
    level: str
    subject: Subject
    outcome: Outcome
    expected: str
    actual: str
    evidence: tuple[str, ...]
    measured: Mapping[str, float]
    waived: bool = False


REGISTRY: Final[dict[str, Check]] = {}


def check(
    name: str, *requirements: str, subject: Subject = "both", level: str = "MUST"
) -> Callable[[Callable[[History], Finding]], Callable[[History], Finding]]:
    """Register a function as the check `name` ("family.rule") for these requirement ids.

    Raises HarnessError for a name that another function has, and for whatever no catalogue knows.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise HarnessError(f'check {name!r} has no name of the form "family.rule"; give it one')
    if strange := [one for one in requirements if one not in CATALOGUE]:
        raise HarnessError(
            f"check {name} is for {strange[0]!r}, which no catalogue knows; see sse-harness list requirements"
        )
    for word, known in ((level, get_args(Level)), (subject, get_args(Subject))):
        if word not in known:
            raise HarnessError(f"check {name} says {word!r}; use one of {', '.join(known)}")

    def note(function: Callable[[History], Finding]) -> Callable[[History], Finding]:
        sentence = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        if not sentence or (name in REGISTRY and _origin(REGISTRY[name].function) != _origin(function)):
            raise HarnessError(f"check {name} needs a docstring and a name of its own")
        REGISTRY[name] = Check(name, requirements, level, subject, sentence, function)
        return function

    return note


def _origin(function: Callable[[History], Finding]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def passed(expected: str, actual: str, evidence: Iterable[str] = (), **measured: float) -> Finding:
    return Finding(Outcome.PASS, expected, actual, tuple(evidence), measured)


def failed(expected: str, actual: str, evidence: Iterable[str] = (), **measured: float) -> Finding:
    return Finding(Outcome.FAIL, expected, actual, tuple(evidence), measured)


def unknown(expected: str, actual: str, evidence: Iterable[str] = (), **measured: float) -> Finding:
    return Finding(Outcome.UNKNOWN, expected, actual, tuple(evidence), measured)


def skipped(reason: str, **measured: float) -> Finding:
    return Finding(Outcome.SKIP, "", reason, (), measured)


def waived(reason: str) -> Finding:
    """Nothing to judge, because the target or the client does not promise it."""
    return Finding(Outcome.SKIP, "", reason, waived=True)


OUR_LAG: Final = "late by no more than our own lag"


def weighed(
    judged: Iterable[tuple[Outcome, str]],
    expected: str,
    *,
    fails: str,
    passes: str,
    doubts: str = OUR_LAG,
    **measured: float,
) -> Finding:
    """The worst of several outcomes, with the texts of those that had it as evidence.

    `fails`, `doubts` and `passes` say what was seen; `{n}` in them stands for how many had the worst outcome.
    """
    found = list(judged)
    worst = max((outcome for outcome, _ in found), default=Outcome.PASS)
    rows = tuple(text for outcome, text in found if outcome is worst)
    said = {Outcome.FAIL: fails, Outcome.UNKNOWN: doubts}.get(worst, passes).replace("{n}", str(len(rows)))
    return Finding(worst, expected, said, rows if worst > Outcome.PASS else (), measured)


def judge(history: History, checks: Iterable[Check] | None = None) -> list[Verdict]:
    """Every check's verdict on this history, in the order of their names."""
    troubles = [str(record["reason"]) for record in history.of("trouble")]
    chosen = sorted(REGISTRY.values() if checks is None else checks, key=lambda one: one.name)
    return [_verdict(one, _safely(one, history), troubles) for one in chosen]


def _safely(one: Check, history: History) -> Finding:
    expected = "the check judges this history"
    try:
        found = one.function(history)
    # Whatever a check stumbles over, it is our trouble and never the target's; nor does a check end the command.
    except (Exception, SystemExit) as exc:
        return unknown(expected, f"the check raised {type(exc).__name__}: {exc}")
    if not _is_finding(found):
        made = "passed(), failed(), unknown() or skipped(), with texts and finite figures"
        return unknown(expected, f"the check returned no finding that can be used; make it with {made}")
    return found


def _is_finding(found: object) -> bool:
    """Whether this is a finding, each field of which is what it has to be; a check can be anybody's."""
    return (
        isinstance(found, Finding)
        and isinstance(found.outcome, Outcome)
        and isinstance(found.evidence, tuple)
        and all(isinstance(text, str) for text in (found.expected, found.actual, *found.evidence))
        and isinstance(found.measured, Mapping)
        and all(isinstance(one, int | float) and isfinite(one) for one in found.measured.values())
    )


def _verdict(one: Check, found: Finding, troubles: list[str]) -> Verdict:
    if troubles and found.outcome is not Outcome.SKIP:
        found = unknown(found.expected, f"the environment failed: {troubles[0]} (saw: {found.actual})", found.evidence)
    return Verdict(
        one.name, one.requirements, one.level, one.subject,
        found.outcome, found.expected, found.actual, found.evidence[:20], found.measured, found.waived,
    )  # fmt: skip


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a whole: nothing judged is UNKNOWN."""
    top = max(outcomes, default=Outcome.SKIP)
    return Outcome.UNKNOWN if top is Outcome.SKIP else top
