import pytest

from harness.config import DEFAULTS, FIELDS, load_config, nearest_project, strangers
from harness.errors import HarnessError


def configured(folder, environ=None, **options):
    return load_config(options, environ=environ or {}, folder=folder)


def project(folder, text):
    (folder / "pyproject.toml").write_text(f"[tool.sse-harness]\n{text}\n")
    return folder


def test_defaults(tmp_path):
    config = configured(project(tmp_path, ""))
    assert (config.target, config.client, config.out, config.jobs) == (None, "reference", None, 8)
    assert config.results.as_posix() == "reports/runs"
    assert configured(tmp_path, out="here").out.as_posix() == "here"
    assert config.folders == {"scenarios": (), "clients": (), "checks": (), "reports": ()}
    assert {value.origin for value in config.values.values()} == {"default"}
    assert set(DEFAULTS) == set(FIELDS)


def test_option_before_environment_before_project_before_default(tmp_path):
    project(tmp_path, 'client = "of_project"\njobs = 2\nout = "results"')
    environ = {"SSE_HARNESS_CLIENT": "of_environment", "SSE_HARNESS_JOBS": "3"}
    config = configured(tmp_path, environ, client="of_option")
    assert config.client == "of_option"
    assert config.jobs == 3
    assert (config.out, config.results) == (None, tmp_path / "results")
    assert config.target is None
    origins = {name: config.values[name].origin for name in ("client", "jobs", "out", "target")}
    assert origins == {
        "client": "option --client",
        "jobs": "SSE_HARNESS_JOBS in the environment",
        "out": f"[tool.sse-harness] in {tmp_path / 'pyproject.toml'}",
        "target": "default",
    }


def test_paths_of_a_project_start_at_its_folder_and_names_stay(tmp_path):
    project(tmp_path, 'target = "my/target.toml"\nclient = "./mine.py"\nscenarios = ["ours", "/theirs"]\nchecks = "c"')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    config = configured(below)
    assert config.target == str(tmp_path / "my/target.toml")
    assert config.client == str(tmp_path / "mine.py")
    assert config.paths("scenarios") == (tmp_path / "ours", tmp_path.joinpath("/theirs"))
    assert config.folders["checks"] == (str(tmp_path / "c"),)
    assert configured(project(tmp_path, 'client = "httpx_sse"')).client == "httpx_sse"
    assert configured(project(tmp_path, 'client = "my.module:client"')).client == "my.module:client"


def test_paths_of_the_environment_start_where_the_command_does(tmp_path):
    config = configured(tmp_path, {"SSE_HARNESS_TARGET": "t.toml", "SSE_HARNESS_SCENARIOS": "a:b"})
    assert config.target == "t.toml"
    assert config.folders["scenarios"] == ("a", "b")


def test_the_mock_can_be_asked_for_by_name(tmp_path):
    project(tmp_path, 'target = "t.toml"')
    assert configured(tmp_path, target="mock").target is None
    assert configured(tmp_path, {"SSE_HARNESS_TARGET": "mock"}).target is None
    assert configured(project(tmp_path, 'target = "mock"')).target is None


def test_other_tables_of_a_project_are_not_ours_to_judge(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "theirs"\n[tool.other]\nx = 1\n')
    assert configured(tmp_path).client == "reference"


def test_only_the_nearest_project_counts(tmp_path):
    project(tmp_path, 'client = "far"')
    near = tmp_path / "near"
    near.mkdir()
    (near / "pyproject.toml").write_text("")
    assert nearest_project(near) == near / "pyproject.toml"
    assert configured(near).client == "reference"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("clinet = 'x'", "{file} [tool] [sse-harness]: there is no field 'clinet'; did you mean 'client'?"),
        ("client = 3", "{file} [tool] [sse-harness]: 'client' is a whole number; write a string in quotes"),
        ("client = ' '", "{file} [tool] [sse-harness]: 'client' is empty; give a value or leave it out"),
        ("jobs = 0", "{file} [tool] [sse-harness]: 'jobs' is 0; give a whole number from 1 to 256"),
        ("jobs = 'many'", "{file} [tool] [sse-harness]: 'jobs' is a string in quotes; write a whole number"),
        ("checks = 3", "{file} [tool] [sse-harness]: 'checks' is a whole number; write a list in brackets"),
        ("checks = [3]", "{file} [tool] [sse-harness]: 'checks[0]' is a whole number; write a string in quotes"),
    ],
)
def test_what_is_wrong_in_a_project_is_one_sentence(tmp_path, text, sentence):
    project(tmp_path, text)
    with pytest.raises(HarnessError) as caught:
        configured(tmp_path)
    assert str(caught.value) == sentence.format(file=tmp_path / "pyproject.toml")


@pytest.mark.parametrize(
    ("environ", "options", "sentence"),
    [
        (
            {"SSE_HARNESS_JOBS": "all"},
            {},
            "SSE_HARNESS_JOBS is 'all'; give a whole number from 1 to 256",
        ),
        ({"SSE_HARNESS_JOBS": "257"}, {}, "SSE_HARNESS_JOBS is 257; give a whole number from 1 to 256"),
        ({"SSE_HARNESS_CLIENT": ""}, {}, "SSE_HARNESS_CLIENT is empty; give a value or leave it out"),
        ({}, {"jobs": 0}, "option --jobs is 0; give a whole number from 1 to 256"),
        ({}, {"target": ""}, "option --target is empty; give a value or leave it out"),
    ],
)
def test_what_is_wrong_elsewhere_is_one_sentence(tmp_path, environ, options, sentence):
    with pytest.raises(HarnessError) as caught:
        configured(project(tmp_path, ""), environ, **options)
    assert str(caught.value) == sentence


def test_a_project_that_is_no_toml_is_one_sentence(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(HarnessError, match=r"pyproject\.toml is no valid TOML: .*; mend that line"):
        configured(tmp_path)


def test_strangers_in_the_environment_are_named():
    environ = {"SSE_HARNESS_TAGRET": "x", "SSE_HARNESS_OUT": "y", "SSE_MOCK_SECRET": "z"}
    assert strangers(environ) == ["SSE_HARNESS_TAGRET"]
