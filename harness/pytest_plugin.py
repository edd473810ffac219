"""pytest plugin: fixtures for tests of one's own, and scenarios as items.

Switched on by `pytest_plugins = ["harness.pytest_plugin"]` in the topmost conftest.py (or `-p harness.pytest_plugin`).

Theory.  What the options and the configuration name is resolved when pytest configures itself, so that a mistake is one
sentence before anything runs and every item is known at collection.  Scenarios hang below the session as
`sse-scenarios::SCENARIO::CHECK`; a scenario runs in the setup of its first selected item, in a process of its own, and
its node keeps the result for the others.  Nothing of the harness that costs time is imported before it is needed.
"""

import itertools
import re
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.check import Outcome, Verdict
from harness.errors import HarnessError
from harness.live.choice import ROOT, Choice, Chosen, choice_of, is_ours, load_checks, plan_of
from harness.plaintext import plain

if TYPE_CHECKING:
    from harness.live.handles import SseClient, SseHistory, SseProxy, SseServer
    from harness.live.run import Live
    from harness.results import RunResult

NOT_NAMED: Final = "sse-not-named"
LONGEST_TEXT: Final = 20_000  # of what a test that failed says


CHOICE: Final = pytest.StashKey[Choice]()
LIVE: Final = pytest.StashKey["Live"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sse-harness")
    group.addoption(
        "--sse-scenarios", action="append", metavar="NAME[,NAME]", help="Collect these scenarios, or `all` of them."
    )
    group.addoption("--sse-target", metavar="FILE", help="Target file of the server under test; default: the mock.")
    group.addoption("--sse-client", metavar="NAME|PATH", help="Client that subscribes; default: the reference client.")
    group.addoption("--sse-out", metavar="DIR", help="Folder for histories; default: pytest's temporary folder.")
    group.addoption("--sse-seed", type=int, metavar="N", help="Seed of all randomness; default: 1.")
    parser.addini("sse_scenarios", "Scenarios to collect unless files or node ids are given.", "linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sse(**settings): settings of the mock server behind this test's sse fixtures")
    try:
        config.stash[CHOICE] = choice_of(config)
    except HarnessError as exc:
        raise pytest.UsageError(str(exc)) from None
    config.pluginmanager.register(NotNamed())


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Take the node ids of scenarios out of the arguments: for pytest itself an argument begins with a path."""
    config, choice = session.config, session.config.stash[CHOICE]
    choice.wanted = [one for one in config.args if is_ours(one, config)]
    config.args[:] = [one for one in config.args if one not in choice.wanted]
    known = {nodeid for one in choice.scenarios for nodeid in one.ids}
    for wanted in choice.wanted:
        if not any(nodeid == wanted or nodeid.startswith(f"{wanted}::") for nodeid in known):
            raise pytest.UsageError(f"there is no {wanted}; name its scenario with --sse-scenarios and see --co -q")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if isinstance(collector, pytest.Session) and report.passed and collector.config.stash[CHOICE].scenarios:
        # With the path of the root folder the hooks of its conftest.py apply to the scenarios too.
        path = collector.config.rootpath
        report.result.append(Scenarios.from_parent(collector, name=ROOT, nodeid=ROOT, path=path))
    return report


class Scenarios(pytest.Collector):
    """All chosen scenarios."""

    def collect(self) -> Iterable[pytest.Collector]:
        for one in self.config.stash[CHOICE].scenarios:
            yield ScenarioNode.from_parent(self, name=one.name, chosen=one)


class ScenarioNode(pytest.Collector):
    """One scenario; it runs when its result is first asked for, and never again."""

    def __init__(self, *, chosen: Chosen, **given: Any) -> None:
        super().__init__(**given)
        self.chosen = chosen
        self._result: RunResult | None = None

    def collect(self) -> Iterable[pytest.Item]:
        choice = self.config.stash[CHOICE]
        for check, nodeid in zip(self.chosen.checks, self.chosen.ids, strict=True):
            if choice.wants(nodeid):
                yield CheckItem.from_parent(self, name=check, node=self)

    def result(self) -> "RunResult":
        if self._result is None:
            self._result = _run(self.chosen, self.config)
        return self._result

    @property
    def fresh(self) -> bool:
        return self._result is None


class CheckItem(pytest.Item):
    """One check of a scenario: FAIL fails, UNKNOWN is an error, SKIP is a skip."""

    def __init__(self, *, node: ScenarioNode, **given: Any) -> None:
        super().__init__(**given)
        self.node = node
        if any(one.startswith("xdist_group") for one in self.config.getini("markers")):
            # With --dist loadgroup, as with loadscope, one worker gets all items of a scenario, and it runs once.
            self.add_marker(pytest.mark.xdist_group(f"{ROOT}::{node.name}"))

    def setup(self) -> None:
        fresh, run = self.node.fresh, self.node.result()
        if fresh:
            self.user_properties += [(NOT_NAMED, one) for one in _not_named(self.node.chosen, run)]
        if reason := self._skipped(run):
            raise pytest.skip.Exception(reason, _use_item_location=True)
        if reason := self._unknown(run):
            pytest.fail(self._text(run, reason), pytrace=False)

    def runtest(self) -> None:
        run = self.node.result()
        verdict = self._verdict(run)
        if verdict is not None and verdict.outcome is Outcome.FAIL:
            pytest.fail(self._text(run, ""), pytrace=False)

    def reportinfo(self) -> tuple[str, int, str]:
        return self.node.chosen.file, 0, f"{self.node.name}: {self.name}"

    def _verdict(self, run: "RunResult") -> Verdict | None:
        return next((one for one in run.verdicts if one.check == self.name), None)

    def _skipped(self, run: "RunResult") -> str:
        """Why this check is a skip, if it is one."""
        if run.outcome is Outcome.SKIP:
            return run.reason
        verdict = self._verdict(run)
        skipped = verdict is not None and verdict.outcome is Outcome.SKIP
        return verdict.actual if verdict is not None and skipped and not self._gap(run) else ""

    def _unknown(self, run: "RunResult") -> str:
        """Why this check is unknown, if it is."""
        verdict = self._verdict(run)
        if verdict is None:
            return run.reason or "the check gave no verdict"
        if verdict.outcome is Outcome.SKIP:
            return f"{run.reason or f'not judged: {self._gap(run)}'} ({verdict.actual})"
        return verdict.actual if verdict.outcome is Outcome.UNKNOWN else ""

    def _gap(self, run: "RunResult") -> str:
        """The name by which the scenario has this check, if nothing under that name was judged."""
        from harness.results import gaps

        name = self.node.chosen.checks[self.name]
        return name if name in gaps(run.verdicts, [name]) else ""

    def _text(self, run: "RunResult", reason: str) -> str:
        from harness.live.verdicts import told

        verdict = self._verdict(run)
        if verdict is None or verdict.outcome is Outcome.SKIP:
            lines = [f"UNKNOWN {self.name}: {reason}"]
        else:
            lines = [told(verdict)]
        return plain("\n".join([*lines, *([f"history: {run.history}"] if run.history else [])]), LONGEST_TEXT)


def _not_named(chosen: Chosen, run: "RunResult") -> Iterator[str]:
    """What went wrong in a run beside the checks that its scenario names."""
    for one in run.verdicts:
        if one.check not in chosen.checks and one.outcome in (Outcome.FAIL, Outcome.UNKNOWN):
            yield f"{chosen.name}: {one.outcome.name} {one.check}: {one.actual} (history: {run.history})"


def _run(chosen: Chosen, config: pytest.Config) -> "RunResult":
    """Run a scenario in a process of its own and judge its history; UNKNOWN with the reason where it left none."""
    from harness.judgement import judged
    from harness.live.background import Background
    from harness.pool import run_all
    from harness.results import RunResult

    try:
        folder = _folder(config, chosen.name)
        job = replace(chosen.plan.job, out=str(folder))
        with Background() as loop:
            complaints = loop.call(run_all([job], at_once=1, on_phase=lambda job, phase: None))
        if not (reason := complaints[job.out]):
            return judged(folder / "history.jsonl")
    except HarnessError as exc:
        reason = str(exc)
    job = chosen.plan.job
    return RunResult(
        scenario=chosen.name, target=job.target or "mock", client=job.client, outcome=Outcome.UNKNOWN, history="",
        seed=job.seed, reason=reason,
    )  # fmt: skip


def _folder(config: pytest.Config, name: str) -> Path:
    """A new folder for one history, below --sse-out or among pytest's temporary ones. Raises HarnessError."""
    plain, out = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "run", config.stash[CHOICE].out
    if out is None:
        # The fixture tmp_path_factory is there for tests only; these items are none.
        factory = getattr(config, "_tmp_path_factory", None)
        made: Path = Path(tempfile.mkdtemp(prefix="sse-")) if factory is None else factory.mktemp(f"sse-{plain}")
        return made
    for number in itertools.count(1):
        folder = out / (plain if number == 1 else f"{plain}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as exc:
            raise HarnessError(f"folder {folder} cannot be written ({exc.strerror}); give another --sse-out") from exc
        return folder
    raise AssertionError


class NotNamed:
    """Says at the end what went wrong beside the checks that the scenarios name: such a run is no success."""

    def __init__(self) -> None:
        self.told: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.told |= {str(text): None for name, text in report.user_properties if name == NOT_NAMED}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.told and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.told:
            terminalreporter.section("sse-scenarios: beside the checks that they name", red=True)
            for line in self.told:
                terminalreporter.line(plain(line))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    live = item.stash.get(LIVE, None)
    if report.failed and live is not None:
        report.sections.append(("sse history", str(live.path)))
    return report


@pytest.fixture
def _sse_live(request: pytest.FixtureRequest) -> Iterator["Live"]:
    from harness.live.run import Live

    choice = request.config.stash[CHOICE]
    try:
        settings = _settings(request.node)
        if choice.config.target is not None and settings.get("defects"):
            pytest.skip("defects are switches of the mock")
        load_checks(choice.config)
        plan = plan_of(choice, request.node.nodeid, settings)
        live = Live.start(plan, _folder(request.config, request.node.name))
    except HarnessError as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None
    request.node.stash[LIVE] = live
    yield live
    live.end()


def _settings(node: pytest.Item) -> Mapping[str, Any]:
    """The mock's settings from the marks of a test; the one nearest to it counts."""
    settings: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("sse"))):
        if mark.args:
            raise HarnessError("the mark `sse` takes settings of the mock by name, such as sse(heartbeat=1.0)")
        settings |= mark.kwargs
    return settings


