"""What a run and a sign-off amount to, their exit codes, and verdicts.json.

Data and pure functions: reports print these values, `harness.policy` decides on them, nobody changes them.
"""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from harness.check import Outcome, Verdict, worst
from harness.plaintext import redacted

SCHEMA: Final = 1
FAULT: Final = "fault: "

Kind = Literal["run", "signoff", "matrix", "selftest"]


class Decision(enum.StrEnum):
    """What a gate says of a stage."""

    GO = "GO"
    HOLD = "HOLD"
    NO_GO = "NO-GO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The fates of one channel's events at one subscriber: entitled = delivered + announced + lost + unseen."""

    subscriber: str
    channel: str
    entitled: int = 0
    delivered: int = 0
    announced: int = 0
    lost: int = 0
    unseen: int = 0
    duplicated: int = 0
    phantom: int = 0
    cross_user: int = 0
    stale: int = 0
    torn: int = 0
    reordered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One scenario, run once.

    history: path of the merged history, relative to OUT. named: checks or families that the scenario must be able to
    judge. figures: deliveries, reconnects, users, minutes, lag (s) ... series: (seconds since the start, value) by
    name; a name that starts with "fault: " is a fault window, 1 where it begins and 0 where it ends. started: wall
    clock, 0 = not known. reason: why it was skipped or is unknown, else empty.
    """

    scenario: str
    target: str
    client: str
    outcome: Outcome
    history: str
    verdicts: tuple[Verdict, ...] = ()
    question: str = ""
    named: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    accounts: tuple[Account, ...] = ()
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    seed: int = 0
    started: float = 0.0
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Of `planted` defects `caught` rang their alarms, and `false_alarms` rang without a defect."""

    caught: int
    planted: int
    false_alarms: int
    profile: str = "quick"
    digest: str = ""
    missed: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return self.planted > 0 and self.caught == self.planted and self.false_alarms == 0 and not self.missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One required requirement: what was seen of it, what it rests on, and what that means for the stage.

    `outcome` is SKIP where nothing judged it. `evidence` holds what was measured, `least` what the policy demands.
    `uncovered` says which part of the requirement is not judged at this stage.
    """

    requirement: str
    outcome: Outcome
    decision: Decision
    reason: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    scenarios: tuple[str, ...] = ()
    uncovered: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """The gate's decision on one stage. `warnings` do not block; `out_of_scope` pairs an id with its reason."""

    stage: int
    outcome: Decision
    rehearsal: bool
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    out_of_scope: tuple[tuple[str, str], ...] = ()
    claim: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a command found, as the reports print it.

    client_policy: the name of the client's policy, spec or resilient. environment: versions, host, cpu, code digest.
    started: wall clock. signoff: the gate's decision, where there was a gate.
    """

    kind: Kind
    target: str
    client: str
    runs: tuple[RunResult, ...] = ()
    signoff: SignOff | None = None
    client_policy: str = ""
    selftest: SelfTest | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    started: float = 0.0
    seconds: float = 0.0

    @property
    def outcome(self) -> Outcome | Decision:
        if self.signoff is not None:
            return self.signoff.outcome
        if self.kind == "selftest":
            return Outcome.PASS if self.selftest and self.selftest.sound else Outcome.FAIL
        return worst(run.outcome for run in self.runs)

    @property
    def headline(self) -> str:
        """The verdict as one line says it: REHEARSAL in front of it where it is one."""
        word = label(self.outcome)
        return f"REHEARSAL {word}" if self.signoff and self.signoff.rehearsal else word


def label(outcome: Outcome | Decision) -> str:
    return outcome.name if isinstance(outcome, Outcome) else outcome.value


def exit_code(outcome: Outcome | Decision) -> int:
    """0 pass or GO, 1 fail or NO-GO, 3 unknown or HOLD; 2, wrong usage, belongs to the command line."""
    match outcome:
        case Outcome.PASS | Decision.GO:
            return 0
        case Outcome.FAIL | Decision.NO_GO:
            return 1
        case _:
            return 3


def gaps(verdicts: Iterable[Verdict], named: Iterable[str]) -> tuple[str, ...]:
    """What a scenario named and nothing judged: a check that came out SKIP, or a family of which all did.

    What nobody promised is no gap: there was nothing to judge.
    """
    judged = [verdict.check for verdict in verdicts if verdict.outcome is not Outcome.SKIP or verdict.waived]
    known = {*judged, *(check.partition(".")[0] for check in judged)}
    return tuple(name for name in named if name not in known)


def run_outcome(verdicts: Sequence[Verdict], named: Iterable[str], *, skipped: str = "") -> tuple[Outcome, str]:
    """A run's outcome and the reason where it is SKIP or UNKNOWN.

    The worst over its verdicts; UNKNOWN where nothing was judged or a named check was not. `skipped` is the reason
    why the whole scenario was not run (a missing capability), then it is SKIP.
    """
    if skipped:
        return Outcome.SKIP, skipped
    top = worst(verdict.outcome for verdict in verdicts)
    if top is Outcome.FAIL:
        return top, ""
    if missing := gaps(verdicts, named):
        return Outcome.UNKNOWN, f"not judged, though the scenario is for it: {', '.join(missing)}"
    if top is Outcome.UNKNOWN:
        return top, _doubt(verdicts)
    return top, ""


def _doubt(verdicts: Iterable[Verdict]) -> str:
    doubts = (f"{one.check}: {one.actual}" for one in verdicts if one.outcome is Outcome.UNKNOWN)
    return next(doubts, "nothing was judged")


def to_json(results: Results) -> dict[str, Any]:
    """The content of verdicts.json, valid against `JSON_SCHEMA`; figures that are no finite numbers are null."""
    plain: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": results.kind,
        "outcome": label(results.outcome),
        "exit": exit_code(results.outcome),
        "rehearsal": bool(results.signoff and results.signoff.rehearsal),
        "target": results.target,
        "client": results.client,
        "client_policy": results.client_policy,
        "started": results.started,
        "seconds": results.seconds,
        "environment": results.environment,
        "runs": results.runs,
    }
    if results.signoff:
        plain["signoff"] = results.signoff
    if results.selftest:
        plain["selftest"] = results.selftest
    return {name: _plain(one) for name, one in plain.items()}


def _plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as JSON has them; no token in any text."""
    match value:
        case Outcome() | Decision():
            return label(value)
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {redacted(str(name)): _plain(one) for name, one in value.items()}
        case tuple() | list():
            return [_plain(one) for one in value]
        case str():
            return redacted(value)
        case bool() | int() | float() | None:
            return value
        case _:
            return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}


