import asyncio
from dataclasses import dataclass, field

import pytest

from harness import nemesis as nemeses
from harness.crowd import Crowd
from harness.faults import Toxic
from harness.nemesis import Nemesis
from harness.scenario import (
    AwaitOpen,
    Burst,
    Churn,
    Close,
    Drop,
    Flag,
    Meter,
    Network,
    Open,
    Probe,
    ProbeAll,
    ProbeRest,
    Restart,
    Rollout,
    StreamFault,
    Wait,
)
from harness.target import Promises
from tests.harness.doubles import HOLD, OPENED, Notes, NotingProxy, NotingServer, Scripted, answer, client, until

LATENCY = Toxic("latency", {"latency": 200})


async def stays(session):
    session.opened()
    await asyncio.Event().wait()


def made(server=None, proxy=None, subscribe=stays, users=("u0", "u1"), beat=0.01):
    server, notes = server or NotingServer(), Notes()
    crowd = Crowd(client=client(subscribe), server=server, writer=notes, options={}, seed=1)
    return Nemesis(server, crowd, proxy, notes, users, beat)


def acted(*steps, **more):
    """A nemesis that has done these steps."""

    async def act():
        one = made(**more)
        await one.play(steps)
        await one.crowd.close()
        return one

    return asyncio.run(act())


@pytest.mark.parametrize(
    ("step", "orders"),
    [
        (Wait(0.001, beats=0.1), []),
        (AwaitOpen(seconds=0.0, beats=1.0), []),
        (Burst(3, "each"), [("publish", "u0", 3, None), ("publish", "u1", 3, None)]),
        (Burst(3, "all"), [("publish", None, 3, None)]),
        (Burst(1, "both"), [("publish", "u0", 1, None), ("publish", "u1", 1, None), ("publish", None, 1, None)]),
        (
            StreamFault("fog", {"n": 1}, attempts=2, sub="a"),
            [("fault", {"name": "fog", "parameters": {"n": 1}, "attempts": 2, "sub": "a"})],
        ),
        (Drop("rst"), [("drop", {"how": "rst"})]),
        (Restart("crash", down=0.2), [("restart", {"how": "crash", "down": 0.2})]),
        (Flag(False), [("flag", {"enabled": False})]),
        (Rollout(50.0), [("rollout", {"percent": 50.0})]),
        (Network("add", LATENCY), []),
    ],
    ids=lambda one: type(one).__name__ if not isinstance(one, list) else "",
)
def test_a_step_orders_what_it_says_and_is_recorded_at_both_ends(step, orders):
    one = acted(step, server=NotingServer(promises=Promises(kill_switch_within=0.001)))
    assert one.server.orders == orders
    name = type(step).__name__.lower()
    assert one.writer.told("step", "step", "state") == [(name, "begin"), (name, "end")]
    fields = {key: value for key, value in one.writer.of("step")[0].data.items() if key not in ("step", "state")}
    assert fields.keys() == set(type(step).__slots__)


@pytest.mark.parametrize(("promised", "count"), [(None, 2), (3, 2), (8, 3), (9, 4), (2000, 2)])
def test_a_burst_can_be_larger_than_the_promised_replay_unless_that_is_huge(promised, count):
    server = NotingServer(promises=Promises(replay_events=promised))
    orders = acted(Burst(2, "both", beyond_replay=True), server=server).server.orders
    assert orders == [("publish", user, count, None) for user in ("u0", "u1", None)]


def test_a_change_of_the_flag_has_the_promised_time(monkeypatch):
    monkeypatch.setattr(nemeses, "UNPROMISED", 0.03)
    [begin, end] = acted(Rollout(1.0)).writer.of("step")
    assert end.t - begin.t >= 0.03


