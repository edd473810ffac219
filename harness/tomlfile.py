"""Reading a user's TOML file so that every fault is one sentence: the file, the field and the remedy."""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.errors import HarnessError

T = TypeVar("T")

_WORDS: Final[Mapping[type, str]] = {
    str: "a string in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list in brackets",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file; `where` names the file and the table for the user."""

    data: Mapping[str, Any]
    where: str

    def only(self, known: Collection[str]) -> "Table":
        """This table, if it has no field beyond the known ones."""
        for name in self.data:
            if name not in known:
                raise self.fault(f"there is no field {name!r}; {meant(name, known)}")
        return self

    def get(self, name: str, kind: type[T], default: T) -> T:
        """The field's value, which must be of this kind; the default where it is absent."""
        value = self.data.get(name)
        if value is None:
            return default
        return self._checked(name, value, kind)

    def need(self, name: str, kind: type[T]) -> T:
        """The value of a field that must be there."""
        if name not in self.data:
            raise self.fault(f"the field {name!r} is missing; add {name} = {_WORDS[kind]}")
        return self._checked(name, self.data[name], kind)

    def maybe(self, name: str, kind: type[T]) -> T | None:
        """The field's value, or None where it is absent."""
        return self._checked(name, self.data[name], kind) if name in self.data else None

    def table(self, name: str, known: Collection[str] | None = None) -> "Table":
        """The table of this name, empty where it is absent; `known` as in `only`."""
        inner = Table(self.get(name, dict, {}), f"{self.where} [{name}]")
        return inner if known is None else inner.only(known)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings, empty where it is absent."""
        found = self.get(name, list, [])
        return tuple(self._checked(f"{name}[{place}]", one, str) for place, one in enumerate(found))

    def fault(self, text: str) -> HarnessError:
        return HarnessError(f"{self.where}: {text}")

    def _checked(self, name: str, value: Any, kind: type[T]) -> T:
        if kind is float and type(value) is int:
            try:
                value = float(value)
            except OverflowError:
                raise self.fault(f"{name!r} is larger than any number that is needed; write a smaller one") from None
        if type(value) is not kind:
            # the value itself could be a token
            raise self.fault(f"{name!r} is {_WORDS.get(type(value), 'a date')}; write {_WORDS[kind]}")
        return value


def read(path: Path, remedy: str) -> Table:
    """The file's top table; `remedy` ends the sentence where there is no such file."""
    try:
        with path.open("rb") as file:
            return Table(tomllib.load(file), str(path))
    except OSError as exc:
        raise HarnessError(f"{path} cannot be read ({exc.strerror}); {remedy}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise HarnessError(f"{path} is no valid TOML: {exc}; mend that line") from exc
    except UnicodeDecodeError as exc:
        raise HarnessError(f"{path} is not UTF-8 text; save it as UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise HarnessError(f"{path} holds a number too long, or tables too deep, to be read; mend it") from exc


def meant(name: str, known: Collection[str], what: str = "fields") -> str:
    """A remedy for a name that nobody knows: the nearest one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the {what} are {', '.join(sorted(known))}"
