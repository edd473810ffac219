"""junit.xml: a test suite per scenario and a test case per check, for CI."""

from pathlib import Path
from xml.etree import ElementTree as ET

from harness.check import Outcome, Verdict
from harness.plaintext import plain
from harness.results import Decision, Results, RunResult, SignOff
from reports._view import evidence, moment


def write(results: Results, out: Path) -> Path:
    """Write junit.xml: FAIL and NO-GO are failures, UNKNOWN and HOLD errors, SKIP is skipped with its reason."""
    root = ET.Element("testsuites", name=plain(f"sse-harness {results.kind}: {results.headline}"))
    if results.signoff:
        _gate(root, results.signoff)
    for run in results.runs:
        _run(root, run)
    for suite in [root, *root]:
        _count(suite)
    path = out / "junit.xml"
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def _gate(root: ET.Element, signoff: SignOff) -> None:
    kind = "rehearsal" if signoff.rehearsal else "sign-off"
    suite = ET.SubElement(root, "testsuite", name=f"{kind} of stage {signoff.stage} %")
    _result(_case(suite, "gate", "decision"), _as_outcome(signoff.outcome), "; ".join(signoff.reasons), "")
    for one in signoff.criteria:
        _result(_case(suite, "gate", one.requirement), _as_outcome(one.decision), one.reason, evidence(one))


def _as_outcome(decision: Decision) -> Outcome:
    return {Decision.GO: Outcome.PASS, Decision.HOLD: Outcome.UNKNOWN, Decision.NO_GO: Outcome.FAIL}[decision]


def _run(root: ET.Element, run: RunResult) -> None:
    suite = ET.SubElement(root, "testsuite", name=plain(f"{run.scenario} ({run.client})"), time=f"{run.seconds:.3f}")
    if run.started > 0:
        suite.set("timestamp", moment(run.started).removesuffix(" UTC").replace(" ", "T") + ":00")
    name = plain(f"{run.client}.{run.scenario}")
    if run.reason or not run.verdicts:
        _result(_case(suite, name, "the run"), run.outcome, run.reason or "nothing was judged", "")
    for verdict in run.verdicts:
        _result(_case(suite, name, verdict.check), verdict.outcome, verdict.actual, _details(verdict))


def _case(suite: ET.Element, classname: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=plain(classname), name=plain(name))


def _result(case: ET.Element, outcome: Outcome, message: str, details: str) -> None:
    match outcome:
        case Outcome.PASS:
            return
        case Outcome.FAIL:
            ET.SubElement(case, "failure", message=plain(message), type="FAIL").text = plain(details, 10_000)
        case Outcome.UNKNOWN:
            ET.SubElement(case, "error", message=plain(message), type="UNKNOWN").text = plain(details, 10_000)
        case _:
            ET.SubElement(case, "skipped", message=plain(message))


def _details(verdict: Verdict) -> str:
    lines = (f"{', '.join(verdict.requirements)} ({verdict.level})", f"expected: {verdict.expected}")
    return "\n".join((*lines, f"actual: {verdict.actual}", *verdict.evidence))


def _count(suite: ET.Element) -> None:
    suite.set("tests", str(len(list(suite.iter("testcase")))))
    for plural, one in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(len(list(suite.iter(one)))))
