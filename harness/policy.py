"""What each stage needs, read from a policy file (TOML, versioned): requirements, least evidence, margins.

`harness.gate` decides by it.  Unknown fields, requirements and checks are refused, and so is whatever would let a stage
pass without a run: a stage that requires nothing, no users, evidence that never ages.
"""

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from harness import tomlfile
from harness.errors import HarnessError
from harness.tomlfile import Table, meant

Number = TypeVar("Number", int, float)

VERSION: Final = 1
DEFAULT: Final = Path(__file__).with_name("policy.toml")
MOST_USERS: Final = 5000  # of a load run, and so are its seconds and its rate
LONGEST: Final = 3600.0
HIGHEST_RATE: Final = 1000.0
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
class Load:
    """A load run: the locustfile's name, so many users for so many seconds, and events published per second."""

    name: str
    users: int
    seconds: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage needs. `loss_rate` is the highest rate of lost events that may remain at `confidence`.

    seeds: each scenario with at least so many seeds. users: at least one run with so many. load: a load run of its own
    that the stage includes.
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
    load: Load | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The stages of a policy file; `digest` names what the file says, whoever it says it is."""

    name: str
    stages: Mapping[int, Stage]
    digest: str

    @property
    def label(self) -> str:
        return f"{self.name}, version {VERSION}, {self.digest}"

    def stage(self, percent: int) -> Stage:
        """The stage's needs; raises HarnessError where the policy has none."""
        if percent not in self.stages:
            known = ", ".join(map(str, sorted(self.stages))) or "none"
            raise HarnessError(f"policy {self.name} has no stage {percent}; it has {known}, add [stages.{percent}]")
        return self.stages[percent]


