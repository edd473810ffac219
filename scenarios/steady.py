"""When nothing goes wrong, does every published event reach every subscriber, once, in order and at once?

Expected: nothing lost, twice, late or torn; heartbeats at least as often as promised on the then idle streams.
"""

from harness.scenario import AwaitOpen, Burst, Probe, Scenario, Wait

scenario = Scenario(
    users=20,
    checks=(
        "admission.valid_token",
        "response",
        "schema.valid",
        "delivery",
        "heartbeat.cadence",
        "lag.live",
        "security.own_events",
    ),
    steps=(
        AwaitOpen(),
        Probe("head of a good answer"),
        *((Burst(10, "both"), Wait(0.5)) * 8),
        Wait(beats=4),
        Burst(1, "both"),
        Wait(0.5),
    ),
)
