"""The command line: the only module that knows everybody.

Every command returns its exit code: 0 pass or GO, 1 fail or NO-GO, 2 wrong usage, 3 unknown or HOLD.
A fault of the user is one sentence on standard error.
"""

import errno
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from harness.check import Outcome
from harness.config import Config, load_config
from harness.errors import HarnessError
from harness.plaintext import one_line

WRONG_USAGE: Final = 2
UNKNOWN: Final = 3
SHOWN_CHECKS: Final = 8
PACKAGES: Final = ("harness", "mock_server", "scenarios", "reports")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    _admit_working_directory()
    raise SystemExit(run_command(argv))


def _admit_working_directory() -> None:
    """Let `package.module:attribute` find what lies there, behind everything that is installed.

    Our own packages are imported before: a folder `reports` in the working directory would win over an editable
    install of ours, whose finder is asked last.
    """
    for name in PACKAGES:
        import_module(name)
    with suppress(OSError):  # it is gone, and so is what lay there
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.append(here)


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        code = commands.main(args=None if argv is None else list(argv), prog_name="sse-harness", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return WRONG_USAGE
    except HarnessError as exc:
        click.echo(f"sse-harness: {one_line(exc)}", err=True)
        return WRONG_USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("sse-harness: interrupted", err=True)
        return UNKNOWN
    return int(code or 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sse-harness")
def commands() -> None:
    """Tells a team, with evidence, whether a Server-Sent Events feature is safe to roll out.

    Exit codes: 0 pass or GO, 1 fail or NO-GO, 2 wrong usage, 3 unknown or HOLD.
    """


def _configured(**options: Any) -> Config:
    try:
        here = Path.cwd()
    except OSError as exc:
        raise HarnessError("the working directory is gone; change into one that is there") from exc
    return load_config(options, environ=os.environ, folder=here)


def _say(text: str) -> None:
    """Print a line; where nobody can read it any more, the command goes on to its reports and its exit code."""
    try:
        click.echo(text)
    except OSError as exc:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if exc.errno != errno.EPIPE:
            click.echo(f"sse-harness: standard output cannot be written ({exc.strerror}); make room", err=True)


def _say_loop() -> None:
    if find_spec("uvloop") is None:
        click.echo("sse-harness: uvloop is not installed; asyncio takes its place, which is slower", err=True)


_target = click.option("--target", metavar="FILE", help="Target file of the server under test; default: the mock.")
_client = click.option("--client", metavar="NAME|PATH", help="Client that subscribes; default: the reference client.")
_out = click.option("--out", metavar="DIR", help="Folder for the results; default: reports/runs/<time>.")
_seed = click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of all randomness.")
_jobs = click.option("--jobs", type=int, help="Runs at a time; default: 8, and 1 with a target.")
_defects = click.option("--defect", "defects", multiple=True, metavar="NAME", help="Switch on a defect of the mock.")


@commands.command("run")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_target
@_client
@_out
@_seed
@_jobs
@_defects
def run_scenarios(
    names: tuple[str, ...], target: str | None, client: str | None, out: str | None, seed: int, jobs: int | None,
    defects: tuple[str, ...],
) -> int:  # fmt: skip
    """Run scenarios against the mock or a target, judge them, write reports."""
    import reports
    from harness import batch, signoff
    from harness.progress import watching
    from harness.results import Results

    config = _configured(target=target, client=client, out=out, jobs=jobs)
    batch.load_checks(config)
    reports.demand(config.paths("reports"))
    batch.resolved(batch.jobs_of(names, config, out=Path(), seeds=(seed,), defects=defects))
    batch.try_network()
    folder = batch.new_folder(config, now=time.time())
    _say_loop()
    planned = batch.jobs_of(names, config, out=folder, seeds=(seed,), defects=defects)
    plans = batch.resolved(planned)
    started, clock = time.time(), time.monotonic()
    # Runs that share a server see each other's events, which nobody in their own history published.
    at_once = config.jobs if config.target is None else 1
    with watching(len(planned)) as watch:
        done = batch.batch(planned, at_once=at_once, on_phase=watch.phase, out=folder)
    results = Results(
        kind="run", target=signoff.target_of(plans), client=config.client, runs=done.runs,
        client_policy=batch.policy_of(plans), environment=signoff.environment(), started=started,
        seconds=time.monotonic() - clock,
    )  # fmt: skip
    return _finished(results, config, folder, interrupted=done.interrupted)


@commands.command()
@click.option("--stage", type=int, required=True, metavar="PERCENT", help="Stage of the roll-out: 10, 50, 100.")
@_target
@_client
@_out
@click.option("--policy", metavar="FILE", help="Policy file; default: the one that comes with sse-harness.")
@click.option("--previous", metavar="RUN", help="Folder of the sign-off of the stage before.")
@_seed
@_jobs
def signoff(
    stage: int, target: str | None, client: str | None, out: str | None, policy: str | None, previous: str | None,
    seed: int, jobs: int | None,
) -> int:  # fmt: skip
    """Everything a stage needs -> one report, GO / HOLD / NO-GO."""
    import reports
    from harness import batch
    from harness import signoff as signing

    config = _configured(target=target, client=client, out=out, jobs=jobs)
    batch.load_checks(config)
    reports.demand(config.paths("reports"))
    order = signing.ordered(
        config, stage=stage, policy=None if policy is None else Path(policy), seed=seed,
        previous=None if previous is None else Path(previous),
    )  # fmt: skip
    _say_loop()
    results = signing.signed_off(order)
    _say("\n".join(map(one_line, signing.lines(results))))
    code = _reported(results, config, order.out)
    _say(results.headline)
    return code


@commands.command("judge")
@click.argument("run", type=click.Path(path_type=Path))
@_out
def judge_again(run: Path, out: str | None) -> int:
    """Judge a saved run again: a folder of results, of one scenario, or a history.jsonl."""
    from harness import batch, signoff
    from harness.results import Results

    config = _configured(out=out)
    batch.load_checks(config)
    runs = batch.saved(run)
    results = Results(
        kind="run", target=_one([one.target for one in runs]), client=_one([one.client for one in runs]), runs=runs,
        environment=signoff.environment(), started=time.time(),
    )  # fmt: skip
    folder = None if out is None else batch.new_folder(config, now=time.time(), records=False)
    return _finished(results, config, folder)


@commands.command()
@click.option("--full", is_flag=True, help="The full profile: several seeds and 1 000 random clean histories.")
@_out
def selftest(full: bool, out: str | None) -> int:
    """Does every alarm ring, and none without cause?"""
    from harness import batch
    from harness import selftest as testing
    from harness.progress import watching

    config = _configured(out=out)
    folder = None if out is None else batch.new_folder(config, now=time.time())
    with watching(0) as watch:
        found = testing.run_selftest("full" if full else "quick", out=folder, say=watch.say)
    summary = found.summary
    for line in summary.missed:
        _say(f"  missed: {line}")
    for one in found.trials:
        for alarm in one.false_alarms:
            _say(f"  false alarm: {one.defect or 'clean run'} on {one.run.scenario}: {alarm}")
    for alarm in found.alarms_on_histories:
        _say(f"  false alarm: {alarm}")
    _say(
        f"caught {summary.caught}/{summary.planted}, false alarms {summary.false_alarms}"
        f" over {found.clean_runs} clean runs and {found.histories} random clean histories"
    )
    return 0 if summary.sound else 1


KINDS: Final = ("requirements", "checks", "scenarios", "faults", "clients", "defects")


@commands.command("list")
@click.argument("what", required=False, type=click.Choice(KINDS))
def list_things(what: str | None) -> int:
    """Name and sentence of requirements, checks, scenarios, faults, clients, defects."""
    from harness import listing

    config = _configured()
    for kind in (what,) if what else KINDS:
        rows = listing.rows(kind, config)
        if what is None:
            _say(f"{kind}:")
        width = min(34, max((len(name) for name, _ in rows), default=0))
        for name, sentence in rows:
            _say(f"{'' if what else '  '}{name:<{width}}  {sentence}".rstrip())
    return 0


@commands.command()
def doctor() -> int:
    """What this machine can do, and where each value comes from."""
    from harness import doctor as examining

    for line in examining.examined(_configured(), environ=os.environ):
        remedy = f"; {line.remedy}" if line.remedy else ""
        _say(f"{line.state:<8} {line.name}: {line.found}{remedy}")
    return 0


@commands.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free one.")
@click.option("--control-port", type=click.IntRange(0, 65535), default=0, help="Port of the control plane.")
@click.option("--heartbeat", type=float, metavar="S", help="Seconds between heartbeats; default: 30.")
@click.option("--limit", type=int, metavar="N", help="Streams that a user may have; default: 5.")
@_defects
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME[:K=V,...]", help="Let a fault loose on every connection."
)
@click.option(
    "--cors-origin", "cors", multiple=True, metavar="ORIGIN", help="Whose pages may read, beside those of this machine."
)
def mock(
    port: int, control_port: int, heartbeat: float | None, limit: int | None, defects: tuple[str, ...],
    faults: tuple[str, ...], cors: tuple[str, ...],
) -> int:  # fmt: skip
    """The mock server, alone, for people who develop a client against it."""
    from harness import standalone
    from harness.faults import parse
    from mock_server.settings import load_settings

    given = {
        "heartbeat": heartbeat, "limit_per_user": limit, "defects": list(defects) or None,
        "faults": [{"name": name, "parameters": parameters} for name, parameters in map(parse, faults)] or None,
        "cors_origins": list(cors) or None,
    }  # fmt: skip
    settings = {name: value for name, value in given.items() if value is not None}
    load_settings(settings)
    _say_loop()
    return standalone.serve(
        settings, port=port, control_port=control_port, say=_say, folder=standalone.state_folder(os.environ)
    )  # fmt: skip


@commands.command()
@click.argument("user")
@click.option("--ttl", type=float, default=3600.0, show_default=True, metavar="S", help="Seconds until it expires.")
def token(user: str, ttl: float) -> int:
    """Mint a token of the mock for USER."""
    from harness import standalone

    folder = standalone.state_folder(os.environ)
    _say(standalone.token(user, ttl, now=time.time(), environ=os.environ, folder=folder))
    return 0


@commands.command()
@click.argument("name")
def where(name: str) -> int:
    """The path of a file in scenarios/, for another tool: `locust -f "$(sse-harness where load/steady)"`."""
    import scenarios

    rooms = [Path(one) for one in scenarios.__path__]
    files = [(path.relative_to(room).with_suffix(""), path) for room in rooms for path in sorted(room.rglob("*.py"))]
    known = {str(inside): path for inside, path in files if not inside.name.startswith("_")}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(one for one in known if '/' in one)}"
        raise HarnessError(f"there is no file {name!r} in scenarios/; {hint}")
    _say(str(known[name]))
    return 0