def test_faults_of_the_network_are_on_before_and_off_after():
    proxy = NotingProxy()
    one = acted(
        Network("add", LATENCY), Network("remove", LATENCY), Network("disable"), Network("enable"),
        Network("add", LATENCY), Network("disable"), Network("heal"), proxy=proxy,
    )  # fmt: skip
    name = LATENCY.name
    assert proxy.orders == [
        ("add", name), ("remove", name), ("disable",), ("enable",), ("add", name), ("disable",), ("heal",)
    ]  # fmt: skip
    assert one.writer.told("net.fault", "fault", "state") == [
        (name, "on"), (name, "off"), ("disabled", "on"), ("disabled", "off"),
        (name, "on"), ("disabled", "on"), *((fault, "off") for fault in sorted((name, "disabled"))),
    ]  # fmt: skip
    assert not one.broken


def test_healing_takes_back_whatever_is_broken():
    async def healed():
        proxy = NotingProxy()
        one = made(proxy=proxy)
        await one.heal()
        assert (proxy.orders, one.server.orders) == ([("heal",)], [])
        await one.play((Network("disable"), StreamFault("fog")))
        await one.heal()
        await one.heal()
        assert one.server.orders[1:] == [("reset", {})]
        assert one.writer.told("net.fault", "fault", "state") == [("disabled", "on"), ("disabled", "off")]
        await made().heal()

    asyncio.run(healed())


def test_after_a_drop_everybody_has_to_be_open_anew():
    async def never_notices(session):
        session.opened()
        await asyncio.Event().wait()

    async def played():
        one = made(subscribe=never_notices)
        await one.play((Open("a"), AwaitOpen(), Drop("fin")))
        waiting = asyncio.create_task(one.play((AwaitOpen(),)))
        await asyncio.sleep(0.05)
        early = waiting.done()
        one.crowd.members["a-0"].session.opened()
        await waiting
        await one.crowd.close()
        return early

    assert asyncio.run(played()) is False


def test_subscribers_are_opened_and_closed_by_label():
    async def played():
        one = made(server=NotingServer(promises=Promises(limit_per_user=2)))
        await one.play((Open("few", user=1, count=2, ttl=3.0), Open("many", beyond_limit=1), Close("few")))
        assert [each.session.sub for each in one.crowd.live()] == ["many-0", "many-1", "many-2"]
        await one.play((Close(),))
        assert one.crowd.live() == []
        return one.writer.told("sub.start", "sub", "user", "ttl")

    assert asyncio.run(played()) == [
        ("few-0", "u1", 3.0), ("few-1", "u1", 3.0),
        ("many-0", "u0", None), ("many-1", "u0", None), ("many-2", "u0", None),
    ]  # fmt: skip


def test_without_a_user_there_are_subscribers_of_each():
    one = acted(Open("client", user=None, count=2))
    assert one.writer.told("sub.start", "sub", "user") == [
        ("client0-0", "u0"), ("client0-1", "u0"), ("client1-0", "u1"), ("client1-1", "u1"),
    ]  # fmt: skip


@pytest.mark.slow
def test_churn_leaves_nobody_and_reads_a_meter_per_cycle():
    one = acted(Churn(3, parallel=3, label="c"))
    assert one.crowd.members == {}
    subs = [f"c-{cycle}-{number}" for cycle in range(3) for number in range(3)]
    assert one.writer.told("sub.close", "sub") == subs
    assert one.writer.told("sub.start", "user")[:3] == ["u0", "u1", "u0"]
    assert one.writer.told("meter", "label") == ["c:0", "c:1", "c:2"]


@pytest.mark.slow
def test_the_first_meter_is_the_goal_of_the_later_ones(monkeypatch):
    monkeypatch.setattr(nemeses, "SETTLE", 0.15)
    stats = {"open": 1, "slots": {}, "rss": 5, "descriptors": 6, "tasks": 7, "more": 8}
    one = acted(Meter("baseline"), Meter("after"), server=NotingServer(told=stats))
    assert one.writer.told("meter", "label", "role") == [("baseline", "run"), ("after", "run")]
    assert one.writer.told("server.stats", "label", "open", "rss") == [("baseline", 1, 5), ("after", 1, 5)]
    assert one.baseline["descriptors"] == one.writer.of("meter")[0]["descriptors"]
    assert acted(Meter("x")).writer.of("server.stats") == []


