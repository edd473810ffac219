"""Checks, findings and verdicts; the order of outcomes; what a broken check and a broken environment mean."""

import sys

import pytest

from harness.check import Check, Finding, Outcome, failed, judge, passed, skipped, unknown, weighed, worst
from harness.errors import HarnessError
from harness.history import History, Record

module = sys.modules["harness.check"]  # the package exports the function of the same name


def one(function, name="family.rule"):
    return Check(name, ("QA-1",), "MUST", "server", "a sentence", function)


def judged(function, *records):
    [verdict] = judge(History(tuple(Record(0.0, kind, data) for kind, data in records)), [one(function)])
    return verdict


@pytest.mark.parametrize(
    "found, outcome",
    [
        (passed("a", "b", ["c"], n=1), Outcome.PASS),
        (failed("a", "b"), Outcome.FAIL),
        (unknown("a", "b"), Outcome.UNKNOWN),
        (skipped("not exercised"), Outcome.SKIP),
    ],
)
def test_a_finding_becomes_a_verdict(found, outcome):
    verdict = judged(lambda _: found)
    assert (verdict.outcome, verdict.check, verdict.requirements) == (outcome, "family.rule", ("QA-1",))


def test_a_check_that_raises_knows_nothing():
    verdict = judged(lambda _: 1 / 0)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "ZeroDivisionError" in verdict.actual


@pytest.mark.parametrize(
    "found, outcome",
    [(passed("a", "b"), Outcome.UNKNOWN), (failed("a", "b"), Outcome.UNKNOWN), (skipped("no"), Outcome.SKIP)],
)
def test_in_a_broken_environment_nothing_is_a_pass_or_a_failure(found, outcome):
    verdict = judged(lambda _: found, ("trouble", {"reason": "the proxy died"}))
    assert verdict.outcome is outcome


def test_the_worst_outcome_is_the_highest_and_nothing_judged_is_unknown():
    assert worst([Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN]) is Outcome.FAIL
    assert worst([Outcome.SKIP, Outcome.PASS]) is Outcome.PASS
    assert worst([Outcome.SKIP]) is worst([]) is Outcome.UNKNOWN


def test_verdicts_come_in_the_order_of_names_with_at_most_twenty_pieces_of_evidence():
    many = [one(lambda _: failed("a", "b", map(str, range(50))), name) for name in ("b.x", "a.x")]
    verdicts = judge(History(()), many)
    assert [verdict.check for verdict in verdicts] == ["a.x", "b.x"]
    assert len(verdicts[0].evidence) == 20
    assert many[0].family == "b"


def test_registering(monkeypatch):
    registry = {}
    monkeypatch.setattr(module, "REGISTRY", registry)

    @module.check("family.rule", "QA-1", subject="server", level="SHOULD")
    def rule(history):
        """One
        sentence.

        And more.
        """
        return skipped("no")

    assert registry["family.rule"].sentence == "One sentence."
    assert [verdict.level for verdict in judge(History(()))] == ["SHOULD"]
    with pytest.raises(HarnessError, match=r"family\.mute needs a docstring"):
        module.check("family.mute")(lambda history: skipped("no"))
    rule.__module__ = "elsewhere"
    with pytest.raises(HarnessError, match="a name of its own"):
        module.check("family.rule")(_other)


def _other(history):
    """Another function of the same name."""
    return skipped("no")


def test_two_checks_of_one_name_in_one_file_are_refused(monkeypatch):
    monkeypatch.setattr(module, "REGISTRY", {})
    module.check("family.rule")(_other)
    module.check("family.rule")(_other)  # a file that is loaded once more

    def another(history):
        """The same name."""
        return skipped("no")

    with pytest.raises(HarnessError, match="a name of its own"):
        module.check("family.rule")(another)


@pytest.mark.parametrize(
    ("said", "how", "sentence"),
    [
        ((3,), {}, "no name of the form"),
        (("rule",), {}, "no name of the form"),
        (("family.rule", "QA-111"), {}, "'QA-111', which no catalogue knows"),
        (("family.rule",), {"level": "must"}, "'must'; use one of MUST"),
        (("family.rule",), {"subject": "servr"}, "'servr'; use one of server"),
    ],
)
def test_what_a_check_says_of_itself_is_known(said, how, sentence):
    with pytest.raises(HarnessError, match=sentence):
        module.check(*said, **how)


@pytest.mark.parametrize(
    "found",
    [
        None,
        "PASS",
        True,
        Finding("PASS", "a", "b"),
        Finding(True, "a", "b"),
        Finding(Outcome.PASS, "a", None),
        Finding(Outcome.PASS, "a", "b", (1,)),
        Finding(Outcome.PASS, "a", "b", measured=None),
        passed("a", "b", deliveries=float("nan")),
        passed("a", "b", deliveries="many"),
    ],
    ids=repr,
)
def test_what_is_no_finding_that_can_be_used_is_unknown(found):
    assert judged(lambda _: found).outcome is Outcome.UNKNOWN


def test_a_check_does_not_end_the_command():
    verdict = judged(lambda _: sys.exit(0))
    assert (verdict.outcome, "SystemExit" in verdict.actual) == (Outcome.UNKNOWN, True)


def test_the_worst_of_several_outcomes_is_one_finding_with_the_texts_of_those_that_had_it():
    texts = [(Outcome.PASS, "a"), (Outcome.FAIL, "b"), (Outcome.UNKNOWN, "c"), (Outcome.FAIL, "d")]

    def found(rows):
        return weighed(rows, "what", fails="{n} bad", passes="fine {n}", samples=4)

    assert found(texts) == failed("what", "2 bad", ("b", "d"), samples=4)
    assert found([texts[0], texts[2]]) == unknown("what", "late by no more than our own lag", ("c",), samples=4)
    assert found(texts[:1]) == passed("what", "fine 1", samples=4)
    assert found([]) == passed("what", "fine 0", samples=4)
