"""Every connection is accepted and ended at once: does a client wait longer each time all the same?

Expected: a stream that was open for a moment only is no success; waits grow up to the cap, differ between clients, and
nobody hammers.
"""

from harness.scenario import AwaitOpen, Burst, Drop, Scenario, StreamFault, Wait

scenario = Scenario(
    users=24,
    rate=5,
    checks=("reconnection.backoff", "reconnection.no_hammering"),
    steps=(
        AwaitOpen(),
        Burst(1),
        Wait(1.2),
        StreamFault("fin", {"events": 0}, attempts=10_000),
        Drop("fin"),
        Wait(9.0),
    ),
    needs=frozenset({"publish", "mock"}),
)
