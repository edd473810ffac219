"""Each bad client does its bad thing where the reference client, on the same bytes, does not."""

import asyncio
import random
from itertools import pairwise

import pytest

from harness import defects, locate
from harness.clients import faulty, reference
from harness.subscriber import Dispatch, Options, Subscriber
from tests.harness.doubles import HOLD, OPENED, Notes, Scripted, answer, running, session, until

EVENT = b"id: 1\ndata: a\n\n"


class Fixed:
    """Chance that always draws the same, so that a wait without jitter can be told from one with."""

    def random(self):
        return 0.5


def played(client, *scripts, attempts=2, options=None, polling=False, settle=None):
    """What a client told and asked, cancelled after so many attempts (or, with `settle`, when that holds)."""

    async def play():
        async with Scripted(*scripts) as server:
            notes = Notes()
            more = {"polling_url": f"{server.origin}/events"} if polling else {}
            one = session(server.url, notes, options=options or {}, rng=Fixed(), **more)
            done = settle or (lambda notes, server: len(server.requests) >= attempts)
            async with running(client.subscribe(one)) as task:
                await until(lambda: done(notes, server) or task.done())
            await forget_leaked()
            return notes, server

    return asyncio.run(play())


async def forget_leaked():
    for task in faulty._LEAKED:
        task.cancel()
    await asyncio.gather(*faulty._LEAKED, return_exceptions=True)
    faulty._LEAKED.clear()


def ids(server):
    return [request.headers.get("last-event-id") for request in server.requests]


def waits(notes):
    return notes.told("sub.wait", "delay")


def test_the_table_names_them_all():
    named = {one.attribute for one in defects.DEFECTS if one.subject == "client"}
    assert {name for name, one in vars(faulty).items() if isinstance(one, faulty.Bad)} == named
    for name in named:
        assert locate.load("harness.clients", f"harness.clients.faulty:{name}").CAPABILITIES


def test_forgets_id():
    scripts = (OPENED, EVENT), (OPENED, HOLD)
    assert ids(played(reference, *scripts)[1]) == [None, "1"]
    assert ids(played(faulty.forgets_id, *scripts)[1]) == [None, None]


@pytest.mark.parametrize("reset", [b"id:\ndata: b\n\n", b"id\n\n"], ids=["event", "no event"])
def test_ignores_empty_id(reset):
    scripts = (OPENED, EVENT + reset + b"data: c\n\n"), (OPENED, HOLD)
    good, server = played(reference, *scripts)
    assert (ids(server), good.told("sub.event", "id")[-1]) == ([None, None], "")
    bad, server = played(faulty.ignores_empty_id, *scripts)
    assert (ids(server), bad.told("sub.event", "id")[-1]) == ([None, "1"], "1")


def test_strips_first_bom_only():
    scripts = (OPENED, b"\xef\xbb\xbf" + EVENT), (OPENED, b"\xef\xbb\xbfid: 2\ndata: b\n\n"), (OPENED, HOLD)
    assert ids(played(reference, *scripts, attempts=3)[1]) == [None, "1", "2"]
    assert ids(played(faulty.strips_first_bom_only, *scripts, attempts=3)[1]) == [None, "1", "1"]


def test_keeps_torn_id():
    scripts = (OPENED, EVENT + b"id: 2\ndata: to"), (OPENED, HOLD)
    assert ids(played(reference, *scripts)[1]) == [None, "1"]
    assert ids(played(faulty.keeps_torn_id, *scripts)[1]) == [None, "2"]


def test_keeps_torn_id_behaves_where_nothing_is_torn():
    assert ids(played(faulty.keeps_torn_id, answer(503), (OPENED, EVENT), (OPENED, HOLD), attempts=3)[1]) == [
        None, None, "1"
    ]  # fmt: skip


def test_dispatches_at_eof():
    scripts = (OPENED, b"data: whole\n\ndata: torn"), (OPENED, HOLD)
    assert played(reference, *scripts)[0].told("sub.event", "data") == ["whole"]
    assert played(faulty.dispatches_at_eof, *scripts)[0].told("sub.event", "data") == ["whole", "torn"]


