"""Locust's events, wired to a run: `wire` is called by a locustfile, everything follows from the events.

Theory.  Each locust process has one `Wires`.  Master and standalone hold a `LoadRun` while a test runs; standalone and
workers hold a `Station`.  They talk by Locust's messages, which a standalone runner hands to itself:

    sse-hello    worker -> master     a worker is ready; if a run is on, it gets its order
    sse-order    master -> workers    a `station.Order`
    sse-clock    worker -> master     what time it is, answered by sse-clocked; before the worker takes part
    sse-ask      master -> workers    census, drain, close; each answered by
    sse-answer   worker -> master     with the number of the question
    sse-part     worker -> master     what is left of a worker's history, before it answers `close` or quits
    sse-admit    worker -> master     a fresh pass for a user, answered by sse-admitted

Locust stops a test in several ways (shape, run time, web page, Ctrl-C, SIGTERM, the last worker gone), each of which
fires test_stopping or quitting before users are killed: there the run is finished, once.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, Runner, WorkerRunner

from harness import meters
from harness.errors import HarnessError
from harness.load import run as load_run
from harness.load.clock import Clock, measured
from harness.load.parts import FIELD, packed
from harness.load.plan import Plan, plan_of, run_time
from harness.load.recorder import Outbox, Sink
from harness.load.run import UNKNOWN, LoadRun
from harness.load.station import Order, Station
from harness.policy import LONGEST

WRONG_USAGE: Final = 2
STATION_WITHIN: Final = 10.0
ADMIT_WITHIN: Final = 30.0
CLOCK_WITHIN: Final = 1.0
RATE: Final = 5.0
log = logging.getLogger("sse")


def wire(events: Any, file: str, *, checks: tuple[str, ...]) -> None:
    """Make the locustfile `file` a load scenario that must be able to judge `checks` (names or families)."""
    events.init_command_line_parser.add_listener(_options)

    def begin(environment: Environment, runner: Runner, **_: Any) -> None:
        environment.sse = wires = Wires(environment, runner, Path(file), checks)  # type: ignore[attr-defined]
        wires.connect()

    events.init.add_listener(begin)


def wires_of(environment: Environment) -> "Wires":
    """The wires of this process. Raises HarnessError if the locustfile did not call `wire`."""
    wires = getattr(environment, "sse", None)
    if not isinstance(wires, Wires):
        raise HarnessError("the locustfile does not call `wiring.wire(events, __file__, checks=...)`; add that line")
    return wires


def _options(parser: LocustArgumentParser, **_: Any) -> None:
    parser.add_argument("--sse-rate", type=float, default=RATE, help="Events published per second")
    parser.add_argument("--sse-seed", type=int, default=1, help="Seed of all randomness")
    parser.add_argument("--sse-out", default="", help="Folder for the results", include_in_web_ui=False)
    parser.add_argument(
        "--sse-mock-settings", default="", env_var="SSE_HARNESS_MOCK_SETTINGS",
        help="Settings of the built-in mock, as JSON", include_in_web_ui=False,
    )  # fmt: skip


@dataclass(slots=True)
class Wires:
    """What one locust process has to do with the run."""

    environment: Environment
    runner: Runner
    file: Path
    checks: tuple[str, ...]
    plan: Plan | None = None
    run: LoadRun | None = None
    station: Station | None = None
    sink: Sink | None = None
    ordered: str = ""  # the run of the latest order
    arrived: Event = field(default_factory=Event)
    began: float | None = None  # when the users of the present run began to subscribe
    runs: int = 0
    question: int = 0
    interrupts: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    passes: dict[str, "AsyncResult"] = field(default_factory=dict)
    clocked: AsyncResult = field(default_factory=AsyncResult)
    codes: list[int] = field(default_factory=list)

    @property
    def leads(self) -> bool:
        """Whether the run is held in this process."""
        return not isinstance(self.runner, WorkerRunner)

    @property
    def given(self) -> Any:
        """What the command line (or the web page) says."""
        return self.environment.parsed_options

    @property
    def most_users(self) -> int:
        return self.plan.most_users if self.plan is not None else 0

    def connect(self) -> None:
        """Listen to Locust's events; ends the process with exit code 2 where the user has to mend something."""
        self._hear_signals()
        events: Any = self.environment.events  # Locust's hooks have no types
        if self.leads:
            self._resolve()
            events.test_start.add_listener(self._test_start)
            events.test_stopping.add_listener(self._finish)
            events.quitting.add_listener(self._quitting)
            events.worker_report.add_listener(self._report)
            self._on("sse-hello", self._hello)
            self._on("sse-clock", self._clock_asked)
            self._on("sse-answer", self._answer)
            self._on("sse-part", self._part)
            self._on("sse-admit", self._admit, concurrent=True)
        if not isinstance(self.runner, MasterRunner):
            events.report_to_master.add_listener(self._send_with_report)
            self._on("sse-order", self._order, concurrent=True)
            self._on("sse-clocked", self._clocked)
            self._on("sse-ask", self._asked, concurrent=True)
            self._on("sse-admitted", self._admitted)
        if not self.leads:
            events.quitting.add_listener(self._worker_quits)
            self.runner.send_message("sse-hello")

    def subscribe(self) -> None:
        """One subscriber in this greenlet, for the life of the Locust user."""
        if not self.arrived.wait(STATION_WITHIN) or self.station is None:
            raise HarnessError("the run has not begun, so there is nothing to subscribe to; see the log above")
        self.station.subscribe()

    # In the process that leads

    def _resolve(self) -> None:
        given = self.given
        try:
            if getattr(given, "host", None):
                raise HarnessError(
                    f"--host {given.host} names no server here; name it in a target file with SSE_TARGET"
                )
            self.plan = plan_of(
                self.file, self.checks, rate=given.sse_rate, seed=given.sse_seed, settings=given.sse_mock_settings,
                out=given.sse_out, environ=os.environ, folder=Path.cwd(),
            )  # fmt: skip
        except HarnessError as exc:
            print(f"sse-harness: {exc}", file=sys.stderr)  # noqa: T201
            raise SystemExit(WRONG_USAGE) from None

    def _test_start(self, **_: Any) -> None:
        assert self.plan is not None  # noqa: S101 - resolved in connect
        self.runs += 1
        most = self.most_users
        users = min(self.runner.target_user_count, most)
        self.arrived.clear()
        try:
            self.run = load_run.start(
                self.plan, users=users, processes=max(1, len(self._clients())) + isinstance(self.runner, MasterRunner),
                number=self.runs, ask=self._ask, say=_say,
            )  # fmt: skip
            for client in self._clients():
                self._send_order(client)
            self.run.publish()
            lasts = run_time(self.given.run_time)
            log.info("%d users (of at most %d) for %.0f s (of at most %.0f s)", users, most, lasts, LONGEST)
        except HarnessError as exc:
            print(f"sse-harness: {exc}", file=sys.stderr)  # noqa: T201
            self._give_up()
        self.began = time.monotonic()
        gevent.spawn_later(LONGEST + 60.0, self._overdue, self.run)

    def _give_up(self) -> None:
        """The run could not begin: it is UNKNOWN, and the test stops."""
        self.codes.append(UNKNOWN)
        self.environment.process_exit_code = _worst(self.codes)
        gevent.spawn(self.runner.quit if self._headless else self.runner.stop)

    def _overdue(self, run: LoadRun | None) -> None:
        if run is not None and run is self.run and not run.finishing:
            log.warning("the run has reached the longest time that is allowed; stopping")
            (self.runner.quit if self._headless else self.runner.stop)()

    @property
    def _headless(self) -> bool:
        return bool(getattr(self.given, "headless", False))

    def _finish(self, **_: Any) -> None:
        if self.run is None:
            return
        run = self.run
        ours = not run.finishing
        for client in sorted(run.workers - set(self._clients())) if ours else ():
            run.trouble(f"worker {self._index(client)} was gone before the run had ended")
        code = run.finish()
        if ours:
            self.run = self.began = None
            self.codes.append(code)
            self.environment.process_exit_code = _worst(self.codes)

    def _quitting(self, **_: Any) -> None:
        self._finish()
        if not self.codes and self._headless:
            self.environment.process_exit_code = UNKNOWN  # nothing was run, so nothing is known

    def _clients(self) -> list[str]:
        if isinstance(self.runner, MasterRunner):
            return [one.id for one in self.runner.clients.all if one.state != STATE_MISSING]
        return ["local"]

    def _index(self, client: str) -> int:
        number = getattr(self.runner, "get_worker_index", None)  # the master's only
        return 0 if number is None else int(number(client))

    def _send_order(self, client: str) -> None:
        assert self.run is not None  # noqa: S101 - called while a run is on
        order = load_run.message(self.run.order, index=self._index(client), of=len(self._clients()))
        self.run.workers.add(client)
        self.runner.send_message("sse-order", order, client)

    def _hello(self, msg: Any, **_: Any) -> None:
        if self.run is not None and not self.run.finishing:
            self._send_order(msg.node_id)

    def _clock_asked(self, msg: Any, **_: Any) -> None:
        self.runner.send_message("sse-clocked", {**meters.identity("run"), "asked": msg.data}, msg.node_id)

    def _ask(self, what: str, data: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any], list[str]]:
        """Ask every process of users; answers by client, and who did not answer in time."""
        self.question += 1
        self.answers = {}
        asked = self._clients()
        for client in asked:
            self.runner.send_message("sse-ask", {"number": self.question, "what": what, **data}, client)
        deadline = time.monotonic() + seconds
        while (silent := [one for one in asked if one not in self.answers]) and time.monotonic() < deadline:
            if not set(silent) & set(self._clients()):
                break
            gevent.sleep(0.02)
        return self.answers, silent

    def _answer(self, msg: Any, **_: Any) -> None:
        if msg.data["number"] == self.question:
            self.answers[msg.node_id] = msg.data["answer"]

    def _report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        if self.run is not None and FIELD in data:
            self.run.inbox.take(self._index(client_id), data[FIELD])

    def _part(self, msg: Any, **_: Any) -> None:
        if self.run is not None:
            self.run.inbox.take(self._index(msg.node_id), msg.data)
            if msg.data.get("quits") and not self.run.finishing:
                self.run.trouble(f"worker {self._index(msg.node_id)} quit before the run had ended")

    def _admit(self, msg: Any, **_: Any) -> None:
        admitted: Mapping[str, Any] = {"headers": None}
        if self.run is not None:
            try:
                admitted = self.run.publisher.admit(msg.data["user"])
            except HarnessError as exc:
                log.warning("no new token for %s: %s", msg.data["user"], exc)
        told = {"user": msg.data["user"], "headers": admitted["headers"]}
        self.runner.send_message("sse-admitted", told, msg.node_id)

    # In a process of users

    def _order(self, msg: Any, **_: Any) -> None:
        order = Order(**msg.data)
        if self.ordered == order.run:
            return
        self.ordered = order.run
        clock = Clock() if self.leads else measured(self._clock)
        if self.ordered != order.run:  # another run has begun meanwhile
            return
        if self.station is not None and not self.station.closed:
            self.station.close()
        self.sink = self._new_sink(order, clock)
        self.station = Station(order, self.sink, self.environment, self._fresh, clock)
        self.station.start()
        self.arrived.set()

    def _clock(self) -> Mapping[str, Any] | None:
        asked, self.clocked = time.monotonic(), AsyncResult()
        self.runner.send_message("sse-clock", asked)
        try:
            told: Mapping[str, Any] = self.clocked.get(timeout=CLOCK_WITHIN)
        except gevent.Timeout:
            return None
        return told if told["asked"] == asked else None  # else it is the late answer to a question before

    def _clocked(self, msg: Any, **_: Any) -> None:
        self.clocked.set(msg.data)

    def _new_sink(self, order: Order, clock: Clock) -> Sink:
        role = f"load-{order.index}"
        if self.run is not None:
            return meters.open_history(self.run.parts / f"{role}.jsonl", role)
        return Outbox(time.monotonic, clock.header(role, order.offset))

    def _asked(self, msg: Any, **_: Any) -> None:
        answer: Mapping[str, Any] = {"alive": [], "missing": [], "buckets": [], "highest": 0.0}
        if self.station is not None and not self.station.closed:
            match msg.data["what"]:
                case "census":
                    answer = self.station.census(msg.data["seconds"])
                case "drain":
                    answer = self.station.drain(msg.data["digests"], msg.data["seconds"])
                case _:
                    answer = self.station.close()
                    self._send_rest()
        self.runner.send_message("sse-answer", {"number": msg.data["number"], "answer": answer})

    def _fresh(self, user: str) -> Mapping[str, str] | None:
        """Fresh headers for a user, from the process that leads; None if there are none."""
        waiting = self.passes.setdefault(user, AsyncResult())
        self.runner.send_message("sse-admit", {"user": user})
        try:
            headers: Mapping[str, str] | None = waiting.get(timeout=ADMIT_WITHIN)
        except gevent.Timeout:
            return None
        return headers

    def _admitted(self, msg: Any, **_: Any) -> None:
        if waiting := self.passes.pop(msg.data["user"], None):
            waiting.set(msg.data["headers"])

    def _send_with_report(self, data: dict[str, Any], **_: Any) -> None:
        if self.station is not None and isinstance(self.sink, Outbox):
            data[FIELD] = packed(self.station.order.run, self.sink)

    def _send_rest(self, *, quits: bool = False) -> None:
        while self.station is not None and isinstance(self.sink, Outbox) and (self.sink.lines or quits):
            self.runner.send_message("sse-part", {**packed(self.station.order.run, self.sink), "quits": quits})
            quits = False

    def _worker_quits(self, **_: Any) -> None:
        if self.station is not None and not self.station.closed:
            self.station.close()
            self._send_rest(quits=True)

    def _hear_signals(self) -> None:
        # Python raises KeyboardInterrupt in whatever greenlet runs, perhaps a subscriber's; Locust expects it in main.
        gevent.signal_handler(signal.SIGINT, self._interrupted)
        if self.leads and self._headless:
            gevent.signal_handler(signal.SIGTERM, self._terminated)

    def _interrupted(self) -> None:
        """Ctrl-C reaches the master's children too; the first one is for the master, which closes the run in order."""
        self.interrupts += 1
        forked = not self.leads and getattr(self.given, "processes", None)
        if not (forked and self.interrupts == 1 and self.station is not None and not self.station.closed):
            gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def _terminated(self) -> None:
        """Locust hears SIGTERM only after a headless shape has ended; until then it is another Ctrl-C."""
        if self.run is not None:
            gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())

    def _on(self, name: str, listener: Any, *, concurrent: bool = False) -> None:
        self.runner.register_message(name, listener, concurrent=concurrent)


def _worst(codes: list[int]) -> int:
    """The exit code of several runs: a failure counts more than what is unknown."""
    return 1 if 1 in codes else max(codes, default=0)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what a locust run says at its end
