"""The gate's decision on a stage: GO, HOLD or NO-GO.

A gate never takes a maximum over requirements: each required one has to be PASS by itself, on enough evidence that
is young enough.  What blocks:

    NO-GO   a required requirement FAILs in any run; a check of level MUST FAILs, unless all of its requirements are
            out of scope at this stage (then it is a warning, printed and not blocking)
    HOLD    a required requirement is UNKNOWN, not judged, not by each check that the policy names, below its least
            evidence or too old; a scenario of the stage was not run, was skipped or could not judge what it is for;
            too few users or seeds; a load run lighter than the stage asks for; the margin of lost events is not
            reached; the selftest is missing or not n/n with 0 false alarms; the previous stage is not GO under this
            policy; the environment failed in a run, or what the harness brought into it (the mock, a load's client)

What counts is what `harness.evidence` says is about the target and the client that are signed off.  A failure of the
other one of a run, which is the harness's own, is our trouble: HOLD.  The evidence of a requirement: each run counts
the most that any of its checks of that requirement rested on, runs are summed, users are the most in one run.  Users
and minutes that no check measured are those of the whole run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Final

from harness.check import Outcome, Verdict
from harness.evidence import Judged, Signed, amounts, most
from harness.policy import Need, Policy, Stage
from harness.results import Criterion, Decision, RunResult, SelfTest, SignOff, gaps
from harness.scenario import name_of
from harness.stats import upper_rate

DAY: Final = 86_400.0
SKEW: Final = 60.0  # seconds by which a clock may have been set back since


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """An earlier sign-off: its stage, decision, whether it was a rehearsal, wall-clock time, artefact and policy."""

    stage: int
    outcome: Decision
    rehearsal: bool
    at: float
    artefact: str = ""
    policy: str


def decide(
    policy: Policy,
    percent: int,
    runs: Sequence[RunResult],
    *,
    now: float,
    selftest: SelfTest | None,
    signed: Signed,
    previous: Previous | None = None,
) -> SignOff:
    """The decision on a stage; `now` is wall clock."""
    stage = policy.stage(percent)
    criteria = tuple(_criterion(stage, one, need, signed, runs, now) for one, need in stage.required.items())
    fails, distrusted, warnings = _other_failures(stage, signed, runs)
    of_target = [run for run in runs if run.target == signed.target]
    claim, short = _claim(stage, [run for run in of_target if _fresh(stage, run, now)])
    holds = [
        *distrusted,
        *short,
        *_unfit(stage, runs),
        *_few_users(stage, of_target),
        *_light(stage, of_target),
        *_untested(selftest),
        *_unprepared(stage, policy.label, previous, signed, now),
    ]
    blocked = [*_reasoned(criteria, Decision.NO_GO), *fails]
    held = [*_reasoned(criteria, Decision.HOLD), *holds]
    return SignOff(
        stage=percent,
        outcome=Decision.NO_GO if blocked else Decision.HOLD if held else Decision.GO,
        rehearsal=signed.own,
        reasons=tuple(dict.fromkeys([*blocked, *held])),
        warnings=tuple(warnings),
        criteria=criteria,
        out_of_scope=(*stage.out_of_scope.items(), *_uncovered(stage)),
        claim=claim,
        policy=policy.label,
    )


def _uncovered(stage: Stage) -> Iterator[tuple[str, str]]:
    for requirement, need in stage.required.items():
        if need.uncovered:
            yield f"{requirement} (in part)", need.uncovered


def _reasoned(criteria: Iterable[Criterion], decision: Decision) -> list[str]:
    """Reasons, one line for all requirements that share it."""
    shared: dict[str, list[str]] = {}
    for one in criteria:
        if one.decision is decision:
            shared.setdefault(one.reason, []).append(one.requirement)
    return [f"{', '.join(ids)}: {reason}" for reason, ids in shared.items()]


def _criterion(
    stage: Stage, requirement: str, need: Need, signed: Signed, runs: Iterable[RunResult], now: float
) -> Criterion:
    judged = [(run, verdict) for run in runs for verdict in run.verdicts if _judges(verdict, requirement)]
    telling = [one for one in judged if signed.tells(*one)]
    outcome = max((verdict.outcome for _, verdict in telling), default=Outcome.SKIP)
    fresh = [(run, verdict) for run, verdict in judged if _fresh(stage, run, now)]
    shown = [one for one in fresh if signed.shown(*one)]
    half = [one for one in fresh if signed.half(*one)]
    evidence = amounts(need.least, shown, half)
    decision, reason = _decided(outcome, telling or judged, _short(need, shown, evidence))
    if reason and decision is Decision.HOLD and outcome is Outcome.PASS and len(fresh) < len(judged):
        reason += f" in the last {stage.max_age_days:g} days"
    return Criterion(
        requirement=requirement,
        outcome=outcome,
        decision=decision,
        reason=reason,
        evidence=evidence,
        least=need.least,
        scenarios=tuple(dict.fromkeys(run.scenario for run, _ in (*telling, *half))),
        uncovered=need.uncovered,
    )


def _fresh(stage: Stage, run: RunResult, now: float) -> bool:
    return _within(now - run.started, stage.max_age_days)


def _within(age: float, days: float) -> bool:
    """Whether an age in seconds is one of so many days: neither more nor of the future, nor no number."""
    return -SKEW <= age <= days * DAY


def _judges(verdict: Verdict, requirement: str) -> bool:
    return requirement in verdict.requirements and verdict.outcome is not Outcome.SKIP


def _decided(
    outcome: Outcome,
    judged: Sequence[Judged],
    short: Sequence[str],
) -> tuple[Decision, str]:
    match outcome:
        case Outcome.SKIP:
            return Decision.HOLD, "not judged by any run" + (" of what is signed off" if judged else "")
        case Outcome.FAIL | Outcome.UNKNOWN:
            worst = next(_told(run, verdict) for run, verdict in judged if verdict.outcome is outcome)
            return Decision.NO_GO if outcome is Outcome.FAIL else Decision.HOLD, worst
        case _:
            return (Decision.HOLD, f"too little evidence: {', '.join(short)}") if short else (Decision.GO, "")


def _short(need: Need, shown: Iterable[Judged], evidence: Mapping[str, float]) -> list[str]:
    """What is missing of the evidence that the policy demands."""
    judging = {verdict.check for _, verdict in shown}
    few = [
        f"{evidence[name]:g} of at least {least:g} {name}"
        for name, least in {"runs": 1.0, **need.least}.items()
        if evidence[name] < least
    ]
    return [*few, *(f"{check} judged nothing" for check in need.checks if check not in judging)]


def _says_nothing(run: RunResult) -> bool:
    """Whether all that the run could judge is unknown, as when the environment failed."""
    return run.outcome is Outcome.UNKNOWN and all(
        one.outcome in (Outcome.SKIP, Outcome.UNKNOWN) for one in run.verdicts
    )


def _told(run: RunResult, verdict: Verdict) -> str:
    if _says_nothing(run):
        return f"UNKNOWN in {run.scenario}: {shorten(run.reason, 240)}"
    return f"{verdict.outcome.name} in {run.scenario} ({verdict.check}): {shorten(verdict.actual, 240)}"


def _other_failures(stage: Stage, signed: Signed, runs: Iterable[RunResult]) -> tuple[list[str], list[str], list[str]]:
    """Failures of what no criterion lists: those that block, those of the harness's own, and those that only warn."""
    blocking, distrusted, warnings = [], [], []
    for run in runs:
        if run.outcome is Outcome.SKIP and run.scenario not in map(name_of, stage.scenarios):
            warnings.append(f"{run.scenario} was skipped: {run.reason}")
        for verdict in run.verdicts:
            ids, ours = set(verdict.requirements), not signed.concerns(run, verdict)
            if verdict.outcome is not Outcome.FAIL or (ids & stage.required.keys() and not ours):
                continue
            told = f"{', '.join(verdict.requirements) or verdict.check}: {_told(run, verdict)}"
            if ids and ids <= stage.out_of_scope.keys():
                warnings.append(f"{told} (out of scope at this stage)")
            elif verdict.level != "MUST":
                warnings.append(f"{told} (level {verdict.level})")
            elif ours:
                whose = run.client if verdict.subject == "client" else run.target
                distrusted.append(f"{told}; {whose} is the harness's own, so this run cannot be trusted")
            else:
                blocking.append(told)
    return blocking, distrusted, warnings


