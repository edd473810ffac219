import pytest

from harness import checks
from harness.check import Outcome, Verdict
from harness.errors import HarnessError
from harness.live.verdicts import SHOWN_EVIDENCE, expanded, named, told, why

checks.load()


def verdict(check, outcome=Outcome.FAIL, evidence=("a", "b")):
    return Verdict(check, ("QA-1",), "MUST", "both", outcome, "all", "some", tuple(evidence), {})


def test_a_name_is_a_check_or_a_family():
    assert named("delivery.in_order") == ["delivery.in_order"]
    assert "delivery.in_order" in named("delivery")
    with pytest.raises(HarnessError, match="there is no check or family 'zzz'; see `sse-harness list checks`"):
        named("zzz")


def test_a_scenario_names_checks_and_families_and_each_check_counts_once():
    found = expanded("mine", ["response", "response.prompt", "delivery.in_order"])
    assert found["response.stream_head"] == "response"
    assert (found["response.prompt"], found["delivery.in_order"]) == ("response.prompt", "delivery.in_order")
    with pytest.raises(HarnessError, match=r"^scenario mine: there is no .+ 'delivry'; did you mean 'delivery'\?"):
        expanded("mine", ["delivry"])


def test_a_verdict_for_people():
    assert told(verdict("delivery.in_order")).splitlines() == [
        "FAIL delivery.in_order (QA-1)",
        "  The events of a channel are dispatched in the order in which they were published.",
        "  expected: all",
        "  actual:   some",
        "  evidence: a",
        "  evidence: b",
    ]
    assert told(verdict("x.y", evidence=map(str, range(SHOWN_EVIDENCE + 2)))).endswith("\n  and 2 more in the history")


def test_why_something_was_not_judged():
    assert why([verdict("a.b"), verdict("a.c"), verdict("d.e")], "a") == "some"
    assert why([verdict("a.b")], "a.b") == "some"
