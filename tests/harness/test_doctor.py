from pathlib import Path

import pytest

from harness import doctor
from harness.config import load_config
from harness.doctor import examined


def lines(tmp_path, environ=None, found=()):
    (tmp_path / "pyproject.toml").write_text("[tool.sse-harness]\njobs = 3\n")
    config = load_config({}, environ=environ or {}, folder=tmp_path)
    told = examined(config, environ=environ or {}, which=lambda name: f"/bin/{name}" if name in found else None)
    return {line.name: line for line in told}


def test_says_what_there_is_and_how_to_get_what_is_not(tmp_path):
    told = lines(tmp_path)
    assert (told["Toxiproxy"].state, told["Toxiproxy"].found) == ("missing", "not found")
    assert "go install github.com/Shopify/toxiproxy" in told["Toxiproxy"].remedy
    assert told["Python"].state == "ok"
    assert not {"Chromium", "nginx", "HAProxy"} & told.keys()  # nothing of ours runs them
    assert {"cores", "memory", "descriptors", "uvloop", "starlette"} <= told.keys()


@pytest.mark.parametrize(
    ("environ", "found", "line"),
    [
        ({"TOXIPROXY_URL": "http://127.0.0.1:1"}, (), ("ok", "http://127.0.0.1:1 (TOXIPROXY_URL)")),
        ({"TOXIPROXY_SERVER": "nope"}, (), ("warning", "nope (TOXIPROXY_SERVER) is no program")),
        ({"TOXIPROXY_SERVER": "mine"}, ("mine",), ("ok", "mine")),
        ({}, ("toxiproxy-server",), ("ok", "/bin/toxiproxy-server")),
    ],
)
def test_which_toxiproxy(tmp_path, environ, found, line):
    told = lines(tmp_path, environ, found)["Toxiproxy"]
    assert (told.state, told.found) == line


def test_every_value_and_where_it_came_from(tmp_path):
    told = lines(tmp_path, {"SSE_HARNESS_CLIENT": "mine", "SSE_HARNESS_CHECKS": "a:b", "SSE_HARNESS_JOB": "1"})
    assert told["client"].found == "mine (SSE_HARNESS_CLIENT in the environment)"
    assert told["jobs"].found == f"3 ([tool.sse-harness] in {tmp_path / 'pyproject.toml'})"
    assert told["checks"].found == "a, b (SSE_HARNESS_CHECKS in the environment)"
    assert told["out"].found == "reports/runs (default)"
    assert told["SSE_HARNESS_JOB"].state == "warning"


def test_a_package_that_is_not_installed_has_its_command(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    told = {line.name: line for line in (*doctor._libraries(), *doctor._extras())}
    assert told["uvloop"].state == "warning"
    assert told["starlette"].state == "missing"
    assert told["locust"].remedy == "without it there are no load runs; pip install 'sse-harness[load]'"


def test_names_what_shadows_a_package_of_ours(tmp_path, monkeypatch):
    class Spec:
        origin = str(tmp_path / "reports.py")
        submodule_search_locations = None

    own = doctor.importlib.util.find_spec
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: Spec if name == "reports" else own(name))
    [line] = doctor._shadows(doctor.ROOT)
    assert (line.state, line.name) == ("warning", "package reports")
    assert line.found == f"shadowed by {tmp_path / 'reports.py'}"


def test_names_what_would_shadow_it_here(tmp_path):
    (tmp_path / "harness.py").write_text("")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "__init__.py").write_text("")
    told = list(doctor._shadows(tmp_path))
    assert [line.name for line in told] == ["package harness", "package scenarios"]
    assert all(line.state == "warning" for line in told)


def test_nothing_shadows_here():
    assert list(doctor._shadows(Path(doctor.ROOT))) == []


@pytest.mark.parametrize(("limit", "state"), [((64, 64), "warning"), ((100_000, -1), "ok")])
def test_few_descriptors_are_a_warning(limit, state, monkeypatch):
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: limit)
    [line] = [one for one in doctor._machine() if one.name == "descriptors"]
    assert line.state == state
