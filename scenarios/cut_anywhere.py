"""Every connection is cut after 900 bytes, wherever that falls: does a subscriber still get everything, once?

Expected: a cut inside an event, a chunk or a character is survived (PATH-3); the replay fills the gap.
"""

from harness.faults import Toxic
from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

CUT = Toxic("limit_data", {"bytes": 900})

scenario = Scenario(
    users=6,
    rate=10,
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id"),
    steps=(
        AwaitOpen(),
        Burst(1, "both"),
        Wait(0.3),
        Network("disable"),
        Network("add", CUT),
        Network("enable"),
        Wait(5),
        Network("heal"),
        Wait(1),
        AwaitOpen(),
    ),
    needs=frozenset({"publish", "replay"}),
    drain=12.0,
)
