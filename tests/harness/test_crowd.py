import asyncio
import json

import pytest

from harness import crowd as crowds
from harness import testevent
from harness.clients import LONGEST_TEXT
from harness.crowd import Crowd
from harness.errors import HarnessError
from tests.harness.doubles import Notes, NotingServer, client, until


async def stays(session):
    session.attempt()
    session.opened()
    await asyncio.Event().wait()


def crowd(subscribe=stays, *, server=None, **more):
    given = {"options": {}, "seed": 3, **more}
    return Crowd(client=client(subscribe), server=server or NotingServer(), writer=Notes(), **given)


def test_opened_it_is_a_session_of_its_own_and_closed_it_is_over():
    async def played():
        one = crowd(tagged=True, address="127.0.0.1:7")
        await one.open("a-0", "u0")
        await one.open("b-0", "u1", ttl=2.0)
        await one.until_open(5.0)
        assert [each.session.sub for each in one.live()] == ["a-0", "b-0"]
        await one.close("a")
        assert [each.session.sub for each in one.live()] == ["b-0"]
        assert not one.members["a-0"].session.is_open
        await one.close()
        await one.close()
        return one

    one = asyncio.run(played())
    notes = one.writer
    assert notes.told("sub.start", "sub", "user", "url", "ttl") == [
        ("a-0", "u0", "http://127.0.0.1:7/stream?sub=a-0", None),
        ("b-0", "u1", "http://127.0.0.1:7/stream?sub=b-0", 2.0),
    ]
    assert notes.told("sub.close", "sub", "was_open") == [("a-0", True), ("b-0", True)]
    assert notes.told("sub.closed", "sub", "reason") == [("a-0", "close()"), ("b-0", "close()")]
    a, b = (one.members[name].session for name in ("a-0", "b-0"))
    assert a.headers == {"Authorization": "Bearer u0.long.signature"}
    assert b.headers == {"Authorization": "Bearer u1.2.0.signature"}
    assert a.rng.random() != b.rng.random()


def test_who_was_dropped_has_to_be_open_anew():
    """One that has not noticed yet still seems to be open: a busy machine once metered everybody on the way back."""
    again = asyncio.Event()

    async def comes_back(session):
        session.opened()
        await again.wait()
        session.opened()
        await asyncio.Event().wait()

    async def played():
        one = crowd(comes_back)
        await one.open("a-0", "u0")
        await one.until_open(5.0)
        before = one.opens()
        waiting = asyncio.create_task(one.until_open(5.0, since=before))
        await asyncio.sleep(0.05)
        early = waiting.done()
        again.set()
        await waiting
        told = one.opens()
        await one.close()
        return before, early, told

    assert asyncio.run(played()) == ({"a-0": 1}, False, {"a-0": 2})


def test_the_same_seed_gives_each_subscriber_the_same_chance():
    async def drawn():
        one = crowd()
        await one.open("a-0", "u0")
        await one.close()
        return one.members["a-0"].session.rng.random()

    assert asyncio.run(drawn()) == asyncio.run(drawn())


def test_behind_the_proxy_a_foreign_server_hears_its_own_name():
    async def played(**server):
        one = crowd(server=NotingServer(**server), address="127.0.0.1:7")
        await one.open("a", "u0")
        fresh = await one.members["a"].session.fresh_token()
        await one.close()
        return one.members["a"].session.headers, fresh

    for headers in asyncio.run(played(own=False)):
        assert headers["Host"] == "127.0.0.1:9"
    for headers in asyncio.run(played(own=True)):
        assert "Host" not in headers


def test_a_token_in_the_query_is_never_in_a_record():
    async def played():
        server = NotingServer(
            query="access_token", url="http://127.0.0.1:9/stream?a=1", twins={"events": "http://127.0.0.1:9/events"}
        )
        one = crowd(server=server, options={"poll_every": 1.0})
        await one.open("a", "u0")
        await one.close()
        return one

    one = asyncio.run(played())
    session = one.members["a"].session
    assert session.url == "http://127.0.0.1:9/stream?a=1&access_token=u0.long.signature"
    assert session.polling_url == "http://127.0.0.1:9/events?access_token=u0.long.signature"
    assert "signature" not in str(one.writer.records)