def _unfit(stage: Stage, runs: Sequence[RunResult]) -> Iterator[str]:
    """What the runs themselves lack."""
    if not stage.required:
        yield "the stage requires nothing, so nothing was shown"
    ran = {run.scenario for run in runs}
    listed = [name_of(name) for name in stage.scenarios]
    wanted = [*listed, *([] if stage.load is None else [f"load_{name_of(stage.load.name)}"])]
    if absent := [name for name in wanted if name not in ran]:
        yield f"not run: {', '.join(absent)}"
    skipped = {run.scenario: run.reason for run in runs if run.outcome is Outcome.SKIP and run.scenario in wanted}
    for name, reason in skipped.items():
        yield f"{name} was skipped: {reason}; offer it, or sign off with a policy that does not list {name}"
    for run in runs:
        if run.outcome is not Outcome.SKIP and (missing := gaps(run.verdicts, run.named)):
            yield f"{run.scenario} could not judge what it is for: {', '.join(missing)}"
        elif _says_nothing(run):
            yield f"{run.scenario} says nothing: {run.reason or 'nothing was judged'}"
    done = [run for run in runs if run.outcome is not Outcome.SKIP]
    few = [name for name in listed if 0 < len({r.seed for r in done if r.scenario == name}) < stage.seeds]
    if few:
        yield f"fewer than {stage.seeds} seeds of {', '.join(few)}"


