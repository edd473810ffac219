"""Whose verdict it is, and how much it rests on: what the runs of a sign-off say of what is signed off.

Theory.  One target and one client are signed off, and not every run has both: a scenario that needs the mock judges
the client there, whatever server is signed off, and a load run brings subscribers of its own.  A verdict is about its
subject, so it counts where that subject is the signed one:

    subject         a failure or a doubt counts      a pass counts
    server, path    in runs of the signed target     in the same runs
    client          in runs with the signed client   in the same runs
    both            in runs with either of them      in runs with both of them

`both` is the whole way from publication to dispatch.  Where it is broken either end may be to blame, and the other end
of such a run is the harness's own, which the selftest has shown to be good.  Where it holds, that shows the two that
were on it.  A pass of the signed target with another client shows the server's half: it adds deliveries, users and
minutes to runs that had both, never reconnects, which are the client's doing, and it stands in for no such run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from harness.check import Outcome, Verdict
from harness.results import RunResult

Judged = tuple[RunResult, Verdict]

SERVERS_HALF: Final = ("deliveries", "users", "minutes")
WHOLE_RUN: Final = ("users", "minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What is signed off: the names that its runs carry, whether both are the harness's own, and which build it is."""

    target: str
    client: str
    own: bool = False
    artefact: str = ""

    def concerns(self, run: RunResult, verdict: Verdict) -> bool:
        """Whether a failure or a doubt is one of what is signed off."""
        target, client = run.target == self.target, run.client == self.client
        return {"client": client, "both": target or client}.get(verdict.subject, target)

    def shown(self, run: RunResult, verdict: Verdict) -> bool:
        """Whether a pass is one of what is signed off."""
        target, client = run.target == self.target, run.client == self.client
        return {"client": client, "both": target and client}.get(verdict.subject, target)

    def tells(self, run: RunResult, verdict: Verdict) -> bool:
        """Whether this outcome counts."""
        return self.shown(run, verdict) if verdict.outcome is Outcome.PASS else self.concerns(run, verdict)

    def half(self, run: RunResult, verdict: Verdict) -> bool:
        """Whether a pass shows the server's half of the whole way, and no more."""
        return verdict.subject == "both" and run.target == self.target and run.client != self.client


def amounts(least: Mapping[str, float], whole: Sequence[Judged], half: Sequence[Judged]) -> dict[str, float]:
    """How much there is of each amount that a policy asks for, and of runs.

    Each run counts the most that any of its verdicts rested on, and runs are summed; users are the most in one run.
    """
    found: dict[str, float] = {}
    for name in {"runs": 1.0, **least}:
        judged = [*whole, *half] if name in SERVERS_HALF else whole
        by_run = {id(run): run for run, _ in judged}
        each = [_amount(name, run, [one for owner, one in judged if owner is run]) for run in by_run.values()]
        found[name] = most(each) if name == "users" else sum(each, 0.0)
    return found


def _amount(name: str, run: RunResult, verdicts: Sequence[Verdict]) -> float:
    if name == "runs":
        return 1.0
    measured = [verdict.measured[name] for verdict in verdicts if name in verdict.measured]
    return most(measured or ([run.figures.get(name, 0.0)] if name in WHOLE_RUN else ()))


def most(figures: Iterable[float]) -> float:
    """The largest of these figures, 0 where there is none: what is no finite number is no evidence."""
    return max(filter(isfinite, figures), default=0.0)
