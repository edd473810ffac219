"""Accept (RFC 9110, section 12.5.1): whether a request admits event streams."""


def admits(accept: str | None) -> bool:
    """Whether this header's value, None where there is none, admits text/event-stream."""
    if accept is None or not accept.strip():
        return True
    weights = {}
    for one in accept.split(","):
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        weights[name] = next((_weight(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
    for name in ("text/event-stream", "text/*", "*/*"):
        if name in weights:
            return weights[name] > 0
    return False


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
