"""The README is true: what it marks is run or checked, every command that it names exists, every link leads somewhere.

A mark stands above a code block: `<!-- test: run -->` a shell runs it in a folder of a user's own and ends with 0;
`<!-- test: file NAME -->` it is that file there; `<!-- test: target -->` it is a target file that can be read;
`<!-- test: make -->` make knows how to do it.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import commands
from harness.target import load_target

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"(?:<!-- test: (?P<mark>.+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    mark: str
    language: str
    code: str

    def lines(self):
        """The commands of a shell block, as words."""
        found = (shlex.split(line, comments=True) for line in self.code.splitlines())
        return [words for words in found if words]


BLOCKS = [Block(one["mark"] or "", one["language"], one["code"]) for one in BLOCK.finditer(TEXT)]


def marked(kind):
    return [block for block in BLOCKS if block.mark.partition(" ")[0] == kind]


def test_every_mark_is_understood():
    assert {block.mark.partition(" ")[0] for block in BLOCKS} <= {"", "run", "file", "target", "make"}
    assert all(block.language == "sh" for block in (*marked("run"), *marked("make")))


def test_every_command_and_option_exists():
    for block in BLOCKS:
        if block.language != "sh":
            continue
        for words in block.lines():
            if words[0] == "sse-harness":
                known = {name for one in commands.commands[words[1]].params for name in one.opts}
                assert {word for word in words if word.startswith("--")} <= known, words
    for name in re.findall(r"(?:`|\$\(|- run: |\n *)sse-harness ([a-z-]+)", TEXT):
        assert name in commands.commands


def test_make_knows_how():
    for words in [words for block in marked("make") for words in block.lines()]:
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_links_lead_to_files():
    for place in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not place.startswith("http"):
            assert (ROOT / place).exists(), place
    for place in re.findall(r"`((?:harness|scenarios|reports|tests|mock_server)/[\w/.]+)`", TEXT):
        assert place.startswith("reports/runs") or (ROOT / place).exists(), place  # runs are not in git


def test_the_target_file_can_be_read(tmp_path):
    [block] = marked("target")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text('{"type": "object"}')
    (tmp_path / "target.toml").write_text(block.code)
    target = load_target(tmp_path / "target.toml")
    assert {"publish", "restart", "flag", "rollout", "drop", "stats", "rest"} <= target.capabilities
    assert target.promises.heartbeat == 15.0


RUN = marked("run")


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("shown", RUN, ids=[str(number) for number in range(len(RUN))])
def test_what_is_shown_runs(tmp_path, shown):
    """In a project of the user's own, with the files that the README has shown so far."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = str(free.getsockname()[1])
    for block in BLOCKS[: BLOCKS.index(shown)]:
        kind, _, name = block.mark.partition(" ")
        if kind == "file":
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(block.code.replace("8000", port))
    for folder in ("my_scenarios", "my_checks"):
        (tmp_path / folder).mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SSE_", "PYTHON", "COV_"))}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    with (tmp_path / "said.txt").open("w") as said:
        shell = subprocess.Popen(
            [shutil.which("bash"), "-euc", shown.code.replace("8000", port)], cwd=tmp_path, env=environ,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        shell.wait(300)
    finally:
        # What the block started in the background, if it did not come to its end.
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    assert shell.returncode == 0, f"{shown.code}\n{(tmp_path / 'said.txt').read_text()}"
