"""A sign-off from what the user asks for to its results: scenarios of the stage, selftest, runs, decision.

Whatever of it the user interrupts, the results carry what is known, and the decision is HOLD.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from harness import batch, checks, gate, locate, requirements
from harness.artefact import artefact_of
from harness.batch import Batch
from harness.check import REGISTRY, Outcome
from harness.config import MOCK, Config
from harness.errors import HarnessError
from harness.evidence import Signed
from harness.gate import Previous
from harness.judgement import judged
from harness.load import launch
from harness.policy import DEFAULT, Load, Policy, load_policy
from harness.progress import watching
from harness.results import JSON_SCHEMA, Decision, Results, RunResult, SelfTest, SignOff, exit_code
from harness.run import Job, Plan, versions
from harness.scenario import name_of

INTERRUPTED: Final = "the sign-off was interrupted: what follows is what was known by then"
FAR: Final = 1e12  # seconds: no wall clock shows as much
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A sign-off that can begin: everything that it names has been found and loaded.

    target: the file of the signed target, which some of the jobs may not have; None is the mock.
    """

    policy: Policy
    stage: int
    jobs: tuple[Job, ...]
    signed: Signed
    target: str | None
    client_policy: str
    out: Path
    at_once: int
    previous: Previous | None = None


def ordered(config: Config, *, stage: int, policy: Path | None, seed: int, previous: Path | None = None) -> Order:
    """The order for a stage. Raises HarnessError for whatever the user has to mend first; the folder is made last."""
    rules = load_policy(DEFAULT if policy is None else policy, known=requirements.CATALOGUE, checks=known_checks())
    needs = rules.stage(stage)
    names = needs.scenarios or tuple(sorted(locate.names("scenarios", config.paths("scenarios"))))
    seeds = range(seed, seed + needs.seeds)
    plans = batch.resolved(batch.jobs_of(names, config, out=Path(), seeds=seeds))
    signed = signed_of(plans)
    if needs.load is not None:
        launch.demand(needs.load.name)
    before = None if previous is None else previous_of(previous)
    batch.try_network()
    folder = batch.new_folder(config, now=time.time())
    jobs = batch.probing(batch.jobs_of(names, config, out=folder, seeds=seeds))
    return Order(
        policy=rules, stage=stage, jobs=jobs, signed=signed, target=config.target,
        client_policy=batch.policy_of(plans), out=folder,
        # Runs against one server would see each other's events.
        at_once=config.jobs if all(job.target is None for job in jobs) else 1,
        previous=before,
    )  # fmt: skip


def previous_of(run: Path) -> Previous:
    """The sign-off in the folder of an earlier run (or its verdicts.json). Raises HarnessError."""
    try:
        path = run / "verdicts.json" if run.is_dir() else run
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise HarnessError(f"{run} holds no sign-off; give --previous the folder of one") from exc
    if not _is_signed(told):
        raise HarnessError(f"{run} holds no sign-off; give --previous the folder of one")
    signed = told["signoff"]
    return Previous(
        stage=int(signed["stage"]), outcome=Decision(signed["outcome"]), rehearsal=signed["rehearsal"],
        at=float(told["started"]), artefact=told["environment"]["artefact"],
        policy=signed["policy"],
    )  # fmt: skip


def _is_signed(told: Any) -> bool:
    """Whether this is what a sign-off writes, and says the same everywhere."""
    from jsonschema import Draft202012Validator  # 60 ms that only a later stage pays

    if not Draft202012Validator(JSON_SCHEMA).is_valid(told) or told["kind"] != "signoff":
        return False
    signed, started, environment = told["signoff"], told.get("started"), told.get("environment")
    return (
        told["outcome"] == signed["outcome"]
        and told["exit"] == exit_code(Decision(signed["outcome"]))
        and told["rehearsal"] == signed["rehearsal"]
        and type(started) in (int, float)
        and 0 < started < FAR
        and isinstance(environment, dict)
        and isinstance(environment.get("artefact"), str)
        and (signed["outcome"] != Decision.GO or _is_go(told))
    )


def _is_go(told: Mapping[str, Any]) -> bool:
    """Whether a GO rests on all that a GO has to rest on, and nothing in the file speaks against it."""
    signed, runs, tested = told["signoff"], told["runs"], told.get("selftest", {})
    return (
        bool(runs and signed["criteria"] and tested)
        and not signed["reasons"]
        and all((one["outcome"], one["decision"]) == ("PASS", "GO") for one in signed["criteria"])
        and SelfTest(**{name: tested[name] for name in ("caught", "planted", "false_alarms", "missed")}).sound
        and all(_only_warns(run, signed["warnings"]) for run in runs)
    )


def _only_warns(run: Mapping[str, Any], warnings: Sequence[str]) -> bool:
    """Whether a run has no failure, or none without its warning."""
    failed = [f"FAIL in {run['scenario']} ({one['check']})" for one in run["verdicts"] if one["outcome"] == "FAIL"]
    return bool(failed) == (run["outcome"] == "FAIL") and all(any(one in told for told in warnings) for one in failed)


