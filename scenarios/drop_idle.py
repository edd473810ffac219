"""Connections are closed while nothing is published: does a resume that missed nothing bring nothing but heartbeats?

Expected: each subscriber comes back with the id of its last event, gets no event again and no reset, and then goes on
with what follows; what came in between, heartbeats among it, has not moved the place from which it resumes.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Network, Scenario, Wait

scenario = Scenario(
    users=4,
    # A client that hangs up in a silence would shorten it.
    client={**FAST_CLIENT, "heartbeat_deadline": None},
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id", "replay"),
    steps=(
        AwaitOpen(),
        Burst(3, "both"),
        Wait(0.5, beats=1.2),
        *((Network("disable"), Wait(0.2), Network("enable"), AwaitOpen(), Wait(1.0)) * 2),
        # The silence of a resumed stream counts from a second after the network was whole again.
        Wait(0.5, beats=2.2),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
