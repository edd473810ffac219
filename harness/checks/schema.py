"""The data of every event is valid against the schema of its type."""

import json
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for

from harness import declared
from harness.check import Finding, check, failed, passed, skipped, waived
from harness.history import History, Record
from harness.testevent import FIELDS


@check("schema.valid", "SEC-1", subject="server")
def valid(history: History) -> Finding:
    """Every event's data is JSON that is valid against the schema promised for its type."""
    schemas = declared.of(history).promises.schemas
    if not schemas:
        return waived("the target promises no schemas")
    validators = {name: validator_for(schema)(schema) for name, schema in schemas.items()}
    judged, wrong = 0, []
    for record in history.of("sub.event"):
        if record["type"] in validators and _whole(record):
            judged += 1
            reason = _reason(validators[record["type"]], record)
            wrong += [f"{record['sub']}: {record['type']} {record['id']!r}: {reason}"] if reason else []
    if not judged:
        return skipped("no event of a type with a schema was dispatched")
    expected = "each event is valid against its schema"
    if wrong:
        return failed(expected, f"{len(wrong)} of {judged} are not", wrong, deliveries=judged)
    return passed(expected, f"{judged} events of {len(validators)} types", (), deliveries=judged)


def _whole(record: Record) -> bool:
    """Whether the record has all of the event's data, untorn: torn events are told elsewhere."""
    return "size" not in record.data or record["size"] <= len(str(record.get("data", "")))


def _reason(validator: Any, record: Record) -> str:
    try:
        validator.validate(_data(record))
    except ValidationError as exc:
        return f"{exc.json_path} {exc.message}"[:300]
    except ValueError as exc:
        return f"no JSON: {exc}"
    return ""


def _data(record: Record) -> Any:
    if record.get("channel") is None:
        return json.loads(str(record.get("data", "")))
    return {name: record.get(name) for name in (*FIELDS, "digest")}
