import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import reports
from harness import cli, selftest
from harness.check import Outcome
from harness.errors import HarnessError
from harness.results import Results, RunResult, SelfTest

START_OF_A_TOKEN = base64.b64encode(b'{"user":"')
SOUND = SelfTest(caught=3, planted=3, false_alarms=0)
POLICY = """
version = 1
name = "mine"
[stages.10]
scenarios = ["steady"]
[stages.10.required]
QA-1 = {}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A working directory of the user's own, with nothing of ours in the environment."""
    for name in [name for name in os.environ if name.startswith(("SSE_", "TOXIPROXY_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def said(capsys, *argv):
    code = cli.run_command(argv)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def test_help_names_every_command(capsys):
    code, out, _ = said(capsys, "--help")
    assert code == 0
    named = {line.split()[0] for line in out[out.index("Commands:") + 1 :]}
    assert named == {
        "mock", "run", "signoff", "judge", "selftest", "list", "doctor", "token", "check-client", "check-server",
        "load", "approve", "verify", "where",
    }  # fmt: skip


@pytest.mark.parametrize("name", cli.LATER)
def test_what_comes_later_says_so(capsys, name):
    code, out, [line] = said(capsys, name, "something", "--target", "x")
    assert (code, out) == (2, [])
    assert line.startswith(f"sse-harness: `{name}` (")
    assert "comes with a later version" in line


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["run", "stedy"], "there is no scenario 'stedy'; did you mean steady?"),
        (["run", "./no.py"], "there is no scenario file no.py; check the path"),
        (["run", "steady", "--client", "referense"], "there is no client 'referense'; did you mean reference?"),
        (
            ["run", "steady", "--target", "no.toml"],
            "no.toml cannot be read (No such file or directory); "
            "give the path of a target file, or none to test the built-in mock",
        ),
        (["signoff", "--stage", "10", "--target", "torn.toml"], "torn.toml is no valid TOML: "),
        (
            ["run", "steady", "--target", "wrong.toml"],
            "wrong.toml: there is no field 'ulr'; did you mean 'url'?",
        ),
        (
            ["run", "steady", "--out", "policy.toml/out"],
            "folder policy.toml/out cannot be written (Not a directory); give another one with --out",
        ),
        (
            ["signoff", "--stage", "10", "--out", "policy.toml/out"],
            "folder policy.toml/out cannot be written (Not a directory); give another one with --out",
        ),
        (["signoff", "--stage", "7"], "policy default has no stage 7; it has 10, 50, 100, add [stages.7]"),
        (
            ["signoff", "--stage", "10", "--policy", "no.toml"],
            "no.toml cannot be read (No such file or directory); "
            "give the path of a policy file, or leave it out for the default",
        ),
        (["run", "steady", "--jobs", "0"], "option --jobs is 0; give a whole number from 1 to 256"),
        (["judge", "no"], "there is no run no; give the folder of a run or its history.jsonl"),
        (["judge", "policy.toml"], "policy.toml line 2 is no record; give a history.jsonl of a run"),
        (["token", "alice"], "no mock server of yours is running; start `sse-harness mock` or set SSE_MOCK_SECRET"),
        (["where", "load/stedy"], "there is no file 'load/stedy' in scenarios/; did you mean load/steady?"),
        (["where", "nope"], "there is no file 'nope' in scenarios/; known: "),
        (["mock", "--fault", "fog"], "there is no fault 'fog'; did you mean 'foreign'?"),
    ],
)
def test_a_fault_of_the_user_is_one_sentence_and_exit_2(capsys, argv, sentence):
    Path("torn.toml").write_text("url x")
    Path("wrong.toml").write_text('ulr = "http://127.0.0.1:1/"')
    code, out, [line] = said(capsys, *argv)
    assert (code, out) == (2, [])
    assert line == f"sse-harness: {sentence}" or (sentence.endswith(": ") and sentence in line)


@pytest.mark.parametrize("argv", [["run", "steady"], ["signoff", "--stage", "10"]])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "report 'mine' defines no `write(results, out)`; add it"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit: 0; mend the report"),
        (None, "for reports does not exist; create it or mend [tool.sse-harness]"),
    ],
)
def test_a_report_format_that_cannot_be_loaded_is_told_before_anything_runs(
    capsys, monkeypatch, fake_runs, argv, text, sentence
):
    monkeypatch.setattr(selftest, "stored", lambda: SOUND)
    Path("pyproject.toml").write_text('[tool.sse-harness]\nreports = ["own"]\n')
    if text is not None:
        Path("own").mkdir()
        Path("own/mine.py").write_text(text)
    code, out, [line] = said(capsys, *argv)
    assert (code, out) == (2, [])
    assert line.endswith(sentence)
    assert not Path("reports").exists()


