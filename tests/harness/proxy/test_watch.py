"""The watcher: its program ends with it, whatever ends it, and it ends with its program."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from peers import eventually

from harness.proxy import watch

pytestmark = pytest.mark.slow
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


def watched(*words):
    """A watcher whose program runs, and that program."""
    watcher = subprocess.Popen([sys.executable, "-P", "-m", "harness.proxy.watch", *words], stdin=subprocess.PIPE)
    return watcher, psutil.Process(watcher.pid)


@pytest.mark.parametrize("how", ["its parent has gone", "it is told to end"])
def test_the_program_ends_with_the_watcher(how):
    watcher, process = watched("sleep", "600")
    eventually(process.children)
    [program] = process.children()
    if how == "its parent has gone":
        watcher.stdin.close()
    else:
        watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(10) == 128 + signal.SIGTERM
    watcher.stdin.close()
    assert not program.is_running()


def test_a_program_that_does_not_listen_is_killed(monkeypatch):
    program = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    program.stdout.readline()
    monkeypatch.setattr(watch, "END_WITHIN", 0.05)
    told, tell = os.pipe()
    os.close(tell)
    watch._watch(program, told)
    os.close(told)
    assert program.wait(10) == -signal.SIGKILL
    program.stdout.close()


@pytest.mark.parametrize(("words", "code"), [(("true",), 0), (("false",), 1), (("/nowhere",), watch.CANNOT_START)])
def test_it_ends_as_its_program_does(words, code):
    watcher, _ = watched(*words)
    assert watcher.wait(10) == code
    watcher.stdin.close()