def signed_of(plans: Sequence[Plan]) -> Signed:
    """What these plans sign off. Raises HarnessError where a run could not tell it from what the harness brings."""
    first = plans[0]
    if first.target is not None and first.target_name == MOCK:
        raise HarnessError(
            f"{first.job.target} calls its target {MOCK!r}, as the built-in one is; give it another name"
        )
    if first.client_name == launch.CLIENT:
        raise HarnessError(f"client {first.job.client!r} is called as the one of load runs is; give it another name")
    return Signed(
        target=first.target_name, client=first.client_name, own=batch.is_own(first), artefact=artefact_of(first)
    )  # fmt: skip


def known_checks() -> Mapping[str, Collection[str]]:
    """Every check that is loaded, ours in any case, with the requirements that it judges."""
    checks.load()
    return {name: one.requirements for name, one in REGISTRY.items()}


def signed_off(order: Order) -> Results:
    """Run the order to its decision. Ctrl-C ends it early, with HOLD."""
    started, clock = time.time(), time.monotonic()
    tested, interrupted = selftested(order.jobs)
    recorded = Batch((), True) if interrupted else _recorded(order)
    load = order.policy.stage(order.stage).load
    if load is not None and not recorded.interrupted:
        recorded = _with_load(order, load, recorded)
    decision = gate.decide(
        order.policy, order.stage, recorded.runs, now=time.time(), selftest=tested, signed=order.signed,
        previous=order.previous,
    )  # fmt: skip
    return Results(
        kind="signoff", target=order.signed.target, client=order.signed.client, runs=recorded.runs,
        signoff=held(decision) if recorded.interrupted else decision, client_policy=order.client_policy,
        selftest=tested, environment={**environment(), "artefact": order.signed.artefact}, started=started,
        seconds=time.monotonic() - clock,
    )  # fmt: skip


def _with_load(order: Order, load: Load, recorded: Batch) -> Batch:
    """The batch with the stage's load run behind it: that one wants the machine for itself."""
    with watching(0) as watch:
        watch.say(f"load {load.name}: {load.users} users for {load.seconds} s")
        try:
            return Batch((*recorded.runs, _loaded(order, load)))
        except KeyboardInterrupt:
            return Batch(recorded.runs, True)


def _loaded(order: Order, load: Load) -> RunResult:
    """The result of the load run; UNKNOWN with the reason where it left no history that can be judged."""
    amount = launch.Load(
        users=load.users, spawn_rate=max(20.0, load.users / 10), seconds=load.seconds, rate=load.rate
    )  # fmt: skip
    seed = order.jobs[0].seed
    try:
        path = launch.launch(load.name, amount, out=order.out / "load", target=order.target or MOCK, seed=seed)
        return replace(judged(path), history=str(path.relative_to(order.out)))
    except HarnessError as exc:
        return RunResult(
            scenario=f"load_{name_of(load.name)}", target=order.signed.target, client=launch.CLIENT,
            outcome=Outcome.UNKNOWN, history="", seed=seed, reason=str(exc),
        )  # fmt: skip


def _recorded(order: Order) -> Batch:
    with watching(len(order.jobs)) as watch:
        return batch.batch(order.jobs, at_once=order.at_once, on_phase=watch.phase, out=order.out)


def held(decision: SignOff) -> SignOff:
    """The decision on a sign-off that did not come to its end."""
    return replace(decision, outcome=Decision.HOLD, reasons=(INTERRUPTED, *decision.reasons))


def selftested(jobs: Sequence[Job]) -> tuple[SelfTest | None, bool]:
    """The selftest of exactly this code, stored or run now (quick), and whether the user interrupted it."""
    from harness import selftest

    if (known := selftest.stored()) is not None:
        return known, False
    try:
        with watching(0) as watch:
            watch.say("no selftest is stored for this code and these versions: running the quick one first")
            return selftest.run_selftest("quick", say=watch.say).summary, False
    except KeyboardInterrupt:
        return None, True


def target_of(plans: Sequence[Plan]) -> str:
    """The name of the target that all plans share."""
    return next((plan.target.name for plan in plans if plan.target is not None), "mock")


def environment() -> Mapping[str, str]:
    """Versions, machine and the digest of this code, as a report prints them."""
    from harness.selftest import digest

    return {
        **versions(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "code": digest(),
    }


def lines(results: Results) -> list[str]:
    """What the terminal says of a sign-off: the reasons, the claim, what is out of scope."""
    decision = results.signoff
    assert decision is not None  # noqa: S101 - a sign-off has one
    told = [f"  {reason}" for reason in decision.reasons] or ["  every criterion of this stage is met"]
    told += [f"  warning: {one}" for one in decision.warnings]
    if decision.claim:
        told.append(f"  {decision.claim}")
    if results.selftest is not None:
        one = results.selftest
        told.append(f"  selftest ({one.profile}): caught {one.caught}/{one.planted}, false alarms {one.false_alarms}")
    told += [f"  out of scope at this stage: {ids}: {why}" for ids, why in decision.out_of_scope]
    return [
        f"stage {decision.stage}, policy {decision.policy}, target {results.target}, client {results.client}:",
        *told,
    ]
