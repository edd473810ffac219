"""Toxiproxy's API in words and numbers, and what it does with hostile input."""

import pytest
import requests
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists


def post(server, path, body, **more):
    return requests.post(server.url + path, json=body, timeout=10, **more)


@pytest.mark.parametrize(
    "path, body, status, sentence",
    [
        ("/proxies", {"upstream": "127.0.0.1:1"}, 400, "missing required field: name"),
        ("/proxies", {"name": "q"}, 400, "missing required field: upstream"),
        ("/proxies", {"name": "p", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"}, 409, "proxy already exists"),
        ("/proxies/none", {}, 404, "proxy not found"),
        ("/proxies/none/toxics", {"type": "latency"}, 404, "proxy not found"),
        ("/proxies/p/toxics/none", {}, 404, "toxic not found"),
        ("/proxies/p/toxics", {"type": "earthquake"}, 400, "invalid toxic type"),
        (
            "/proxies/p/toxics",
            {"type": "latency", "stream": "sideways"},
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
    ],
)
def test_errors_are_toxiproxys(proxy, server, path, body, status, sentence):
    answer = post(server, path, body)
    assert (answer.status_code, answer.json()) == (status, {"error": sentence, "status": status})


def test_status_codes_are_toxiproxys(proxy, server, toxiproxy):
    assert post(server, "/proxies/p/toxics", {"type": "latency"}).status_code == 200
    again = post(server, "/proxies/p/toxics", {"type": "latency"})
    assert (again.status_code, again.json()["error"]) == (409, "toxic already exists")
    told = requests.get(f"{server.url}/proxies/p/toxics/latency_downstream", timeout=10).json()
    assert told["attributes"] == {"latency": 0, "jitter": 0}
    assert requests.delete(f"{server.url}/proxies/p/toxics/latency_downstream", timeout=10).status_code == 204
    assert requests.delete(f"{server.url}/proxies/p", timeout=10).status_code == 204
    assert post(server, "/reset", None).status_code == 204
    assert b"version" in toxiproxy.version()


def test_toxiproxy_python_maps_the_errors(proxy, toxiproxy, peer):
    with pytest.raises(ProxyExists):
        toxiproxy.create(upstream=peer.address, name="p")
    with pytest.raises(NotFound):
        proxy.destroy_toxic("none")
    with pytest.raises(InvalidToxic):
        proxy.add_toxic(type="earthquake")


def test_populate_makes_all(toxiproxy, server, peer):
    wanted = [{"name": name, "upstream": peer.address, "listen": "127.0.0.1:0"} for name in ("one", "two")]
    answer = post(server, "/populate", wanted)
    assert (answer.status_code, len(answer.json()["proxies"])) == (201, 2)
    assert sorted(toxiproxy.proxies()) == ["one", "two"]


@pytest.fixture
def own(embedded):
    yield post(embedded, "/proxies", {"name": "p", "upstream": "127.0.0.1:1"}).json()
    requests.delete(f"{embedded.url}/proxies/p", timeout=10)


@pytest.mark.parametrize(
    "toxic",
    [
        {"type": "bandwidth", "attributes": {"rate": -1}},
        {"type": "bandwidth", "attributes": {"rate": 1.5}},
        {"type": "bandwidth", "attributes": {"rate": True}},
        {"type": "bandwidth", "attributes": {"rate": 10**30}},
        {"type": "bandwidth", "attributes": [1]},
        {"type": "slicer", "attributes": {"average_size": 0}},
        {"type": "slicer", "attributes": {"average_size": 4, "size_variation": 4}},
        {"type": ["latency"]},
        {"type": "latency", "stream": {}},
        {"type": "latency", "toxicity": 2},
        {"type": "latency", "toxicity": "1"},
        {"type": "latency", "name": ["x"]},
        {"type": "latency", "name": "a/b"},
        [],
        "latency",
        None,
    ],
)
def test_hostile_toxics_are_refused(own, embedded, toxic):
    assert post(embedded, "/proxies/p/toxics", toxic).status_code == 400
    assert requests.get(f"{embedded.url}/proxies/p/toxics", timeout=10).json() == []


@pytest.mark.parametrize(
    "proxy",
    [
        {"name": "q", "upstream": "nowhere"},
        {"name": "q", "upstream": "127.0.0.1:99999"},
        {"name": "q", "upstream": "127.0.0.1:1", "listen": "0.0.0.0:0"},
        {"name": "q", "upstream": "127.0.0.1:1", "listen": "example.org:0"},
        {"name": "q", "upstream": "127.0.0.1:1", "enabled": "yes"},
        {"name": "q" * 1000, "upstream": "127.0.0.1:1"},
        {"name": 3, "upstream": "127.0.0.1:1"},
    ],
)
def test_hostile_proxies_are_refused(embedded, proxy):
    assert post(embedded, "/proxies", proxy).status_code == 400
    assert requests.get(f"{embedded.url}/proxies", timeout=10).json() == {}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 60000, b"NaN"])
def test_bad_json_is_refused(embedded, body):
    answer = requests.post(f"{embedded.url}/proxies", data=body, timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)


def test_a_huge_body_is_bounded(embedded):
    answer = requests.post(f"{embedded.url}/proxies", data=b" " * (65536 + 1), timeout=10)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": ""},
        {"User-Agent": "Mozilla/5.0"},
    ],
)
def test_browsers_are_refused(embedded, headers):
    assert requests.get(f"{embedded.url}/proxies", headers=headers, timeout=10).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:80"])
def test_loopback_names_are_let_in(embedded, host):
    assert requests.get(f"{embedded.url}/proxies", headers={"Host": host}, timeout=10).status_code == 200
