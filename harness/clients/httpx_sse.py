"""Plain httpx-sse as it comes: one connection, no reconnect, no deadline; what most Python services start with."""

import httpx
import httpx_sse

from harness import tls
from harness.clients import Session

CAPABILITIES: frozenset[str] = frozenset()


async def subscribe(session: Session) -> None:
    """Read one stream to its end."""
    session.attempt()
    trusted = tls.context(session.ca_file)
    try:
        async with (
            httpx.AsyncClient(verify=trusted, timeout=None, trust_env=False) as http,  # noqa: S113 - a stream has no read timeout
            httpx_sse.aconnect_sse(http, "GET", session.url, headers=dict(session.headers)) as source,
        ):
            session.response(source.response.status_code, source.response.headers)
            source.response.raise_for_status()
            session.opened()
            async for event in source.aiter_sse():
                session.event(id=event.id, type=event.event, data=event.data)
        session.ended("end of stream")
    except (httpx.HTTPError, httpx_sse.SSEError) as exc:
        session.error(f"{type(exc).__name__}: {exc}")
        session.ended(type(exc).__name__)
