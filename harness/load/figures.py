"""Counts of a tally as rows of Locust's statistics, in batches: one event fired per delivery would cost 2.5 µs."""

import time
from collections.abc import Sequence
from typing import Any

from locust.env import Environment
from locust.stats import RequestStats, StatsEntry, bucket_response_time

from harness.load.recorder import Tally

TYPE = "SSE"
DELIVER = "deliver"


def report(environment: Environment, tally: Tally) -> None:
    """Add what was counted since the last time to Locust's statistics."""
    latencies, requests = tally.take()
    events: Any = environment.events  # Locust's hooks have no types
    if latencies:
        _add(environment.stats, latencies)
    for one in requests:
        events.request.fire(
            request_type=TYPE, name=one.name, response_time=one.seconds * 1000, response_length=0,
            exception=ConnectionError(one.error) if one.error else None, context={},
        )  # fmt: skip


def _add(stats: RequestStats, latencies: Sequence[float]) -> None:
    """A batch of deliveries as one entry, the way Locust's master adds what its workers report."""
    now = time.time()
    batch: Any = StatsEntry(stats, DELIVER, TYPE)  # its times are said to be whole numbers; Locust's own are floats
    batch.last_request_timestamp = now
    batch.num_requests = len(latencies)
    batch.num_reqs_per_sec[int(now)] = len(latencies)
    milliseconds = [one * 1000 for one in latencies]
    batch.total_response_time = sum(milliseconds)
    batch.min_response_time, batch.max_response_time = min(milliseconds), max(milliseconds)
    for one in milliseconds:
        batch.response_times[bucket_response_time(one)] += 1
    stats.entries[(DELIVER, TYPE)].extend(batch)
    stats.total.extend(batch)
