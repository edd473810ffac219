"""A token expires in the middle of a stream: does the stream end, and does the client come back with a fresh one?

Expected: the stream ends at the expiry, the old token is refused afterwards, a client that can refresh its token
resumes and loses nothing.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Open, Probe, Scenario, Wait

scenario = Scenario(
    users=2,
    rate=10,
    checks=("security.token_expiry",),
    # A client that hangs up in a silence would hide that its server did not.
    client={**FAST_CLIENT, "heartbeat_deadline": None},
    steps=(
        AwaitOpen(),
        Open("short", user=1, count=2, ttl=2.0),
        AwaitOpen(),
        Burst(2, "both"),
        Probe("an expired token", token="expired"),
        Wait(3.5),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "mint", "auth"}),
)
