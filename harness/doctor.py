"""What this machine can do, which values are in force and where they came from, and what shadows our packages."""

import importlib.util
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import psutil

from harness.config import FIELDS, PREFIX, Config, strangers

State = Literal["ok", "missing", "warning"]
PACKAGES: Final = ("harness", "scenarios", "mock_server", "reports")
ROOT: Final = Path(__file__).resolve().parent.parent
FEW_DESCRIPTORS: Final = 4096
LIBRARIES: Final = ("starlette", "uvicorn", "uvloop", "httptools", "httpx", "httpx-sse", "click", "rich", "jinja2")
Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: its state, its name, what was found, and the remedy where there is one."""

    state: State
    name: str
    found: str
    remedy: str = ""


def examined(config: Config, *, environ: Mapping[str, str], which: Which = shutil.which) -> list[Line]:
    """Everything that doctor says, in order."""
    return [
        *_machine(), *_libraries(), _toxiproxy(environ, which), *_extras(), *_shadows(Path.cwd()),
        *_values(config, environ),
    ]  # fmt: skip


def _machine() -> Iterator[Line]:
    fits = sys.version_info >= (3, 11)
    yield Line("ok" if fits else "warning", "Python", f"{platform.python_version()} ({sys.executable})")
    linux = platform.system() == "Linux"
    yield Line(
        "ok" if linux else "warning", "system", f"{platform.system()} {platform.release()}",
        "" if linux else "Linux is the reference; figures of other systems are not compared with it",
    )  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Line("ok", "cores", str(cores))
    memory = psutil.virtual_memory()
    yield Line("ok", "memory", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= FEW_DESCRIPTORS
    yield Line(
        "ok" if enough else "warning", "descriptors", f"{_limit(soft)} for a process (at most {_limit(hard)})",
        "" if enough else f"run `ulimit -n {FEW_DESCRIPTORS}` before a run with many streams",
    )  # fmt: skip


def _limit(number: int) -> str:
    return "no limit" if number == resource.RLIM_INFINITY else str(number)


def _libraries() -> Iterator[Line]:
    for name in LIBRARIES:
        version = _version(name)
        if version is not None:
            yield Line("ok", name, version)
        elif name == "uvloop":
            yield Line("warning", name, "not installed", "asyncio takes its place; `pip install uvloop` where it runs")
        else:
            yield Line("missing", name, "not installed", "install sse-harness again: `pip install sse-harness`")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _toxiproxy(environ: Mapping[str, str], which: Which) -> Line:
    if url := environ.get("TOXIPROXY_URL"):
        return Line("ok", "Toxiproxy", f"{url} (TOXIPROXY_URL)")
    named = environ.get("TOXIPROXY_SERVER")
    if named and not which(named):
        return Line("warning", "Toxiproxy", f"{named} (TOXIPROXY_SERVER) is no program", "mend or unset the variable")
    if found := named or which("toxiproxy-server"):
        return Line("ok", "Toxiproxy", found)
    remedy = "the embedded proxy takes its place; go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
    return Line("missing", "Toxiproxy", "not found", remedy)


def _extras() -> Iterator[Line]:
    for name, extra, without in (
        ("matplotlib", "plots", "reports have tables in place of plots"),
        ("locust", "load", "there are no load runs"),
        ("toxiproxy-python", "toxiproxy", "there are no network faults"),
    ):
        version = _version(name)
        remedy = f"without it {without}; pip install 'sse-harness[{extra}]'"
        yield Line("ok", name, version) if version else Line("missing", name, "not installed", remedy)


def _shadows(folder: Path) -> Iterator[Line]:
    """Packages of ours that something else would be imported for."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
        if not any(Path(one).resolve().is_relative_to(ROOT / name) for one in places if one):
            yield Line("warning", f"package {name}", f"shadowed by {places[0] if places else 'nothing'}", _RENAME)
        elif folder.resolve() != ROOT and (near := _beside(folder, name)):
            yield Line("warning", f"package {name}", f"{near} has its name", f"python -m ... here finds it; {_RENAME}")


_RENAME: Final = "rename it, or take its folder out of PYTHONPATH"


def _beside(folder: Path, name: str) -> Path | None:
    for one in (folder / f"{name}.py", folder / name / "__init__.py"):
        if one.exists():
            return one
    return None


def _values(config: Config, environ: Mapping[str, str]) -> Iterator[Line]:
    for name in FIELDS:
        value = config.values[name]
        shown = ", ".join(value.value) if isinstance(value.value, tuple) else value.value
        yield Line("ok", name, f"{shown if shown not in (None, '') else 'none'} ({value.origin})")
    for name in strangers(environ):
        yield Line("warning", name, "means nothing to sse-harness", f"the names are {PREFIX}{FIELDS[0].upper()} ...")
