"""A steady load of subscribers: does each of them get all of its own events, in order and in time?

Expected: nothing is lost or reordered, every event is dispatched within the promised latency and only to its user,
for as long as the load lasts.  `locust -f scenarios/load/steady.py --headless -u 200 -r 50 -t 60s`
"""

import sys
from pathlib import Path

from locust import events

# Locust puts the working directory first on the path, where a project may have a `harness.py` of its own; before it
# stands the folder of this file, which Locust takes away again.
sys.path.insert(1, str(Path(__file__).resolve().parents[2]))

from harness.load.user import Bounded, SseUser
from harness.load.wiring import wire

__all__ = ("Bounded", "SseUser")
wire(events, __file__, checks=("delivery.nothing_lost", "delivery.in_order", "lag.live", "security.own_events"))