def load_policy(
    path: Path = DEFAULT, *, known: Collection[str], checks: Mapping[str, Collection[str]]
) -> Policy:  # fmt: skip
    """The policy in a file; `known` are the ids of the catalogue, `checks` the checks with the ids that they judge.

    Raises HarnessError with one sentence.
    """
    top = tomlfile.read(path, "give the path of a policy file, or leave it out for the default")
    top.only(("version", "name", "stages"))
    if top.need("version", int) != VERSION:
        raise top.fault(f"'version' is {top.data['version']} and this sse-harness knows {VERSION}; rewrite the policy")
    stages = top.table("stages")
    read: dict[int, Stage] = {}
    for name in sorted(stages.data, key=lambda one: _percent(stages, one)):
        read[_percent(stages, name)] = _stage(stages, name, _Known(known, checks), read)
    said = json.dumps(top.data, sort_keys=True, default=str)
    return Policy(
        name=top.get("name", str, path.stem), stages=read, digest=hashlib.sha256(said.encode()).hexdigest()[:8]
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """The requirements that there are, and the checks with those that each judges."""

    requirements: Collection[str]
    checks: Mapping[str, Collection[str]]


def _percent(stages: Table, name: str) -> int:
    if name not in map(str, range(1, 101)):  # [stages.010] would take the place of [stages.10]
        raise stages.fault(f"{name!r} is no stage; write a percentage such as [stages.10]")
    return int(name)


def _stage(stages: Table, name: str, known: _Known, lower: Mapping[int, Stage]) -> Stage:
    """One stage; what it does not say itself it has from the lower one that it `extends`."""
    table = stages.table(name, (
        "extends", "scenarios", "required", "out_of_scope", "margins", "max_age_days", "previous_stage",
        "previous_within_days", "seeds", "users", "load",
    ))  # fmt: skip
    base = _base(table, lower)
    margins = table.table("margins", ("loss_rate", "confidence"))
    required = {one: _need(table.table("required"), one, known) for one in table.table("required").data}
    out_of_scope = _reasons(table.table("out_of_scope"), known)
    if both := sorted(required.keys() & out_of_scope.keys()):
        raise table.fault(f"{both[0]} is required and out of scope; keep one of the two")
    needs = {one: need for one, need in {**base.required, **required}.items() if one not in out_of_scope}
    if not needs:
        raise table.fault("the stage requires nothing; add a table [required.ID] for each requirement that must pass")
    return Stage(
        percent=_percent(stages, name),
        scenarios=(*base.scenarios, *table.texts("scenarios")),
        required=needs,
        out_of_scope={
            one: reason for one, reason in {**base.out_of_scope, **out_of_scope}.items() if one not in required
        },
        loss_rate=base.loss_rate if "loss_rate" not in margins.data else _share(margins, "loss_rate", 1.0),
        confidence=_share(margins, "confidence", base.confidence),
        max_age_days=_positive(table, "max_age_days", float, base.max_age_days),
        previous_stage=_previous(table, _percent(stages, name)),
        previous_within_days=_positive(table, "previous_within_days", float, base.previous_within_days),
        seeds=_positive(table, "seeds", int, base.seeds),
        users=_positive(table, "users", int, base.users),
        load=_load(table) or base.load,
    )


def _base(table: Table, lower: Mapping[int, Stage]) -> Stage:
    percent = table.maybe("extends", int)
    if percent is None:
        return Stage(percent=0)
    if percent not in lower:
        raise table.fault(f"'extends' is {percent}, which is no lower stage of this file; name one that is")
    return lower[percent]


def _load(table: Table) -> Load | None:
    if "load" not in table.data:
        return None
    load = table.table("load", ("name", "users", "seconds", "rate"))
    return Load(
        name=load.get("name", str, "steady"),
        users=_positive(load, "users", int, most=MOST_USERS),
        seconds=_positive(load, "seconds", int, most=LONGEST),
        rate=_positive(load, "rate", float, most=HIGHEST_RATE),
    )


def _previous(table: Table, percent: int) -> int | None:
    stage = table.maybe("previous_stage", int)
    if stage is not None and not 0 < stage < percent:
        raise table.fault(f"'previous_stage' is {stage}; give a lower stage than {percent}")
    return stage


def _positive(
    table: Table, name: str, kind: type[Number], default: Number | None = None, *, most: float = math.inf
) -> Number:
    value = table.need(name, kind) if default is None else table.get(name, kind, default)
    if not 0 < value < math.inf:
        raise table.fault(f"{name!r} is {value}; give a number above 0")
    if value > most:
        raise table.fault(f"{name!r} is {value}; give a number above 0 and at most {most:g}")
    return value


def _share(table: Table, name: str, default: float) -> float:
    value = table.get(name, float, default)
    if not 0 < value < 1:
        raise table.fault(f"{name!r} is {value}; give a number between 0 and 1")
    return value


def _need(table: Table, requirement: str, known: _Known) -> Need:
    _know(table, requirement, known)
    need = table.table(requirement, (*EVIDENCE, "checks", "uncovered"))
    least = {name: need.need(name, float) for name in EVIDENCE if name in need.data}
    if bad := [name for name, value in least.items() if not 0 <= value < float("inf")]:
        raise need.fault(f"{bad[0]!r} is {least[bad[0]]}; give a number that is not negative")
    named = need.texts("checks")
    for check in named:
        if check not in known.checks:
            raise need.fault(f"{check!r} is no check; {meant(check, known.checks)}")
        if requirement not in known.checks[check]:
            raise need.fault(f"{check} does not judge {requirement}; name one that does, see `sse-harness list checks`")
    return Need(least=least, checks=named, uncovered=need.get("uncovered", str, ""))


def _reasons(table: Table, known: _Known) -> Mapping[str, str]:
    for requirement in table.data:
        _know(table, requirement, known)
        if not table.need(requirement, str).strip():
            raise table.fault(f"{requirement} is out of scope without a reason; give the sentence to print")
    return dict(table.data)


def _know(table: Table, requirement: str, known: _Known) -> None:
    if requirement not in known.requirements:
        raise table.fault(f"{requirement!r} is no requirement; {meant(requirement, known.requirements)}")
