"""Whatever a path can break: RST and FIN at any byte, chunks, lengths, silence, refusals: is all of it survived?

Expected: each subscriber's next connection breaks in another way; every client comes back, and nothing is lost, torn
or dispatched twice.
"""

from harness.scenario import AwaitOpen, Burst, Drop, Scenario, StreamFault, Wait
from harness.wirecases import of

scenario = Scenario(
    users=len(of("broken")),
    rate=20,
    checks=("delivery", "reconnection.happens", "reconnection.last_event_id", "reconnection.not_too_early"),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        *(
            StreamFault(case.fault, case.parameters, case.attempts, f"u{number}-0")
            for number, case in enumerate(of("broken"))
        ),
        Drop("fin"),
        Wait(1.0),
        Burst(4, "both"),
        Wait(1.5),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "mock"}),
)
