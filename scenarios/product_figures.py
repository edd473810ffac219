"""With the product's own figures, does a heartbeat come every 30 s, and does the client notice silence after 75 s?

Expected: heartbeats at 30 s and 60 s; then the connection goes silent, the client gives it up 75 s after the last
thing that it heard, and comes back with exponential backoff and jitter.  It takes about two and a half minutes.
"""

from harness.faults import Toxic
from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

SILENCE = Toxic("timeout", {"timeout": 0})

scenario = Scenario(
    users=3,
    checks=("heartbeat.cadence", "heartbeat.deadline", "reconnection.happens", "delivery.nothing_lost"),
    server={"heartbeat": 30.0, "retry_ms": 3000},
    client={
        "policy": "resilient",
        "reconnection_time": 3.0,
        "backoff_base": 1.0,
        "backoff_cap": 8.0,
        "stable_after": 10.0,
    },
    steps=(
        AwaitOpen(),
        Burst(1, "both"),
        Wait(beats=2.05),
        Network("add", SILENCE),
        Wait(beats=2.6),
        Network("remove", SILENCE),
        Wait(4.0),
        AwaitOpen(beats=0),
        Burst(1, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay", "heartbeat-deadline"}),
    drain=10.0,
)
