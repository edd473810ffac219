"""The Locust user that is a subscriber, and a load shape that ends by itself."""

import time
from typing import Final

from locust import LoadTestShape, User, task

from harness.load.plan import run_time
from harness.load.wiring import wires_of

START_WITHIN: Final = 120.0


class SseUser(User):
    """One subscriber for the life of the user; a locustfile imports it, that is all."""

    @task
    def stay(self) -> None:
        wires_of(self.environment).subscribe()


class Bounded(LoadTestShape):
    """So many users at such a rate for such a time, as --users, --spawn-rate and --run-time say; never without an end.

    Without --run-time it lasts DEFAULT_SECONDS; more than LONGEST seconds, or more users than the plan allows, are cut.
    """

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        if self.runner is None:
            return None
        wires = wires_of(self.runner.environment)
        given = wires.given
        # What it takes to start the server is not the load's time; but that has an end too.
        lasts = START_WITHIN if wires.began is None else run_time(given.run_time)
        if time.monotonic() - (wires.began or self.start_time) >= lasts:
            return None
        return min(int(given.num_users or 1), wires.most_users), float(given.spawn_rate or 1)

    def reset_time(self) -> None:
        self.start_time = time.monotonic()