def _few_users(stage: Stage, runs: Iterable[RunResult]) -> Iterator[str]:
    users = most(run.figures.get("users", 0.0) for run in runs if run.outcome is not Outcome.SKIP)
    if users < stage.users:
        yield f"no run with {stage.users} users (at most {users:g})"


def _light(stage: Stage, runs: Iterable[RunResult]) -> Iterator[str]:
    """A load run with fewer subscribers than the stage's load has users, or a shorter one.

    A subscriber is one that got a stream, however often; the time is that of the whole run, start and drain with it.
    """
    asked = stage.load
    for run in runs:
        if asked is None or run.scenario != f"load_{name_of(asked.name)}" or _says_nothing(run):
            continue
        subscribers = run.figures.get("streams", 0.0) - run.figures.get("reconnects", 0.0)
        if not (subscribers >= asked.users and run.seconds >= asked.seconds):
            yield (
                f"{run.scenario} had {subscribers:g} of {asked.users} subscribers and lasted {run.seconds:.0f} s of "
                f"{asked.seconds} s: the target, its tokens or this machine could not carry it"
            )


def _untested(selftest: SelfTest | None) -> Iterator[str]:
    if selftest is None:
        yield "no selftest of this code: run `sse-harness selftest`"
    elif not selftest.sound:
        yield (
            f"the selftest caught {selftest.caught}/{selftest.planted} defects with {selftest.false_alarms} "
            "false alarms: checks cannot be trusted"
        )


def _unprepared(
    stage: Stage, policy: str, previous: Previous | None, signed: Signed, now: float
) -> Iterator[str]:  # fmt: skip
    if stage.previous_stage is None:
        return
    wanted = f"a GO of stage {stage.previous_stage} in the last {stage.previous_within_days:g} days"
    if previous is None or previous.stage != stage.previous_stage or previous.outcome is not Decision.GO:
        yield (
            f"there is no {wanted.removeprefix('a ')}: sign off stage {stage.previous_stage} first, "
            "and give its folder with --previous"
        )
    elif previous.artefact != signed.artefact:
        yield f"the GO of stage {previous.stage} is of another artefact: this stage needs {wanted} of this one"
    elif previous.policy != policy:
        yield f"the GO of stage {previous.stage} is under policy {previous.policy}: this stage needs one under {policy}"
    elif not _within(now - previous.at, stage.previous_within_days):
        when = "too old" if previous.at < now else "of no time that has been"
        yield f"the GO of stage {previous.stage} is {when}: this stage needs {wanted}"
    elif previous.rehearsal and not signed.own:
        yield f"the GO of stage {previous.stage} was a rehearsal: this stage needs a real one"


def _claim(stage: Stage, runs: Iterable[RunResult]) -> tuple[str, list[str]]:
    """The sentence on lost events, and the reason to hold where the margin is not reached."""
    judged = [run for run in runs if run.outcome in (Outcome.PASS, Outcome.FAIL)]
    lost = sum(account.lost for run in judged for account in run.accounts)
    total = lost + sum(account.delivered for run in judged for account in run.accounts)
    if not total:
        return "", [] if stage.loss_rate is None else ["no judged delivery: nothing can be said about lost events"]
    rate = upper_rate(lost, total, confidence=stage.confidence)
    how = f"at most {rate:.2g} at {stage.confidence * 100:g} % confidence, deliveries taken as independent"
    claim = f"{lost or 'None'} of {total:,} judged deliveries lost: the rate of lost events is {how}."
    if stage.loss_rate is None or rate <= stage.loss_rate:
        return claim, []
    return claim, [f"lost events: {rate:.2g} cannot be excluded, the policy's margin is {stage.loss_rate:g}"]
