"""Children started in both ways: the same program, the same answers."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

import psutil
import pytest

from harness import children
from harness.children import end, executed, fate, nursery

ECHO = """
import os, signal, sys

def main(start=None):
    what = sys.argv[1]
    print(what, os.environ.get("COLOUR"), start is not None, flush=True)
    if what == "echo":
        print(sys.stdin.readline().strip(), flush=True)
        return 5
    if what == "complain":
        print("one sentence", file=sys.stderr)
        sys.exit(3)
    if what == "raise":
        raise ValueError("out of order")
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
    if what == "orphan":
        if not (pid := os.fork()):
            signal.pause()
        print(pid, flush=True)
    if what in ("wait", "stubborn"):
        while True:
            signal.pause()
    return None

if __name__ == "__main__":
    sys.exit(main())
"""
LONG = "x" * 200_000


@pytest.fixture(autouse=True)
def echo(tmp_path, monkeypatch):
    """A program of the user's own that both ways find."""
    (tmp_path / "echo.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@asynccontextmanager
async def way(name):
    if name == "executed":
        yield executed
    else:
        async with nursery() as line:
            yield line.start


both = pytest.mark.parametrize("how", ["executed", "forked"])
pytestmark = pytest.mark.slow


async def finished(start, *arguments, **more):
    """All that a child says, and its exit code."""
    child = await start("echo", *arguments, **more)
    said = await child.stdout.read()
    code = await child.wait()
    await end(child)
    return said.decode().splitlines(), code


def nurse_of_ours():
    [nurse] = [one for one in psutil.Process().children() if children.NURSERY in one.cmdline()]
    return nurse


def play(how, part):
    async def whole():
        async with way(how) as start:
            return await part(start)

    return asyncio.run(whole())


@both
def test_a_program_gets_its_arguments_and_more_environment_and_tells_its_exit(how):
    async def part(start):
        return await finished(start, "none", more={"COLOUR": "blue"}), await finished(start, "raise")

    assert play(how, part) == ((["none blue False"], 0), (["raise None False"], 1))


@both
def test_both_pipes_carry_more_than_fits_into_them(how):
    async def part(start):
        child = await start("echo", "echo", longest=1 << 20)
        child.stdin.write(f"{LONG}\n".encode())
        await child.stdin.drain()
        lines = [line.decode().strip() async for line in child.stdout]
        code = await child.wait()
        await end(child)
        return lines, code

    assert play(how, part) == (["echo None False", LONG], 5)


@both
def test_what_it_complains_of_goes_where_it_was_told(how, tmp_path):
    async def part(start):
        with (tmp_path / "said.txt").open("ab") as said:
            return await finished(start, "complain", stderr=said.fileno())

    assert play(how, part) == (["complain None False"], 3)
    assert (tmp_path / "said.txt").read_text() == "one sentence\n"


@both
@pytest.mark.parametrize(
    ("what", "signals", "code"),
    [("wait", (signal.SIGTERM,), -signal.SIGTERM), ("stubborn", (signal.SIGTERM,), -signal.SIGKILL),
     ("wait", (), -signal.SIGKILL)],
)  # fmt: skip
def test_end_goes_as_far_as_it_has_to(how, what, signals, code):
    async def part(start):
        child = await start("echo", what)
        for _ in range(2 if what == "stubborn" else 1):
            await child.stdout.readline()
        await end(child, patience=0.05, signals=signals)
        return child.returncode

    assert play(how, part) == code


def test_who_was_forked_with_a_line_can_start_others_itself():
    async def part(start):
        return await finished(start, "none", line=True)

    assert play("forked", part) == (["none None True"], 0)


def test_a_grandchild_that_holds_the_output_keeps_nobody_waiting():
    async def part(start):
        child = await start("echo", "orphan")
        first, orphan = (await child.stdout.read()).decode().splitlines()
        os.kill(int(orphan), signal.SIGKILL)
        return first, await child.wait()

    assert play("forked", part) == ("orphan None False", 0)


def test_a_nursery_that_dies_ends_the_wait_for_every_child_of_it():
    async def part(start):
        first = await start("echo", "wait")
        await first.stdout.readline()
        nurse = nurse_of_ours()
        os.killpg(nurse.pid, signal.SIGKILL)
        codes = [await first.wait()]
        late = await start("echo", "wait")
        return [*codes, await late.wait(), await late.stdout.read(), await fate(late)]

    assert play("forked", part) == [None, None, b"", "nobody can tell how: its nursery died"]


def test_when_the_line_ends_every_child_is_told_to_stop():
    async def part(start):
        child = await start("echo", "wait")
        await child.stdout.readline()
        nurse = nurse_of_ours()
        return nurse.children()

    assert not any(one.is_running() for one in play("forked", part))


def test_a_process_that_cannot_be_forked_is_an_exit_code_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "few.py").write_text(
        "import os, socket\nfrom harness import nursery\n"
        "def fork():\n    raise OSError(11, 'too many')\nos.fork = fork\nnursery.serve(socket.socket(fileno=0))\n"
    )
    monkeypatch.setattr(children, "NURSERY", "few")

    async def part(start):
        with (tmp_path / "said.txt").open("ab") as said:
            child = await start("echo", "none", stderr=said.fileno())
            return await child.wait()

    assert play("forked", part) == 71
    assert (tmp_path / "said.txt").read_text() == "no process can be forked (too many)\n"


def test_a_child_that_ends_before_it_is_waited_for_is_heard_of(monkeypatch):
    """Connecting its pipes takes a turn of the loop; here it takes longer than the child lives."""
    connected = children._writer

    async def slow(descriptor):
        await asyncio.sleep(0.5)
        return await connected(descriptor)

    async def part(start):
        first = await finished(start, "none")  # the nursery is ready now
        monkeypatch.setattr(children, "_writer", slow)
        return [first, await asyncio.wait_for(finished(start, "none"), 20)]

    assert play("forked", part) == [(["none None False"], 0)] * 2
