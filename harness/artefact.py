"""Names the build that is signed off, so that a later stage can be held to the same one.

It is made of the target (its file, with the build that it names, or the code of the mock) and of the client: the bytes
of its files and of every file of the user's that they import, however indirectly.  They are found by reading, without
importing anything, so the name does not depend on what happens to be loaded.  Of what is installed the version counts,
of the harness itself nothing, unless the client is one of its own.
"""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from harness import locate
from harness.run import CLIENTS, Plan

OURS: Final = frozenset({"harness", "mock_server", "scenarios", "reports"})
INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def artefact_of(plan: Plan) -> str:
    """Sixteen hex digits: the same for the same target and the same client, whatever runs are made with them."""
    from harness.selftest import digest

    target = digest() if plan.target is None else Path(plan.job.target or "").read_text("utf-8")
    first = _client(plan)
    files, packages = _imported(first)
    ours = digest() if any(file.parent == CLIENTS for file in first) else ""
    code = sorted((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    whole = [target, plan.client_name, ours, sorted(packages), code]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def _client(plan: Plan) -> set[Path]:
    """The files of the client itself: of what was named, of the module it was named in, and of what subscribes."""
    module = sys.modules.get(plan.job.client.partition(":")[0])
    named = (plan.client, plan.client.subscribe, *(() if module is None else (module,)))
    return {file for one in named if (file := locate.source(one)) is not None}


def _imported(first: Iterable[Path]) -> tuple[set[Path], set[str]]:
    """These files and the user's that they import, and the installed packages, each with its version."""
    files: set[Path] = set()
    packages: set[str] = set()
    waiting = [*first]
    while waiting:
        file = waiting.pop()
        if file in files:
            continue
        files.add(file)
        for found in _found(file):
            if INSTALLED & set(found.parts):
                packages.add(_package(found))
            else:
                waiting.append(found)
    return files, packages


def _package(file: Path) -> str:
    """The installed package that a file is of, with its version where it has one."""
    place = next(number for number, part in enumerate(file.parts) if part in INSTALLED)
    top = file.parts[place + 1].removesuffix(".py")
    names = sorted(set(metadata.packages_distributions().get(top, ())))
    return " ".join([top, *(f"{name} {metadata.version(name)}" for name in names)])


def _found(file: Path) -> Iterator[Path]:
    """The files that the import statements of a file lead to, but for the standard library's and ours."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for one in names:
                    yield from _absolute(one.name.split("."))
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = module.split(".") if module else []
                for one in names:
                    if level:
                        yield from _below([file.parents[level - 1]], [*parts, one.name])
                    else:
                        yield from _absolute([*parts, one.name])
            case _:
                pass


def _absolute(parts: Sequence[str]) -> Iterator[Path]:
    top = parts[0]
    if top in OURS or top in sys.stdlib_module_names:
        return
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.origin is not None and Path(spec.origin).is_file():
        yield Path(spec.origin).resolve()
    yield from _below([Path(one) for one in spec.submodule_search_locations or ()], parts[1:])


def _below(folders: Iterable[Path], parts: Sequence[str]) -> Iterator[Path]:
    """The files of a dotted name under these folders: each package on the way, and the module."""
    for folder in folders:
        for depth in range(len(parts) + 1):
            here = folder.joinpath(*parts[:depth])
            for file in (here / "__init__.py", here.with_suffix(".py")):
                if file.is_file():
                    yield file.resolve()
