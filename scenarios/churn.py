"""Rapid subscribe / unsubscribe: is everything given back, on the client's side and on the server's?

Expected: after many cycles, half of them closed while still connecting, descriptors, sockets, tasks and slots are
exactly where they were; memory shows no trend; nothing is heard from a closed subscriber.
"""

from harness.scenario import FAST_SERVER, Burst, Churn, Close, Meter, Scenario, Wait

scenario = Scenario(
    users=4,
    checks=("cleanup",),
    # No client shall meet the limit here: whether slots come back is read from the server's own counts.
    server={**FAST_SERVER, "limit_per_user": 1000},
    steps=(
        Burst(1, "both"),
        Close(),
        Churn(cycles=40, parallel=8, label="warm"),
        Meter("baseline"),
        Churn(cycles=60, parallel=8),
        Wait(0.5),
        Meter("after"),
    ),
)
