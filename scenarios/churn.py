"""Rapid subscribe / unsubscribe: is everything given back, on the client's side and on the server's?

Expected: after many cycles, half of them closed while still connecting, descriptors, sockets, tasks and slots are
exactly where they were; memory shows no trend; nothing is heard from a closed subscriber.
"""

from harness.scenario import Burst, Churn, Close, Meter, Scenario, Wait

scenario = Scenario(
    users=4,
    checks=("cleanup",),
    steps=(
        Burst(1, "both"),
        Close(),
        Churn(cycles=10, label="warm"),
        Meter("baseline"),
        Churn(cycles=40),
        Wait(0.5),
        Meter("after"),
    ),
    limit=90.0,
)