def test_no_backoff():
    options = {"reconnection_time": 0.01, "backoff_base": 0.01, "backoff_cap": 0.04}
    good = waits(played(reference, answer(503), attempts=4, options=options)[0])[:3]
    bad = waits(played(faulty.no_backoff, answer(503), attempts=4, options=options)[0])[:3]
    assert all(later > sooner for sooner, later in pairwise(good))
    assert len(set(bad)) == 1


def test_no_jitter():
    options = {"reconnection_time": 0.0, "backoff_base": 0.02}
    [good] = waits(played(reference, answer(503), (OPENED, HOLD), options=options)[0])
    [bad] = waits(played(faulty.no_jitter, answer(503), (OPENED, HOLD), options=options)[0])
    assert good == bad / 2


def test_no_jitter_at_cap():
    options = {"reconnection_time": 0.0, "backoff_base": 0.01, "backoff_cap": 0.02}
    good = waits(played(reference, answer(503), attempts=4, options=options)[0])[:3]
    bad = waits(played(faulty.no_jitter_at_cap, answer(503), attempts=4, options=options)[0])[:3]
    assert (good, bad) == ([0.005, 0.01, 0.01], [0.005, 0.02, 0.02])


def test_ignores_retry():
    scripts = (OPENED, b"retry: 200\n\n" + EVENT), (OPENED, HOLD)
    [good] = waits(played(reference, *scripts, settle=lambda notes, _: notes.of("sub.wait"))[0])
    [bad] = waits(played(faulty.ignores_retry, *scripts, settle=lambda notes, _: notes.of("sub.wait"))[0])
    assert bad < 0.2 <= good


def test_takes_first_retry_only():
    scripts = (OPENED, b"retry: 10\n\n" + EVENT + b"retry: 200\n\n" + EVENT), (OPENED, HOLD)
    notes, _ = played(faulty.takes_first_retry_only, *scripts, options={"backoff_base": 0.0})
    assert (waits(notes)[0], notes.told("sub.retry", "retry_ms")) == (0.01, [10])
    notes, _ = played(reference, *scripts, options={"backoff_base": 0.0})
    assert (waits(notes)[0], notes.told("sub.retry", "retry_ms")) == (0.2, [10, 200])


@pytest.mark.parametrize(("value", "wait"), [("-1", 0.0), ("0.5", 0.0005), ("1e1", 0.01), ("", 0.1), ("x", 0.1)])
def test_obeys_invalid_retry(value, wait):
    scripts = (OPENED, f"retry: 100\n\nretry: {value}\n\nunknown: 7\n\n".encode() + EVENT), (OPENED, HOLD)
    options = {"backoff_base": 0.0}
    assert waits(played(reference, *scripts, options=options)[0]) == [0.1]
    assert waits(played(faulty.obeys_invalid_retry, *scripts, options=options)[0]) == [wait]


def test_reconnects_after_204():
    assert len(played(reference, answer(204))[1].requests) == 1
    assert len(played(faulty.reconnects_after_204, answer(204), (OPENED, HOLD))[1].requests) == 2
    assert len(played(faulty.reconnects_after_204, answer(404))[1].requests) == 1


def test_hammers():
    options = {"backoff_base": 5.0, "reconnection_time": 5.0}
    assert len(played(reference, answer(204))[1].requests) == 1
    assert len(played(faulty.hammers, answer(204), attempts=3, options=options)[1].requests) == 3
    assert waits(played(faulty.hammers, answer(404), answer(204), options=options)[0])[0] == 0.03


def test_ignores_retry_after():
    scripts = answer(503, Retry_After="7"), (OPENED, HOLD)
    [good] = waits(played(reference, *scripts, settle=lambda notes, _: notes.of("sub.wait"))[0])
    [bad] = waits(played(faulty.ignores_retry_after, *scripts, settle=lambda notes, _: notes.of("sub.wait"))[0])
    assert bad < 7 <= good