def test_without_the_option_there_is_no_url_for_polling():
    async def played():
        one = crowd(server=NotingServer(twins={"events": "http://127.0.0.1:9/events"}))
        await one.open("a", "u0")
        await one.close()
        return one.members["a"].session.polling_url

    assert asyncio.run(played()) is None


def test_two_of_the_same_name_are_one_sentence():
    async def played():
        one = crowd()
        await one.open("a", "u0")
        try:
            with pytest.raises(HarnessError) as caught:
                await one.open("a", "u1")
            return str(caught.value)
        finally:
            await one.close()

    assert asyncio.run(played()) == "two subscribers are named 'a'; give the scenario's steps different labels"


def test_a_client_that_will_not_end_is_stuck(monkeypatch):
    monkeypatch.setattr(crowds, "GRACE", 0.02)
    release = asyncio.Event()

    async def swallows(session):
        session.opened()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def played():
        one = crowd(swallows)
        await one.open("a", "u0")
        await one.until_open(5.0)
        await one.close()
        told = one.writer.told("sub.closed", "sub", "reason", "stuck")
        release.set()
        await one.members["a"].task
        return told

    assert asyncio.run(played()) == [("a", "still running after close()", True)]


def test_a_client_that_raises_has_crashed_and_one_that_returns_has_given_up():
    async def fails(session):
        session.opened()
        if session.user == "u0":
            raise ValueError("x" * 1000)

    async def played():
        one = crowd(fails)
        for user in ("u0", "u1"):
            await one.open(user, user)
        await asyncio.wait([each.task for each in one.members.values()])
        assert one.live() == []
        assert not any(each.session.is_open for each in one.members.values())
        return one.writer

    told = asyncio.run(played()).told("sub.closed", "sub", "reason", "crashed")
    assert [(sub, crashed) for sub, _, crashed in told] == [("u0", True), ("u1", None)]
    assert told[0][1].startswith("raised ValueError: xxx")
    assert len(told[0][1]) == LONGEST_TEXT
    assert told[1][1] == "gave up"


def test_waiting_for_openings_ends_in_time_and_a_poller_counts_as_open():
    async def polls(session):
        if session.user == "u0":
            session.polled(200)
        await asyncio.Event().wait()

    async def played():
        one = crowd(polls)
        await one.open("a", "u0")
        await one.until_open(5.0)
        assert one.members["a"].session.polling
        await one.open("b", "u1")
        await one.until_open(0.01)
        assert not one.members["b"].session.is_open
        await one.close()

    asyncio.run(played())


def sentinel(user, seq):
    return testevent.make(user, epoch="e", seq=seq, at=0.0, body={})


def test_drained_is_who_has_dispatched_the_sentinel_of_each_of_its_channels():
    own, common = sentinel("u0", 1), sentinel(None, 1)
    digests = {"user:u0": own["digest"], "all": common["digest"]}
    late = asyncio.Event()

    async def receives(session):
        session.opened()
        session.event(id="1", type="sentinel", data=json.dumps(common))
        if session.sub == "torn":
            session.event(id="2", type="sentinel", data=json.dumps({**own, "seq": 2}))
        else:
            await late.wait()
            session.event(id="2", type="sentinel", data=json.dumps(own))
        await asyncio.Event().wait()

    async def played():
        one = crowd(receives)
        channels = {"u0": ("user:u0", "all"), "u1": ("user:u1", "all")}
        for sub, user in (("whole", "u0"), ("torn", "u0"), ("other", "u1"), ("gone", "u0")):
            await one.open(sub, user)
        await one.until_open(5.0)
        draining = asyncio.create_task(one.drain(digests, channels, 0.1))
        await asyncio.sleep(0)
        await one.close("gone")
        late.set()
        await until(lambda: len(one.members["whole"].session.sentinels) == 2)
        missing = await draining
        await one.close()
        return missing

    assert asyncio.run(played()) == ["torn"]
