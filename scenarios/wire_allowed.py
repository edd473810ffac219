"""Whatever a server may do on the wire (redirects, codings, line ends, odd ids and `retry`): is nobody accused of it?

Expected: each subscriber meets another oddity that the standards allow, on every connection; the client takes it in its
stride, and no check accuses anybody.
"""

from harness.scenario import FAST_SERVER, AwaitOpen, Burst, Scenario, Wait
from harness.wirecases import of

scenario = Scenario(
    users=len(of("allowed")),
    rate=20,
    checks=(
        "delivery",
        "security.own_events",
        "response.stream_head",
        "reconnection.last_event_id",
        "reconnection.not_too_early",
    ),
    steps=(AwaitOpen(), Burst(4, "both"), Wait(1.0), AwaitOpen(), Burst(2, "both"), Wait(1.0), AwaitOpen()),
    needs=frozenset({"publish", "mock"}),
    server={
        **FAST_SERVER,
        # Well above the client's own time: who does not obey it, or lets what is no `retry` undo it, comes too early.
        "retry_ms": 900,
        "faults": [fault for number, case in enumerate(of("allowed")) for fault in case.faults(f"u{number}-0")],
    },
)
