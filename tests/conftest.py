"""What holds for every test: nothing is left behind, neither a child process, a listening socket nor a task."""

import asyncio
import contextlib
import inspect
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import HealthCheck, settings

GRACE = 3.0

# Both measure wall time, of which a busy machine gives a test little.
settings.register_profile("no wall time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no wall time")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Benchmarks want the machine for themselves: they belong to the tier `ci`, which runs one test after another."""
    for item in items:
        if "bench" in Path(item.path).relative_to(Path(__file__).parent).parts[:-1]:
            item.add_marker(pytest.mark.ci)


@pytest.fixture(autouse=True)
def leaves_nothing_behind(monkeypatch):
    """Fails a test that leaves something behind; what a fixture of a wider scope holds was there before."""
    children, listening = child_ids(), listening_inodes()
    tasks: list[str] = []
    cancel_all = asyncio.runners._cancel_all_tasks

    def noting(loop):
        tasks.extend(repr(task.get_name()) for task in asyncio.all_tasks(loop) if is_of_somebody(task))
        cancel_all(loop)

    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", noting)
    yield
    assert not tasks, f"tasks still ran when their loop ended: {', '.join(tasks)}"
    deadline = time.monotonic() + GRACE
    while (left := child_ids() - children) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"child processes left behind: {', '.join(map(named, left))}"
    assert not (listening_inodes() - listening), "a listening socket was left behind"


def is_of_somebody(task):
    """False for the tasks in which asyncio closes generators that httpx abandoned, when the collector finds them."""
    return not task.done() and inspect.iscoroutine(task.get_coro())


def child_ids():
    """Process ids of the children of this process, zombies and Python's own resource tracker left out."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):  # a thread that has ended since
            found |= {int(one) for one in path.read_text().split()}
    return {pid for pid in found if not _is_nobody(pid)}


def _is_nobody(pid):
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or "resource_tracker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return True


def named(pid):
    try:
        return f"{pid} ({' '.join(psutil.Process(pid).cmdline())[:120]})"
    except psutil.NoSuchProcess:
        return str(pid)


def listening_inodes():
    """Inodes of the TCP sockets on which this process listens."""
    own = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            own.add(target[8:-1])
    if not own:
        return set()
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = Path(table).read_text().splitlines()[1:] if Path(table).exists() else []
        listening |= {fields[9] for fields in map(str.split, rows) if fields[3] == "0A"}
    return own & listening


FAKE_RUN = '''#!{python}
"""Stands in for the nursery: its runs do what the name of their scenario says."""
import json, pathlib, signal, socket, sys, time, types

from harness.nursery import serve


def main(start):
    job = json.loads(sys.argv[1])
    out = pathlib.Path(job["out"])
    what = pathlib.Path(job["scenario"]).stem

    def save(trouble=None):
        lines = [
            {{"t": 1.0, "kind": "history", "schema": 1, "role": "run", "host": "h", "boot": "b", "pid": 1, "mono": 1.0,
              "wall": time.time(), "scenario": what, "checks": [], "seed": job["seed"], "target": {{"name": "mock"}},
              "client": {{"name": job["client"]}}}},
            *([{{"t": 2.0, "kind": "trouble", "reason": trouble}}] if trouble else []),
        ]
        (out / "history.jsonl").write_text("".join(json.dumps(one) + "\\n" for one in lines))

    print("start", flush=True)
    if what == "complains":
        print("one sentence", file=sys.stderr)
        return 1
    if what == "dies":
        return 7
    if what in ("hangs", "stubborn"):
        # A handler of Python's is not run if the signal comes just before a call that then sleeps.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        print("steps", flush=True)
        signal.sigwait([signal.SIGTERM if what == "hangs" else signal.SIGUSR1])
        save("the run was interrupted")
        return 0
    save()
    print("stop", flush=True)
    return 0


sys.modules["harness.run"] = types.SimpleNamespace(main=main)
serve(socket.socket(fileno=0))
'''


@pytest.fixture
def fake_runs(tmp_path, monkeypatch):
    """Runs in processes that are real and do nothing; the scenario's name says how they end."""
    program = tmp_path / "fake_python"
    program.write_text(FAKE_RUN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr("harness.children.sys", SimpleNamespace(executable=str(program)))
    return program
