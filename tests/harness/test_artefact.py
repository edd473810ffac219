"""The same build has the same name, and whatever of it changes gives it another."""

import sys

import pytest

from harness import artefact, run
from harness.artefact import artefact_of
from harness.run import Job

CLIENT = "CAPABILITIES = frozenset()\nasync def subscribe(session): ...\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of the user's with a client that has helpers, near and far; its modules are forgotten afterwards."""
    files = {
        "client.py": "import json, near, gone\nfrom harness.clients import Session\n" + CLIENT,
        "near.py": "from far.deep import thing\n",
        "far/__init__.py": "",
        "far/deep/__init__.py": "from . import thing\nfrom .. import beside\n",
        "far/deep/thing.py": "import httpx\nimport near\n",
        "far/beside.py": "",
        "far/stranger.py": "",
        "loose/mine.py": "x = 1\n",
        "pack/__init__.py": "import loose.mine\nfrom pack import client\n",
        "pack/client.py": "from pack import laws\n" + CLIENT,
        "pack/laws.py": "",
        "object.py": (
            "class Client:\n    CAPABILITIES = frozenset()\n    async def subscribe(self, session): ...\n"
            "one, two = Client(), Client()\n"
        ),
        "broken.py": "def\n",
        "theirs.toml": 'url = "http://127.0.0.1:9/"\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def plan(client="reference", **more):
    return run.resolve(Job(scenario="steady", out="", client=str(client), **more))


@pytest.fixture
def here(project):
    """A client whose helper `gone` is not to be had is loaded all the same."""
    sys.modules["gone"] = sys.modules["near"] = sys.modules[__name__]
    found = plan(project / "client.py")
    del sys.modules["gone"], sys.modules["near"]
    return found


@pytest.mark.parametrize("changed", ["client.py", "near.py", "far/__init__.py", "far/deep/thing.py", "far/beside.py"])
def test_each_file_that_the_client_imports_counts(project, here, changed):
    named = artefact_of(here)
    assert named == artefact_of(here)
    with (project / changed).open("a") as out:
        out.write("# changed\n")
    assert artefact_of(here) != named


@pytest.mark.parametrize("changed", ["far/stranger.py", "loose/mine.py"])
def test_what_it_does_not_import_does_not_count(project, here, changed):
    named = artefact_of(here)
    (project / changed).write_text("y = 2\n")
    assert artefact_of(here) == named


def test_the_version_of_what_is_installed_counts_and_its_files_do_not(here, monkeypatch):
    named = artefact_of(here)
    files, packages = artefact._imported(artefact._client(here))
    assert {file.name for file in files} == {"client.py", "near.py", "__init__.py", "thing.py", "beside.py"}
    assert [one.split()[:2] for one in packages] == [["httpx", "httpx"]]
    monkeypatch.setattr(artefact.metadata, "version", lambda name: "99")
    assert artefact_of(here) != named


@pytest.mark.parametrize("changed", ["pack/client.py", "pack/laws.py", "pack/__init__.py", "loose/mine.py"])
def test_a_client_in_a_package(project, changed):
    one = plan("pack:client")
    named = artefact_of(one)
    (project / changed).write_text("z = 3\n")
    assert artefact_of(one) != named


def test_a_client_that_is_no_module_has_its_code_too(project):
    one = plan("object:one")
    named = artefact_of(one)
    assert artefact_of(plan("object:two")) != named
    (project / "object.py").write_text("")
    assert artefact_of(one) != named


def test_a_client_of_the_harness_is_all_of_its_code(project, monkeypatch):
    target = str(project / "theirs.toml")
    named = artefact_of(plan(target=target))
    assert named != artefact_of(plan("httpx_sse", target=target))
    monkeypatch.setattr("harness.selftest.digest", lambda: "another")
    assert artefact_of(plan(target=target)) != named


def test_the_target_counts_by_its_file_or_by_the_code_of_the_mock(project, here, monkeypatch):
    target = project / "theirs.toml"
    theirs = plan("object:one", target=str(target))
    named, mock = artefact_of(theirs), artefact_of(plan("object:one"))
    assert named != mock
    monkeypatch.setattr("harness.selftest.digest", lambda: "another")
    assert artefact_of(theirs) == named
    assert artefact_of(plan("object:one")) != mock
    target.write_text('url = "http://127.0.0.1:9/"\nartefact = "2"\n')
    assert artefact_of(theirs) != named


def test_what_cannot_be_read_or_found_leads_nowhere(project, monkeypatch):
    assert [*artefact._found(project / "broken.py")] == []
    monkeypatch.setitem(sys.modules, "odd", type(sys)("odd"))
    sys.modules["odd"].__spec__ = None
    assert [*artefact._absolute(["odd", "x"])] == []
    assert [*artefact._absolute(["nothing_of_this_name"])] == []
