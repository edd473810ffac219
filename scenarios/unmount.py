"""A few subscribers come and go: are their sockets closed and their server slots free again?

Expected: descriptors, sockets, tasks and slots are exactly where they were; nothing is heard from a closed subscriber.
"""

from harness.scenario import FAST_SERVER, Burst, Churn, Close, Meter, Scenario

scenario = Scenario(
    users=4,
    checks=(
        "cleanup.client_sockets",
        "cleanup.descriptors",
        "cleanup.tasks",
        "cleanup.silent_after_close",
        "cleanup.server_slots",
    ),
    server={**FAST_SERVER, "limit_per_user": 1000},
    steps=(
        Burst(1, "both"),
        Close(),
        Churn(cycles=2, label="warm"),
        Meter("baseline"),
        Churn(cycles=4),
        Meter("after"),
    ),
)
