import pytest

from harness import testevent
from harness.errors import HarnessError
from mock_server.schemas import PUBLISHED, example, spoiled
from mock_server.validation import demand


def payload(kind, number, change=lambda body: body):
    return testevent.make("ann", epoch="e", seq=1, at=1.0, body=change(example(kind, number)))


@pytest.mark.parametrize("kind", PUBLISHED)
def test_examples_fit_and_spoiled_ones_do_not(kind):
    for number in range(20):
        demand(kind, payload(kind, number))
    with pytest.raises(HarnessError, match=f"does not fit the schema of {kind}"):
        demand(kind, payload(kind, 1, spoiled))


def test_the_servers_own_types_are_not_published():
    with pytest.raises(HarnessError, match=r"^there is no event type 'reset' to publish; known: metric, "):
        demand("reset", {})
