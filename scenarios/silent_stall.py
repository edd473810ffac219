"""Connections go silent without being closed: does the client notice within its heartbeat deadline?

Expected: a client that declares a deadline gives the silent connection up within it and comes back when the network
does; nothing is lost.
"""

from harness.faults import Toxic
from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

SILENCE = Toxic("timeout", {"timeout": 0})

scenario = Scenario(
    users=6,
    rate=20,
    checks=("delivery", "heartbeat.deadline", "reconnection.happens"),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        Network("add", SILENCE),
        Burst(2, "both"),
        Wait(1.0, beats=4),
        Network("remove", SILENCE),
        Wait(2),
        AwaitOpen(),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
    drain=12.0,
)
