"""The rule of imports: downward only, edges not one another, no circles, no clock and no socket in the pure modules.

The sources are read, never imported.  An import inside a function counts like any other; one under TYPE_CHECKING
does not, for it does not happen.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("harness", "mock_server", "scenarios", "reports")

# From the bottom to the top; a module of the harness that stands in no row is pure.
PURE, LOWEST, EDGES, PARTIES, RUNNERS, COMMANDS = range(6)
LAYERS = {
    LOWEST: ("harness.meters", "harness.tls", "harness.children", "harness.nursery"),
    EDGES: ("harness.clients", "harness.proxy", "harness.browser", "mock_server", "scenarios", "reports"),
    PARTIES: ("harness.servers", "harness.probes", "harness.crowd", "harness.nemesis", "harness.load"),
    RUNNERS: ("harness.run", "harness.pool", "harness.live", "harness.pytest_plugin"),
    COMMANDS: (
        "harness.selftest", "harness.signoff", "harness.cli", "harness.batch", "harness.progress", "harness.doctor",
        "harness.listing", "harness.standalone", "harness.artefact",
    ),
}  # fmt: skip
WORLD = {
    "asyncio", "concurrent", "gevent", "http", "httpx", "locust", "multiprocessing", "psutil", "random", "select",
    "selectors", "signal", "socket", "ssl", "starlette", "subprocess", "threading", "time", "uvicorn", "uvloop",
}  # fmt: skip
# A generator of randomness is an argument, and an argument has a type.
ARGUMENTS = {("random", "Random")}
# Run by other programs as they are, so the only ones that may import what patches a process.
PROGRAMS = ("scenarios.load", "scenarios.targets")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources():
    for room in OURS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.relative_to(ROOT).parts[:2] != ("reports", "runs"):
                yield path


MODULES = {name_of(path): path for path in sources()}


class _Imports(ast.NodeVisitor):
    """Collects (module, name or None) of every import that happens."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str | None]] = set()

    def visit_If(self, node):
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Import(self, node):
        self.found |= {(one.name, None) for one in node.names}

    def visit_ImportFrom(self, node):
        assert not node.level, "imports are absolute"
        self.found |= {(node.module or "", one.name) for one in node.names}


@cache
def imports(module: str) -> frozenset[tuple[str, str | None]]:
    visitor = _Imports()
    visitor.visit(ast.parse(MODULES[module].read_bytes()))
    return frozenset(visitor.found)


def ours(module: str) -> set[str]:
    """The modules of ours that a module imports: `from harness import x` is harness.x, if that is one."""
    found = set()
    for source, name in imports(module):
        if source.partition(".")[0] in OURS:
            found.add(f"{source}.{name}" if f"{source}.{name}" in MODULES else source)
    return found - {module}


def foreign(module: str) -> set[tuple[str, str | None]]:
    return {(source, name) for source, name in imports(module) if source.partition(".")[0] not in OURS}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def layer(module: str) -> int:
    for number, packages in LAYERS.items():
        if any(within(module, package) for package in packages):
            return number
    return PURE


def edge(module: str) -> str | None:
    return next((package for package in LAYERS[EDGES] if within(module, package)), None)


def is_program(module: str) -> bool:
    return any(within(module, package) for package in PROGRAMS)


RULED = [module for module in MODULES if module != "harness" and not is_program(module)]


@pytest.mark.parametrize("module", RULED)
def test_imports_point_downward(module):
    upward = {one for one in ours(module) if one != "harness" and layer(one) > layer(module)}
    assert not upward


@pytest.mark.parametrize("module", [one for one in RULED if edge(one)])
def test_edges_do_not_import_each_other(module):
    others = {one for one in ours(module) if edge(one) not in (None, edge(module))}
    assert not others


@pytest.mark.parametrize("module", [one for one in RULED if layer(one) == PURE])
def test_pure_modules_know_neither_socket_nor_clock_nor_chance(module):
    used = {(source, name) for source, name in foreign(module) if source.partition(".")[0] in WORLD}
    assert not used - ARGUMENTS


@pytest.mark.parametrize("module", [one for one in RULED if edge(one) in ("scenarios", "reports")])
def test_scenarios_and_reports_are_pure_too(module):
    assert {layer(one) for one in ours(module) if edge(one) != edge(module)} <= {PURE}
    assert not {source for source, _ in foreign(module) if source.partition(".")[0] in WORLD}


@pytest.mark.parametrize("module", [one for one in MODULES if not is_program(one) and not within(one, "harness.load")])
def test_only_load_knows_what_patches_a_process(module):
    assert not {source for source, _ in foreign(module) if source.partition(".")[0] in ("locust", "gevent")}
    # `launch` starts locust as a child, and imports none of it: tests/harness/load/test_launch.py holds that.
    inside = {one for one in ours(module) if within(one, "harness.load")} - {"harness.load.launch"}
    assert not inside | {one for one in ours(module) if is_program(one)}


def test_the_public_names_come_from_pure_modules_and_the_seam_of_clients():
    assert {one for one in ours("harness") if layer(one) > PURE} <= {"harness.clients"}


def test_no_module_imports_itself_through_others():
    try:
        TopologicalSorter({module: ours(module) - {"harness"} for module in RULED}).prepare()
    except CycleError as exc:
        pytest.fail(f"a circle of imports: {' -> '.join(exc.args[1])}")


def test_every_name_in_the_table_is_a_module_or_a_room_to_come():
    to_come = {"harness.browser", "harness.load", "harness.live", "harness.pytest_plugin"}
    named = {package for packages in LAYERS.values() for package in packages}
    assert {one for one in named if one not in MODULES} <= to_come
