"""The network resets every connection (RST) twice: does each subscriber come back and miss nothing?

Expected: as after a FIN; a reset is an end of the stream like any other.
"""

from harness.faults import Toxic
from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

RESET = Toxic("reset_peer", {"timeout": 0})

scenario = Scenario(
    users=8,
    rate=40,
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id", "reconnection.not_too_early"),
    steps=(
        AwaitOpen(),
        *(
            step
            for _ in range(2)
            for step in (
                Burst(2, "both"),
                Wait(0.7),
                Network("add", RESET),
                Burst(1, "both"),
                Wait(0.3),
                Network("remove", RESET),
                Wait(1.5),
                AwaitOpen(),
            )
        ),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
