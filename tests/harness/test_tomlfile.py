import re

import pytest

from harness import tomlfile
from harness.errors import HarnessError
from harness.tomlfile import Table


@pytest.fixture
def table():
    return Table(
        {"name": "n", "count": 3, "share": 0.5, "whole": 2, "on": True, "list": ["a", 1], "in": {"x": 1}}, "f.toml"
    )


def test_fields_by_kind(table):
    assert table.get("name", str, "") == "n"
    assert table.get("absent", str, "default") == "default"
    assert table.need("count", int) == 3
    assert table.maybe("share", float) == 0.5
    assert table.maybe("absent", float) is None
    assert table.need("whole", float) == 2.0
    assert table.table("in", ("x",)).need("x", int) == 1
    assert table.table("absent").data == {}
    assert Table({"l": ["a", "b"]}, "f").texts("l") == ("a", "b")


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda t: t.need("nane", str), "f.toml: the field 'nane' is missing; add nane = a string in quotes"),
        (lambda t: t.need("on", int), "f.toml: 'on' is true or false; write a whole number"),
        (lambda t: t.get("name", dict, {}), "f.toml: 'name' is a string in quotes; write a table"),
        (
            lambda _: Table({"n": 10**400}, "f.toml").need("n", float),
            "f.toml: 'n' is larger than any number that is needed; write a smaller one",
        ),
        (lambda t: t.texts("list"), "f.toml: 'list[1]' is a whole number; write a string in quotes"),
        (lambda t: t.table("in", ("xs",)), "f.toml [in]: there is no field 'x'; did you mean 'xs'?"),
        (lambda t: t.table("in", ("b", "a")), "f.toml [in]: there is no field 'x'; the fields are a, b"),
    ],
)
def test_each_fault_is_one_sentence(table, ask, sentence):
    with pytest.raises(HarnessError, match=f"^{re.escape(sentence)}$"):
        ask(table)


def test_a_date_is_named_too():
    import datetime

    with pytest.raises(HarnessError, match="'d' is a date; write a string"):
        Table({"d": datetime.date(2026, 1, 1)}, "f").need("d", str)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(HarnessError, match=r"no\.toml cannot be read \(No such file or directory\); give one$"):
        tomlfile.read(tmp_path / "no.toml", "give one")
    bad = tmp_path / "bad.toml"
    bad.write_text('name = "x"\nurl = \n')
    with pytest.raises(HarnessError, match=r"bad\.toml is no valid TOML: .*line 2.*; mend that line"):
        tomlfile.read(bad, "")
    bad.write_bytes(b'name = "\xff"')
    with pytest.raises(HarnessError, match="is not UTF-8 text; save it as UTF-8"):
        tomlfile.read(bad, "")
    for text in ("x = " + "9" * 5000, "x = " + "[" * 3000):
        bad.write_text(text)
        with pytest.raises(HarnessError, match=r"holds a number too long, or tables too deep, to be read; mend it$"):
            tomlfile.read(bad, "")
