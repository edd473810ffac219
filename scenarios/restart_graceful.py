"""The server restarts gracefully under live streams: do all come back, with nothing lost and nothing twice?

Expected: streams end, clients reconnect with their last event ID, the replay buffer has survived.
"""

from harness.scenario import AwaitOpen, Burst, Restart, Scenario, Wait

scenario = Scenario(
    users=8,
    rate=30,
    checks=("admission.resume", "delivery", "reconnection.happens", "replay.ids_unique", "replay.survives_restart"),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        Restart("graceful"),
        Burst(2, "both"),
        Wait(2),
        AwaitOpen(),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "restart"}),
)
