from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from reports import junit


@pytest.fixture
def parse(tmp_path):
    return lambda results: ET.fromstring(junit.write(results, tmp_path).read_bytes())  # noqa: S314 - our own file


def cases(root, suite):
    (found,) = [one for one in root if one.get("name") == suite]
    return {case.get("name"): [child.tag for child in case] for case in found}


def test_a_suite_per_scenario_and_a_case_per_check(results, parse):
    root = parse(results)
    assert cases(root, "steady (reference)") == {"delivery.nothing_lost": []}
    assert cases(root, "drop_fin (reference)") == {"delivery.nothing_lost": ["failure"], "replay.reset": ["skipped"]}
    assert cases(root, "silent_stall (reference)") == {"the run": ["error"], "lag.live": ["error"]}
    assert cases(root, "unmount (reference)") == {"the run": ["skipped"]}


def test_a_failure_tells_expected_actual_and_evidence(results, parse):
    failure = next(one for one in parse(results).iter("failure") if "expected" in (one.text or ""))
    assert failure.get("message") == "412 entitled, 409 delivered, 3 lost"
    assert "expected: entitled = delivered + announced" in failure.text
    assert "u0-0: lost e1 user:u0 #17" in failure.text


def test_a_hold_is_an_error_so_that_ci_is_not_green(results, parse):
    gate = cases(parse(results), "rehearsal of stage 10 %")
    assert (gate["decision"], gate["QA-1"], gate["VAL-1"]) == (["failure"], ["failure"], ["error"])


def test_counts_add_up(results, parse):
    root = parse(results)
    for suite in [root, *root]:
        counted = [int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")]
        tags = [len(list(suite.iter(tag))) for tag in ("testcase", "failure", "error", "skipped")]
        assert counted == tags


def test_without_a_gate_and_without_a_clock_or_a_verdict(results, parse):
    run = replace(results.runs[0], started=0.0, verdicts=())
    root = parse(replace(results, signoff=None, kind="run", runs=(run,)))
    assert root.get("name") == "sse-harness run: PASS"
    assert [suite.get("timestamp") for suite in root] == [None]


def test_a_timestamp_is_iso_8601(results, parse):
    assert list(parse(results))[1].get("timestamp") == "2026-09-21T14:03:00"


def test_hostile_text_stays_text(hostile, parse):
    root = parse(hostile)
    assert not list(root.iter("script"))
    message = next(one.get("message") for one in root.iter("failure") if "more characters" in one.get("message"))
    assert message.startswith("<script>alert(1)</script>]]>\\x00\\x1b[31m\\x85\\u202egnp\\ud800\\ufffe|a")
