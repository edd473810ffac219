"""Finds a thing by NAME, by path (`./my_client.py`) or as `package.module:attribute`, and loads it.

A NAME is a file of one of our rooms, or of a folder that the user's project adds to that room.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import HarnessError


def names(room: str, folders: Iterable[Path] = ()) -> Mapping[str, Path]:
    """The files of a room (a package such as `scenarios` or `harness.clients`) and of the user's folders, by name.

    Raises HarnessError for a folder that does not exist, and for a name that two files have.
    """
    package = importlib.import_module(room)
    found: dict[str, Path] = {}
    for folder in (*map(Path, package.__path__), *folders):
        if not folder.is_dir():
            raise HarnessError(f"folder {folder} for {room} does not exist; create it or mend [tool.sse-harness]")
        for path in sorted(folder.glob("*.py")):
            if path.stem.startswith("_"):
                continue
            other = found.setdefault(path.stem, path)
            if other.resolve() != path.resolve():
                raise HarnessError(f"{path} has the name of {other}; rename it: a name means one file")
    return found


def sentence(path: Path) -> str:
    """The first paragraph of a file's docstring, read without importing it."""
    text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    return " ".join(text.split("\n\n")[0].split())


def load(room: str, reference: str, folders: Iterable[Path] = ()) -> Any:
    """The module (or attribute) that a reference names.

    Raises HarnessError, one sentence with the remedy, if there is none or if it cannot be imported.
    """
    kind = room.rpartition(".")[2].removesuffix("s")
    if ":" in reference and not Path(reference).exists():
        module, _, attribute = reference.partition(":")
        return _attribute(_imported(module, kind, reference), attribute, kind, reference)
    if reference.endswith(".py") or "/" in reference:
        return _from_file(Path(reference), kind)
    known = names(room, folders)
    if reference not in known:
        near = get_close_matches(reference, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "see `sse-harness list`"
        raise HarnessError(f"there is no {kind} {reference!r}; {hint}")
    path = known[reference]
    ours = [Path(one) for one in importlib.import_module(room).__path__]
    return _imported(f"{room}.{reference}", kind, reference) if path.parent in ours else _from_file(path, kind)


def source(loaded: Any) -> Path | None:
    """The file in which a module, a function or whatever else can be called is written; None if nobody can tell."""
    while isinstance(loaded, partial):
        loaded = loaded.func
    written = inspect.unwrap(loaded)
    if not (inspect.ismodule(written) or inspect.isroutine(written) or inspect.isclass(written)):
        written = type(written)
    try:
        return Path(inspect.getfile(written)).resolve()
    except TypeError:
        return None


def _from_file(path: Path, kind: str) -> Any:
    if not path.is_file():
        raise HarnessError(f"there is no {kind} file {path}; check the path")
    name = f"sse_harness_{kind}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HarnessError(f"{path} is no Python file; a {kind} is one")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except HarnessError as exc:
        del sys.modules[name]
        raise HarnessError(f"{path}: {exc}") from exc
    except (Exception, SystemExit) as exc:
        del sys.modules[name]
        raise HarnessError(f"{path} cannot be imported: {type(exc).__name__}: {exc}; mend the {kind}") from exc
    return module


def _imported(module: str, kind: str, reference: str) -> Any:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as exc:
        raise HarnessError(
            f"{kind} {reference!r} cannot be imported: {type(exc).__name__}: {exc}; install or mend it"
        ) from exc


def _attribute(module: Any, attribute: str, kind: str, reference: str) -> Any:
    if not hasattr(module, attribute):
        raise HarnessError(f"{kind} {reference!r}: {module.__name__} has no {attribute!r}; check the name")
    return getattr(module, attribute)
