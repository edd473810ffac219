"""Does the limit of streams per user hold exactly, also under a race, and is a slot free again after a close?

Expected: exactly the limit is admitted, the rest get 429 with Retry-After, a closed stream's slot is given to the
next, and other users notice nothing.
"""

from harness.scenario import FAST_SERVER, AwaitOpen, Burst, Close, Open, Scenario, Wait

scenario = Scenario(
    users=3,
    checks=("limits", "delivery.nothing_lost"),
    server={**FAST_SERVER, "limit_per_user": 3},
    steps=(
        AwaitOpen(),
        Open("fill", user=0, beyond_limit=-1),
        AwaitOpen(),
        Open("extra", user=0, count=2),
        Wait(1.5),
        Close("extra"),
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