@pytest.fixture
def sse_mock(_sse_live: "Live") -> "SseServer":
    """The mock server, running; with --sse-target the server of that file."""
    from harness.live.handles import SseServer

    return SseServer(_sse_live)


@pytest.fixture
def sse_server(sse_mock: "SseServer") -> "SseServer":
    """The same as sse_mock, for tests that are meant for a server of one's own."""
    return sse_mock


@pytest.fixture
def sse_proxy(_sse_live: "Live") -> "SseProxy":
    """A proxy in front of the server, for faults of the network."""
    from harness.live.handles import SseProxy

    if not _sse_live.server.url.startswith("http:"):
        pytest.skip("the proxy speaks plain http, and this target does not")
    return SseProxy(_sse_live, _sse_live.add_proxy())


@pytest.fixture
def sse_client(request: pytest.FixtureRequest, _sse_live: "Live") -> "SseClient":
    """Starts subscribers with the chosen client, through the proxy if the test uses sse_proxy too."""
    from harness.live.handles import SseClient

    if "sse_proxy" in request.fixturenames:
        request.getfixturevalue("sse_proxy")
    return SseClient(_sse_live)


@pytest.fixture
def sse_history(_sse_live: "Live") -> "SseHistory":
    """The history of this test so far, and the verdicts on it."""
    from harness.live.handles import SseHistory

    return SseHistory(_sse_live)
