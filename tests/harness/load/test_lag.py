"""What waits in the hub's queue is lag of ours, also where timers come in time."""

import json

import pytest

pytestmark = pytest.mark.slow

QUEUE = """
import json, socket, time
# What other processes take of a processor is nobody's lag here: this one is never idle, so the time it works will do.
time.monotonic = time.process_time
import gevent
from gevent.socket import wait_read
from harness.load.lag import record_lag

class Sink(list):
    def write(self, kind, *, t=None, **data): self.append(data["worst"])

waits, late = [], []

def reader(pair):
    # There is always something to read, and to read it takes a millisecond of work.
    ours, theirs = pair
    while True:
        wait_read(theirs.fileno())
        theirs.recv(1)
        waits.append(time.monotonic() - due[theirs])
        busy = time.process_time() + 0.001
        while time.process_time() < busy:
            pass
        due[theirs] = time.monotonic()
        ours.send(b".")

def ticker():
    while True:
        before = time.monotonic()
        gevent.sleep(0.01)
        late.append(time.monotonic() - before - 0.01)

sink, due = Sink(), {}
pairs = [socket.socketpair() for _ in range(200)]
running = [gevent.spawn(record_lag, sink), gevent.spawn(ticker), *(gevent.spawn(reader, one) for one in pairs)]
gevent.sleep(0.05)
begun = time.monotonic()
for ours, theirs in pairs:
    due[theirs] = time.monotonic()
    ours.send(b".")
while time.monotonic() < begun + 1.5:
    gevent.sleep(0.01)
gevent.killall(running)
print(json.dumps({"waited": max(waits), "told": max(sink), "ticker": max(late)}))
"""


def test_what_waits_in_a_queue_is_told_though_timers_come_in_time(patched):
    found = json.loads(patched(QUEUE))
    assert found["told"] > 0.7 * found["waited"], found
