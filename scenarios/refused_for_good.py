"""The server answers 403 from now on: does the client stop asking, and does its user hear of it?

Expected: an error, one refusal, and no further attempt; a refusal that is final is not retried under any policy.
"""

from harness.scenario import AwaitOpen, Burst, Drop, Scenario, StreamFault, Wait

scenario = Scenario(
    users=4,
    checks=("reconnection.stops_on_refusal",),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.3),
        StreamFault("status", {"status": 403}),
        Drop("fin"),
        Wait(3.0),
    ),
    needs=frozenset({"publish", "mock"}),
)
