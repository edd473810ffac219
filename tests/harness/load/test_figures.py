import pytest

pytestmark = pytest.mark.slow


def test_a_batch_counts_like_requests_that_are_fired_one_by_one(patched):
    patched("""
    from locust.env import Environment
    from harness.load.figures import report
    from harness.load.recorder import Request, Tally

    latencies = [0.0004, 0.0026, 0.147, 1.2345, 0.0026]
    batched, single = Environment(), Environment()
    for one in (batched, single):
        one.create_local_runner()
    requests = [Request("connect", 0.05), Request("stream", 0.0, "eof")]
    report(batched, Tally(latencies=list(latencies), requests=requests))
    for one in latencies:
        single.events.request.fire(request_type="SSE", name="deliver", response_time=one * 1000, response_length=0)
    ours, theirs = batched.stats.get("deliver", "SSE"), single.stats.get("deliver", "SSE")
    for name in ("num_requests", "response_times", "min_response_time", "max_response_time", "total_response_time",
                 "num_none_requests", "num_failures"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.get_response_time_percentile(0.5) == theirs.get_response_time_percentile(0.5) == 3
    assert batched.stats.total.num_requests == len(latencies) + 2
    assert batched.stats.get("stream", "SSE").num_failures == 1
    assert ["eof" in str(one.error) for one in batched.stats.errors.values()] == [True]
    """)
