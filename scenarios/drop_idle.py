"""Connections are closed while nothing is published: does a resume that missed nothing bring nothing?

Expected: each subscriber comes back with the id of its last event, gets no event again and no reset, and then goes on
with what follows; what came in between, heartbeats among it, has not moved the place from which it resumes.
"""

from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

scenario = Scenario(
    users=4,
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id", "replay"),
    steps=(
        AwaitOpen(),
        Burst(3, "both"),
        Wait(0.5, beats=1.2),
        *((Network("disable"), Wait(0.2), Network("enable"), AwaitOpen(), Wait(1.0)) * 2),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
