"""A station without a server: its engine is a small real thing that opens, gives up or crashes."""

import pytest

pytestmark = pytest.mark.slow

STATION = '''
import time
import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import StopUser
from harness.load.lag import record_lag
from harness.load.station import Order, Station

class Sink(list):
    def write(self, kind, *, t=None, **data): self.append((kind, data))
    def close(self): self.append(("closed", {}))
    def of(self, kind): return [data for name, data in self if name == kind]

class Engine:
    """Opens, then does what the user's name says."""
    def run(self, session, options, *, refresh, closing):
        session.at = time.monotonic()
        session.attempt()
        session.opened()
        if session.user == "fails":
            return
        if session.user == "crashes":
            raise ValueError("boom")
        try:
            Event().wait()
        except gevent.GreenletExit:
            closing()
            raise

def station(*users, **more):
    passes = [{"user": user, "headers": {"Authorization": "Bearer t"}, "query": "q=1"} for user in users]
    environment = Environment()
    environment.create_local_runner()
    order = Order(run="r", url="http://h/s?x=1", passes=passes, options={"policy": "resilient", "other": 1},
                  promises={"max_latency": 1.0}, offset=0.0, tagged=True,
                  **more)
    one = Station(order, Sink(), environment, lambda user: None)
    one.engine = Engine()
    one.start()
    return one

def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)
'''


def test_each_process_takes_its_share_of_the_users(patched):
    patched(
        STATION
        + """
one = station("a", "b", "c", "d", index=1, of=2)
assert "Bearer" not in repr(one), one  # gevent prints whoever raises
for _ in range(3): gevent.spawn(one.subscribe)
until(lambda: len(one.members) == 3)
started = [(data["sub"], data["user"]) for data in one.sink.of("sub.start")]
assert started == [("w1-0", "b"), ("w1-1", "d"), ("w1-2", "b")]
assert one.sink.of("sub.start")[0]["url"] == "http://h/s?x=1&q=1&sub=w1-0"
assert sorted(one.census(1.0)["alive"]) == [["w1-0", "b"], ["w1-1", "d"], ["w1-2", "b"]]
"""
    )


def test_closing_is_recorded_and_final(patched):
    patched(
        STATION
        + """
one = station("a")
greenlets = [gevent.spawn(one.subscribe) for _ in range(2)]
until(lambda: len(one.members) == 2)
told = one.close()
assert told == {"buckets": [], "highest": 0.0}
assert [data["was_open"] for data in one.sink.of("sub.close")] == [True, True]
assert [data["reason"] for data in one.sink.of("sub.closed")] == ["close()", "close()"]
assert not one.members and one.sink[-1][0] == "closed"
assert one.sink.of("lag")
try:
    one.subscribe()
except StopUser:
    pass
else:
    raise AssertionError("somebody subscribed to a closed station")
"""
    )


def test_a_user_that_is_stopped_closes_its_subscriber(patched):
    patched(
        STATION
        + """
one = station("a")
greenlet = gevent.spawn(one.subscribe)
until(lambda: one.members)
greenlet.kill()
assert len(one.sink.of("sub.close")) == len(one.sink.of("sub.closed")) == 1
"""
    )


def test_giving_up_and_crashing_are_told_apart(patched):
    patched(
        STATION
        + """
one = station("fails", "crashes")
greenlets = [gevent.spawn(one.subscribe) for _ in range(2)]
until(lambda: len(one.sink.of("sub.closed")) == 2)
assert [data["reason"] for data in one.sink.of("sub.closed")] == ["gave up", "raised ValueError: boom"]
assert [data.get("crashed", False) for data in one.sink.of("sub.closed")] == [False, True]
assert not one.sink.of("sub.close")
assert not greenlets[0].ready()   # who gave up stays silent for the rest of the user's life
gevent.killall(greenlets)
"""
    )


def test_the_drain_names_who_misses_a_sentinel(patched):
    patched(
        STATION
        + """
one = station("a", "b")
for _ in range(2): gevent.spawn(one.subscribe)
until(lambda: len(one.members) == 2)
one.members["w0-0"].session.sentinels |= {"d-all", "d-a"}
one.members["w0-1"].session.sentinels |= {"d-all", "d-a"}
digests = {"all": "d-all", "user:a": "d-a", "user:b": "d-b"}
assert one.drain(digests, 0.05) == {"missing": ["w0-1"], "count": 1}
gevent.spawn_later(0.05, one.members["w0-1"].session.sentinels.add, "d-b")
assert one.drain(digests, 10.0) == {"missing": [], "count": 0}
"""
    )
