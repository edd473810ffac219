"""The flag is switched off while nothing is published: do live streams end in time all the same?

Expected: every live stream ends within the promised time, though nothing is sent on it but heartbeats.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Flag, Open, Scenario, Wait

scenario = Scenario(
    users=3,
    checks=("flag.kill_switch",),
    # A client that hangs up in a silence would hide that its server did not.
    client={**FAST_CLIENT, "heartbeat_deadline": None},
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        # Whoever looks at the flag only when there is an event to send does not see it go off.
        Flag(False),
        Wait(6),
        Flag(True),
        Open("again", user=0),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "flag"}),
)
