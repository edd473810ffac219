import pytest

from harness.errors import HarnessError
from harness.faults.toxic import Toxic


def test_a_toxic_is_named_by_type_and_stream():
    assert Toxic("latency", {"latency": 5}).name == "latency_downstream"


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"type": "latncy"}, "type of Toxic is 'latncy'; write one of latency, bandwidth, "),
        ({"attributes": 5}, "attributes of Toxic is 5; write a dict"),
        ({"stream": "down"}, "stream of Toxic is 'down'; write one of downstream, upstream"),
    ],
)
def test_a_value_of_another_type_is_one_sentence(given, sentence):
    with pytest.raises(HarnessError) as caught:
        Toxic(**{"type": "latency", **given})
    assert str(caught.value).startswith(sentence)
