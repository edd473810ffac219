"""What each stage needs, read from a policy file (TOML, versioned): requirements, least evidence, margins.

`harness.gate` decides by it.  Unknown fields and unknown ids of requirements are refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness import tomlfile
from harness.errors import HarnessError
from harness.tomlfile import Table, meant

VERSION: Final = 1
DEFAULT: Final = Path(__file__).with_name("policy.toml")
EVIDENCE: Final = ("deliveries", "reconnects", "users", "minutes", "runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The least evidence for a requirement, and the part of it that the stage leaves unjudged.

    checks: each of them has to have judged it, so that an easy one cannot stand in for one that never ran.
    """

    least: Mapping[str, float] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    uncovered: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage needs. `loss_rate` is the highest rate of lost events that may remain at `confidence`.

    seeds: each scenario with at least so many seeds. users: at least one run with so many.
    """

    percent: int
    scenarios: tuple[str, ...] = ()
    required: Mapping[str, Need] = field(default_factory=dict)
    out_of_scope: Mapping[str, str] = field(default_factory=dict)
    loss_rate: float | None = None
    confidence: float = 0.95
    max_age_days: float = 7.0
    previous_stage: int | None = None
    previous_within_days: float = 30.0
    seeds: int = 1
    users: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    name: str
    stages: Mapping[int, Stage]

    def stage(self, percent: int) -> Stage:
        """The stage's needs; raises HarnessError where the policy has none."""
        if percent not in self.stages:
            known = ", ".join(map(str, sorted(self.stages))) or "none"
            raise HarnessError(f"policy {self.name} has no stage {percent}; it has {known}, add [stages.{percent}]")
        return self.stages[percent]


def load_policy(path: Path = DEFAULT, *, known: Collection[str]) -> Policy:
    """The policy in a file; `known` are the ids of the catalogue. Raises HarnessError with one sentence."""
    top = tomlfile.read(path, "give the path of a policy file, or leave it out for the default")
    top.only(("version", "name", "stages"))
    if top.need("version", int) != VERSION:
        raise top.fault(f"'version' is {top.data['version']} and this sse-harness knows {VERSION}; rewrite the policy")
    stages = top.table("stages")
    return Policy(
        name=top.get("name", str, path.stem),
        stages={_percent(stages, name): _stage(stages, name, known) for name in stages.data},
    )


def _percent(stages: Table, name: str) -> int:
    if not (name.isascii() and name.isdigit() and 0 < int(name) <= 100):
        raise stages.fault(f"{name!r} is no stage; write a percentage such as [stages.10]")
    return int(name)


def _stage(stages: Table, name: str, known: Collection[str]) -> Stage:
    table = stages.table(name, (
        "scenarios", "required", "out_of_scope", "margins", "max_age_days", "previous_stage", "previous_within_days",
        "seeds", "users",
    ))  # fmt: skip
    margins = table.table("margins", ("loss_rate", "confidence"))
    required = {one: _need(table.table("required"), one, known) for one in table.table("required").data}
    out_of_scope = _reasons(table.table("out_of_scope"), known)
    if both := sorted(required.keys() & out_of_scope.keys()):
        raise table.fault(f"{both[0]} is required and out of scope; keep one of the two")
    return Stage(
        percent=_percent(stages, name),
        scenarios=table.texts("scenarios"),
        required=required,
        out_of_scope=out_of_scope,
        loss_rate=None if "loss_rate" not in margins.data else _share(margins, "loss_rate", 1.0),
        confidence=_share(margins, "confidence", 0.95),
        max_age_days=table.get("max_age_days", float, 7.0),
        previous_stage=table.maybe("previous_stage", int),
        previous_within_days=table.get("previous_within_days", float, 30.0),
        seeds=table.get("seeds", int, 1),
        users=table.get("users", int, 1),
    )


def _share(table: Table, name: str, default: float) -> float:
    value = table.get(name, float, default)
    if not 0 < value < 1:
        raise table.fault(f"{name!r} is {value}; give a number between 0 and 1")
    return value


def _need(table: Table, requirement: str, known: Collection[str]) -> Need:
    _know(table, requirement, known)
    need = table.table(requirement, (*EVIDENCE, "checks", "uncovered"))
    least = {name: need.need(name, float) for name in EVIDENCE if name in need.data}
    if bad := [name for name, value in least.items() if not 0 <= value < float("inf")]:
        raise need.fault(f"{bad[0]!r} is {least[bad[0]]}; give a number that is not negative")
    return Need(least=least, checks=need.texts("checks"), uncovered=need.get("uncovered", str, ""))


def _reasons(table: Table, known: Collection[str]) -> Mapping[str, str]:
    for requirement in table.data:
        _know(table, requirement, known)
        if not table.need(requirement, str).strip():
            raise table.fault(f"{requirement} is out of scope without a reason; give the sentence to print")
    return dict(table.data)


def _know(table: Table, requirement: str, known: Collection[str]) -> None:
    if requirement not in known:
        raise table.fault(f"{requirement!r} is no requirement; {meant(requirement, known)}")
