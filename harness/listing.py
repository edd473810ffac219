"""What there is, a name and a sentence each: requirements, checks, scenarios, faults, clients, defects.

Scenarios and clients are read, never imported.
"""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, get_args, get_type_hints

from harness import batch, locate
from harness.check import REGISTRY
from harness.config import Config
from harness.defects import DEFECTS
from harness.faults import FAULTS, Toxic

Rows = Iterator[tuple[str, str]]


def rows(what: str, config: Config) -> list[tuple[str, str]]:
    """The names of one kind, each with its sentence. Raises HarnessError for a folder that does not exist."""
    return sorted(LISTS[what](config), key=lambda row: row[0]) if what != "requirements" else list(LISTS[what](config))


def _requirements(config: Config) -> Rows:
    from harness.requirements import CATALOGUE

    for one in CATALOGUE.values():
        yield one.id, f"{one.level}: {one.sentence}"


def _checks(config: Config) -> Rows:
    batch.load_checks(config)
    for one in REGISTRY.values():
        yield one.name, f"{one.sentence} ({', '.join(one.requirements)}; {one.subject}, {one.level})"


def _scenarios(config: Config) -> Rows:
    for name, path in locate.names("scenarios", config.paths("scenarios")).items():
        yield name, locate.sentence(path)


def _clients(config: Config) -> Rows:
    for name, path in locate.names("harness.clients", config.paths("clients")).items():
        if _subscribes(path):
            yield name, locate.sentence(path)


def _subscribes(path: Path) -> bool:
    """Whether a file is a client at all: it has `CAPABILITIES` and `subscribe`, its own or imported ones."""
    bound = {name for node in ast.parse(path.read_bytes()).body for name in _bound(node)}
    return {"CAPABILITIES", "subscribe"} <= bound


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module defines, assigns or imports."""
    match statement:
        case ast.AsyncFunctionDef(name=name) | ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=targets):
            return {one.id for one in targets if isinstance(one, ast.Name)}
        case ast.ImportFrom(names=names):
            return {one.asname or one.name for one in names}
        case _:
            return set()


def _faults(config: Config) -> Rows:
    from harness.proxy.toxics import ATTRIBUTES

    for name, function in FAULTS.items():
        yield name, _first(function)
    for name in get_args(get_type_hints(Toxic)["type"]):
        yield name, f"a toxic of the network (Toxiproxy's), with {', '.join(ATTRIBUTES[name])}"


def _defects(config: Config) -> Rows:
    from mock_server.defects import DEFECTS as SWITCHES

    yield from SWITCHES.items()
    for one in DEFECTS:
        if one.subject == "client":
            yield one.name, f"a bad client, `--client harness.clients.faulty:{one.attribute}`: {', '.join(one.must)}"


def _first(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


LISTS: Final[Mapping[str, Callable[[Config], Rows]]] = {
    "requirements": _requirements,
    "checks": _checks,
    "scenarios": _scenarios,
    "faults": _faults,
    "clients": _clients,
    "defects": _defects,
}
