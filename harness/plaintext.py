"""What of a text from elsewhere may be shown, on a terminal or in a report: bounded, visible, without a token.

Control characters, surrogates, noncharacters and bidirectional controls become visible escapes such as \\x1b: they
are evidence, but a terminal would obey them, and XML forbids most of them.
"""

import re
from typing import Any, Final

from harness.redaction import fingerprint

LIMIT: Final = 2000

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff]|[\U0001fffe\U0001ffff\U000e0000-\U000e007f]"
)
_BREAK: Final = re.compile(r"\s*[\t\n]\s*")
# A fingerprint, which stands in records for a token, may stay.
_TOKEN: Final = re.compile(
    r"(access_token=)(?![^\s:&#]*:[0-9a-f]{8}(?![^\s&#'\")\]}>,;]))([^\s&#'\"<>]+)", re.IGNORECASE
)


def plain(value: Any, limit: int = LIMIT) -> str:
    """The text, safe to print once the format has escaped its own markup."""
    text = redacted(str(value))
    cut = text[:limit]
    more = f" … ({len(text) - limit:,} more characters)" if len(text) > limit else ""
    return _HIDDEN.sub(lambda match: _escape(match[0]), cut) + more


def one_line(value: Any, limit: int = LIMIT) -> str:
    """The same on one line: a name that brings a line of its own could bring a verdict."""
    return _BREAK.sub(" ", plain(value, limit))


def redacted(text: str) -> str:
    """The text with the value of each `access_token` in it replaced by its fingerprint."""
    return _TOKEN.sub(lambda match: match[1] + fingerprint(match[2], None), text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
