"""Links: bytes, FIN, RST, disable and enable, on the embedded proxy and, where it is there, on the real one."""

import asyncio
import socket
import threading

import pytest
import requests
from peers import DIFFERENCES, nothing_comes, read, refused, reset, to_end

from harness.proxy import embedded
from harness.proxy.embedded import Link


def differs(server, name):
    if server.kind == "real":
        pytest.skip(f"Toxiproxy 2.12: {DIFFERENCES[name]}")


def test_bytes_pass_both_ways(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    client.sendall(b"GET /")
    assert read(upstream, 5) == b"GET /"
    upstream.sendall(b"data: 1\n\n")
    assert read(client, 9) == b"data: 1\n\n"


@pytest.mark.slow
def test_a_megabyte_arrives_whole(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    data = bytes(range(256)) * 8192
    threading.Thread(target=upstream.sendall, args=(data,), daemon=True).start()
    assert read(client, len(data)) == data


def test_fin_of_the_upstream_is_fin(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"last")
    upstream.close()
    assert to_end(client) == (b"last", "fin")


def test_fin_of_the_client_is_fin(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    client.close()
    assert to_end(upstream) == (b"", "fin")


def test_rst_of_the_upstream_is_rst(proxy, peer, server):
    differs(server, "upstream_rst")
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"last")
    assert read(client, 4) == b"last"
    reset(upstream)
    assert to_end(client) == (b"", "rst")


def test_rst_of_the_client_is_rst(proxy, peer, server):
    differs(server, "client_rst")
    client, upstream = peer.pair(proxy.listen)
    reset(client)
    assert to_end(upstream) == (b"", "rst")


def test_half_close_passes(proxy, peer, server):
    differs(server, "half_close")
    client, upstream = peer.pair(proxy.listen)
    client.shutdown(socket.SHUT_WR)
    assert to_end(upstream) == (b"", "fin")
    upstream.sendall(b"answer")
    upstream.close()
    assert to_end(client) == (b"answer", "fin")


def test_refused_upstream_is_reset(toxiproxy, peer, server):
    differs(server, "refused_upstream")
    peer.listener.close()
    proxy = toxiproxy.create(upstream=peer.address, name="nobody")
    try:
        how = to_end(peer.connect(proxy.listen))[1]
    except ConnectionResetError:  # it was quicker than connect()
        how = "rst"
    assert how == "rst"


def test_disable_closes_and_refuses_and_enable_takes_the_same_port(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.disable()
    assert to_end(client) == (b"", "fin")
    assert to_end(upstream) == (b"", "fin")
    assert refused(proxy.listen)
    proxy.enable()
    client, upstream = peer.pair(proxy.listen)
    client.sendall(b"again")
    assert read(upstream, 5) == b"again"


@pytest.mark.slow
def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch, peer):
    """A name with two addresses, the first a black hole: whoever connects without the proxy gets through."""
    monkeypatch.setattr(embedded, "CONNECT_WITHIN", 3.0)
    host, port = peer.address.split(":")

    async def play():
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def found(*_, **__):
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, one)) for one in (1, int(port))]

        async def connected(one, where):
            await (asyncio.Event().wait() if where[1] == 1 else connect(one, where))

        monkeypatch.setattr(loop, "getaddrinfo", found)
        monkeypatch.setattr(loop, "sock_connect", connected)
        one = await embedded._connect("two.test:80")
        assert one.getpeername() == (host, int(port))
        one.close()

    asyncio.run(play())


def test_a_disabled_proxy_keeps_its_port(toxiproxy, peer, server):
    differs(server, "reserved")
    proxy = toxiproxy.create(upstream=peer.address, name="later", enabled=False)
    assert refused(proxy.listen)
    for _ in range(3):
        host, port = proxy.listen.split(":")
        with socket.socket() as thief, pytest.raises(OSError):
            thief.bind((host, int(port)))
        proxy.enable()
        peer.pair(proxy.listen)
        proxy.disable()
        assert refused(proxy.listen)


@pytest.mark.slow
def test_a_hundred_links(proxy, peer):
    pairs = [peer.pair(proxy.listen) for _ in range(100)]
    for number, (client, upstream) in enumerate(pairs):
        client.sendall(b"%03d" % number)
        assert read(upstream, 3) == b"%03d" % number
    proxy.disable()
    assert {to_end(client)[1] for client, _ in pairs} == {"fin"}


@pytest.mark.slow
def test_a_reader_that_stops_stops_the_writer(proxy, peer):
    _client, upstream = peer.pair(proxy.listen)
    upstream.settimeout(0.5)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += upstream.send(b"x" * 65536)
    except TimeoutError:
        return
    pytest.fail(f"{sent} bytes went to a reader that does not read")


def test_reset_enables_and_removes(proxy, toxiproxy, peer):
    proxy.add_toxic(type="latency", attributes={"latency": 1})
    proxy.disable()
    assert toxiproxy.reset()
    assert toxiproxy.get_proxy("p").enabled
    assert not nothing_comes_through(peer, proxy.listen)
    assert proxy.toxics() == {}


def nothing_comes_through(peer, listen):
    client, upstream = peer.pair(listen)
    upstream.sendall(b"x")
    return nothing_comes(client, 5)


def test_the_real_one_and_ours_tell_the_same_of_a_proxy(proxy, server):
    told = requests.get(f"{server.url}/proxies/p", timeout=5).json()
    assert {name: told[name] for name in ("name", "enabled", "toxics")} == {"name": "p", "enabled": True, "toxics": []}
    assert told["listen"] == proxy.listen


def test_nothing_passes_a_link_that_is_being_closed():
    """A stage that was taken out may have swallowed what went before."""

    async def play():
        user, client = socket.socketpair()
        upstream, server = socket.socketpair()
        link = Link(0, client, upstream, False)
        link.close("proxy", "fin")
        putting = asyncio.create_task(link.directions[1].put(b"late", 0.0))
        await asyncio.sleep(0.01)
        putting.cancel()
        user.setblocking(False)
        with pytest.raises(BlockingIOError):
            user.recv(4)
        for one in (user, client, upstream, server):
            one.close()

    asyncio.run(play())
