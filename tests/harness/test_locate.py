import sys
from functools import partial, wraps
from pathlib import Path

import pytest

from harness import locate
from harness.errors import HarnessError


def test_names_of_a_room_and_of_the_users_folders(tmp_path):
    (tmp_path / "mine.py").write_text('"""Mine."""\n')
    (tmp_path / "_no.py").write_text("")
    found = locate.names("scenarios", [tmp_path])
    assert {"steady", "mine"} <= found.keys()
    assert found["mine"] == tmp_path / "mine.py"
    assert "_no" not in found
    assert "load" not in found
    assert "targets" not in found


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(HarnessError) as caught:
        locate.names("scenarios", [tmp_path / "no"])
    folder = tmp_path / "no"
    assert str(caught.value) == (
        f"folder {folder} for scenarios does not exist; create it or mend [tool.sse-harness]"
    )  # fmt: skip


def test_a_file_of_the_users_takes_no_name_that_another_has(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one / "reference.py", two / "reference.py", one / "mine.py", two / "mine.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    ours = locate.names("harness.clients")["reference"]
    with pytest.raises(HarnessError) as caught:
        locate.load("harness.clients", "httpx_sse", [one])
    assert str(caught.value) == f"{one / 'reference.py'} has the name of {ours}; rename it: a name means one file"
    (one / "reference.py").unlink()
    (two / "reference.py").unlink()
    assert locate.names("harness.clients", [ours.parent, one, one])["mine"] == one / "mine.py"
    with pytest.raises(HarnessError, match=r"two/mine.py has the name of .*one/mine.py"):
        locate.names("harness.clients", [one, two])


def test_a_sentence_is_read_without_importing(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text('"""Does it\nhold?\n\nMore."""\nraise SystemExit\n')
    assert locate.sentence(path) == "Does it hold?"
    path.write_text("x = 1\n")
    assert locate.sentence(path) == ""


def test_by_name():
    assert locate.load("scenarios", "steady").__name__ == "scenarios.steady"
    assert not locate.load("harness.clients", "httpx_sse").CAPABILITIES


def test_by_name_from_a_folder_of_the_user(tmp_path):
    (tmp_path / "of_mine.py").write_text("scenario = 7\n")
    assert locate.load("scenarios", "of_mine", [tmp_path]).scenario == 7


def test_by_path_and_only_once(tmp_path):
    path = tmp_path / "client.py"
    path.write_text("made = object()\n")
    assert locate.load("harness.clients", str(path)).made is locate.load("harness.clients", str(path)).made


def test_by_module_and_attribute(tmp_path, monkeypatch):
    (tmp_path / "of_a_project.py").write_text("client = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert locate.load("harness.clients", "of_a_project:client") == 7
    del sys.modules["of_a_project"]


@pytest.mark.parametrize(
    ("room", "reference", "sentence"),
    [
        ("scenarios", "stedy", "there is no scenario 'stedy'; did you mean steady?"),
        ("scenarios", "zzz", "there is no scenario 'zzz'; see `sse-harness list`"),
        ("harness.clients", "./no.py", "there is no client file no.py; check the path"),
        (
            "harness.clients",
            "no_such_module:x",
            "client 'no_such_module:x' cannot be imported: ModuleNotFoundError: No module named 'no_such_module'; "
            "install or mend it",
        ),
        ("harness.clients", "json:nope", "client 'json:nope': json has no 'nope'; check the name"),
    ],
)
def test_what_is_not_there_is_one_sentence(room, reference, sentence):
    with pytest.raises(HarnessError) as caught:
        locate.load(room, reference)
    assert str(caught.value) == sentence


def test_a_file_that_raises_is_one_sentence_and_can_be_mended(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    with pytest.raises(HarnessError) as caught:
        locate.load("scenarios", str(path))
    assert str(caught.value) == (
        f"{path} cannot be imported: ZeroDivisionError: division by zero; mend the scenario"
    )  # fmt: skip
    path.write_text("scenario = 1\n")
    assert locate.load("scenarios", str(path)).scenario == 1


def test_what_is_no_python_file_is_one_sentence(tmp_path):
    path = tmp_path / "client.txt"
    path.write_text("")
    with pytest.raises(HarnessError, match=r"client\.txt is no Python file; a client is one"):
        locate.load("harness.clients", str(path))


def written():
    """Something that is written here."""


class Callable:
    """Something that can be called."""

    def __call__(self):
        return None


@wraps(sys.exit)
def wrapper(): ...


@pytest.mark.parametrize(
    "loaded", [sys.modules[__name__], written, partial(written), Callable, Callable(), Callable().__call__]
)
def test_where_something_is_written(loaded):
    assert locate.source(loaded) == Path(__file__).resolve()


@pytest.mark.parametrize("loaded", [sys.exit, wrapper, 3])
def test_what_is_built_in_is_written_nowhere(loaded):
    assert locate.source(loaded) is None


def test_what_a_file_is_refused_for_says_which_file_it_is(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from harness import Network\nNetwork('heel')\n")
    with pytest.raises(HarnessError) as caught:
        locate.load("scenarios", str(path))
    assert str(caught.value) == f"{path}: act of Network is 'heel'; write one of add, remove, disable, enable, heal"
