from harness.faults.toxic import Toxic


def test_a_toxic_is_named_by_type_and_stream():
    assert Toxic("latency", {"latency": 5}).name == "latency_downstream"
