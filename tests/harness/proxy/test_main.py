"""The process: it ends with its parent, and leaves no socket behind."""

import signal

import psutil
import pytest
from peers import Peer, Server, eventually, refused
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("how", ["stdin", "sigterm"])
def test_it_ends_with_live_links(how, monkeypatch, peer, tmp_path):
    server = Server("embedded", tmp_path / "network.jsonl")
    monkeypatch.setattr(APIConsumer, "port", server.port)
    proxy = Toxiproxy().create(upstream=peer.address, name="p")
    peer.pair(proxy.listen)
    if how == "stdin":
        server.process.stdin.close()
    else:
        server.process.send_signal(signal.SIGTERM)
    server.process.wait(10)
    assert refused(proxy.listen)
    said = server.process.stdout.read()
    server.stop()
    assert said == b""
    assert '"net.close"' in (tmp_path / "network.jsonl").read_text()


def test_no_socket_is_left(monkeypatch):
    server = Server("embedded")
    monkeypatch.setattr(APIConsumer, "port", server.port)
    process = psutil.Process(server.process.pid)
    before = process.num_fds()
    peer = Peer()
    proxy = Toxiproxy().create(upstream=peer.address, name="p")
    for number in range(20):
        client, upstream = peer.pair(proxy.listen)
        proxy.add_toxic(type="latency", attributes={"latency": 600_000})
        upstream.sendall(b"held")
        (client if number % 2 else upstream).close()
        proxy.destroy_toxic("latency_downstream")
    proxy.disable()
    proxy.destroy()
    peer.close()
    eventually(lambda: process.num_fds() <= before)
    server.stop()
