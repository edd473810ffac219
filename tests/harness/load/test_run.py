"""A load run with a publisher and stations that are small and real; the table that it prints."""

import pytest


@pytest.mark.slow
def test_the_table_has_the_worst_first(patched):
    told = patched("""
    from harness.load.run import table
    verdicts = [{"check": name, "outcome": outcome, "actual": f"{name}!"}
                for name, outcome in (("a", "PASS"), ("b", "SKIP"), ("c", "FAIL"), ("d", "UNKNOWN"))]
    run = {"outcome": "FAIL", "scenario": "load_x", "target": "mock", "reason": "why", "verdicts": verdicts}
    print("\\n".join(table({"outcome": "FAIL", "runs": [run]})))
    """)
    words = [line.split() for line in told.splitlines()]
    assert words == [
        ["FAIL"], ["FAIL", "load_x", "on", "mock:", "why"], ["FAIL", "c", "c!"], ["UNKNOWN", "d", "d!"],
        ["PASS", "a", "a!"],
    ]  # fmt: skip


RUN = """
import os, time
from pathlib import Path
import gevent
from harness import history
from harness.errors import HarnessError
from harness.load import run as load_run
from harness.load.plan import plan_of

import scenarios
file = Path(scenarios.__path__[0]) / "load" / "steady.py"
plan = plan_of(file, ("delivery",), rate=20.0, seed=1, settings="", out="out", environ={}, folder=Path("."))
asked, said = [], []

def start(ask):
    return load_run.start(plan, users=2, processes=1, number=1, ask=ask, say=said.append)

def records(kind):
    return [one for one in history.load(Path("out/load_steady/history.jsonl")) if one.kind == kind]
"""


@pytest.mark.slow
def test_phases_follow_each_other_whatever_fails_and_trouble_is_unknown(patched):
    patched(
        RUN
        + """
def ask(what, data, seconds):
    asked.append(what)
    if what == "drain":
        raise OverflowError("a figure is too large for Bearer abcdef.ghijkl")
    alive = {"alive": [["w0-0", "u0"]], "missing": [], "buckets": [[5, 2]], "highest": 0.5}
    return {"local": alive}, ["w9"]

one = start(ask)
one.publish()
waiting = gevent.spawn(one.finish), gevent.spawn(one.finish)
gevent.joinall(waiting)
assert [greenlet.value for greenlet in waiting] == [3, 3], said
assert asked == ["census", "drain", "close"], asked
assert [step["state"] for step in records("step")] == ["begin", "end"]
assert records("step")[1]["deliveries"] == 2
reasons = [one["reason"] for one in records("trouble")]
assert "ghijkl" not in str(reasons + said), reasons
assert any(one.startswith("drain: a figure is too large") for one in reasons), reasons
assert "worker w9 did not say who is subscribed" in reasons, reasons
assert one.publisher.process.returncode == 0
assert not one.parts.exists()
assert any("load_steady" in line for line in said), said
"""
    )


@pytest.mark.slow
def test_a_run_that_cannot_start_leaves_no_process(patched):
    patched(
        RUN
        + """
import dataclasses, psutil
plan = dataclasses.replace(plan, settings={"heartbeat": -1})
try:
    start(None)
except HarnessError as exc:
    assert "heartbeat" in str(exc) or "did not start" in str(exc), exc
else:
    raise AssertionError("it started")
assert not psutil.Process().children(recursive=True)
"""
    )
