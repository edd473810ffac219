"""Values that a user gives, held to the types that are declared for them, so that a slip is one sentence. Pure."""

import math
from collections.abc import Mapping, Set
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Final, Literal, get_args, get_origin

from harness.errors import HarnessError

_SAID: Final[Mapping[Any, str]] = {
    int: "a whole number, 0 or more",
    float: "a number, 0 or more",
    bool: "true or false",
    str: "text in quotes",
    tuple: 'a tuple, such as ("x",) with its comma',
    frozenset: 'a set, such as {"x"}',
    Mapping: "a dict",
}


def demand(what: str, value: Any, kind: Any) -> None:
    """Raises HarnessError, which names `what` and says what to write, unless the value is of this type.

    Known are the types of `_SAID`, classes, `Literal`, `object` and unions of them; a list passes for a tuple.
    Numbers are finite and not negative.
    """
    if not _fits(value, kind):
        raise HarnessError(f"{what} is {value!r}; write {_said(kind)}")


def demand_fields(one: Any, *, signed: tuple[str, ...] = ()) -> None:
    """Raises HarnessError unless each field of a dataclass has a value of its type; those `signed` may be negative."""
    for each in fields(one):
        value = getattr(one, each.name)
        plain = abs(value) if each.name in signed and isinstance(value, int) else value
        demand(f"{each.name} of {type(one).__name__}", plain, each.type)


def _fits(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return value in inner
    if origin is UnionType:
        return any(_fits(value, one) for one in inner)
    if origin in (int, float):
        return type(value) in (int, origin) and 0 <= value < math.inf
    if origin in (tuple, frozenset):
        return isinstance(value, tuple | list if origin is tuple else Set) and all(
            _fits(one, inner[0]) for one in value
        )
    return isinstance(value, origin)


def _said(kind: Any) -> str:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is UnionType:
        return " or ".join(_said(one) for one in inner if one is not NoneType)
    return _SAID.get(origin) or f"{origin.__name__}(...)"
