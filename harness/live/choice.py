"""What the options and the configuration of one pytest run choose: target, client, scenarios.

Everything is resolved at once, so that a mistake is one sentence before anything runs and each item is known at
collection.  What costs time is imported only where something is named.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.config import MOCK, Config, load_config
from harness.errors import HarnessError
from harness.typed import demand

if TYPE_CHECKING:
    from harness.run import Plan

ROOT: Final = "sse-scenarios"
ALL: Final = "all"
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Chosen:
    """One chosen scenario: its plan, its file, and its checks, each with the name by which the scenario has it."""

    name: str
    plan: "Plan"
    file: str
    checks: Mapping[str, str]

    @property
    def ids(self) -> Iterator[str]:
        return (f"{ROOT}::{self.name}::{check}" for check in self.checks)


@dataclass(slots=True)
class Choice:
    """What the options and the configuration of this pytest run say. `wanted`: node ids on the command line."""

    config: Config
    seed: int
    scenarios: tuple[Chosen, ...]
    wanted: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path | None:
        """The folder in which each history gets one of its own, None for pytest's temporary folder."""
        named = self.config.values["out"]
        return None if named.origin == DEFAULT else Path(named.value)

    def wants(self, nodeid: str) -> bool:
        return not self.wanted or any(nodeid == one or nodeid.startswith(f"{one}::") for one in self.wanted)


def choice_of(config: pytest.Config) -> Choice:
    """What this pytest run is to do. Raises HarnessError."""
    here = config.invocation_params.dir
    given = {name: config.getoption(f"sse_{name}", None) for name in ("target", "client", "out")}
    values = load_config(given, environ=os.environ, folder=config.rootpath)
    absolute = {
        name: replace(one, value=_absolute(one.value, here, name))
        for name, one in values.values.items()
        if name in given and one.origin != DEFAULT
    }
    values = replace(values, values={**values.values, **absolute})
    names = list(_names(config, values))
    demand("--sse-seed", seed := config.getoption("sse_seed", None), int | None)
    choice = Choice(values, 1 if seed is None else seed, ())
    if names or absolute:
        plan_of(choice, "a test", {})
    choice.scenarios = _chosen(names, choice)
    return choice


def _absolute(value: Any, here: Path, name: str) -> Any:
    """A path as seen from the folder where pytest was started; names, and the word for the mock, stay."""
    match name:
        case "client" | "scenario":
            is_path = value.endswith(".py") or "/" in value
        case "target":
            is_path = value != MOCK
        case _:
            is_path = True
    return str(here / value) if is_path else value


def _names(config: pytest.Config, values: Config) -> Iterable[str]:
    """The scenarios that the option names, or else the ini file; not where somebody names files."""
    option = config.getoption("sse_scenarios", None)
    if option is None and _names_files(config):
        return []
    given, here = (config.getini("sse_scenarios"), config.rootpath) if option is None else (option, _here(config))
    names = [name.strip() for one in given for name in one.split(",") if name.strip()]
    if option is not None and not names:
        raise HarnessError(f"--sse-scenarios is empty; name scenarios, or give `{ALL}`")
    return dict.fromkeys(one for name in names for one in _every(name, values, here))


def _every(name: str, values: Config, here: Path) -> Iterable[str]:
    from harness import locate

    if name == ALL:
        return sorted(locate.names("scenarios", values.paths("scenarios")))
    return [str(_absolute(name, here, "scenario"))]


def _here(config: pytest.Config) -> Path:
    return config.invocation_params.dir


def _names_files(config: pytest.Config) -> bool:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return False
    return any(not is_ours(one, config) and not (_here(config) / one).is_dir() for one in config.args)


def is_ours(argument: str, config: pytest.Config) -> bool:
    """Whether an argument of the command line is a node id of a scenario's."""
    return argument.partition("::")[0] == ROOT and not (_here(config) / ROOT).exists()


def plan_of(choice: Choice, label: str, settings: Mapping[str, Any]) -> "Plan":
    """The plan of a test of the user's own, with these settings of the mock. Raises HarnessError."""
    from harness.run import Job, resolve

    job = Job(
        scenario="harness.live.run:A_TEST", out="", label=label, settings=settings, seed=choice.seed,
        client=choice.config.client, target=choice.config.target, folders=_folders(choice),
    )  # fmt: skip
    return replace(resolve(job), question="")


def _folders(choice: Choice) -> Mapping[str, tuple[str, ...]]:
    return {room: choice.config.folders[room] for room in ("scenarios", "clients")}


def _chosen(names: Iterable[str], choice: Choice) -> tuple[Chosen, ...]:
    """The scenarios of these names, planned. Raises HarnessError."""
    from harness import locate
    from harness.live.verdicts import expanded
    from harness.run import Job, resolve

    chosen: dict[str, Chosen] = {}
    for name in names:
        load_checks(choice.config)
        job = Job(
            scenario=name, out="", client=choice.config.client, target=choice.config.target, seed=choice.seed,
            folders=_folders(choice),
        )  # fmt: skip
        short = Path(name).stem if name.endswith(".py") or "/" in name else name.replace(":", ".")
        if short in chosen:
            raise HarnessError(f"two scenarios are named {short}; name one of them to --sse-scenarios at a time")
        plan = resolve(job)
        file = locate.names("scenarios", choice.config.paths("scenarios")).get(name, name)
        chosen[short] = Chosen(short, plan, str(file), expanded(short, plan.scenario.checks))
    return tuple(chosen.values())


def load_checks(config: Config) -> None:
    """Load all checks: ours and those of the user's folders."""
    from harness import checks, locate

    checks.load()
    for folder in config.paths("checks"):
        for path in locate.names("harness.checks", [folder]).values():
            if path.parent == folder:
                locate.load("harness.checks", str(path))
