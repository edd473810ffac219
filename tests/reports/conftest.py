"""Results as a run would make them, and results in which everything from a peer is hostile."""

import math
from dataclasses import replace

import pytest

from harness.check import Outcome, Verdict
from harness.evidence import Signed
from harness.gate import decide
from harness.policy import load_policy
from harness.requirements import CATALOGUE
from harness.results import Account, Results, RunResult, SelfTest, run_outcome
from harness.signoff import known_checks

NOW = 1_790_000_000.0
HOSTILE = (
    "<script>alert(1)</script>]]>\x00\x1b[31m\x85\u202egnp\ud800\ufffe|a\nb\r\n# c `d` [x](javascript:alert(1)) <b>&\"'"
)


def verdict(check="delivery.nothing_lost", outcome=Outcome.PASS, requirements=("QA-1",), **more):
    fields = {
        "level": "MUST", "subject": "server", "expected": "entitled = delivered + announced",
        "actual": "412 entitled, 412 delivered, 0 announced, 0 lost, 0 unseen", "evidence": (),
        "measured": {"deliveries": 412.0},
    }  # fmt: skip
    return Verdict(check=check, requirements=requirements, outcome=outcome, **{**fields, **more})


def run(scenario="steady", verdicts=None, **more):
    verdicts = (verdict(),) if verdicts is None else verdicts
    outcome, reason = run_outcome(verdicts, ())
    plain = {
        "target": "orders service", "client": "reference", "outcome": outcome, "reason": reason,
        "history": f"{scenario}/history.jsonl", "question": "Does every event arrive, once and in order?",
        "figures": {"deliveries": 412.0, "reconnects": 3.0, "users": 100.0, "minutes": 0.5, "lag": 0.00312},
        "accounts": tuple(
            Account(subscriber=f"u{n}-0", channel=f"user:u{n}", entitled=206, delivered=206) for n in range(2)
        ),
        "series": {
            "deliveries per second": [(float(t), 14 + 6 * math.sin(t / 3)) for t in range(31)],
            "open streams": [(0.0, 0.0), (0.4, 2.0), (9.0, 0.0), (12.1, 2.0), (30.0, 2.0)],
            "fault: refuse": [(9.0, 1.0), (12.0, 0.0)],
        },
        "seed": 7, "started": NOW - 600, "seconds": 30.2,
    }  # fmt: skip
    return RunResult(scenario=scenario, verdicts=verdicts, **{**plain, **more})


def signed(runs, *, own=True, selftest=SelfTest(caught=31, planted=31, false_alarms=0), **more):  # noqa: B008
    signoff = decide(
        load_policy(known=CATALOGUE, checks=known_checks()), 10, runs, now=NOW, selftest=selftest,
        signed=Signed(target="orders service", client="reference", own=own),
    )  # fmt: skip
    plain = {
        "kind": "signoff", "target": "orders service", "client": "reference", "client_policy": "resilient",
        "environment": {"python": "3.11.9", "starlette": "1.10.0", "host": "ci-7", "cpu": "2 cores"},
        "started": NOW - 640, "seconds": 385.2,
    }  # fmt: skip
    return Results(runs=tuple(runs), signoff=signoff, selftest=selftest, **{**plain, **more})


@pytest.fixture
def results():
    """A rehearsal that is held: a pass, a failure, an unknown and a skipped scenario."""
    lost = verdict(
        outcome=Outcome.FAIL, actual="412 entitled, 409 delivered, 3 lost",
        evidence=("u0-0: lost e1 user:u0 #17 at 12.104000", "u0-0: lost e1 user:u0 #18 at 12.205000"),
    )  # fmt: skip
    doubt = verdict("lag.live", Outcome.UNKNOWN, ("PATH-1",), actual="late by 0.02 s, our own lag was 0.03 s")
    idle = verdict("replay.reset", Outcome.SKIP, ("QA-2",), actual="nothing was replayed", expected="")
    return signed(
        [
            run(),
            run("drop_fin", (lost, idle), accounts=(Account(subscriber="u0-0", channel="all", entitled=9, lost=3),)),
            run("silent_stall", (doubt,), series={}),
            run("unmount", (), outcome=Outcome.SKIP, reason="needs mint, which neither target nor client offers"),
        ]
    )


@pytest.fixture
def hostile():
    """Results in which every text is hostile and every figure is odd."""
    bad = verdict(
        HOSTILE, Outcome.FAIL, (HOSTILE,), expected=HOSTILE, actual=HOSTILE * 500, evidence=(HOSTILE,),
        level=HOSTILE, measured={HOSTILE: math.nan},
    )  # fmt: skip
    skip = verdict(HOSTILE, Outcome.SKIP, (), actual=HOSTILE)
    account = Account(subscriber=HOSTILE, channel=HOSTILE, entitled=1, lost=1)
    one = run(
        HOSTILE, (bad, skip), client=HOSTILE, target=HOSTILE, reason=HOSTILE, question=HOSTILE, history=HOSTILE,
        figures={HOSTILE: math.inf}, accounts=(account,),
        series={HOSTILE: [(0.0, 1.0)], "fault: " + HOSTILE: [(0.0, 1.0)]},
    )  # fmt: skip
    made = signed([one], own=False, selftest=SelfTest(caught=0, planted=1, false_alarms=2, missed=(HOSTILE,)))
    return replace(made, target=HOSTILE, client=HOSTILE, client_policy=HOSTILE, environment={HOSTILE: HOSTILE})
