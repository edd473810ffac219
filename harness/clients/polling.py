"""Polling in place of a stream: what a client does while streaming is not to be had.

A layer above the subscriber, which knows nothing of it: when a subscriber has failed for good, the events are polled
after its last event ID, until it is time to try a stream again; a new subscriber then goes on where polling ended.
A poll that is refused for want of a right (401, 403) ends it, any other failure is waited out, longer each time.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx

from harness.clients import Session

LARGEST: Final = 16 * 1024 * 1024
PATIENCE: Final = 10.0
_DENIED: Final = (401, 403)
_SLOWER: Final = 8.0


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a subscriber goes on; `reconnection_time` in seconds, None while no server has set one."""

    last_event_id: str = ""
    reconnection_time: float | None = None


Stream = Callable[[Resume], Awaitable[Resume]]


async def subscribe(session: Session, stream: Stream, new_client: Callable[[], httpx.AsyncClient]) -> None:
    """Stream, and poll when that has failed for good and the session has a URL for it; `stream` returns on failure."""
    resume = await stream(Resume())
    while session.polling_url is not None:
        async with new_client() as http:
            last = await poll(session, http, resume.last_event_id)
        session.polling = False
        if last is None:
            return
        resume = await stream(replace(resume, last_event_id=last))


async def poll(session: Session, http: httpx.AsyncClient, after: str) -> str | None:
    """Poll, at least once, until a stream is to be tried again.

    Returns the last event ID then, or None if there is no right to poll.
    """
    every, again = float(session.options["poll_every"]), float(session.options.get("stream_again", 30.0))
    loop = asyncio.get_running_loop()
    until = loop.time() + again * (1 + session.rng.random() / 2)
    failures = 0
    while True:
        session.at = None
        status, body = await _ask(session, http, after)
        if status in _DENIED:
            session.polled(status)
            return None
        failures = 0 if status == 200 else failures + 1
        after = _dispatched(session, status, body) or after
        await asyncio.sleep(every * min(2.0**failures, _SLOWER) * (0.75 + session.rng.random() / 4))
        if loop.time() >= until:
            return after


async def _ask(session: Session, http: httpx.AsyncClient, after: str) -> tuple[int | None, dict[str, Any]]:
    """One answer: its status, and its JSON object where it is one."""
    url = httpx.URL(session.polling_url or "")
    url = url.copy_merge_params({"after": after}) if after else url
    raw = b""
    try:
        async with asyncio.timeout(PATIENCE), http.stream("GET", url, headers=dict(session.headers)) as answer:
            async for part in answer.aiter_bytes():
                raw += part
                if len(raw) > LARGEST:
                    return None, {}
        plain = json.loads(raw) if answer.status_code == 200 else None
    except (httpx.HTTPError, TimeoutError):
        return None, {}
    except (ValueError, RecursionError):
        return answer.status_code, {}
    return answer.status_code, plain if isinstance(plain, dict) else {}


def _dispatched(session: Session, status: int | None, body: dict[str, Any]) -> str:
    """Tell of an answer and dispatch its events; the last event ID, "" if it has none."""
    listed = body.get("events")
    events = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    session.polled(status, len(events))
    last = str(body.get("last") or "")
    if body.get("reset"):
        data = json.dumps({"reason": str(body.get("reason")), "after": last})
        session.event(id=last, type="reset", data=data, via="poll")
    for one in events:
        given = one.get("data")
        text = given if isinstance(given, str) else json.dumps(given)
        session.event(id=str(one.get("id", "")), type=str(one.get("type", "message")), data=text, via="poll")
    return last