@pytest.mark.slow
def test_the_server_gets_time_to_notice_that_clients_have_gone():
    """As long as there are more than before it is asked again."""
    told = [{"open": count, "slots": {"u0": count}} for count in (2, 2, 3, 3, 2)]

    class Slow(NotingServer):
        async def stats(self):
            return told.pop(0) if told else {"open": 2, "slots": {"u0": 2}}

    one = acted(Meter("baseline"), Meter("after"), server=Slow(promises=Promises(frees_slot_within=5.0)))
    assert one.writer.told("server.stats", "label", "open") == [("baseline", 2), ("after", 2)]
    assert told == []


def test_what_does_not_settle_is_read_as_it_is(monkeypatch):
    monkeypatch.setattr(nemeses, "SETTLE", 0.1)
    [after] = acted_on_baseline({"descriptors": 0, "sockets": 0, "tasks": 0}).writer.of("meter")
    assert after["descriptors"] > 0


def acted_on_baseline(baseline):
    async def act():
        one = made()
        one.baseline = baseline
        await one.act(Meter("after"))
        return one

    return asyncio.run(act())


# The publisher


@dataclass
class Counting(NotingServer):
    times: list = field(default_factory=list)

    async def publish(self, user, count=1, type=None):
        self.times.append(asyncio.get_running_loop().time())
        return await super().publish(user, count, type)


def test_the_publisher_alternates_over_all_channels_until_it_is_told():
    async def published():
        one, enough = made(server=Counting()), asyncio.Event()
        task = asyncio.create_task(one.publish_until(enough, 500.0))
        await until(lambda: len(one.server.orders) >= 7)
        enough.set()
        await task
        return one.server

    server = asyncio.run(published())
    assert [order[1] for order in server.orders[:7]] == ["u0", "u1", None, "u0", "u1", None, "u0"]
    assert server.times[6] - server.times[0] >= 5 / 500


def test_a_rate_of_zero_publishes_nothing_and_still_ends():
    async def published():
        one, enough = made(), asyncio.Event()
        task = asyncio.create_task(one.publish_until(enough, 0.0))
        await asyncio.sleep(0.01)
        assert not task.done()
        enough.set()
        await task
        return one.server.orders

    assert asyncio.run(published()) == []


def test_told_before_it_begins_the_publisher_publishes_nothing():
    async def published():
        one, enough = made(), asyncio.Event()
        enough.set()
        await one.publish_until(enough, 100.0)
        return one.server.orders

    assert asyncio.run(published()) == []


def test_while_the_server_restarts_nothing_is_published():
    release = asyncio.Event()

    @dataclass
    class Slow(NotingServer):
        async def command(self, name, /, **arguments):
            await super().command(name, **arguments)
            await release.wait()
            self.orders.append(("back",))

    async def played():
        one, enough = made(server=Slow()), asyncio.Event()
        restart = asyncio.create_task(one.act(Restart("graceful")))
        await until(lambda: one.server.orders)
        publisher = asyncio.create_task(one.publish_until(enough, 1000.0))
        await asyncio.sleep(0.02)
        assert len(one.server.orders) == 1
        release.set()
        await until(lambda: len(one.server.orders) > 3)
        enough.set()
        await asyncio.gather(restart, publisher)
        return one.server.orders[1]

    assert asyncio.run(played()) == ("back",)


# The run's own requests


def probed(probe, *scripts, **server):
    """The record of one probe, and what the server heard."""

    async def play():
        async with Scripted(*(scripts or [answer(200, b"hello", Content_Type="text/plain")])) as there:
            one = made(server=NotingServer(url=there.url, **server))
            await one.act(probe)
            [record] = one.writer.of("probe")
            return record, there.requests, str(one.writer.records)

    return asyncio.run(play())


