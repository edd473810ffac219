from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from harness.errors import HarnessError
from harness.typed import demand, demand_fields


@dataclass
class Thing:
    count: int
    shift: int | None = None


@pytest.mark.parametrize(
    "kind, good, bad, said",
    [
        (int, (0, 3), (-1, 2.0, True, "3", None), "a whole number, 0 or more"),
        (float, (0, 2, 0.5), (-0.1, float("nan"), float("inf"), False, "1"), "a number, 0 or more"),
        (bool, (True,), (1, "yes"), "true or false"),
        (str, ("", "x"), (1, b"x", None), "text in quotes"),
        (Literal["a", "b"], ("a",), ("c", ["a"], None), "one of a, b"),
        (int | None, (1, None), ("x",), "a whole number, 0 or more"),
        (int | Thing, (1, Thing(1)), (Thing,), "a whole number, 0 or more or Thing(...)"),
        (tuple[str, ...], ((), ("x",), ["x"]), ("x", (1,), {"x"}), 'a tuple, such as ("x",) with its comma'),
        (frozenset[str], (frozenset("x"), {"x"}), ("x", ("x",), {1}), 'a set, such as {"x"}'),
        (Mapping[str, Any], ({}, {"x": 1}), ([], "x"), "a dict"),
        (object, (None, 1, "x"), (), ""),
    ],
)
def test_what_fits_a_type_and_what_is_said_of_the_rest(kind, good, bad, said):
    for value in good:
        demand("it", value, kind)
    for value in bad:
        with pytest.raises(HarnessError) as caught:
            demand("it", value, kind)
        assert str(caught.value) == f"it is {value!r}; write {said}"


def test_each_field_of_a_dataclass_has_its_type_and_the_signed_may_be_negative():
    demand_fields(Thing(1, -2), signed=("shift",))
    demand_fields(Thing(1), signed=("shift",))
    with pytest.raises(HarnessError, match="shift of Thing is -2; write a whole number, 0 or more"):
        demand_fields(Thing(1, -2))
    with pytest.raises(HarnessError, match="count of Thing is '1'; write a whole number, 0 or more"):
        demand_fields(Thing("1"))
