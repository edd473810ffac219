"""The feature flag: it gates the endpoint, and switching it off ends what is live without a stampede."""

from dataclasses import dataclass

from harness import attempts, declared
from harness.check import Finding, Outcome, check, failed, passed, skipped, unknown
from harness.history import History
from harness.timing import too_late

LOOP_FREE = 3  # attempts that a client may make anyhow while the flag is off


@dataclass(frozen=True, slots=True)
class Off:
    """A stretch of time in which the flag was off."""

    start: float
    end: float


def _off(history: History) -> list[Off]:
    stretches, since = [], None
    for record in history.of("flag.set"):
        if not record["enabled"]:
            since = record.t if since is None else since
        elif since is not None:
            stretches.append(Off(since, record.t))
            since = None
    return stretches if since is None else [*stretches, Off(since, history.end)]


@check("flag.kill_switch", "RB-1", subject="server")
def kill_switch(history: History) -> Finding:
    """Switching the flag off ends every live stream within the promised time."""
    within = declared.of(history).promises.kill_switch_within
    if within is None:
        return skipped("the target promises no kill switch")
    judged: list[tuple[Outcome, str]] = []
    for off in _off(history):
        for one in attempts.streams(history):
            judged += _ended(history, one, off, within)
    if not judged:
        return skipped("the flag was not switched off while a stream was open, or not for long enough")
    outcome = max(found for found, _ in judged)
    rows = [text for found, text in judged if found is outcome]
    expected = f"live streams end within {within:g} s"
    match outcome:
        case Outcome.FAIL:
            return failed(expected, f"{len(rows)} of {len(judged)} did not", rows, streams=len(judged))
        case Outcome.UNKNOWN:
            return unknown(expected, "late by no more than our own lag", rows)
        case _:
            return passed(expected, f"{len(judged)} streams did", (), streams=len(judged))


def _ended(history: History, one: attempts.Attempt, off: Off, within: float) -> list[tuple[Outcome, str]]:
    """Whether a stream that was open when the flag went off ended in time; nothing if that cannot be told."""
    due, gone = off.start + within, attempts.lives(history)[one.sub].gone
    if one.t_open is None or one.t_open > off.start or (one.told_end is not None and one.told_end < off.start):
        return []
    if one.told_end is None and min(t for t in (off.end, gone, history.end) if t is not None) < due:
        return []
    end = min(one.told_end if one.told_end is not None else history.end, off.end if gone is None else gone)
    text = f"{one.sub} attempt {one.number}: open until {end:.3f}, due {due:.3f}"
    heard = [record.t for record in one.seen if due < record.t <= off.end]
    if heard:
        return [(too_late(history, heard[-1] - due, due, heard[-1]), f"{text}, last heard at {heard[-1]:.6f}")]
    return [(too_late(history, end - due, off.start, end), text)]


@check("flag.gates", "FLAG-1", subject="server")
def gates(history: History) -> Finding:
    """While the flag is off the endpoint opens no stream."""
    within = declared.of(history).promises.kill_switch_within
    if within is None:
        return skipped("the target promises no kill switch")
    judged, wrong = 0, []
    for off in _off(history):
        for one in attempts.attempts(history):
            if (
                one.status is not None
                and off.start + within < one.t_request
                and (one.t_open or one.t_request) < off.end
            ):
                judged += 1
                wrong += [f"{one.sub} attempt {one.number} at {one.t_request:.6f}"] if one.status == 200 else []
        for probe in history.of("probe"):
            if probe["status"] is not None and off.start + within < probe.get("began", probe.t) and probe.t <= off.end:
                judged += 1
                wrong += [f"probe {probe['name']} at {probe.t:.6f}"] if probe["status"] == 200 else []
    if not judged:
        return skipped("nobody asked for a stream while the flag was off")
    if wrong:
        return failed("no stream while the flag is off", f"{len(wrong)} of {judged} requests got one", wrong)
    return passed("no stream while the flag is off", f"{judged} requests refused", (), requests=judged)


@check("flag.no_client_loop", "RB-1", subject="client")
def no_client_loop(history: History) -> Finding:
    """While the flag is off no client asks again and again."""
    judged, wrong = 0, []
    for off in _off(history):
        for life in attempts.lives(history).values():
            if not any(one.t_open is not None and one.t_open < off.start for one in life.attempts):
                continue
            judged += 1
            times = [t for t in declared.reconnection_times(life, history) if t is not None]
            count = sum(off.start <= one.t_request <= off.end for one in life.attempts)
            allowed = LOOP_FREE + (off.end - off.start) / max(1.0, min(times, default=1.0))
            wrong += [f"{life.sub}: {count} attempts in {off.end - off.start:.1f} s"] if count > allowed else []
    if not judged:
        return skipped("the flag was not switched off under a subscriber")
    expected = f"at most {LOOP_FREE} attempts and one a second"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} clients made more", wrong)
    return passed(expected, f"{judged} clients", (), clients=judged)