_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_WHOLE: Final = {"type": "integer"}
_NUMBERS: Final = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}
_OUTCOME: Final = {"enum": [one.name for one in Outcome]}
_DECISION: Final = {"enum": [one.value for one in Decision]}


def _record(required: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": dict(required)}


JSON_SCHEMA: Final[Mapping[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "verdicts.json",
    **_record(
        {
            "schema": {"const": SCHEMA},
            "kind": {"enum": ["run", "signoff", "matrix", "selftest"]},
            "outcome": {"enum": _OUTCOME["enum"] + _DECISION["enum"]},
            "exit": {"enum": [0, 1, 3]},
            "rehearsal": {"type": "boolean"},
            "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}},
        }
    ),
    "if": {"properties": {"kind": {"const": "signoff"}}},
    "then": {
        "required": ["signoff"],
        "properties": {"signoff": {"$ref": "#/$defs/signoff"}, "selftest": {"$ref": "#/$defs/selftest"}},
    },
    "$defs": {
        "verdict": _record(
            {
                "check": _TEXT, "requirements": _TEXTS, "level": _TEXT, "subject": _TEXT, "outcome": _OUTCOME,
                "expected": _TEXT, "actual": _TEXT, "evidence": _TEXTS, "measured": _NUMBERS,
            }
        ),
        "run": _record(
            {
                "scenario": _TEXT, "target": _TEXT, "client": _TEXT, "outcome": _OUTCOME, "history": _TEXT,
                "reason": _TEXT, "figures": _NUMBERS, "seed": _WHOLE, "started": {"type": "number"},
                "verdicts": {"type": "array", "items": {"$ref": "#/$defs/verdict"}},
            }
        ),
        "criterion": _record(
            {
                "requirement": _TEXT, "outcome": _OUTCOME, "decision": _DECISION, "reason": _TEXT,
                "evidence": _NUMBERS, "least": _NUMBERS, "scenarios": _TEXTS,
            }
        ),
        "selftest": _record({"caught": _WHOLE, "planted": _WHOLE, "false_alarms": _WHOLE, "missed": _TEXTS}),
        "signoff": _record(
            {
                "stage": _WHOLE, "outcome": _DECISION, "rehearsal": {"type": "boolean"},
                "reasons": _TEXTS, "warnings": _TEXTS, "claim": _TEXT, "policy": _TEXT,
                "criteria": {"type": "array", "items": {"$ref": "#/$defs/criterion"}},
                "out_of_scope": {"type": "array", "items": _TEXTS},
            }
        ),
    },
}  # fmt: skip
