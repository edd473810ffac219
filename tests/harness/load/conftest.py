"""Code that needs gevent or Locust runs in a process of its own: patching must not reach the process of the tests."""

import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def patched(tmp_path):
    """Runs a program under Locust's patches in tmp_path; returns what it printed."""

    def run(program, *, expected=0, seconds=60):
        ended = subprocess.run(
            [sys.executable, "-c", "import locust\n" + textwrap.dedent(program)],
            capture_output=True, text=True, timeout=seconds, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert ended.returncode == expected, ended.stdout + ended.stderr
        return ended.stdout

    return run
