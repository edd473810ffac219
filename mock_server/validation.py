"""Holds a payload to the schema of its type before it is published."""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema

from harness.errors import HarnessError
from mock_server.schemas import PUBLISHED, SCHEMAS

_VALIDATORS: Final = {kind: jsonschema.Draft202012Validator(SCHEMAS[kind]) for kind in PUBLISHED}


def demand(kind: str, payload: Mapping[str, Any]) -> None:
    """Raise HarnessError unless this payload may be published under this type."""
    if kind not in _VALIDATORS:
        raise HarnessError(f"there is no event type {kind!r} to publish; known: {', '.join(PUBLISHED)}")
    try:
        _VALIDATORS[kind].validate(payload)
    except jsonschema.ValidationError as exc:
        where = "/".join(map(str, exc.absolute_path)) or "payload"
        raise HarnessError(f"{where} does not fit the schema of {kind}: {exc.message[:200]}") from exc
