"""A hundred users at once, with reconnects and replay: does anybody ever see an event of somebody else?

Expected: never, live or replayed.
"""

from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

scenario = Scenario(
    users=100,
    checks=("security.own_events", "delivery"),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        Network("disable"),
        Burst(2, "each"),
        Network("enable"),
        Wait(2.5),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
