"""The server dies in the middle of an event: is the torn event thrown away and delivered whole after the reconnect?

Expected: the event whose empty line never came is not dispatched and its id is not remembered (the next request
carries the id of the last whole event); the replay brings it.
"""

from harness.scenario import AwaitOpen, Burst, Scenario, StreamFault, Wait

scenario = Scenario(
    users=6,
    rate=30,
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id"),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        *(
            step
            for where in ("after-id", "inside-data", "before-empty-line")
            for step in (StreamFault("cut-event", {"at": where}), Burst(1, "both"), Wait(1.5), AwaitOpen())
        ),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "mock"}),
)