def test_a_report_that_fails_costs_neither_the_outcome_nor_the_other_reports(capsys, fake_runs, monkeypatch):
    Path("own").mkdir()
    Path("own/broken.py").write_text("def write(results, out):\n    raise SystemExit(0)\n")
    Path("pyproject.toml").write_text('[tool.sse-harness]\nreports = ["own"]\n')
    monkeypatch.setattr(selftest, "stored", lambda: SOUND)
    code, out, err = said(capsys, "signoff", "--stage", "10", "--policy", "policy.toml", "--out", "out")
    assert (code, out[-2:]) == (3, ["report: out/report.html", "REHEARSAL HOLD"])
    assert err[-1] == "sse-harness: report 'broken' failed: SystemExit: 0; mend it"


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.PASS, 3), (Outcome.FAIL, 1), (Outcome.UNKNOWN, 3)])
def test_without_one_of_its_reports_nothing_is_a_pass(capsys, monkeypatch, outcome, code):
    def full(*_, **__):
        raise HarnessError("report 'html' cannot be written")

    monkeypatch.setattr(reports, "write_all", full)
    run = RunResult(scenario="s", target="t", client="c", outcome=outcome, history="")
    results = Results(kind="run", target="t", client="c", runs=(run,))
    assert cli._finished(results, cli._configured(), Path("out")) == code
    assert capsys.readouterr().out.splitlines() == [outcome.name, f"  {outcome.name:<7} s", "report: out"]


@pytest.mark.parametrize("name", ["load/steady", "targets/starlette_app", "steady"])
def test_where_prints_the_path_of_a_file(capsys, name):
    code, [path], _ = said(capsys, "where", name)
    assert code == 0
    assert Path(path).is_absolute()
    assert Path(path).parts[-len(name.split("/")) :] == (*name.split("/")[:-1], name.split("/")[-1] + ".py")
    assert Path(path).is_file()


@pytest.mark.parametrize(
    "argv", [["run"], ["nonsense"], ["signoff"], ["run", "steady", "--nope"], ["list", "nope"], ["mock", "--port", "x"]]
)
def test_wrong_usage_is_exit_2(capsys, argv):
    code, out, err = said(capsys, *argv)
    assert (code, out) == (2, [])
    assert err[0].startswith("Usage: sse-harness")


@pytest.mark.slow
def test_without_uvloop_it_says_so_and_goes_on(capsys, monkeypatch, fake_runs):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    Path("ends.py").write_text("from harness import Scenario\n\nscenario = Scenario(checks=())\n")
    _, _, err = said(capsys, "run", "./ends.py")
    assert err[0] == "sse-harness: uvloop is not installed; asyncio takes its place, which is slower"


@pytest.mark.slow
def test_a_proxy_that_does_not_start_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setenv("TOXIPROXY_SERVER", "/bin/false")
    code, out, [line] = said(capsys, "run", "steady")
    assert (code, out) == (2, [])
    assert "TOXIPROXY_SERVER" in line
    assert not Path("reports").exists()


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, [line] = said(capsys, "mock", "--port", str(port))
    assert (code, out) == (2, [])
    assert line.startswith(f"sse-harness: port {port} on 127.0.0.1 cannot be used")


def test_a_token_is_the_one_secret_that_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("SSE_MOCK_SECRET", "hush")
    code, [token], err = said(capsys, "token", "alice", "--ttl", "5")
    assert (code, err) == (0, [])
    assert token.isascii()
    assert "hush" not in token


def test_list_and_doctor(capsys):
    code, out, _ = said(capsys, "list", "scenarios")
    assert code == 0
    assert any(line.startswith("steady ") and line.endswith("?") for line in out)
    code, out, _ = said(capsys, "list")
    assert [line for line in out if not line.startswith(" ")] == [f"{kind}:" for kind in cli.KINDS]
    code, out, _ = said(capsys, "doctor")
    assert code == 0
    assert {line.split()[0] for line in out} <= {"ok", "missing", "warning"}


