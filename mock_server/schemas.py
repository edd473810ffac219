"""The event types of the mock server: a JSON Schema of each one's whole payload, and bodies that satisfy it."""

from collections.abc import Mapping
from typing import Any, Final

_TEXT: Final = {"type": "string", "maxLength": 1_000_000}
_ID: Final = {"type": "string", "maxLength": 200}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _event(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a test event's payload with this body."""
    return _object(
        {
            "channel": {"type": "string", "pattern": "^(all|user:.+)$"},
            "owner": {"type": ["string", "null"]},
            "epoch": {"type": "string", "minLength": 1},
            "seq": {"type": "integer", "minimum": 1},
            "at": {"type": "number"},
            "body": _object(required, {"pad": _TEXT, **(optional or {})}),
            "digest": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        }
    )


SCHEMAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "metric": _event({"name": _ID, "value": {"type": "number"}, "unit": _ID}),
    "notification": _event({"title": _TEXT, "text": _TEXT, "level": {"enum": ["info", "warning", "error"]}}),
    "job": _event(
        {
            "job": _ID,
            "state": {"enum": ["queued", "running", "done", "failed"]},
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
        }
    ),
    "message": _event({"text": _TEXT}),
    "sentinel": _event({}, {"note": _TEXT}),
    "reset": _object({"reason": {"enum": ["too-old", "epoch", "unknown"]}, "after": _ID, "epoch": _ID}),
    "dropped": _object({"count": {"type": "integer", "minimum": 1}, "after": _ID, "before": _ID}),
}

# What a publisher may send; reset and dropped are the server's own.
PUBLISHED: Final = ("metric", "notification", "job", "message", "sentinel")

# A message has no event field, and comes after each other type: a client that keeps a type is seen by it.
_CYCLE: Final = ("metric", "message", "notification", "message", "job", "message", "notification")
_STATES: Final = ("queued", "running", "done", "failed")


def type_of(number: int) -> str:
    """The type of the number-th event whose publisher did not choose one."""
    return _CYCLE[number % len(_CYCLE)]


def example(kind: str, number: int) -> dict[str, Any]:
    """A body of this type, the same for the same number: typed, with text that has to survive the wire and a page."""
    match kind:
        case "metric":
            return {"name": f"load-{number % 5}", "value": (number * 37 % 1000) / 10, "unit": "%"}
        case "notification":
            text = f'Zeile eins von {number}\nline two: ünïcödé 🙂 \u2028 <img src=x onerror=alert(1)> &amp; "quoted"'
            return {"title": f"Notice {number}", "text": text, "level": ("info", "warning", "error")[number % 3]}
        case "job":
            return {"job": f"job-{number % 7}", "state": _STATES[number % 4], "progress": number % 4 / 3}
        case "message":
            return {"text": f"Message {number}: straße, 東京"}
        case _:
            return {}


def spoiled(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with every field of the wrong type, and one that nobody knows."""
    return {**{name: [value] for name, value in body.items()}, "surprise": True}