def test_a_probe_tells_of_the_answers_head_and_of_its_size():
    record, [request], told = probed(Probe("hello", method="POST", headers={"X-One": "1"}))
    assert (record["name"], record["token"], record["method"]) == ("hello", "good", "POST")
    assert (record["status"], record["bytes"], record["headers"]["content-type"]) == (200, 5, "text/plain")
    assert record["began"] + record["head_after"] <= record.t
    assert (request.method, request.headers["x-one"], request.headers["accept"]) == ("POST", "1", "text/event-stream")
    assert request.headers["authorization"] == "Bearer u0.long.signature"
    assert "signature" not in told


@pytest.mark.parametrize(
    ("kind", "carried"),
    [
        ("none", None),
        ("truncated", "Bearer u0.long.signa"),
        ("tampered", "Bearer u0.long.aignature"),
        ("forged", f"Bearer {nemeses.FORGED}"),
    ],
)
@pytest.mark.parametrize("query", ["", "access_token"])
def test_bad_tokens_are_carried_as_good_ones_are(kind, carried, query):
    _, [request], _ = probed(Probe("bad", token=kind), query=query)
    if query:
        bare = None if carried is None else carried.partition(" ")[2]
        assert request.path == ("/stream" if bare is None else f"/stream?access_token={bare}")
    else:
        assert request.headers.get("authorization") == carried


@pytest.mark.parametrize(
    ("credential", "forged", "truncated"),
    [
        ("Bearer abcdef", f"Bearer {nemeses.FORGED}", "Bearer ab"),
        ("session=abcdef", f"session={nemeses.FORGED}", "session=ab"),
        ("abcdef==", nemeses.FORGED, "abcd"),
        ("Bearer abcdef==", f"Bearer {nemeses.FORGED}", "Bearer abcd"),
    ],
)
def test_what_stands_before_a_token_stays_as_it_is(credential, forged, truncated):
    assert nemeses._spoiled(credential, "forged") == forged
    assert nemeses._spoiled(credential, "truncated") == truncated


@pytest.mark.parametrize(
    ("good", "bad"),
    [("h.p.Sig", "h.p.Aig"), ("h.p.aig", "h.p.big"), ("u.1.0f", "u.1.1f"), ("abcde", "abade"), ("h.p.", "h.a.")],
)
def test_a_tampered_token_has_one_other_character_where_every_bit_of_it_counts(good, bad):
    assert nemeses.tampered(good) == bad


@pytest.mark.slow
def test_an_expired_token_has_expired_before_it_is_sent():
    record, [request], _ = probed(Probe("expired", token="expired"))
    assert request.headers["authorization"] == "Bearer u0.1.0.signature"
    assert record["status"] == 200


@pytest.mark.slow
def test_of_a_stream_a_second_is_read():
    record, _, _ = probed(Probe("stream"), (OPENED, b": 1\n\n", HOLD))
    assert (record["status"], record["bytes"]) == (200, 5)
    assert record.t - record["began"] >= 1.0


def test_no_answer_is_told_as_an_error():
    record, _, _ = probed(Probe("nobody"), ())
    assert (record["status"], record["headers"], record["bytes"]) == (None, {}, 0)
    assert record["error"] == "RemoteProtocolError"


def test_users_and_twins_are_asked_by_name():
    async def play():
        async with Scripted(answer(200, b'{"on": true}', Content_Type="application/json")) as there:
            twins = {"flags": f"{there.origin}/flags", "dashboard": f"{there.origin}/dashboard"}
            one = made(server=NotingServer(url=there.url, twins=twins))
            await one.play((ProbeAll("all", users=3, repeat=2), ProbeRest("rest", repeat=2)))
            return one.writer

    notes = asyncio.run(play())
    assert sorted(notes.told("probe.flag", "user", "status", "told")) == [
        (user, 200, True) for user in ("u0", "u0", "u1", "u1", "u2", "u2")
    ]
    assert sorted(notes.told("probe.rest", "user", "twin")) == [
        (user, "dashboard") for user in ("u0", "u0", "u1", "u1")
    ]
    assert len(set(notes.told("probe.rest", "digest"))) == 1
