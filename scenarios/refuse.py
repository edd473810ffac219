"""Connections are refused for ten seconds: do clients wait longer each time, and not all at the same moment?

Expected: exponential backoff with jitter, never earlier than the reconnection time; all are back after it is over
and nothing is lost.  When their streams, stable by then, are cut once more, the waits begin anew.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Network, Scenario, Wait

STABLE = 1.5 * FAST_CLIENT["stable_after"]

scenario = Scenario(
    users=24,
    rate=20,
    checks=(
        "delivery",
        "reconnection.happens",
        "reconnection.backoff",
        "reconnection.jitter",
        "reconnection.no_hammering",
    ),
    steps=(
        AwaitOpen(),
        Burst(1, "both"),
        Wait(0.5),
        Network("disable"),
        Wait(10),
        Network("enable"),
        Wait(5),
        AwaitOpen(),
        Wait(STABLE),
        Network("disable"),
        Wait(0.2),
        Network("enable"),
        Wait(1.0),
        AwaitOpen(),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
    drain=12.0,
)
