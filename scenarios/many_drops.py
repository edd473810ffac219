"""Every connection is lost many times: does a client give back what belonged to each?

Expected: after twelve drops more, descriptors, sockets and tasks are as many as after the first two.
"""

from harness.scenario import AwaitOpen, Burst, Drop, Meter, Scenario


def drops(count: int) -> tuple[Drop | AwaitOpen, ...]:
    """So many drops in turn by FIN and by RST, each after everybody has come back."""
    return tuple(step for n in range(count) for step in (Drop("rst" if n % 2 else "fin"), AwaitOpen()))


scenario = Scenario(
    users=6,
    checks=("cleanup.client_sockets", "cleanup.descriptors", "cleanup.tasks", "reconnection.happens"),
    client={"reconnection_time": 0.1, "backoff_base": 0.05, "backoff_cap": 0.2},
    steps=(AwaitOpen(), Burst(1), *drops(2), Meter("baseline"), *drops(12), Burst(1), Meter("after")),
    needs=frozenset({"publish", "drop"}),
)
