"""Streaming is switched on for all, off again and on again: does a rollback leave anything behind?

Expected: with streaming off everybody polls, errors are as rare as before the roll-out, and when streaming returns
each client goes on from the last event that it polled, from nothing older.
"""

from harness.scenario import FAST_CLIENT, FAST_SERVER, AwaitOpen, Burst, Open, Rollout, Scenario, Wait

scenario = Scenario(
    users=8,
    streams=0,
    checks=("rollback", "flag.kill_switch", "flag.no_client_loop", "delivery.nothing_lost", "delivery.nothing_twice"),
    server={**FAST_SERVER, "kill_switch_within": 1.0},
    client={**FAST_CLIENT, "poll_every": 0.5, "stream_again": 1.5},
    steps=(
        Rollout(0),
        Open("client", user=None),
        AwaitOpen(),
        Burst(2),
        Wait(3),
        Rollout(100),
        Wait(2.5),
        AwaitOpen(),
        Burst(3),
        Wait(0.5),
        Rollout(0),
        AwaitOpen(seconds=2, beats=0),
        Burst(3),
        Wait(4),
        Rollout(100),
        Wait(2.5),
        AwaitOpen(),
        Burst(3),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "rollout", "rest"}),
)
