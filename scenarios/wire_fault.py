"""One fault of the mock's settings on every connection: does the promise that it breaks ring its alarm, and no other?

Expected: without a fault (so it is shipped) everything passes; the selftest runs it with each fault of its table.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Scenario, Wait

scenario = Scenario(
    users=6,
    rate=8,
    checks=("delivery", "security", "response"),
    steps=(AwaitOpen(2.0), Burst(3, "both"), Wait(0.8), Burst(3, "both"), Wait(1.2)),
    needs=frozenset({"publish", "mock"}),
    client={**FAST_CLIENT, "event_limit": 200_000},
    drain=0.5,
)
