"""A user has two streams to the same endpoint: does each of them get every event?

Expected: each stream gets all of the user's events and all common ones, once and in order, also over a drop.
"""

from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

scenario = Scenario(
    users=5,
    streams=2,
    rate=30,
    checks=("delivery", "security.own_events"),
    steps=(
        AwaitOpen(),
        Burst(5, "both"),
        Wait(0.7),
        Network("disable"),
        Burst(2, "both"),
        Wait(0.2),
        Network("enable"),
        Wait(1.5),
        AwaitOpen(),
        Burst(5, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
