"""The data of every event is valid against the schema of its type."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for

from harness import declared, ledger
from harness.check import Finding, check, failed, passed, skipped, waived
from harness.history import History, Record
from harness.published import Publications
from harness.testevent import FIELDS


@check("schema.valid", "SEC-1", subject="server")
def valid(history: History) -> Finding:
    """Every event's data is JSON that is valid against the schema promised for its type."""
    schemas = declared.of(history).promises.schemas
    if not schemas:
        return waived("the target promises no schemas")
    known, runs = Schemas(schemas), history.of("sub.run")
    # A summary was judged, event by event, by the engine that wrote it.
    untold = sum(int(one.get("invalid") or 0) for one in runs)
    judged, wrong = untold + sum(int(one.get("valid") or 0) for one in runs), []
    published = ledger.of(history).published
    for record in history.of("sub.event"):
        if _torn(published, record):
            continue
        reason = known.breach(record)
        judged += reason is not None
        wrong += [f"{record['sub']}: {record['type']} {record['id']!r}: {reason}"] if reason else []
    if not judged:
        return skipped("no event of a type with a schema was dispatched")
    expected = "each event is valid against its schema"
    if wrong or untold:
        return failed(expected, f"{len(wrong) + untold} of {judged} are not", wrong, deliveries=judged)
    return passed(expected, f"{judged} events of {len(schemas)} types", (), deliveries=judged)


class Schemas:
    """JSON Schemas by type of event, ready to judge."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._validators = {name: validator_for(schema)(schema) for name, schema in schemas.items()}

    def breach(self, record: Record) -> str | None:
        """What is wrong with an event's data; "" if nothing is, None if it is not judged: another type, or a piece."""
        validator = self._validators.get(record["type"])
        return None if validator is None or not _whole(record) else _reason(validator, record)


def _torn(published: Publications, record: Record) -> bool:
    """Whether this is no event as the server sent it, but a piece of one, or one of another type: told elsewhere."""
    if record.get("channel") is None:
        return ledger.looks_torn(record, published.types)
    return published.type_of(str(record["epoch"]), record["channel"], int(record["seq"])) not in (None, record["type"])


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
    if record.get("data") is not None or record.get("channel") is None:
        return json.loads(str(record.get("data", "")))
    return {name: record.get(name) for name in (*FIELDS, "digest")}
