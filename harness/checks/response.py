"""The response that opens a stream: its head, and that it comes at once."""

from harness import attempts, declared
from harness.check import Finding, check, failed, passed, skipped, weighed
from harness.history import History
from harness.timing import REQUEST, settled, too_late

PROMPT = 2.0  # seconds within which the head of a stream has to come if no latency is promised


def _opened(history: History) -> list[attempts.Attempt]:
    """The accepted attempts of which the response's head is known."""
    return [one for one in attempts.attempts(history) if one.status == 200 and one.headers]


@check("response.stream_head", "VAL-1", "SSE-15", "SRV-1", subject="server")
def stream_head(history: History) -> Finding:
    """A stream is answered with status 200 and the content type text/event-stream."""
    expected, seen = "200 with content-type text/event-stream", _opened(history)
    if not seen:
        return skipped("no client showed the head of an accepted response")
    wrong = [
        f"{one.sub} attempt {one.number}: {one.headers.get('content-type', 'no content type')}"
        for one in seen
        if not attempts.is_event_stream(one.headers)
    ]
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(seen)} responses have another", wrong)
    return passed(expected, f"{len(seen)} responses", (), responses=len(seen))


@check("response.not_cached", "VAL-1", "SSE-5", subject="server")
def not_cached(history: History) -> Finding:
    """A stream forbids every cache on its path to keep or share it."""
    expected, seen = "Cache-Control: no-store or no-cache", _opened(history)
    if not seen:
        return skipped("no client showed the head of an accepted response")
    wrong = [
        f"{one.sub} attempt {one.number}: Cache-Control {one.headers.get('cache-control', 'is missing')}"
        for one in seen
        if not {"no-store", "no-cache"} & _directives(one.headers.get("cache-control", ""))
    ]
    if wrong:
        return failed(expected, f"{len(wrong)} of {len(seen)} responses may be cached", wrong)
    return passed(expected, f"{len(seen)} responses", (), responses=len(seen))


def _directives(value: str) -> set[str]:
    return {one.partition("=")[0].strip().lower() for one in value.split(",")}


@check("response.prompt", "VAL-1", "SSE-17", "SRV-1", subject="server")
def prompt(history: History) -> Finding:
    """The head of the response comes at once, without waiting for the first event."""
    promised = declared.of(history).promises.max_latency
    bound = PROMPT if promised is None else max(PROMPT, promised)
    waits = [(one, *wait) for one in attempts.attempts(history) if (wait := _wait(history, one, bound)) is not None]
    if not waits:
        return skipped("no attempt was opened in a quiet window by a client that records its attempts")
    judged = [
        (
            # behind redirects there are several requests, one after the other
            too_late(history, t1 - t0 - bound, t0, t1, turns=REQUEST * max(1, len(one.conns))),
            f"{one.sub} attempt {one.number}: after {t1 - t0:.3f} s",
        )
        for one, t0, t1 in waits
    ]
    longest = max(t1 - t0 for _, t0, t1 in waits)
    actual = f"longest {longest:.3f} s of {len(judged)}"
    return weighed(
        judged, f"the head within {bound:g} s", fails=actual, doubts=f"{actual}: no more than our own lag",
        passes=actual, worst=longest, responses=len(judged),
    )  # fmt: skip


def _wait(history: History, one: attempts.Attempt, bound: float) -> tuple[float, float] | None:
    """From when until when an attempt waited for its head while nothing was broken; in vain, if longer than the bound.

    Who ended a wait in vain does not matter: the run, the client whose patience was at its end, or the server.
    """
    life = attempts.lives(history)[one.sub]
    ends = [t for t in (one.t_response, one.t_open, one.told_end, life.gone) if t is not None]
    until = min(ends, default=history.end)
    answered = one.t_response is not None or one.t_open is not None
    begin = settled(history, one.t_request, until)
    if one.source != "client" or begin is None or begin > until:
        return None
    return (begin, until) if answered or until - begin > bound else None