def test_comes_back_after_refusal():
    assert len(played(reference, answer(403))[1].requests) == 1
    assert len(played(faulty.comes_back_after_refusal, answer(403), (OPENED, HOLD))[1].requests) == 2
    assert len(played(faulty.comes_back_after_refusal, answer(204))[1].requests) == 1


def test_takes_any_content_type():
    script = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", EVENT)
    assert played(reference, script, attempts=1, settle=lambda notes, _: notes.of("sub.error"))[0].of("sub.event") == []
    notes, _ = played(faulty.takes_any_content_type, script, settle=lambda notes, _: notes.of("sub.event"))
    assert notes.told("sub.event", "data") == ["a"]


def test_leaks_memory():
    played(faulty.leaks_memory, (OPENED, HOLD), attempts=1)
    assert len(faulty._HOARD.pop()) == faulty.HOARDED
    assert not faulty._HOARD


def test_hides_errors():
    def told(client):
        """How many errors it told of by its fourth attempt."""
        notes, _ = played(client, answer(503), attempts=4)
        fourth = notes.of("sub.attempt")[3]
        return sum(one.t <= fourth.t for one in notes.of("sub.error"))

    assert told(reference) == 3
    assert told(faulty.hides_errors) == 1


@pytest.mark.parametrize(("name", "data"), [("dispatches_empty", ""), ("dispatches_comments", "heartbeat")])
def test_takes_a_comment_for_an_event(name, data):
    script = (OPENED, EVENT + b": heartbeat\n\n", HOLD)
    bad = getattr(faulty, name)

    def heard(notes, _):
        return notes.of("sub.comment")

    assert played(reference, script, settle=heard)[0].told("sub.event", "data") == ["a"]
    notes, _ = played(bad, script, settle=lambda notes, _: len(notes.of("sub.event")) == 2)
    assert notes.told("sub.event", "data") == ["a", data]


POLLED = answer(200, b'{"events": [{"id": "5", "type": "m", "data": "p"}], "last": "5"}')
POLLS = {"poll_every": 0.001, "stream_again": 0.0}


def test_no_polling_fallback():
    scripts = answer(204), POLLED, (OPENED, HOLD)
    assert "/events" in [one.path for one in played(reference, *scripts, polling=True, options=POLLS)[1].requests]
    bad = played(faulty.no_polling_fallback, *scripts, polling=True, options=POLLS)[1]
    assert [one.path for one in bad.requests] == ["/stream"]


def test_keeps_cached_state():
    scripts = (OPENED, EVENT), answer(204), POLLED, (OPENED, HOLD)
    assert ids(played(reference, *scripts, attempts=4, polling=True, options=POLLS)[1])[3] == "5"
    assert ids(played(faulty.keeps_cached_state, *scripts, attempts=4, polling=True, options=POLLS)[1])[3] == "1"


def test_ignores_silence():
    options = {"heartbeat_deadline": 0.02}
    assert len(played(reference, (OPENED, HOLD), options=options)[1].requests) == 2

    async def play():
        async with Scripted((OPENED, HOLD)) as server:
            notes = Notes()
            async with running(faulty.ignores_silence.subscribe(session(server.url, notes, options=options))):
                await until(lambda: notes.of("sub.open"))
                await asyncio.sleep(0.05)
            return server

    assert len(asyncio.run(play()).requests) == 1


@pytest.mark.parametrize("client", [faulty.never_closes_sockets, faulty.goes_on_after_close], ids=["mute", "loud"])
def test_what_goes_on_after_its_end(client):
    """The socket stays open; one keeps silent about what comes through it, the other does not."""

    async def play():
        async with Scripted((OPENED, EVENT, HOLD), (OPENED, HOLD)) as server:
            notes = Notes()
            options = {"heartbeat_deadline": 0.05}
            async with running(client.subscribe(session(server.url, notes, options=options))):
                await until(lambda: notes.of("sub.event"))
            before = len(notes.records)
            assert (server.left, len(faulty._LEAKED)) == (0, 1)
            await until(lambda: len(server.requests) == 2)
            told = len(notes.records) - before
            await forget_leaked()
            return told

    told = asyncio.run(play())
    assert (told == 0) == (client is faulty.never_closes_sockets)


