"""Does the limit of streams per user hold exactly, after reconnects and under a race, and does a close free a slot?

Expected: exactly the limit is admitted, whichever token of the user is shown, the rest get 429 with Retry-After, a
closed stream's slot is given to the next, and other users notice nothing.
"""

from harness.scenario import FAST_SERVER, AwaitOpen, Burst, Close, Network, Open, Scenario, Wait

scenario = Scenario(
    users=3,
    checks=("limits", "delivery.nothing_lost"),
    server={**FAST_SERVER, "limit_per_user": 3},
    steps=(
        AwaitOpen(),
        Open("fill", user=0, beyond_limit=-1),
        AwaitOpen(),
        Burst(1, "both"),
        # Only a stream that was resumed shows, by its end, what a resume has done to the count.
        *((Network("disable"), Wait(0.2), Network("enable"), AwaitOpen(seconds=6, beats=0), Wait(1.2)) * 2),
        Open("extra", user=0, count=2),
        Open("token", user=0, ttl=600.0),
        Wait(1.5),
        Close("extra"),
        Close("token"),
        Burst(3, "both"),
        Close("fill-0"),
        Wait(1.5),
        Open("next", user=0),
        AwaitOpen(seconds=4, beats=0),
        Wait(0.5),
        Open("race", user=1, beyond_limit=4),
        Wait(1.5),
        Close("race"),
        Wait(1.5),
        Burst(3, "both"),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "limit"}),
)
