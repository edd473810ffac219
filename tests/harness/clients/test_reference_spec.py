import asyncio

import pytest

from harness.clients import reference, reference_spec
from tests.harness.doubles import HOLD, OPENED, Notes, Scripted, answer, running, session, until

EVENT = b"id: 1\ndata: a\n\n"


@pytest.mark.parametrize(
    "script", [answer(503), answer(429), answer(401), answer(204)], ids=lambda one: one[9:12].decode()
)
def test_any_answer_but_a_good_stream_ends_it_as_in_a_browser(script):
    async def play():
        async with Scripted(script) as server:
            notes = Notes()
            await reference_spec.subscribe(session(server.url, notes))
            return notes, server

    notes, server = asyncio.run(play())
    assert len(server.requests) == 1
    assert notes.story() == ["attempt", "response", "end", "error"]


def test_a_lost_stream_is_made_again_after_the_last_event_id():
    async def play():
        async with Scripted((OPENED, EVENT), (OPENED, b"data: b\n\n", HOLD)) as server:
            notes = Notes()
            async with running(reference_spec.subscribe(session(server.url, notes, options={"policy": "resilient"}))):
                await until(lambda: len(notes.of("sub.event")) == 2)
            return server

    assert asyncio.run(play()).requests[1].headers["last-event-id"] == "1"


def test_it_declares_less_than_the_resilient_one():
    assert reference_spec.CAPABILITIES < reference.CAPABILITIES
    assert "configurable" in reference_spec.CAPABILITIES
    assert not {"status-retry", "token-refresh"} & reference_spec.CAPABILITIES
