"""The flag is switched off under busy streams: do they end in time, and do the clients leave the server alone?

Expected: every live stream ends within the promised time, requests are answered with 204 and no stream, no client
loops; switched on again, streams work as before, as many as a user may have.
"""

from harness.scenario import FAST_CLIENT, AwaitOpen, Burst, Close, Flag, Open, Probe, Scenario, Wait

scenario = Scenario(
    users=6,
    rate=20,
    checks=("flag", "reconnection.stops_on_204"),
    # A client that hangs up in a silence would hide that its server did not.
    client={**FAST_CLIENT, "heartbeat_deadline": None},
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
        Flag(False),
        Wait(6),
        Probe("while the flag is off"),
        # Whoever polls meanwhile would want a slot when the flag is on again; all of them are for those who come next.
        Close(),
        Flag(True),
        Probe("after the flag is on again"),
        Open("again", user=0, beyond_limit=0),
        AwaitOpen(),
        Burst(2, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "flag"}),
)
