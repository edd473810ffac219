"""`locust -f scenarios/load/steady.py` as people run it: exit codes, the history, Locust's figures, ways to stop it."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from harness import history, ledger
from harness.history import load
from harness.stats import percentile

ROOT = Path(__file__).parents[3]
STEADY = ROOT / "scenarios" / "load" / "steady.py"
SPAWNED = re.compile("All users spawned|Spawning is complete")  # the latter where workers are slow to report
pytestmark = [pytest.mark.slow, pytest.mark.ci]


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Locust:
    """A locust process in a session of its own; whatever of it is left at the end of the test is counted and killed."""

    def __init__(self, folder, *words, **environ):
        self.folder = folder
        self.log = (folder / "locust.txt").open("wb")
        given = {name: value for name, value in os.environ.items() if not name.startswith("SSE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", str(STEADY), "--only-summary", *words],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True, cwd=folder,
            env={**given, **environ},
        )  # fmt: skip
        self.family = []

    def said(self):
        return (self.folder / "locust.txt").read_text("utf-8", "replace")

    def until(self, condition, seconds=40.0):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, self.said()
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        self.family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return found

    def ended(self, seconds=90.0):
        code = self.process.wait(seconds)
        self.log.close()
        _, left = psutil.wait_procs(self.family, timeout=5)
        assert not left, f"left behind: {left}"
        return code

    def kill(self):
        for one in self.family:
            if one.is_running():
                one.kill()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


@pytest.fixture
def locust(tmp_path):
    started = []

    def start(*words, **environ):
        started.append(Locust(tmp_path, *words, **environ))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def headless(*words, out="out", users=20, seconds=6):
    return ("--headless", "-u", str(users), "-r", str(users), "-t", f"{seconds}s", "--sse-out", out, *words)


def deliveries(folder):
    """Records of a saved history: how many it has of each kind, and latencies of the deliveries."""
    found = load(folder / "load_steady" / "history.jsonl")
    offset = found.header["wall"] - found.header["mono"]
    return found, [one.t + offset - one["at"] for one in found.of("sub.event") if "at" in one.data]


def test_a_clean_run_passes_and_locust_tells_what_the_history_tells(locust, tmp_path):
    run = locust(*headless("--csv", "stats"))
    run.until(lambda: SPAWNED.search(run.said()))
    assert run.ended() == 0, run.said()
    found, latencies = deliveries(tmp_path / "out")
    assert found.header["client"]["name"] == "locust"
    assert len({one["user"] for one in found.of("sub.start")}) == 20
    assert ledger.of(found).deliveries == len(latencies) > 100
    assert {one.role for one in found} == {"run", "load-0", "server", "publisher"}
    rows = {row["Name"]: row for row in csv.DictReader((tmp_path / "stats_stats.csv").read_text().splitlines())}
    assert int(rows["connect"]["Request Count"]) == 20
    assert int(rows["deliver"]["Request Count"]) == len(latencies)
    assert float(rows["deliver"]["Max Response Time"]) == pytest.approx(max(latencies) * 1000, abs=2)
    assert float(rows["deliver"]["Median Response Time"]) == pytest.approx(percentile(latencies, 50) * 1000, abs=2)
    verdicts = json.loads((tmp_path / "out" / "verdicts.json").read_bytes())
    assert (verdicts["outcome"], verdicts["exit"]) == ("PASS", 0)
    assert (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "load_steady" / "parts").exists()
    assert "PASS    lag.live" in run.said()
    assert "Bearer ey" not in (tmp_path / "out" / "load_steady" / "history.jsonl").read_text()


def test_a_defect_of_the_server_fails_the_run(locust):
    run = locust(*headless(users=5, seconds=4), SSE_HARNESS_MOCK_SETTINGS='{"defects": ["buffers-2s"]}')
    assert run.ended() == 1, run.said()
    assert "FAIL    lag.live" in run.said()


def test_wrong_usage_is_one_sentence_and_exit_2(locust):
    run = locust(*headless(), SSE_TARGET="nope.toml")
    assert run.ended() == 2
    assert re.search(r"^sse-harness: .*nope.toml cannot be read", run.said(), re.M)
    assert "Traceback" not in run.said()
    run = locust(*headless("--host", "http://127.0.0.1:9"))
    assert run.ended() == 2
    assert "sse-harness: --host http://127.0.0.1:9 names no server here" in run.said()


def test_a_folder_with_a_run_is_not_written_to(locust, tmp_path):
    (tmp_path / "out" / "x").mkdir(parents=True)
    (tmp_path / "out" / "x" / "history.jsonl").touch()
    run = locust(*headless(users=1, seconds=1))
    assert run.ended() == 3, run.said()
    assert "holds a run already" in run.said()


def test_workers_send_their_history_to_the_master(locust, tmp_path):
    port = str(free_port())
    run = locust(*headless("--processes", "2", "--master-bind-port", port, "--master-port", port, users=10))
    run.until(lambda: SPAWNED.search(run.said()))
    assert run.ended() == 0, run.said()
    found, latencies = deliveries(tmp_path / "out")
    assert {one.role for one in found} == {"run", "load-0", "load-1", "server", "publisher"}
    assert {one["sub"].partition("-")[0] for one in found.of("sub.start")} == {"w0", "w1"}
    assert len({one["user"] for one in found.of("sub.start")}) == 10
    assert len(latencies) == sum(one["deliveries"] for one in found.of("step") if one["state"] == "end")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_order(locust, tmp_path, number):
    run = locust(*headless(users=5, seconds=300))
    run.until(lambda: SPAWNED.search(run.said()))
    run.process.send_signal(number)
    assert run.ended() in (0, 3), run.said()
    found = history.load(tmp_path / "out" / "load_steady" / "history.jsonl")
    assert len(found.of("sub.closed")) == 5
    assert [one["state"] for one in found.of("drain")] == ["begin", "end"]


def test_ctrl_c_in_a_terminal_reaches_the_workers_too(locust, tmp_path):
    port = str(free_port())
    words = ("--processes", "2", "--master-bind-port", port, "--master-port", port)
    run = locust(*headless(*words, users=6, seconds=300))
    run.until(lambda: SPAWNED.search(run.said()))
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended() in (0, 3), run.said()
    found = history.load(tmp_path / "out" / "load_steady" / "history.jsonl")
    assert len(found.of("sub.closed")) == 6
    assert not found.of("trouble")


def test_a_worker_that_dies_leaves_the_run_unknown(locust, tmp_path):
    port = str(free_port())
    run = locust(*headless("--processes", "2", "--master-bind-port", port, "--master-port", port, users=4, seconds=12))
    run.until(lambda: SPAWNED.search(run.said()))
    workers = [one for one in psutil.Process(run.process.pid).children() if "publishing" not in " ".join(one.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    assert run.ended() == 3, run.said()
    found = history.load(tmp_path / "out" / "load_steady" / "history.jsonl")
    assert "was gone before the run had ended" in found.of("trouble")[0]["reason"]


def test_a_second_interrupt_cuts_the_drain_short_and_nothing_is_lost(locust, tmp_path):
    run = locust(*headless(users=3, seconds=300))
    run.until(lambda: SPAWNED.search(run.said()))
    run.process.send_signal(signal.SIGINT)
    run.until(lambda: "draining" in run.said())
    run.process.send_signal(signal.SIGINT)
    assert run.ended() in (0, 3), run.said()
    assert (tmp_path / "out" / "load_steady" / "history.jsonl").exists()


def test_the_web_page_starts_a_new_history_each_time(locust, tmp_path):
    port = free_port()
    run = locust("--web-host", "127.0.0.1", "--web-port", str(port), "--sse-out", "out")
    run.until(lambda: "Starting web interface" in run.said())

    def ask(path, data=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=60) as answer:
            return answer.read()

    def listening():
        try:
            return ask("/")
        except OSError:
            return None

    run.until(listening)
    for number, out in enumerate(("out", "out-2"), 1):
        ask("/swarm", b"user_count=3&spawn_rate=3")
        run.until(lambda: len(SPAWNED.findall(run.said())) == number)  # noqa: B023
        ask("/stop", b"")
        run.until(lambda: (tmp_path / out / "verdicts.json").exists())  # noqa: B023
    run.process.send_signal(signal.SIGTERM)
    assert run.ended() in (0, 3), run.said()
