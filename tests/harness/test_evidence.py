import pytest

from harness.check import Outcome, Verdict
from harness.evidence import Signed, amounts
from harness.results import RunResult

SIGNED = Signed(target="t", client="c")


def verdict(subject="both", outcome=Outcome.PASS, **measured):
    return Verdict("a.b", ("QA-1",), "MUST", subject, outcome, "", "", (), measured)


def run(target="t", client="c", **figures):
    return RunResult(
        scenario="steady", target=target, client=client, outcome=Outcome.PASS, history="", figures=figures
    )  # fmt: skip


BOTH, SERVERS, CLIENTS, NEITHER = run(), run(client="locust"), run(target="mock"), run(target="mock", client="x")


@pytest.mark.parametrize(
    ("subject", "concerns", "shown", "half"),
    [
        ("server", (BOTH, SERVERS), (BOTH, SERVERS), ()),
        ("path", (BOTH, SERVERS), (BOTH, SERVERS), ()),
        ("client", (BOTH, CLIENTS), (BOTH, CLIENTS), ()),
        ("both", (BOTH, SERVERS, CLIENTS), (BOTH,), (SERVERS,)),
    ],
)
def test_whose_verdict_it_is(subject, concerns, shown, half):
    for one in (BOTH, SERVERS, CLIENTS, NEITHER):
        assert SIGNED.concerns(one, verdict(subject)) is (one in concerns)
        assert SIGNED.shown(one, verdict(subject)) is (one in shown)
        assert SIGNED.half(one, verdict(subject)) is (one in half)
        assert SIGNED.tells(one, verdict(subject)) is (one in shown)
        assert SIGNED.tells(one, verdict(subject, Outcome.FAIL)) is (one in concerns)
        assert SIGNED.tells(one, verdict(subject, Outcome.UNKNOWN)) is (one in concerns)


def test_each_run_counts_the_most_of_its_verdicts_and_runs_are_summed():
    least = {"deliveries": 1.0, "users": 1.0}
    whole = [(BOTH, verdict(deliveries=5.0, users=3.0)), (BOTH, verdict(deliveries=7.0)), (CLIENTS, verdict(users=9.0))]
    assert amounts(least, whole, []) == {"runs": 2.0, "deliveries": 7.0, "users": 9.0}
    assert amounts(least, [], []) == {"runs": 0.0, "deliveries": 0.0, "users": 0.0}


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_evidence_in_whatever_order(odd):
    for users in ((odd, 3.0), (3.0, odd)):
        assert amounts({"users": 1.0}, [(BOTH, verdict(users=one)) for one in users], [])["users"] == 3.0
        assert amounts({"users": 1.0}, [(run(users=one), verdict()) for one in users], [])["users"] == 3.0
    assert amounts({"minutes": 1.0}, [(run(minutes=odd), verdict()), (BOTH, verdict(minutes=2.0))], [])["minutes"] == 2


def test_what_no_check_measured_is_that_of_the_run_if_it_is_of_the_whole_run():
    whole = [(run(users=4.0, minutes=2.0, deliveries=50.0), verdict())]
    least = dict.fromkeys(("users", "minutes", "deliveries"), 1.0)
    assert amounts(least, whole, []) == {"runs": 1.0, "users": 4.0, "minutes": 2.0, "deliveries": 0.0}


def test_the_servers_half_adds_no_runs_and_no_reconnects():
    least = dict.fromkeys(("users", "minutes", "deliveries", "reconnects"), 1.0)
    measured = dict.fromkeys(least, 2.0)
    found = amounts(least, [(BOTH, verdict(**measured))], [(SERVERS, verdict(**measured))])
    assert found == {"runs": 1.0, "users": 2.0, "minutes": 4.0, "deliveries": 4.0, "reconnects": 2.0}
