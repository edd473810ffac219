"""A started server's life: its ports, its restarts, and that nothing of it is left."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness import history
from mock_server.supervisor import control_token_file, history_file

pytestmark = pytest.mark.slow


def gone(pids):
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


def family(process):
    return [process.pid, *(one.pid for one in psutil.Process(process.pid).children(recursive=True))]


def refused(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def test_it_says_one_line_and_no_secret_in_it(start_mock):
    mock = start_mock()
    assert set(mock.told) == {"port", "control_port", "epoch"}
    for pid in family(mock.process):
        words = " ".join(psutil.Process(pid).cmdline())
        assert "control-token-of-the-test" not in words
        assert "secret-of-the-test" not in words


def test_a_graceful_restart_ends_streams_properly_and_forgets_nothing(start_mock):
    mock = start_mock()
    raw = mock.stream()
    ids = mock.publish(count=3)
    mock.restart("graceful")
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b"0\r\n\r\n")
    ids += mock.publish()
    assert mock.stats()["epoch"] == mock.told["epoch"]
    assert mock.stream(last_event_id=ids[0]).until_ids(3).ids == ids[1:]


def test_a_crash_begins_a_new_epoch(start_mock):
    mock = start_mock()
    raw = mock.stream()
    (before,) = mock.publish()
    mock.restart("crash")
    raw.to_end()
    assert not raw.seen.endswith(b"0\r\n\r\n")
    (after,) = mock.publish()
    epoch = mock.stats()["epoch"]
    assert epoch != mock.told["epoch"]
    assert after == f"{epoch}-1"
    assert b'"reason": "epoch"' in mock.stream(last_event_id=before).until(b"event: reset").until(b"}").body


def test_while_it_is_away_connections_are_refused_and_the_port_stays_its_own(start_mock):
    mock = start_mock()
    mock.order("/restart", how="crash", down=0.6)
    mock.until(lambda: refused(mock.port))
    with socket.socket() as thief, pytest.raises(OSError):
        thief.bind(("127.0.0.1", mock.port))
    mock.until(lambda: mock.incarnation() == 1)
    assert not refused(mock.port)


def test_every_incarnation_writes_a_file_of_its_own(start_mock):
    mock = start_mock()
    mock.publish()
    raw = mock.stream()
    mock.restart("graceful")
    raw.to_end()
    mock.stream().close()
    mock.restart("crash")
    assert mock.stop() == 0
    parts = [history.read(mock.folder / f"server-{number}.jsonl") for number in range(3)]
    merged = history.merge(parts)
    assert [one["how"] for one in merged.of("server.stop")] == ["graceful", "crash", "stop"]
    assert [one["epoch"] for one in merged.of("server.start")][:2] == [mock.told["epoch"]] * 2
    assert len({one["conn"] for one in merged.of("conn.request")}) == len(merged.of("conn.request")) == 2
    assert {one["conn"] for one in merged.of("conn.end")} == {one["conn"] for one in merged.of("conn.request")}
    assert merged.of("published")
    assert merged.of("lag")


def test_it_ends_with_its_standard_input_and_leaves_no_process(start_mock):
    mock = start_mock()
    raw, pids = mock.stream(), family(mock.process)
    assert len(pids) == 2
    mock.process.stdin.close()
    assert mock.process.wait(10) == 0
    assert raw.to_end() == "fin"
    mock.until(lambda: gone(pids))
    assert refused(mock.port)
    assert (mock.folder / "stderr.txt").read_text() == ""


def test_it_ends_with_its_standard_input_while_it_is_away(start_mock):
    mock = start_mock()
    mock.order("/restart", how="crash", down=60)
    mock.until(lambda: refused(mock.port))
    mock.process.stdin.close()
    assert mock.process.wait(10) == 0


def test_a_worker_ends_with_its_supervisor(start_mock):
    mock = start_mock()
    pids = family(mock.process)
    mock.process.kill()
    mock.process.wait()
    mock.until(lambda: gone(pids))


def test_a_worker_that_dies_without_an_order_takes_the_supervisor_with_it(start_mock):
    mock = start_mock()
    _, worker = family(mock.process)
    os.kill(worker, 9)
    assert mock.process.wait(10) == 1
    assert (mock.folder / "stderr.txt").read_text() == "the mock server's worker died; its last words are above\n"


def test_sigterm_ends_it_properly(start_mock):
    mock = start_mock()
    raw = mock.stream()
    mock.process.terminate()
    assert mock.process.wait(10) == 0
    assert raw.to_end() == "fin"
    assert raw.seen.endswith(b"0\r\n\r\n")


def test_a_taken_port_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "mock_server", "--port", str(port)], capture_output=True, text=True, timeout=20
        )
    assert ended.returncode == 2
    assert ended.stderr == (
        f"mock_server: port {port} on 127.0.0.1 cannot be used (Address already in use); choose another one\n"
    )


def test_a_made_up_control_token_stands_in_a_file_that_only_its_owner_can_read(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("SSE_MOCK_CONTROL_TOKEN", None)
    with subprocess.Popen(
        [sys.executable, "-m", "mock_server", "--stop-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        path = Path(json.loads(process.stdout.readline())["control_token_file"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        process.stdin.close()
        assert process.wait(10) == 0
    assert not path.exists()


def test_names_of_files(tmp_path):
    assert history_file(tmp_path / "server.jsonl", 2) == tmp_path / "server-2.jsonl"
    path = control_token_file("t", tmp_path)
    assert path.read_text() == "t"