def test_a_run_that_could_not_be_is_unknown_and_exit_3(capsys, fake_runs):
    Path("dies.py").write_text("from harness import Scenario\n\nscenario = Scenario(checks=())\n")
    code, out, err = said(capsys, "run", "./dies.py", "--out", "out")
    assert code == 3
    assert out == [
        "UNKNOWN",
        "  UNKNOWN dies: the run's process ended with exit 7",
        "report: out/report.html",
    ]
    assert err == ["[0/1] dies: start", "[1/1] dies: done"]
    assert json.loads(Path("out/verdicts.json").read_text())["exit"] == 3


def test_what_a_history_says_cannot_drive_the_terminal(capsys):
    head = {
        "t": 1.0, "kind": "history", "schema": 1, "role": "run", "host": "h", "boot": "b", "pid": 1, "mono": 0.0,
        "wall": 1e9, "scenario": "x\x1b[2J\x1b[31mFAKE PASS\ud800", "promises": {},
    }  # fmt: skip
    trouble = {"t": 2.0, "kind": "trouble", "reason": "\x1b]0;owned\x07 at\n/?access_token=s3cr3t\nGO"}
    Path("x\x1b.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(trouble)}\n")
    code, out, _ = said(capsys, "judge", "x\x1b.jsonl")
    assert (code, out[0]) == (3, "UNKNOWN")
    assert out[1].startswith("  UNKNOWN x\\x1b[2J\\x1b[31mFAKE PASS\\ud800: the environment failed: \\x1b]0;owned")
    assert "s3cr3t" not in out[1]
    assert out[1].endswith(" GO")
    assert [one.strip() for one in out].count("GO") == 0
    Path("x\x1b.jsonl").write_text("{}\n{}\n")
    code, _, [line] = said(capsys, "judge", "x\x1b.jsonl")
    assert (code, line) == (2, "sse-harness: x\\x1b.jsonl line 1 is no record; give a history.jsonl of a run")


def test_results_are_never_overwritten(capsys, fake_runs):
    Path("dies.py").write_text("from harness import Scenario\n\nscenario = Scenario(checks=())\n")
    assert said(capsys, "run", "./dies.py", "--out", "out")[0] == 3
    code, _, [line] = said(capsys, "run", "./dies.py", "--out", "out")
    assert (code, line) == (2, "sse-harness: folder out holds a run already; give a new one with --out")


def test_a_sign_off_says_its_reasons_first_and_the_verdict_last(capsys, fake_runs, monkeypatch):
    monkeypatch.setattr(selftest, "stored", lambda: SOUND)
    code, out, _ = said(capsys, "signoff", "--stage", "10", "--policy", "policy.toml")
    assert code == 3
    assert out[0].startswith("stage 10, policy mine")
    assert out[-1] == "REHEARSAL HOLD"
    [report] = Path("reports/runs").glob("*/report.html")
    assert out[-2] == f"report: {report}"


def test_settings_of_the_users_project_are_followed(capsys, fake_runs):
    Path("own").mkdir()
    Path("own/dies.py").write_text("from harness import Scenario\n\nscenario = Scenario(checks=())\n")
    Path("pyproject.toml").write_text('[tool.sse-harness]\nscenarios = ["own"]\nout = "there"\n')
    code, out, _ = said(capsys, "run", "dies")
    assert code == 3
    [report] = (Path.cwd() / "there").glob("*/report.html")
    assert out[-1] == f"report: {report}"


@pytest.mark.parametrize(
    ("found", "code"), [(SOUND, 0), (SelfTest(caught=2, planted=3, false_alarms=0, missed=("a: b did not ring",)), 1)]
)
def test_selftest_says_what_was_caught(capsys, monkeypatch, found, code):
    report = selftest.Report(summary=found, trials=(), histories=300, alarms_on_histories=(), clean_runs=17)
    monkeypatch.setattr(selftest, "run_selftest", lambda profile, out, say: report)
    exit_code, out, _ = said(capsys, "selftest")
    assert exit_code == code
    assert out == [
        *(f"  missed: {one}" for one in found.missed),
        f"caught {found.caught}/3, false alarms 0 over 17 clean runs and 300 random clean histories",
    ]


# the whole command, as a process of its own


FULL = Path("/dev/full")
COMMAND = Path(sys.executable).with_name("sse-harness")


