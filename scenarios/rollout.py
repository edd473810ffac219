"""Streaming is rolled out to 10, 50 and 100 % of the users and rolled back: does each step reach whom it should?

Expected: the share of users is that of the percentage, who has streaming once keeps it until the rollback, a user
without it gets no stream and polls, live streams end with the rollback, and REST answers the same bytes all along.
"""

from harness.scenario import FAST_CLIENT, FAST_SERVER, AwaitOpen, Burst, Open, ProbeAll, ProbeRest, Rollout, Scenario

scenario = Scenario(
    users=8,
    streams=0,
    checks=("flag", "rest", "rollback.falls_back", "delivery.nothing_lost"),
    server={**FAST_SERVER, "kill_switch_within": 1.0},
    client={**FAST_CLIENT, "poll_every": 0.5, "stream_again": 1.0},
    steps=(
        Rollout(10),
        Open("client", user=None),
        AwaitOpen(),
        ProbeAll("at 10 %"),
        Burst(2),
        ProbeRest("at 10 %"),
        Rollout(50),
        ProbeRest("at 50 %"),
        AwaitOpen(),
        Burst(2),
        ProbeAll("at 50 %"),
        Rollout(100),
        AwaitOpen(),
        Burst(2),
        ProbeAll("at 100 %", repeat=1),
        Rollout(0),
        AwaitOpen(),
        Burst(2),
        ProbeAll("at 0 %", repeat=1),
    ),
    needs=frozenset({"publish", "rollout", "rest"}),
)
