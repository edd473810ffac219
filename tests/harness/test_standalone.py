import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import httpx
import pytest

from harness import standalone
from harness.errors import HarnessError
from mock_server import auth

SETTINGS = {"heartbeat": 0.2}


def note(folder, name="mock-1.json", **changed):
    told = {"pid": os.getpid(), "port": 1, "control_port": 2, "control_token": "c", "secret": "s", **changed}
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(told))


def test_where_the_files_are(tmp_path):
    assert standalone.state_folder({"XDG_RUNTIME_DIR": "/r", "XDG_CACHE_HOME": "/c"}).as_posix() == "/r/sse-harness"
    assert standalone.state_folder({"XDG_CACHE_HOME": "/c"}).as_posix() == "/c/sse-harness"
    assert standalone.state_folder({}).as_posix().endswith("/.cache/sse-harness")


def test_without_a_home_folder_there_has_to_be_another_one(monkeypatch):
    monkeypatch.setattr(standalone.Path, "home", homeless)
    with pytest.raises(HarnessError, match=r"^there is no home folder; set XDG_RUNTIME_DIR to a folder of yours$"):
        standalone.state_folder({})


def homeless():
    raise RuntimeError("Could not determine home directory.")


def test_a_token_with_the_secret_of_the_environment(tmp_path):
    token = standalone.token("alice", 60, now=1000.0, environ={"SSE_MOCK_SECRET": "x"}, folder=tmp_path)
    assert auth.verify("x", token, 1059.0).user == "alice"
    assert auth.verify("x", token, 1061.0).reason == "expired"


def test_a_token_with_the_secret_of_the_mock_that_runs(tmp_path):
    note(tmp_path)
    token = standalone.token("alice", 60, now=1000.0, environ={}, folder=tmp_path)
    assert auth.verify("s", token, 1000.0).user == "alice"


def test_files_that_a_crash_left_behind_are_ignored(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    note(tmp_path, pid=child.pid)
    (tmp_path / "mock-2.json").write_text("torn {")
    with pytest.raises(HarnessError) as caught:
        standalone.token("alice", 60, now=0.0, environ={}, folder=tmp_path)
    assert str(caught.value) == "no mock server of yours is running; start `sse-harness mock` or set SSE_MOCK_SECRET"


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), 1e12])
def test_a_lifetime_that_is_none_is_one_sentence(tmp_path, ttl):
    with pytest.raises(HarnessError, match=r"--ttl is .*; give seconds above 0"):
        standalone.token("alice", ttl, now=0.0, environ={"SSE_MOCK_SECRET": "x"}, folder=tmp_path)


def test_one_port_for_both_planes_is_one_sentence(tmp_path):
    with pytest.raises(HarnessError) as caught:
        standalone.serve({}, port=1234, control_port=1234, say=print, folder=tmp_path)
    assert str(caught.value) == "port 1234 cannot be the control plane's too; choose another control_port, or 0"


def test_a_port_that_is_taken_is_one_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for ports in ({"port": port, "control_port": 0}, {"port": 0, "control_port": port}):
            with pytest.raises(HarnessError, match=rf"{port} on 127.0.0.1 cannot be used .*; choose another one"):
                standalone.serve({}, **ports, say=print, folder=tmp_path)


@pytest.fixture
def command(tmp_path):
    """Starts `sse-harness mock` and gives its process when it has said where it listens."""
    started = []

    def start(*options):
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        environment.pop("SSE_MOCK_SECRET", None)
        child = subprocess.Popen(
            [sys.executable, "-c", "from harness.cli import main; main()", "mock", "--port", "0", *options],
            stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        started.append(child)
        lines = [child.stdout.readline() for _ in range(5)]
        return child, lines

    yield start
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_mock_in_the_foreground_until_ctrl_c(command, tmp_path, number):
    child, lines = command("--heartbeat", "0.2", "--defect", "cacheable", "--fault", "duplicate")
    [path] = (tmp_path / "sse-harness").glob("mock-*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = json.loads(path.read_text())
    assert lines[0].split()[-1] == f"http://127.0.0.1:{told['port']}/api/stream/events"
    assert str(path) in lines[3]
    assert not [secret for secret in (told["secret"], told["control_token"]) if secret in "".join(lines)]

    token = standalone.token("alice", 60, now=time.time(), environ={}, folder=path.parent)
    with (
        httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=5, trust_env=False) as http,
        http.stream("GET", lines[0].split()[-1]) as answer,
    ):
        assert answer.status_code == 200
        assert "cache-control" not in answer.headers
        chunks = answer.iter_text()
        assert any("heartbeat" in text for text in chunks)
        control = {"Authorization": f"Bearer {told['control_token']}"}
        stats = httpx.get(f"http://127.0.0.1:{told['control_port']}/stats", headers=control, trust_env=False)
        assert stats.json()["open"] == 1

    child.send_signal(number)
    assert child.wait(20) == 0
    assert not path.exists()
