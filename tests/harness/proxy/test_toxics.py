"""Each toxic does what it says, judged by bytes and order."""

import time

import pytest
import requests
from peers import DIFFERENCES, nothing_comes, read, to_end


def test_latency_is_not_earlier(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="latency", attributes={"latency": 100})
    before = time.monotonic()
    upstream.sendall(b"late")
    assert read(client, 4) == b"late"
    assert time.monotonic() - before >= 0.1
    client.sendall(b"x")
    assert read(upstream, 1) == b"x"


def test_latency_lets_go_when_removed(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="latency", attributes={"latency": 600_000}, name="l")
    for piece in (b"a", b"b", b"c"):
        upstream.sendall(piece)
    assert nothing_comes(client)
    proxy.destroy_toxic("l")
    upstream.sendall(b"d")
    assert read(client, 4) == b"abcd"


@pytest.mark.slow
def test_jitter_keeps_the_order(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="latency", attributes={"latency": 5, "jitter": 5})
    for number in range(50):
        upstream.sendall(b"%02d" % number)
    assert read(client, 100) == b"".join(b"%02d" % number for number in range(50))


def test_fin_waits_behind_the_data(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="latency", attributes={"latency": 50})
    upstream.sendall(b"last")
    upstream.close()
    assert to_end(client) == (b"last", "fin")


def test_bandwidth_zero_is_a_stall_without_loss(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="bandwidth", attributes={"rate": 0}, name="b")
    upstream.sendall(b"held")
    assert nothing_comes(client)
    proxy.destroy_toxic("b")
    assert read(client, 4) == b"held"


@pytest.mark.slow
def test_bandwidth_limits(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="bandwidth", attributes={"rate": 10})
    before = time.monotonic()
    upstream.sendall(b"x" * 5000)
    assert read(client, 5000) == b"x" * 5000
    assert time.monotonic() - before >= 0.4


def test_timeout_drops_and_its_removal_closes(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="timeout", attributes={"timeout": 0}, name="t")
    upstream.sendall(b"dropped")
    assert nothing_comes(client)
    proxy.destroy_toxic("t")
    assert to_end(client) == (b"", "fin")


def test_positive_timeout_closes(proxy, peer):
    client, _upstream = peer.pair(proxy.listen)
    before = time.monotonic()
    proxy.add_toxic(type="timeout", attributes={"timeout": 60})
    assert to_end(client) == (b"", "fin")
    assert time.monotonic() - before >= 0.06


@pytest.mark.slow
def test_timeout_is_over_in_spite_of_heartbeats(proxy, peer, server):
    if server.kind == "real":
        pytest.skip(f"Toxiproxy 2.12: {DIFFERENCES['timer']}")
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="timeout", attributes={"timeout": 200})
    client.settimeout(0.02)
    for _ in range(500):
        upstream.send(b":\n")
        try:
            assert client.recv(1) == b""
            break
        except TimeoutError:
            continue
    else:
        pytest.fail("still open")


def test_reset_peer_resets_a_live_link(proxy, peer, server):
    if server.kind == "real":
        pytest.skip(f"Toxiproxy 2.12: {DIFFERENCES['reset_live']}")
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
    upstream.sendall(b"never")
    assert to_end(client) == (b"", "rst")
    assert to_end(upstream) == (b"", "rst")


def test_reset_peer_resets_a_new_link(proxy, peer):
    proxy.add_toxic(type="reset_peer", attributes={"timeout": 0})
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"never")
    assert to_end(client) == (b"", "rst")


def test_rst_after_an_exact_byte(proxy, peer):
    proxy.add_toxic(type="reset_peer", attributes={"timeout": 0}, toxicity=0)
    proxy.add_toxic(type="limit_data", attributes={"bytes": 4})
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"12")
    assert read(client, 2) == b"12"
    upstream.sendall(b"34")
    assert to_end(client) == (b"34", "rst")


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_limit_data_cuts_at_the_byte(proxy, peer, limit):
    proxy.add_toxic(type="limit_data", attributes={"bytes": limit})
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"0123456789")
    assert to_end(client) == (b"0123456789"[:limit], "fin")


def test_slicer_slices_and_loses_nothing(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="slicer", attributes={"average_size": 4, "size_variation": 1, "delay": 2000})
    data = bytes(range(64))
    upstream.sendall(data)
    pieces = []
    while sum(map(len, pieces)) < len(data):
        pieces.append(client.recv(65536))
    assert b"".join(pieces) == data
    assert len(pieces) > 1


def test_upstream_toxic_leaves_downstream_alone(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="bandwidth", stream="upstream", attributes={"rate": 0})
    client.sendall(b"held")
    upstream.sendall(b"free")
    assert read(client, 4) == b"free"
    assert nothing_comes(upstream)


def test_toxicity_zero_never_acts(proxy, peer):
    proxy.add_toxic(type="limit_data", attributes={"bytes": 0}, toxicity=0)
    client, upstream = peer.pair(proxy.listen)
    upstream.sendall(b"through")
    assert read(client, 7) == b"through"


def test_update_wakes_a_stall(proxy, peer, server):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="bandwidth", attributes={"rate": 0}, name="b")
    upstream.sendall(b"held")
    assert nothing_comes(client)
    answer = requests.post(f"{server.url}/proxies/p/toxics/b", json={"attributes": {"rate": 1000}}, timeout=5)
    assert answer.json()["attributes"] == {"rate": 1000}
    assert read(client, 4) == b"held"


def test_toxics_stack_and_go_one_by_one(proxy, peer):
    client, upstream = peer.pair(proxy.listen)
    proxy.add_toxic(type="bandwidth", attributes={"rate": 0}, name="b")
    proxy.add_toxic(type="latency", attributes={"latency": 600_000}, name="l")
    upstream.sendall(b"ab")
    proxy.destroy_toxic("b")
    assert nothing_comes(client)
    proxy.destroy_toxic("l")
    upstream.sendall(b"cd")
    assert read(client, 4) == b"abcd"
    assert proxy.toxics() == {}
