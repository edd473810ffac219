"""A server to be judged: sse-starlette, tokens, replay of the latest events, and a hook that publishes.

`python starlette_app.py PORT`.  It knows nothing of sse-harness: a target file says where it is and what it promises.
"""

import asyncio
import json
import secrets
import sys
from collections import deque
from collections.abc import AsyncIterator

import uvicorn
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TOKENS = {"token-of-alice": "alice", "token-of-bob": "bob", "token-of-carol": "carol"}
EPOCH = secrets.token_hex(4)  # an id of before a restart is none of ours
KEPT: deque[tuple[int, str | None, str, str]] = deque(maxlen=500)
CHANGED = asyncio.Condition()


def latest() -> int:
    return KEPT[-1][0] if KEPT else 0


async def events(user: str, seen: int | None) -> AsyncIterator[dict[str, str]]:
    while True:
        if seen is None or (KEPT and seen < KEPT[0][0] - 1):
            yield {"event": "reset", "data": "some events are no longer kept: load the page again"}
            seen = latest()
        for number, owner, kind, data in list(KEPT):
            if number > seen and owner in (None, user):
                yield {"id": f"{EPOCH}-{number}", "event": kind, "data": data}
            seen = max(seen, number)
        async with CHANGED:
            while latest() == seen:
                await CHANGED.wait()


async def stream(request: Request) -> Response:
    user = TOKENS.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if user is None:
        return Response("a valid token is needed", 401, {"WWW-Authenticate": "Bearer"})
    epoch, _, number = request.headers.get("Last-Event-ID", f"{EPOCH}-{latest()}").rpartition("-")
    known = epoch == EPOCH and number.isascii() and number.isdigit() and len(number) < 20
    return EventSourceResponse(events(user, int(number) if known else None), ping=1)


async def publish(request: Request) -> Response:
    order = await request.json()
    KEPT.append((latest() + 1, order["user"], order["type"], json.dumps(order["data"])))
    async with CHANGED:
        CHANGED.notify_all()
    return Response(status_code=204)


app = Starlette(routes=[Route("/events", stream), Route("/test/publish", publish, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", timeout_graceful_shutdown=1)
