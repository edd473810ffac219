"""The server crashes and comes back without its memory: is the gap announced and no id used twice?

Expected: an id of the older epoch is answered with an explicit reset, ids stay unique across the crash, and what
follows arrives in order.
"""

from harness.scenario import AwaitOpen, Burst, Restart, Scenario, Wait

scenario = Scenario(
    users=8,
    rate=30,
    checks=("admission.resume", "delivery", "reconnection.happens", "replay.ids_unique"),
    steps=(
        AwaitOpen(),
        Burst(4, "both"),
        Wait(0.5),
        Restart("crash"),
        Burst(2, "both"),
        Wait(2.5),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "restart"}),
)
