"""The feature flag: it gates the endpoint, a roll-out by percentage is fair and keeps its word, and switching it off
ends what is live without a stampede.

Theory.  A stage is a stretch of time with one percentage in force (switched off is 0 %, on without a percentage 100).
The run asks for many users whether the stream is offered (`probe.flag`); an answer counts where it is clear (200, or
one of REFUSED) and the stage has settled: the step that set the flag is over and the promised time has passed.  Where
some user gets both answers in one stage, that is what `flag.sticky` judges, and what follows from it is not judged.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness import attempts, declared
from harness.check import OUR_LAG, Finding, Outcome, check, failed, passed, skipped, unknown, waived, weighed
from harness.history import History
from harness.stats import binomial_band
from harness.timing import too_late

LOOP_FREE = 3  # attempts that a client may make anyhow while the flag is off
REFUSED = (204, 403, 404)
SURE = 0.999


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of time with one percentage in force; `settled`: from when on it can be demanded.

    `answers`: by user, in order, whether the stream was offered; `told`: what the server said of the flag itself.
    """

    percent: float
    start: float
    settled: float
    end: float
    answers: dict[str, list[bool]] = field(default_factory=dict)
    told: dict[str, bool] = field(default_factory=dict)

    @property
    def steady(self) -> bool:
        """Whether every user got the same answer each time."""
        return all(len(set(given)) == 1 for given in self.answers.values())


def stages(history: History) -> list[Stage]:
    """The stages of the run, in order; what was in force before the first change is not known."""
    return history.memo("flag.stages", _stages)


def _stages(history: History) -> list[Stage]:
    changes: list[tuple[float, float]] = []
    for record in history.of("flag.set"):
        percent = float(record.get("percent", 100.0)) if record["enabled"] else 0.0
        if record.get("user") is None and (not changes or changes[-1][1] != percent):
            changes.append((record.t, percent))
    found = []
    for number, (start, percent) in enumerate(changes):
        end = changes[number + 1][0] if number + 1 < len(changes) else history.end
        found.append(Stage(percent, start, _settled(history, start), end))
        _asked(history, found[-1])
    return found


def _settled(history: History, start: float) -> float:
    within = declared.of(history).promises.kill_switch_within or 0.0
    steps = (one.t for one in history.of("step") if one["state"] == "end" and one["step"] in ("flag", "rollout"))
    return max(start + within, next((t for t in steps if t >= start), start))


def _asked(history: History, stage: Stage) -> None:
    answers = defaultdict(list)
    for one in history.of("probe.flag"):
        if stage.settled <= one["began"] and one.t <= stage.end and one["status"] in (200, *REFUSED):
            answers[str(one["user"])].append(one["status"] == 200)
            if one.get("told") is not None:
                stage.told[str(one["user"])] = bool(one["told"])
    stage.answers.update(answers)


def off(history: History) -> list[Stage]:
    """The stages in which the flag is off for everybody."""
    return [one for one in stages(history) if one.percent == 0]


@check("flag.kill_switch", "RB-1", "SRV-15", subject="server")
def kill_switch(history: History) -> Finding:
    """Switching the flag off ends every live stream within the promised time."""
    within = declared.of(history).promises.kill_switch_within
    if within is None:
        return waived("the target promises no kill switch")
    judged: list[tuple[Outcome, str]] = []
    for stage in off(history):
        for one in attempts.streams(history):
            judged += _ended(history, one, stage, within)
    if not judged:
        return skipped("the flag was not switched off while a stream was open, or not for long enough")
    return weighed(
        judged, f"live streams end within {within:g} s", fails=f"{{n}} of {len(judged)} did not",
        doubts=f"{OUR_LAG}, or ended by the client itself", passes=f"{len(judged)} streams did", streams=len(judged),
    )  # fmt: skip


def _ended(history: History, one: attempts.Attempt, stage: Stage, within: float) -> list[tuple[Outcome, str]]:
    """Whether a stream that was open when the flag went off, or was let in before that was settled, ended in time;
    nothing if nothing was due."""
    if one.t_open is None or one.t_open > stage.settled or (one.told_end is not None and one.told_end < stage.start):
        return []
    due, gone = max(stage.start, one.t_open) + within, attempts.lives(history)[one.sub].gone
    if one.told_end is None and min(t for t in (stage.end, gone, history.end) if t is not None) < due:
        return []
    end = min(one.told_end if one.told_end is not None else history.end, stage.end if gone is None else gone)
    text = f"{one.sub} attempt {one.number}: open until {end:.3f}, due {due:.3f}"
    heard = [record.t for record in one.seen if due < record.t <= stage.end]
    if heard:
        return [(too_late(history, heard[-1] - due, due, heard[-1]), f"{text}, last heard at {heard[-1]:.6f}")]
    if end < due and declared.hung_up(one, history):
        return [(Outcome.UNKNOWN, f"{text}, the client itself hung up")]
    return [(too_late(history, end - due, stage.start, end), text)]


@check("flag.gates", "FLAG-1", "SRV-15", subject="server")
def gates(history: History) -> Finding:
    """The endpoint gives a stream to those for whom the flag is on and to nobody else: to none while it is off."""
    refused, wrong = _while_off(history)
    answers, rows = 0, []
    for stage in stages(history):
        answers += sum(len(given) for given in stage.answers.values())
        rows += list(_ungated(stage))
    expected = "a stream where the flag is on, none where it is off"
    if wrong or rows:
        return failed(expected, f"{len(wrong) + len(rows)} of {refused + answers} requests", [*wrong, *rows])
    if not refused + answers:
        return skipped("nobody asked for a stream while the flag was off")
    return passed(expected, f"{refused + answers} requests", (), requests=refused + answers)


