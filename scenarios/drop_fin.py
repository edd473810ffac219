"""The network closes every connection (FIN) three times: does each subscriber come back and miss nothing?

Expected: reconnects after the reconnection time, with the last event ID; what was published meanwhile is replayed
strictly after it, once; live events that arrive during the replay are neither lost nor doubled.
"""

from harness.scenario import AwaitOpen, Burst, Network, Scenario, Wait

# What comes right before and right after the cut is everybody's: whatever is left out there is missing to somebody.
CUT = (
    Wait(0.7), Burst(1, "all"), Network("disable"), Burst(1, "all"), Burst(3, "both"), Wait(0.2), Network("enable"),
    Wait(1.0), AwaitOpen(),
)  # fmt: skip

scenario = Scenario(
    users=12,
    rate=30,
    checks=(
        "admission.resume",
        "delivery",
        "reconnection.happens",
        "reconnection.last_event_id",
        "reconnection.not_too_early",
        "replay",
    ),
    steps=(
        AwaitOpen(),
        Burst(2, "both"),
        *(CUT * 3),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "replay"}),
)
