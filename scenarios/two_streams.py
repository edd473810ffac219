"""A user has two streams to the same endpoint: does each of them get every event?

Expected: each stream gets all of the user's events and all common ones, once and in order, also over a drop; a
third stream that is closed hears of nothing any more.
"""

from harness.scenario import AwaitOpen, Burst, Close, Network, Open, Scenario, Wait

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
        Open("brief", user=0),
        AwaitOpen(),
        Burst(2, "both"),
        Close("brief"),
        Burst(3, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
