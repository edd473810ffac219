"""Tokens: a user and an expiry, signed with the mock's secret (HMAC-SHA256). Time is an argument."""

import base64
import binascii
import hashlib
import hmac
import json
import math
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import HarnessError

LONGEST: Final = 4096
LONGEST_USER: Final = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """What a good token says: the user, and when it expires in wall-clock seconds."""

    user: str
    expires: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token is not accepted; `user` is whom an expired one named."""

    reason: Literal["missing", "malformed", "forged", "expired"]
    user: str | None = None
    expires: float = 0.0


def mint(secret: str, user: str, expires: float) -> str:
    """A token for this user that expires at this wall-clock time. Raises HarnessError."""
    if not user or len(user) > LONGEST_USER or not user.isprintable():
        raise HarnessError(f"a user is 1 to {LONGEST_USER} printable characters, not {user[:40]!r}; give another name")
    body = _encode(json.dumps({"user": user, "exp": expires}, separators=(",", ":")).encode())
    return f"{body}.{_sign(secret, body)}"


def verify(secret: str, token: str | None, now: float, *, any_signature: bool = False) -> Identity | Refusal:
    """Who the token speaks for, or why nobody; with `any_signature` (a defect) only its signature's length counts."""
    if not token:
        return Refusal("missing")
    body, _, signature = token.partition(".")
    if len(token) > LONGEST or not token.isascii() or not signature:
        return Refusal("malformed")
    good = _sign(secret, body)
    if not hmac.compare_digest(good, signature) and not (any_signature and len(good) == len(signature)):
        return Refusal("forged")
    try:
        plain = json.loads(_decode(body))
        user, expires = str(plain["user"]), float(plain["exp"])
    except (ValueError, TypeError, KeyError, binascii.Error):
        return Refusal("malformed")
    if math.isnan(expires) or expires <= now:
        return Refusal("expired", user, expires)
    return Identity(user, expires)


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header, or None if it carries none."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def cookie(header: str | None, name: str) -> str | None:
    """The value of the first cookie of this name in a Cookie header (RFC 6265, section 4.2.1)."""
    pairs = (pair.partition("=") for pair in (header or "").split(";"))
    return next((value.strip().strip('"') for key, _, value in pairs if key.strip() == name), None)


def _sign(secret: str, body: str) -> str:
    return _encode(hmac.new(secret.encode(), body.encode(), hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
