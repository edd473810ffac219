import jsonschema
import pytest

from mock_server.schemas import PUBLISHED, SCHEMAS, example, type_of


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_schema_is_one(kind):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[kind])


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_type_has_a_body_and_always_the_same_for_a_number(kind):
    assert example(kind, 7) == example(kind, 7)


def test_types_take_turns():
    assert {type_of(number) for number in range(3)} == {"metric", "notification", "job"}
