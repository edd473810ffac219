"""The seam that a run uses, on the embedded server, the binary and a URL."""

import asyncio

import psutil
import pytest
from peers import INSTALL, REAL, Peer, read, refused, to_end
from toxiproxy.api import APIConsumer

from harness import history
from harness.errors import HarnessError
from harness.faults import Toxic
from harness.proxy.control import attributes, chosen, start_network, upstream_of

BINARY = pytest.param("binary", marks=pytest.mark.skipif(not REAL, reason=f"no Toxiproxy: {INSTALL}"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["embedded", BINARY])
def test_a_proxy_from_start_to_stop(kind, peer, tmp_path, monkeypatch):
    monkeypatch.setenv("TOXIPROXY_SERVER", REAL or "")

    async def play():
        network = await start_network(kind, history=tmp_path / "network.jsonl")
        try:
            proxy = await network.proxy("stream", peer.address)
            listen = proxy.listen
            client, upstream = await asyncio.to_thread(peer.pair, listen)
            await proxy.add(Toxic("limit_data", {"bytes": 3.0}))
            upstream.sendall(b"12345")
            assert await asyncio.to_thread(to_end, client) == (b"123", "fin")
            await proxy.disable()
            assert refused(listen)
            await proxy.heal()
            assert proxy.listen == listen
            client, upstream = await asyncio.to_thread(peer.pair, listen)
            upstream.sendall(b"12345")
            assert await asyncio.to_thread(read, client, 5) == b"12345"
        finally:
            await network.stop()
        assert refused(listen)
        assert network.process.returncode is not None

    asyncio.run(play())


@pytest.mark.slow
def test_the_history_tells_links_and_faults(peer, tmp_path):
    path = tmp_path / "network.jsonl"

    async def play():
        network = await start_network("embedded", history=path)
        proxy = await network.proxy("stream", peer.address)
        await proxy.add(Toxic("limit_data", {"bytes": 3}))
        client, upstream = await asyncio.to_thread(peer.pair, proxy.listen)
        client.sendall(b"GET")
        assert read(upstream, 3) == b"GET"
        upstream.sendall(b"12345")
        await asyncio.to_thread(to_end, client)
        await proxy.heal()
        client, upstream = await asyncio.to_thread(peer.pair, proxy.listen)
        client.close()
        assert await asyncio.to_thread(to_end, upstream) == (b"", "fin")
        upstream.close()
        await network.stop()

    asyncio.run(play())
    records = history.read(path)
    closes = [(r["by"], r["how"], r["up"], r["down"]) for r in records if r.kind == "net.close"]
    assert closes == [("proxy", "fin", 3, 3), ("client", "fin", 0, 0)]
    faults = [(r["fault"], r["state"]) for r in records if r.kind == "net.fault"]
    assert faults[:3] == [("disabled", "off"), ("limit_data_downstream", "on"), ("limit_data_downstream", "off")]
    assert records[1].kind == "net.fault"
    assert any(r.kind == "lag" for r in records)
    opened = {r["link"] for r in records if r.kind == "net.open"}
    assert opened == {r["link"] for r in records if r.kind == "net.close"} == {"stream-0", "stream-1"}


@pytest.mark.slow
def test_two_networks_leak_nothing_into_each_other():
    async def play():
        before = APIConsumer.host, APIConsumer.port
        first, second = await asyncio.gather(start_network("embedded"), start_network("embedded"))
        first_peer, second_peer = Peer(), Peer()
        try:
            one, two = await asyncio.gather(
                first.proxy("same", first_peer.address), second.proxy("same", second_peer.address)
            )
            await one.disable()
            assert refused(one.listen)
            assert not refused(two.listen)
            assert (APIConsumer.host, APIConsumer.port) == before
        finally:
            first_peer.close()
            second_peer.close()
            await asyncio.gather(first.stop(), second.stop())

    asyncio.run(play())


@pytest.mark.slow
def test_a_url_is_used_and_left_running(embedded, peer, monkeypatch):
    monkeypatch.setenv("TOXIPROXY_URL", embedded.url)

    async def play():
        network = await start_network()
        assert (network.kind, network.version) == ("url", "embedded")
        # Others may use it, too: several runs of ours at a time do, each with a proxy of the same name.
        mine, another = await network.proxy("mine", peer.address), await network.proxy("mine", peer.address)
        await network.stop()
        assert refused(mine.listen)
        assert refused(another.listen)

    asyncio.run(play())
    assert embedded.answers()


def test_an_upstream_with_an_ipv6_address_stands_in_brackets():
    urls = ("http://h:81/s?a", "http://h/s", "http://[::1]:82/s")
    assert [upstream_of(url) for url in urls] == ["h:81", "h:80", "[::1]:82"]


@pytest.mark.slow
def test_died_tells_that_the_process_ended():
    async def play():
        network = await start_network("embedded")
        network.process.kill()
        assert await asyncio.wait_for(network.died(), 10) == "the proxy died (exit -9)"
        await network.stop()

    asyncio.run(play())


@pytest.mark.parametrize(
    "variable, value, sentence",
    [
        ("TOXIPROXY_SERVER", "/nowhere/server", "TOXIPROXY_SERVER /nowhere/server does not start"),
        ("TOXIPROXY_SERVER", "/bin/true", "no Toxiproxy answers at 127.0.0.1"),
        ("TOXIPROXY_URL", "http://127.0.0.1:1", "no Toxiproxy answers at 127.0.0.1:1;"),
        ("TOXIPROXY_URL", "http://example.org:8474", "run Toxiproxy on this machine"),
        ("TOXIPROXY_URL", "http://127.0.0.1:nan", "is not http://127.0.0.1:PORT"),
    ],
)
def test_a_server_that_is_not_there_is_one_sentence(variable, value, sentence, monkeypatch):
    monkeypatch.delenv("TOXIPROXY_URL", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(HarnessError, match=sentence):
        asyncio.run(start_network())


@pytest.mark.parametrize(
    "toxic, sentence",
    [
        (Toxic("bandwidth", {"rate": -1}), "rate of bandwidth must be a whole number from 0"),
        (Toxic("slicer", {}), "average_size of slicer must be positive"),
        (Toxic("latency", {"latencie": 3}), "toxic latency does not know latencie; known: latency, jitter"),
        (Toxic("latency", {"latency": 1.5}), "latency of latency must be a whole number"),
        (Toxic("latency", {"latency": float("nan")}), "latency of latency must be a whole number"),
    ],
)
def test_what_would_end_a_real_server_is_never_sent(toxic, sentence):
    with pytest.raises(HarnessError, match=sentence):
        attributes(toxic)


@pytest.mark.parametrize(
    ("environ", "on_path", "kind"),
    [
        ({}, None, "embedded"),
        ({}, "/bin/toxiproxy-server", "binary"),
        ({"TOXIPROXY_SERVER": "embedded"}, "/bin/toxiproxy-server", "embedded"),
        ({"TOXIPROXY_SERVER": "/opt/server"}, None, "binary"),
        ({"TOXIPROXY_SERVER": "embedded", "TOXIPROXY_URL": "http://127.0.0.1:8474"}, None, "url"),
    ],
)
def test_the_environment_decides_which_server(environ, on_path, kind):
    assert chosen(environ, which=lambda _: on_path) == kind


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason=f"no Toxiproxy: {INSTALL}")
def test_the_real_server_ends_with_whoever_started_it(monkeypatch):
    monkeypatch.setenv("TOXIPROXY_SERVER", REAL or "")

    async def play():
        network = await start_network("binary")
        assert network.described.startswith("Toxiproxy ")
        [server] = psutil.Process(network.process.pid).children()
        network.process.stdin.close()
        await asyncio.wait_for(network.process.wait(), 10)
        assert not server.is_running()
        await network.stop()

    asyncio.run(play())
