import io

from rich.console import Console

from harness.progress import watching
from harness.run import Job

JOBS = [Job(scenario="steady", out="/x/steady"), Job(scenario="churn", out="/x/[red]churn")]


def shown(*, terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    with watching(2, console) as watch:
        for job in JOBS:
            watch.phase(job, "start")
        watch.phase(JOBS[0], "drain")
        watch.say("a [line]")
        for job in JOBS:
            watch.phase(job, "done")
    return console.file.getvalue()


def test_plain_lines_where_nobody_watches():
    assert shown(terminal=False).splitlines() == [
        "[0/2] steady: start",
        "[0/2] [red]churn: start",
        "a [line]",
        "[1/2] steady: done",
        "[2/2] [red]churn: done",
    ]


def test_a_bar_on_a_terminal():
    text = shown(terminal=True)
    assert "0/2" in text
    assert "a [line]" in text
