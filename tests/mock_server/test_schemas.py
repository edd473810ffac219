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
    assert {type_of(number) for number in range(7)} == {"metric", "notification", "job", "message"}


def test_a_message_comes_after_each_other_type():
    pairs = {(type_of(number), type_of(number + 1)) for number in range(7)}
    assert {before for before, after in pairs if after == "message"} == {"metric", "notification", "job"}