LATER: Final = {
    "check-client": "conformance of clients",
    "check-server": "conformance and promises of a server",
    "load": "a Locust run with our shapes",
    "approve": "append to the chain of sign-offs",
    "verify": "check the chain of sign-offs",
}


def _later(name: str, what: str) -> click.Command:
    def refuse(arguments: tuple[str, ...]) -> int:
        raise HarnessError(f"`{name}` ({what}) comes with a later version; see `sse-harness --help` for what is there")

    return click.Command(
        name, callback=refuse, help=f"Comes later: {what}.", add_help_option=False,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
    )  # fmt: skip


for _name, _what in LATER.items():
    commands.add_command(_later(_name, _what))


def _finished(results: Any, config: Config, folder: Path | None, *, interrupted: bool = False) -> int:
    """Say the outcome of runs first and then why, write the reports; returns the exit code."""
    from harness.results import exit_code

    _say(results.headline)
    if interrupted:
        _say("  interrupted: what follows is what was known by then")
    for one in results.runs:
        _say("\n".join(map(one_line, _told(one))))
    code = exit_code(results.outcome) if folder is None else _reported(results, config, folder)
    return UNKNOWN if interrupted else code


def _told(run: Any) -> list[str]:
    """A run in a line, and a line for each check that is not content."""
    bad = [one for one in run.verdicts if one.outcome in (Outcome.FAIL, Outcome.UNKNOWN)]
    bad.sort(key=lambda one: -one.outcome)
    reason = f": {run.reason}" if run.reason else ""
    told = [f"  {run.outcome.name:<7} {run.scenario}{reason}"]
    told += [f"    {one.outcome.name} {one.check}: {one.actual}, expected {one.expected}" for one in bad[:SHOWN_CHECKS]]
    if len(bad) > SHOWN_CHECKS:
        told.append(f"    and {len(bad) - SHOWN_CHECKS} more in the report")
    return told


def _reported(results: Any, config: Config, folder: Path) -> int:
    """Write all reports and name the one to read first; the exit code, which is no pass where one of them failed."""
    import reports
    from harness.results import exit_code

    code = exit_code(results.outcome)
    try:
        reports.write_all(results, folder, folders=config.paths("reports"))
    except HarnessError as exc:
        click.echo(f"sse-harness: {one_line(exc)}", err=True)
        code = code or UNKNOWN
    first = folder / "report.html"
    _say(f"report: {first if first.exists() else folder}")
    return code


def _one(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
