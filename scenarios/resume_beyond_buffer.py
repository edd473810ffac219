"""A subscriber was away for longer than the server remembers: is the loss announced instead of passed over?

Expected: an explicit reset event; what it covers counts as announced, never as silently lost.
"""

from harness.scenario import FAST_SERVER, AwaitOpen, Burst, Network, Scenario, Wait

scenario = Scenario(
    users=4,
    checks=("delivery.nothing_lost", "delivery.in_order", "replay.reset_when_too_old"),
    server={**FAST_SERVER, "replay_events": 20},
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        Network("disable"),
        Wait(0.2),
        Burst(20, "both", beyond_replay=True),
        Network("enable"),
        Wait(1.5),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
