"""One load run in the master or standalone process, from its start to its verdicts.

Phases:
 1. start     a new folder, the run's header, the publisher's process with the server under test, an order for stations
 2. load      the users subscribe, the publisher publishes; workers' parts of the history come in
 3. drain     the publisher pauses; a sentinel per channel is published and awaited, for a bounded time
 4. close     every subscriber is closed; the last parts come in
 5. stop      server and publisher end; the parts are merged into OUT/<scenario>/history.jsonl
 6. judge     by `sse-harness judge` in a process of its own, from that file alone; reports go to OUT
Whatever keeps a phase from ending is a record `trouble`: then nothing is a pass or a failure.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.event import Event

from harness import history, meters
from harness.history import Writer
from harness.load.lag import record_lag
from harness.load.parts import Inbox
from harness.load.plan import Plan, new_folder
from harness.load.publisher import Publisher
from harness.load.station import Order
from harness.plaintext import one_line
from harness.redaction import redact_text
from harness.stats import Histogram

DRAIN: Final = 8.0
LONGEST_DRAIN: Final = 40.0
ANSWER_WITHIN: Final = 15.0
JUDGE_WITHIN: Final = 600.0
OPEN_WITHIN: Final = 5.0
UNKNOWN: Final = 3

# Asks every process of users for something: what, data, seconds -> answers by client id, and who did not answer.
Ask = Callable[[str, Mapping[str, Any], float], tuple[dict[str, Any], list[str]]]
Say = Callable[[str], None]


@dataclass(slots=True)
class LoadRun:
    """A run that has started; `finish` ends it, once, and returns its exit code."""

    plan: Plan
    folder: Path
    writer: Writer
    publisher: Publisher
    inbox: Inbox
    order: Order
    ask: Ask
    say: Say
    beside: list[gevent.Greenlet] = field(default_factory=list)
    workers: set[str] = field(default_factory=set)  # those that got an order
    finishing: bool = False
    hurried: bool = False
    done: Event = field(default_factory=Event)
    code: int = UNKNOWN

    @property
    def parts(self) -> Path:
        return self.folder / self.plan.scenario / "parts"

    def publish(self) -> None:
        """Begin phase 2."""
        users = list(dict.fromkeys(one["user"] for one in self.order.passes))
        self.writer.write("step", step="load", state="begin", users=len(users), rate=self.plan.rate)
        self.publisher.begin(self.plan.rate, users)

    def finish(self) -> int:
        """Phases 3 to 6; whoever asks again, or interrupts, cuts the drain short and waits for the rest.

        Raises KeyboardInterrupt at the second interrupt: then what is known stays in the parts.
        """
        # In a greenlet of its own: nobody who waits for it can be interrupted in the middle of a phase.
        if self.finishing:
            self.hurried = True
        else:
            self.finishing = True
            gevent.spawn(self._end)
        while not self.done.is_set():
            try:
                self.done.wait()
            except KeyboardInterrupt:
                if self.hurried:
                    raise
                self.hurried = True
        return self.code

    def _end(self) -> None:
        try:
            try:
                self._drained()
                self._closed()
            finally:
                self._stopped()
            self.code = self._judged()
        finally:
            self.done.set()

    def _drained(self) -> None:
        self.say("sse: draining")
        with self._troubles("drain"):
            self.publisher.pause()
            alive = self._census()
            self.writer.write("drain", state="begin", alive=[name for name, _ in alive])
            users = sorted({user for _, user in alive})
            missing = self._awaited(self.publisher.sentinels(users)) if users else []
            self.writer.write("drain", state="end", timed_out=bool(missing), missing=missing)

    def _census(self) -> list[tuple[str, str]]:
        answers, silent = self.ask("census", {"seconds": OPEN_WITHIN}, ANSWER_WITHIN)
        self._missed(silent, "who is subscribed")
        return [(str(name), str(user)) for one in answers.values() for name, user in one["alive"]]

    def _awaited(self, digests: Mapping[str, str]) -> list[str]:
        """Who did not get its sentinels; asked in short turns, so that a hurried user need not wait."""
        until = time.monotonic() + min(LONGEST_DRAIN, DRAIN + 2 * (self.plan.promises.heartbeat or 1.0))
        while True:
            answers, silent = self.ask("drain", {"digests": dict(digests), "seconds": 1.0}, ANSWER_WITHIN)
            missing = [name for one in answers.values() for name in one["missing"]]
            if not missing or silent or self.hurried or time.monotonic() >= until:
                self._missed(silent, "whether it got its sentinels")
                return missing

    def _closed(self) -> None:
        with self._troubles("close"):
            answers, silent = self.ask("close", {}, ANSWER_WITHIN)
            self._missed(silent, "what is left of its history")
            told = Histogram()
            for one in answers.values():
                told.merge(_histogram(one))
            figures = {f"p{percent}": round(told.percentile(percent), 6) for percent in (50, 95, 99)}
            self.writer.write(
                "step", step="load", state="end", deliveries=told.total, worst=round(told.highest, 6), **figures
            )

    def _stopped(self) -> None:
        self.publisher.stop()
        gevent.killall(self.beside, block=True)
        for reason in self.inbox.close():
            self.trouble(reason)
        self.writer.close()
        merged = history.merge(history.read(path) for path in sorted(self.parts.glob("*.jsonl")))
        history.save(merged, self.parts.parent / "history.jsonl")
        # Every record stands in the merged history now.
        shutil.rmtree(self.parts)

    def _judged(self) -> int:
        """Judge what was saved; the checks never run in a process that is patched or under load."""
        self.say("sse: judging")
        command = "from harness.cli import main; main()"
        try:
            ended = subprocess.run(
                [sys.executable, "-P", "-c", command, "judge", str(self.folder), "--out", str(self.folder)],
                capture_output=True, timeout=JUDGE_WITHIN, start_new_session=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            self.say(f"sse: judging took longer than {JUDGE_WITHIN:.0f} s; try `sse-harness judge {self.folder}`")
            return UNKNOWN
        verdicts = self.folder / "verdicts.json"
        if not verdicts.exists():
            self.say(f"sse: judging failed: {ended.stderr.decode(errors='replace').strip()[-500:]}")
            return UNKNOWN
        for line in table(json.loads(verdicts.read_bytes())):
            self.say(line)
        self.say(f"history: {self.parts.parent / 'history.jsonl'}\nreports: {self.folder}")
        return ended.returncode if ended.returncode in (0, 1) else UNKNOWN

    def trouble(self, reason: str) -> None:
        reason = redact_text(reason)  # it can be the text of any exception
        self.writer.write("trouble", reason=reason)
        self.say(f"sse: {reason}")

    def _missed(self, silent: list[str], what: str) -> None:
        for name in silent:
            self.trouble(f"worker {name} did not say {what}")

    @contextmanager
    def _troubles(self, phase: str) -> Iterator[None]:
        """What keeps a phase from ending is trouble; the phases after it follow."""
        try:
            yield
        except Exception as exc:
            self.trouble(f"{phase}: {str(exc) or type(exc).__name__}")


def start(plan: Plan, *, users: int, processes: int, number: int, ask: Ask, say: Say) -> LoadRun:
    """Phase 1 for so many users. Raises HarnessError if the server cannot be started or reached."""
    folder = new_folder(plan, number, now=time.time())
    parts = folder / plan.scenario / "parts"
    # Workers measure their clocks by this one, which is right by definition.
    header = plan.header(users=users, processes=processes)
    writer = meters.open_history(parts / "run.jsonl", "run", wall_error=0.0, **header)
    try:
        publisher = Publisher.start(
            parts=parts, target=plan.target_file, settings=plan.settings, count=min(users, plan.most_users)
        )
    except BaseException:
        writer.close()
        raise
    order = Order(
        run=folder.name + f"/{time.monotonic_ns()}", url=publisher.url, passes=list(publisher.passes),
        options=plan.options, promises=_plain(plan.promises.as_dict()), offset=time.time() - time.monotonic(),
        seed=plan.seed, tagged=plan.target is None,
        ca_file=None if plan.target is None or plan.target.ca_file is None else str(plan.target.ca_file),
    )  # fmt: skip
    one = LoadRun(plan, folder, writer, publisher, Inbox(parts, order.run), order, ask, say)
    # Every process that writes records has to say how late it was, also where it is that of the subscribers.
    one.beside.append(gevent.spawn(record_lag, writer))
    return one


def message(order: Order, *, index: int, of: int) -> dict[str, Any]:
    """The order as it travels to the process of users number `index` of `of`."""
    return {**asdict(order), "index": index, "of": max(1, of)}


def table(results: Mapping[str, Any]) -> list[str]:
    """The verdicts of verdicts.json in lines: the outcome, then what was judged, the worst first."""
    rank = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    lines = [str(results["outcome"])]
    for run in results["runs"]:
        reason = f": {run['reason']}" if run.get("reason") else ""
        lines.append(f"  {run['outcome']:<7} {run['scenario']} on {run['target']}{reason}")
        judged = [one for one in run["verdicts"] if one["outcome"] in rank]
        for one in sorted(judged, key=lambda one: (rank[one["outcome"]], one["check"])):
            lines.append(f"    {one['outcome']:<7} {one['check']:<28} {one['actual']}")
    return [*map(one_line, lines)]


def _histogram(told: Mapping[str, Any]) -> Histogram:
    one = Histogram(highest=float(told["highest"]))
    for bucket, count in told["buckets"]:
        one.counts[int(bucket)] += int(count)
        one.total += int(count)
    return one


def _plain(promises: Mapping[str, Any]) -> dict[str, Any]:
    """Promises as a message carries them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in promises.items()}
