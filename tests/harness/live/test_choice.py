from pathlib import Path

import pytest

from harness.config import load_config
from harness.errors import HarnessError
from harness.live.choice import Choice, choice_of, plan_of


class Asked:
    """What `choice_of` asks of pytest's configuration."""

    args_source = pytest.Config.ArgsSource.ARGS

    def __init__(self, folder, *args, ini=(), **options):
        self.rootpath = folder
        self.invocation_params = type("Invocation", (), {"dir": folder})
        self.args, self.ini, self.options = list(args), list(ini), options

    def getoption(self, name, default):
        return self.options.get(name, default)

    def getini(self, name):
        return self.ini


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("TARGET", "CLIENT", "OUT", "SCENARIOS"):
        monkeypatch.delenv(f"SSE_HARNESS_{name}", raising=False)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def names(choice):
    return [one.name for one in choice.scenarios]


def test_nothing_is_collected_unless_somebody_says_so(folder):
    choice = choice_of(Asked(folder))
    assert names(choice) == []
    assert (choice.seed, choice.out, choice.config.client, choice.config.target) == (1, None, "reference", None)


def test_the_option_comes_before_the_ini_file(folder):
    assert names(choice_of(Asked(folder, sse_scenarios=["steady, churn", "steady"]))) == ["steady", "churn"]
    assert names(choice_of(Asked(folder, ini=["steady"], sse_scenarios=["churn"]))) == ["churn"]
    assert names(choice_of(Asked(folder, ini=["steady", "churn"]))) == ["steady", "churn"]


def test_the_ini_file_does_not_add_to_named_files(folder):
    assert names(choice_of(Asked(folder, "test_x.py::test_a", ini=["steady"]))) == []
    assert names(choice_of(Asked(folder, str(folder), ini=["steady"]))) == ["steady"]
    assert names(choice_of(Asked(folder, "sse-scenarios::steady", ini=["steady"]))) == ["steady"]


def test_precedence_and_relative_paths(folder, monkeypatch):
    (folder / "pyproject.toml").write_text('[tool.sse-harness]\nout = "runs"\nclient = "httpx_sse"\n')
    choice = choice_of(Asked(folder, sse_seed=7))
    assert (choice.seed, choice.out, choice.config.client) == (7, folder / "runs", "httpx_sse")
    monkeypatch.setenv("SSE_HARNESS_CLIENT", "reference_spec")
    assert choice_of(Asked(folder)).config.client == "reference_spec"
    assert choice_of(Asked(folder, sse_client="reference")).config.client == "reference"
    assert choice_of(Asked(folder, sse_out="mock")).out == folder / "mock"


def test_an_empty_option_is_one_sentence(folder):
    with pytest.raises(HarnessError, match="--sse-scenarios is empty; name scenarios, or give `all`"):
        choice_of(Asked(folder, sse_scenarios=[","]))


def test_the_plan_of_a_test(folder):
    choice = Choice(load_config({}, environ={}, folder=folder), 3, ())
    header = plan_of(choice, "test_x.py::test_a", {"heartbeat": 7.0}).header()
    assert (header["scenario"], header["question"], header["checks"], header["seed"]) == (
        "test_x.py::test_a",
        "",
        [],
        3,
    )
    assert header["promises"]["heartbeat"] == 7.0
    with pytest.raises(HarnessError, match="the mock server has no setting 'hartbeat'"):
        plan_of(choice, "t", {"hartbeat": 7.0})


def test_the_file_of_a_scenario_is_known(folder):
    [steady] = choice_of(Asked(folder, sse_scenarios=["steady"])).scenarios
    assert Path(steady.file).name == "steady.py"
    assert next(iter(steady.ids)).startswith("sse-scenarios::steady::")