def test_opens_one_each():
    async def connections(client):
        async with Scripted((OPENED, HOLD)) as server:
            peers, options = {}, {"shared": True}
            sessions = [session(server.url, Notes(), options=options, peers=peers) for _ in range(2)]
            async with running(client.subscribe(sessions[0])), running(client.subscribe(sessions[1])):
                await until(lambda: all(one.is_open for one in sessions))
            return len(server.requests)

    assert asyncio.run(connections(reference)) == 1
    assert asyncio.run(connections(faulty.opens_one_each)) == 2


def machine(kind):
    """A machine whose stream is open."""
    one = kind(Options(), rng=random.Random(1))
    one.start(0.0)
    one.connected(0.0, 200, {"content-type": "text/event-stream"})
    return one


def dispatched(one, *chunks):
    return [out.event.data for chunk in chunks for out in one.received(0.0, chunk) if isinstance(out, Dispatch)]


def test_loses_at_chunks():
    assert dispatched(machine(Subscriber), EVENT[:-3], EVENT[-3:] + EVENT) == ["a", "a"]
    assert dispatched(machine(faulty._LosesAtChunks), EVENT[:-3], EVENT[-3:] + EVENT) == ["a"]


def test_one_event_a_chunk():
    assert dispatched(machine(Subscriber), EVENT + EVENT) == ["a", "a"]
    assert dispatched(machine(faulty._OneEventAChunk), EVENT + EVENT) == ["a"]


def test_resets_on_open_has_no_law_of_its_own_for_stability():
    options = {"reconnection_time": 0.0, "backoff_base": 0.01, "stable_after": 9.0}

    def three(notes, _):
        return len(waits(notes)) == 3

    bad = waits(played(faulty.resets_on_open, (OPENED,), settle=three, options=options)[0])
    assert max(bad) <= 0.01


def test_never_resets_backoff():
    options = {"reconnection_time": 0.0, "backoff_base": 0.01, "stable_after": 0.0}
    scripts = answer(503), answer(503), (OPENED, EVENT), (OPENED, HOLD)
    assert waits(played(reference, *scripts, attempts=4, options=options)[0]) == [0.005, 0.01, 0.005]
    assert waits(played(faulty.never_resets_backoff, *scripts, attempts=4, options=options)[0]) == [0.005, 0.01, 0.02]


def test_gives_up():
    assert played(faulty.gives_up, answer(503))[0].told("sub.error", "reason")
    assert len(played(faulty.gives_up, answer(503))[1].requests) == 1


def test_crashes():
    assert dispatched(machine(faulty._Crashes), EVENT) == ["a"]
    with pytest.raises(KeyError, match="job"):
        machine(faulty._Crashes).received(0.0, b"event: job\ndata: x\n\n")


def test_forgets_token():
    scripts = (OPENED, EVENT), (OPENED, HOLD)
    shown = [request.headers.get("authorization") for request in played(faulty.forgets_token, *scripts)[1].requests]
    assert shown == ["Bearer first", None]


def test_leaks_on_reconnect():
    async def play():
        async with Scripted((OPENED, EVENT), (OPENED, HOLD)) as server:
            notes = Notes()
            async with running(faulty.leaks_on_reconnect.subscribe(session(server.url, notes))):
                await until(lambda: len(notes.of("sub.open")) == 2)
                left = len(faulty._LEAKED)
            await forget_leaked()
            return left

    assert asyncio.run(play()) == 1


def test_ends_healthy_streams():
    """Silent for 0.4 s, which nobody calls silence who waits for heartbeats of a second."""
    options = {"heartbeat_deadline": 9.0}

    def lost(notes, _):
        return notes.of("sub.wait")

    assert played(faulty.ends_healthy_streams, (OPENED, HOLD), settle=lost, options=options)[0].of("sub.wait")
