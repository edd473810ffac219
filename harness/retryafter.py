"""Retry-After (RFC 9110, 10.2.3): for how long a server asks a client to stay away, in seconds or until a date."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime


def seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds from the response on, at least 0.0; None if it says nothing that one can read. Names in lower case.

    A date is a distance only on the server's own clock, which is in Date.
    """
    value = headers.get("retry-after", "").strip("\t ")
    if value.isascii() and value.isdigit():
        return float(value)
    until, now = _date(value), _date(headers.get("date", ""))
    try:
        return None if until is None or now is None else max((until - now).total_seconds(), 0.0)
    except TypeError:  # one of them names no zone
        return None


def valid(value: str) -> bool:
    """Whether a client can read it: digits, or an HTTP date."""
    value = value.strip("\t ")
    return (value.isascii() and value.isdigit()) or _date(value) is not None


def _date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
