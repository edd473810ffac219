import pytest

pytestmark = pytest.mark.slow


def test_the_shape_has_an_end_whatever_is_given(patched):
    patched("""
    import time
    from types import SimpleNamespace
    from locust.env import Environment
    from harness.load.user import START_WITHIN, Bounded
    from harness.load.wiring import Wires

    environment = Environment(parsed_options=SimpleNamespace(num_users=10**6, spawn_rate=None, run_time=None))
    runner = environment.create_local_runner()
    environment.sse = Wires(environment, runner, "f.py", ("delivery",),
                            plan=SimpleNamespace(most_users=30))
    shape = Bounded()
    assert shape.tick() is None
    shape.runner = runner
    shape.reset_time()
    assert shape.tick() == (30, 1.0)
    shape.start_time -= START_WITHIN
    assert shape.tick() is None
    environment.sse.began = time.monotonic()
    assert shape.tick() == (30, 1.0)
    environment.sse.began -= 60
    assert shape.tick() is None
    environment.parsed_options.run_time = 10**9
    assert shape.tick() == (30, 1.0)
    environment.sse.began -= 3600
    assert shape.tick() is None
    """)
