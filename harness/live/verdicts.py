"""Names of checks as a user gives them, and verdicts as a user reads them. Pure."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from harness.check import REGISTRY, Verdict
from harness.errors import HarnessError

SHOWN_EVIDENCE: Final = 10


def named(name: str) -> list[str]:
    """The checks that a name means: itself, or those of its family. Raises HarnessError."""
    found = [name] if name in REGISTRY else sorted(one.name for one in REGISTRY.values() if one.family == name)
    if not found:
        near = get_close_matches(name, {*REGISTRY, *(one.family for one in REGISTRY.values())}, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `sse-harness list checks`"
        raise HarnessError(f"there is no check or family {name!r}; {hint}")
    return found


def expanded(scenario: str, names: Iterable[str]) -> Mapping[str, str]:
    """The checks that a scenario names, each with that name; a family means all of its checks. Raises HarnessError."""
    found: dict[str, str] = {}
    for name in names:
        try:
            checks = named(name)
        except HarnessError as exc:
            raise HarnessError(f"scenario {scenario}: {exc}") from None
        for check in checks:
            found[check] = name if name == check else found.get(check, name)
    return found


def told(verdict: Verdict) -> str:
    """A verdict for people: outcome, sentence, expected, actual, evidence."""
    known = REGISTRY.get(verdict.check)
    lines = [f"{verdict.outcome.name} {verdict.check} ({', '.join(verdict.requirements)})"]
    lines += [f"  {known.sentence}"] if known else []
    lines += [f"  expected: {verdict.expected}", f"  actual:   {verdict.actual}"]
    lines += [f"  evidence: {one}" for one in verdict.evidence[:SHOWN_EVIDENCE]]
    if len(verdict.evidence) > SHOWN_EVIDENCE:
        lines.append(f"  and {len(verdict.evidence) - SHOWN_EVIDENCE} more in the history")
    return "\n".join(lines)


def why(verdicts: Iterable[Verdict], name: str) -> str:
    """What the verdicts of a check or a family say."""
    reasons = [one.actual for one in verdicts if name in (one.check, one.check.partition(".")[0])]
    return "; ".join(dict.fromkeys(reasons))
