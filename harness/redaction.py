"""Credentials never reach a record, a log or a report: what stands there in their place, and how they are found.

A credential that a session knows is hidden wherever a text carries it (`hidden`); in a text of unknown make whatever
looks like one is (`redact_text`).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

SHORTEST_SECRET: Final = 6  # what is shorter is no secret, and would be found everywhere
_BEARER = re.compile(r"(?i)(bearer\s+)([^\s'\"<>]+)")
_QUERY_TOKEN = re.compile(r"(access_token=)([^&#\s]*)")


def fingerprint(token: str, user: str | None) -> str:
    """What stands in a record for a token: its user and eight hex digits of its SHA-256."""
    return f"{user or '?'}:{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def header_credentials(headers: Mapping[str, str], user: str | None) -> dict[str, str]:
    """Every secret that request headers carry, with the fingerprint that stands for it."""
    secrets = []
    for name, value in headers.items():
        match name.lower():
            case "authorization" | "proxy-authorization":
                secrets.append(value.rpartition(" ")[2])
            case "cookie":
                secrets += [one.partition("=")[2].strip() for one in value.split(";")]
    return _fingerprints(secrets, user)


def query_credentials(url: str, user: str | None) -> dict[str, str]:
    """The tokens in the query of a URL, as they stand there and decoded, with the fingerprints that stand for them."""
    found = [match[2] for match in _QUERY_TOKEN.finditer(url)]
    return _fingerprints([*found, *map(unquote, found)], user)


def _fingerprints(secrets: Iterable[str], user: str | None) -> dict[str, str]:
    return {one: fingerprint(one, user) for one in secrets if len(one) >= SHORTEST_SECRET}


def hidden(value: Any, credentials: Mapping[str, str]) -> Any:
    """The same value with every credential in its texts replaced by its fingerprint."""
    match value:
        case str():
            for secret, shown in credentials.items():
                value = value.replace(secret, shown)
            return value
        case dict():
            return {hidden(name, credentials): hidden(one, credentials) for name, one in value.items()}
        case list():
            return [hidden(one, credentials) for one in value]
        case _:
            return value


def redact_url(url: str, user: str | None) -> str:
    """The URL or path with the value of `access_token` replaced by its fingerprint."""
    return _QUERY_TOKEN.sub(lambda match: match[1] + fingerprint(match[2], user), url)


def redact_text(text: str) -> str:
    """A text of unknown make without what looks like a credential: bearer tokens and the value of `access_token`."""
    return redact_url(_BEARER.sub(lambda match: match[1] + fingerprint(match[2], None), text), None)


def redact_headers(headers: Iterable[tuple[str, str]], user: str | None) -> dict[str, str]:
    """Headers by lower-case name, those that carry secrets replaced by a fingerprint."""
    plain = {}
    for name, value in headers:
        name = name.lower()
        if name in ("authorization", "cookie", "set-cookie", "proxy-authorization"):
            value = fingerprint(value.rpartition(" ")[2] if name == "authorization" else value, user)
        plain[name] = redact_url(value, user)
    return plain
