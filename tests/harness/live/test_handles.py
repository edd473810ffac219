from types import SimpleNamespace

import pytest

from harness import checks
from harness.check import Outcome
from harness.config import load_config
from harness.errors import HarnessError
from harness.faults import Toxic
from harness.history import History
from harness.live.choice import Choice, plan_of
from harness.live.handles import SseClient, SseHistory, SseProxy, SseServer
from harness.live.run import Live

pytestmark = pytest.mark.slow
checks.load()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    choice = Choice(load_config({}, environ={}, folder=folder), 1, ())
    live = Live.start(plan_of(choice, "handles", {"heartbeat": 0.5}), folder / "out")
    yield live
    live.end()


@pytest.fixture(scope="module")
def server(live):
    return SseServer(live)


@pytest.fixture(scope="module")
def proxy(live):
    return SseProxy(live, live.add_proxy())


@pytest.fixture
def subscriber(live, server, proxy):
    """One that has dispatched an event, so that it can resume."""
    subscriber = SseClient(live).subscribe("u0").wait_open()
    server.publish("u0")
    subscriber.wait_for(1)
    yield subscriber
    subscriber.close()


def test_a_body_of_ones_own(server, subscriber):
    [id] = server.publish("u0", type="notification", title="Hi", text="there", level="info")
    [_, event] = subscriber.wait_for(2)
    assert (event.id, event.type, event.body["title"]) == (id, "notification", "Hi")
    with pytest.raises(HarnessError, match="publish with a body needs the event's type"):
        server.publish("u0", title="Hi")
    with pytest.raises(HarnessError, match="title"):
        server.publish("u0", type="notification", text="there", level="info")


def test_who_gets_in(server):
    assert server.headers("u7") == {"Authorization": f"Bearer {server.token('u7')}"}
    assert server.token("u7", ttl=1.0) != server.token("u7", ttl=2.0)
    assert server.promises.heartbeat == 0.5


def test_a_subscriber_goes_through_the_proxy_and_comes_back(server, proxy, subscriber):
    assert proxy.url.startswith(f"http://{proxy.address}/")
    assert proxy.url != server.url
    proxy.disable()
    server.publish("u0", 2)
    proxy.enable()
    assert len(subscriber.wait_for(3)) == 3
    assert subscriber.opens == 2
    assert subscriber.errors


def test_toxics_and_faults_come_and_go(server, proxy, subscriber):
    toxic = proxy.add(Toxic("timeout", {"timeout": 0}))
    server.publish("u0", 1)
    with pytest.raises(AssertionError, match=rf"subscriber {subscriber.name} dispatched 1 of 2 events within 0.1 s"):
        subscriber.wait_for(2, within=0.1)
    proxy.remove(toxic)
    proxy.disable()
    proxy.enable()
    subscriber.wait_for(2)
    server.fault("fin")
    subscriber.wait_open(3)
    server.heal()


def test_drop_restart_and_flag(server, subscriber):
    server.drop("rst")
    subscriber.wait_open(2)
    server.restart("graceful", down=0.1)
    subscriber.wait_open(3)
    assert server.stats()["incarnation"] == 1
    server.flag(False)
    with pytest.raises(AssertionError, match="; it ended: gave up"):
        subscriber.wait_open(4)
    server.flag(True)


def test_the_history_is_judged_while_the_test_runs(live, server, subscriber):
    history = SseHistory(live)
    server.publish("u0", 3)
    subscriber.wait_for(4)
    assert history.judge("delivery.nothing_lost").outcome is Outcome.PASS
    history.check("delivery", "schema.valid")
    assert any(one.kind == "published" for one in history.records)
    assert len(subscriber.events) == 4
    with pytest.raises(AssertionError, match=r"^limits.exact was not judged: .+\nhistory: "):
        history.check("limits.exact")
    with pytest.raises(HarnessError, match="there is no check 'delivry'"):
        history.judge("delivry")


def test_where_nothing_was_judged_the_test_fails(tmp_path):
    empty = SimpleNamespace(path=tmp_path, settle=lambda: None, history=lambda: History(()))
    with pytest.raises(AssertionError, match=r"^nothing was judged: let the test subscribe and publish .+\nhistory: "):
        SseHistory(empty).check()
