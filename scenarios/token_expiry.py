"""A token expires in the middle of a stream, busy or idle: does the stream end, and does its client resume it?

Expected: the stream ends at the expiry whether or not anything is sent on it, the old token is refused afterwards, a
client that can refresh its token resumes and loses nothing.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Close, Open, Probe, Scenario, Wait

scenario = Scenario(
    users=2,
    checks=("security.token_expiry",),
    # A client that hangs up in a silence would hide that its server did not.
    client={**FAST_CLIENT, "heartbeat_deadline": None},
    steps=(
        AwaitOpen(),
        Open("busy", user=1, count=2, ttl=2.0),
        AwaitOpen(),
        *((Burst(1, "both"), Wait(0.06, expiries=0.02)) * 50),
        AwaitOpen(),
        Wait(0.5),
        # A user may have as few as three streams; the slots are free again before the probe is over.
        Close("busy"),
        Probe("an expired token", token="expired"),
        Open("idle", user=1, count=2, ttl=2.0),
        AwaitOpen(),
        Burst(2, "both"),
        # Whoever looks at the token only when there is an event to send does not see it expire.
        Wait(3, expiries=1),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "mint", "auth"}),
)
