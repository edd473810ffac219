"""Four parts of a page subscribe for the same user: does one connection serve them all?

Expected: the server sees one stream per user; each of the four gets every event, also over a drop; the connection
outlives the one that opened it and is closed with the last.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Close, Network, Scenario, Wait

scenario = Scenario(
    users=3,
    streams=4,
    rate=20,
    checks=("sharing.one_connection", "delivery"),
    client={**FAST_CLIENT, "shared": True},
    steps=(
        AwaitOpen(),
        Burst(3, "both"),
        Wait(0.5),
        Close("u0-0"),
        Network("disable"),
        Burst(2, "both"),
        Wait(0.2),
        Network("enable"),
        Wait(1.5),
        AwaitOpen(),
        Burst(3, "both"),
        Wait(0.5),
    ),
    # The client is what is asked about, and only the mock tells of its connections.
    needs=frozenset({"publish", "replay", "shared", "mock"}),
)
