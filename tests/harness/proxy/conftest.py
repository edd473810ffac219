"""Servers, an upstream, and toxiproxy-python pointed at one of them."""

import sys
from pathlib import Path

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.api import APIConsumer

sys.path.insert(0, str(Path(__file__).parent))

from peers import INSTALL, REAL, Peer, Server

KINDS = ["embedded", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason=f"no Toxiproxy: {INSTALL}"))]


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    one = Server(request.param)
    yield one
    one.stop()


@pytest.fixture(scope="module")
def embedded():
    one = Server("embedded")
    yield one
    one.stop()


@pytest.fixture
def peer():
    one = Peer()
    yield one
    one.close()


@pytest.fixture
def toxiproxy(server, monkeypatch):
    monkeypatch.setattr(APIConsumer, "port", server.port)
    one = Toxiproxy()
    yield one
    one.destroy_all()


@pytest.fixture
def proxy(toxiproxy, peer):
    return toxiproxy.create(upstream=peer.address, name="p")
