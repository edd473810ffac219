"""The bytes of events come one by one, or many events at once: does a client mind how they are cut?

Expected: whether a character, a line or an event is split over several chunks, or ten events come in one, each event is
dispatched once, whole and in order.
"""

from harness.scenario import AwaitOpen, Burst, Drop, Scenario, StreamFault, Wait

scenario = Scenario(
    users=6,
    rate=20,
    checks=("delivery.nothing_lost", "delivery.nothing_twice", "delivery.in_order", "delivery.untorn"),
    steps=(
        AwaitOpen(),
        *(StreamFault("dribble", {"seconds": 0.0005}, 1, f"u{number}-0") for number in (0, 1, 2)),
        # Without chunks of the transfer coding what has been held back arrives as one piece.
        *(StreamFault("close-delimited", {}, 1, f"u{number}-0") for number in (3, 4, 5)),
        *(StreamFault("buffer", {"seconds": 0.3}, 1, f"u{number}-0") for number in (3, 4, 5)),
        Drop("fin"),
        Wait(1.0),
        AwaitOpen(),
        *((Burst(3, "both"), Wait(0.6)) * 3),
        Wait(0.5),
    ),
    needs=frozenset({"publish", "mock"}),
)