def _while_off(history: History) -> tuple[int, list[str]]:
    """How many attempts and probes were made while the flag was off for everybody, and those that got a stream."""
    within = declared.of(history).promises.kill_switch_within
    judged, wrong = 0, []
    for stage in off(history) if within is not None else ():
        for one in attempts.attempts(history):
            late = (one.t_open or one.t_request) >= stage.end
            if one.status is not None and stage.settled < one.t_request and not late:
                judged += 1
                stream = one.status == 200 and attempts.is_event_stream(one.headers)
                wrong += [f"{one.sub} attempt {one.number} at {one.t_request:.6f}"] if stream else []
        for probe in history.of("probe"):
            if probe["status"] is not None and stage.settled < probe.get("began", probe.t) and probe.t <= stage.end:
                judged += 1
                stream = probe["status"] == 200 and attempts.is_event_stream(probe["headers"])
                wrong += [f"probe {probe['name']} at {probe.t:.6f}"] if stream else []
    return judged, wrong


def _ungated(stage: Stage) -> Iterator[str]:
    """Answers that contradict the flag, as its percentage or the server's own word for the user has it."""
    for user, given in stage.answers.items():
        due = stage.told.get(user) if 0 < stage.percent < 100 and stage.steady else None
        due = stage.percent == 100 if stage.percent in (0, 100) else due
        if due is not None and due not in given:
            yield f"user {user} at {stage.percent:g} %: {'a stream' if given[0] else 'no stream'}"


@check("flag.sticky", "FLAG-2", subject="server")
def sticky(history: History) -> Finding:
    """The same user gets the same answer at the same percentage, each time and after restarts."""
    answers: dict[tuple[float, str], list[bool]] = defaultdict(list)
    for stage in stages(history):
        for user, given in stage.answers.items():
            answers[stage.percent, user] += given
    judged = {name: given for name, given in answers.items() if len(given) > 1 and 0 < name[0] < 100}
    wrong = [
        f"user {user} at {percent:g} %: {sum(given)} of {len(given)} times offered"
        for (percent, user), given in judged.items()
        if len(set(given)) > 1
    ]
    expected, users = "one answer per user and percentage", len({user for _, user in judged})
    if not judged:
        return skipped("no user was asked for twice at one percentage between 0 and 100")
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(judged)} users got both", wrong, users=users)
    return passed(expected, f"{len(judged)} users asked for again", (), users=users)


@check("flag.monotone", "FLAG-2", subject="server")
def monotone(history: History) -> Finding:
    """While the percentage grows nobody loses what he had."""
    had: dict[str, float] = {}
    before, judged, wrong, users = 100.0, 0, [], set[str]()
    for stage in stages(history):
        if stage.percent < before:
            had.clear()
        before = stage.percent
        for user, given in stage.answers.items() if stage.steady else ():
            if user in had and stage.percent > had[user]:
                judged += 1
                users.add(user)
                wrong += [] if given[0] else [f"user {user}: had it at {had[user]:g} %, not at {stage.percent:g} %"]
            if given[0]:
                had.setdefault(user, stage.percent)
    if not judged:
        return skipped("nobody who had it was asked for at a higher percentage")
    expected = "who has it keeps it"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} lost it", wrong, users=len(users))
    return passed(expected, f"{len(users)} users kept it", (), users=len(users))


@check("flag.binomial", "FLAG-2", subject="server")
def binomial(history: History) -> Finding:
    """The share of users for whom the flag is on is that of the percentage, as far as chance allows (99.9 %)."""
    asked = [one for one in stages(history) if 0 < one.percent < 100 and one.answers]
    if not asked:
        return skipped("no users were asked for at a percentage between 0 and 100")
    found = [_share(stage) for stage in asked]
    outcome = max(one for one, _ in found)
    rows = [text for one, text in found if one is outcome]
    expected, users = f"a share within the {SURE:.1%} band of its percentage", max(len(one.answers) for one in asked)
    match outcome:
        case Outcome.FAIL:
            return failed(expected, "; ".join(rows), rows, users=users)
        case Outcome.UNKNOWN:
            return unknown(expected, f"{rows[0]}; ask for more users", rows, users=users)
        case _:
            return passed(expected, "; ".join(rows), rows, users=users)


def _share(stage: Stage) -> tuple[Outcome, str]:
    on, count = sum(given[0] for given in stage.answers.values()), len(stage.answers)
    low, high = binomial_band(count, stage.percent / 100, confidence=SURE)
    text = f"{on} of {count} at {stage.percent:g} %, band {low} to {high}"
    if not low <= on <= high:
        return Outcome.FAIL, text
    # a band that reaches to nobody or to everybody would let a flag pass that ignores its percentage
    return (Outcome.UNKNOWN if low == 0 or high == count else Outcome.PASS), text


@check("flag.no_client_loop", "RB-1", subject="client")
def no_client_loop(history: History) -> Finding:
    """While the flag is off no client asks again and again."""
    judged, wrong = 0, []
    for stage in off(history):
        for life in attempts.lives(history).values():
            if not any(one.t_open is not None and one.t_open < stage.start for one in life.attempts):
                continue
            judged += 1
            times = [t for t in declared.reconnection_times(life, history) if t is not None]
            count = sum(stage.start <= one.t_request <= stage.end for one in life.attempts)
            allowed = LOOP_FREE + (stage.end - stage.start) / max(1.0, min(times, default=1.0))
            wrong += [f"{life.sub}: {count} attempts in {stage.end - stage.start:.1f} s"] if count > allowed else []
    if not judged:
        return skipped("the flag was not switched off under a subscriber")
    expected = f"at most {LOOP_FREE} attempts and one a second"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} clients made more", wrong)
    return passed(expected, f"{judged} clients", (), clients=judged)