def started(*argv):
    return subprocess.Popen([COMMAND, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_run_is_judged_and_can_be_judged_again(capsys):
    code, out, _ = said(capsys, "run", "token_required", "--out", "out")
    assert (code, out) == (0, ["PASS", "  PASS    token_required", "report: out/report.html"])
    assert {"report.html", "report.md", "verdicts.json", "junit.xml"} <= {path.name for path in Path("out").iterdir()}
    written = [path for path in Path("out").rglob("*") if path.is_file()]
    assert not [path for path in written if START_OF_A_TOKEN in path.read_bytes()]
    code, out, _ = said(capsys, "judge", "out", "--out", "again")
    assert (code, out) == (0, ["PASS", "  PASS    token_required", "report: again/report.html"])
    code, out, _ = said(capsys, "judge", "out/token_required/history.jsonl")
    assert (code, out) == (0, ["PASS", "  PASS    token_required"])


@pytest.mark.slow
def test_a_defect_is_a_fail_and_exit_1(capsys):
    code, out, _ = said(capsys, "run", "token_required", "--defect", "accepts-no-token", "--out", "out")
    assert code == 1
    assert out[0] == "FAIL"
    assert any(line.startswith("    FAIL security.token_required: ") for line in out)


@pytest.mark.slow
def test_folders_of_the_user_shadow_nothing_of_ours():
    for name in cli.PACKAGES:
        Path(name).mkdir()
    Path("mine.py").write_text("scenario = 7\n")
    with started("run", "mine:nothing") as child:
        _, err = child.communicate(timeout=60)
    assert err == "sse-harness: scenario 'mine:nothing': mine has no 'nothing'; check the name\n"
    with started("list", "scenarios") as child:
        out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert "steady " in out


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")
def test_where_nobody_reads_the_command_goes_on_to_its_exit_code():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as unread, FULL.open("wb") as full:
        for stdout, told in ((unread, ""), (full, "standard output cannot be written (No space left on device)")):
            done = subprocess.run([COMMAND, "list"], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60)
            assert (done.returncode, done.stderr.count("\n")) == (0, bool(told))
            assert told in done.stderr


@pytest.mark.slow
def test_a_working_directory_that_is_gone_is_one_sentence():
    Path("gone").mkdir()
    words = ["sh", "-c", 'rmdir "$PWD"; exec "$0" list', str(COMMAND)]
    done = subprocess.run(words, cwd="gone", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sse-harness: the working directory is gone; change into one that is there\n"


def test_without_a_working_directory_no_selftest_begins(capsys, monkeypatch):
    monkeypatch.setattr(selftest, "run_selftest", None)
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path.cwd().rmdir()
    assert said(capsys, "selftest")[0] == 2


@pytest.mark.ci
def test_ctrl_c_in_the_middle_of_a_sign_off_writes_what_is_known():
    every = selftest.plants("quick")
    selftest._store(SelfTest(caught=every, planted=every, false_alarms=0, digest=selftest.digest()))
    with started("signoff", "--stage", "10", "--policy", "policy.toml", "--out", "out") as child:
        assert "steady: start" in child.stderr.readline()
        _until_open(Path("out/steady/parts/run.jsonl"))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 3, err
    assert out.splitlines()[-1] == "REHEARSAL HOLD"
    assert "the sign-off was interrupted" in out.splitlines()[1]
    assert "Traceback" not in err
    told = json.loads(Path("out/verdicts.json").read_text())
    assert (told["outcome"], told["exit"], told["rehearsal"]) == ("HOLD", 3, True)
    assert "interrupted" in told["runs"][0]["reason"]
    assert Path("out/steady/history.jsonl").exists()


def _until_open(path):
    """Follow a part of a history until a stream is open."""
    follow = [shutil.which("tail"), "-n", "+1", "-F", "--quiet", str(path)]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as following:
        for line in following.stdout:
            if '"sub.open"' in line:
                break
        following.kill()


@pytest.mark.full
@pytest.mark.slow
def test_the_whole_rehearsal_ends_go():
    """The stage that ships, against the mock that ships, the selftest before it; no token in anything it leaves."""
    with started("signoff", "--stage", "10", "--out", "out") as child:
        out, err = child.communicate(timeout=900)
    assert out.splitlines()[-1] == "REHEARSAL GO", out
    assert child.returncode == 0
    written = [path.read_bytes() for path in Path("out").rglob("*") if path.is_file()]
    assert not [text for text in (*written, out.encode(), err.encode()) if START_OF_A_TOKEN in text]
