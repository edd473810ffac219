"""What a command is told, and by whom: option, SSE_HARNESS_* in the environment, [tool.sse-harness], default.

The first of the four that says something counts.  A relative path in pyproject.toml starts at that file's folder,
any other at the working directory.  The environment and the working directory are arguments.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness import tomlfile
from harness.errors import HarnessError

PREFIX: Final = "SSE_HARNESS_"
ROOMS: Final = ("scenarios", "clients", "checks", "reports")
FIELDS: Final = ("target", "client", "out", "jobs", *ROOMS)
MOCK: Final = "mock"
RUNS: Final = str(Path("reports") / "runs")
OUT_OPTION: Final = "option --out"
DEFAULTS: Final[Mapping[str, Any]] = {
    "target": MOCK, "client": "reference", "out": RUNS, "jobs": 8, **dict.fromkeys(ROOMS, ()),
}  # fmt: skip
MOST_JOBS: Final = 256


@dataclass(frozen=True, slots=True)
class Value:
    """One value and where it came from, in words for the user."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """All values by their names in `FIELDS`.

    target: path of a target file, None for the mock. out: the folder for this command's results, None where a new one
    is made in `results`. jobs: runs at a time. folders: the user's own folders by room.
    """

    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def target(self) -> str | None:
        named = self.values["target"].value
        return None if named == MOCK else str(named)

    @property
    def client(self) -> str:
        return str(self.values["client"].value)

    @property
    def out(self) -> Path | None:
        named = self.values["out"]
        return Path(named.value) if named.origin == OUT_OPTION else None

    @property
    def results(self) -> Path:
        """Where results get a folder by their time: a default must not be the same folder twice."""
        return Path(self.values["out"].value)

    @property
    def jobs(self) -> int:
        return int(self.values["jobs"].value)

    @property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        return {room: self.values[room].value for room in ROOMS}

    def paths(self, room: str) -> tuple[Path, ...]:
        """The user's own folders of one room."""
        return tuple(Path(one) for one in self.folders[room])


def load_config(options: Mapping[str, Any], *, environ: Mapping[str, str], folder: Path) -> Config:
    """The values for a command started in `folder` with these options (None: not given). Raises HarnessError."""
    project = nearest_project(folder)
    table = {} if project is None else _table(project)
    return Config({name: _value(name, options, environ, project, table) for name in FIELDS})


def nearest_project(folder: Path) -> Path | None:
    """The pyproject.toml of this folder or of the nearest one above it."""
    for one in (folder, *folder.parents):
        if (one / "pyproject.toml").is_file():
            return one / "pyproject.toml"
    return None


def strangers(environ: Mapping[str, str]) -> list[str]:
    """Names in the environment that look like ours and mean nothing."""
    known = {PREFIX + name.upper() for name in FIELDS}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def _table(project: Path) -> Mapping[str, Any]:
    """[tool.sse-harness] with its paths resolved; what other tools keep in the file is not ours to judge."""
    top = tomlfile.read(project, "mend it")
    table = top.table("tool").table("sse-harness", FIELDS)
    base = project.parent
    found: dict[str, Any] = {}
    for name in table.data:
        if name in ROOMS:
            listed = table.data[name]
            texts = (listed,) if isinstance(listed, str) else table.texts(name)
            found[name] = tuple(str(base / one) for one in texts)
        elif name == "jobs":
            found[name] = _jobs(table.need(name, int), f"{table.where}: 'jobs'")
        else:
            found[name] = _placed(name, _given(table.need(name, str), f"{table.where}: {name!r}"), base)
    return found


def _value(
    name: str, options: Mapping[str, Any], environ: Mapping[str, str], project: Path | None, table: Mapping[str, Any]
) -> Value:
    variable = PREFIX + name.upper()
    if options.get(name) is not None:
        origin = f"option --{name}"
        return Value(_jobs(options[name], origin) if name == "jobs" else _given(options[name], origin), origin)
    if variable in environ:
        return Value(_from_text(name, environ[variable], variable), f"{variable} in the environment")
    if name in table:
        return Value(table[name], f"[tool.sse-harness] in {project}")
    return Value(DEFAULTS[name], "default")


def _from_text(name: str, text: str, variable: str) -> Any:
    if name in ROOMS:
        return tuple(one for one in text.split(os.pathsep) if one)
    if name == "jobs":
        if not (text.isascii() and text.isdigit()):
            raise HarnessError(f"{variable} is {text!r}; give a whole number from 1 to {MOST_JOBS}")
        return _jobs(int(text), variable)
    return _given(text, variable)


def _given(text: Any, origin: str) -> str:
    if not str(text).strip():
        raise HarnessError(f"{origin} is empty; give a value or leave it out")
    return str(text)


def _jobs(count: int, origin: str) -> int:
    if not 1 <= count <= MOST_JOBS:
        raise HarnessError(f"{origin} is {count}; give a whole number from 1 to {MOST_JOBS}")
    return count


def _placed(name: str, text: str, base: Path) -> str:
    """A path of pyproject.toml as seen from its folder; names and `package.module:attribute` stay."""
    if name == "target" and text == MOCK:
        return text
    is_path = name != "client" or text.endswith(".py") or "/" in text
    return str(base / text) if is_path else text
