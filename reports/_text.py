"""What of a text from elsewhere may stand in a report: bounded, and nothing in it that is invisible or reorders.

Control characters, surrogates, noncharacters and bidirectional controls become visible escapes such as \\x1b: they
are evidence, and XML forbids most of them.
"""

import re
from typing import Any, Final

LIMIT: Final = 2000

_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff]|[\U0001fffe\U0001ffff\U000e0000-\U000e007f]"
)
_MARKS: Final = re.compile(r"([\\`*\[\]|~!$]|(?<!\w)_|_(?!\w))")
_LEAD: Final = re.compile(r"^(\s*)([#+=-]|\d+[.)](?=\s|$))")


def plain(value: Any, limit: int = LIMIT) -> str:
    """The text, safe to print once the format has escaped its own markup."""
    text = str(value)
    cut = text[:limit]
    more = f" … ({len(text) - limit:,} more characters)" if len(text) > limit else ""
    return _HIDDEN.sub(lambda match: _escape(match[0]), cut) + more


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def markdown(value: Any, limit: int = LIMIT) -> str:
    """The text as one line of Markdown in which nothing is markup: no HTML, link, image, cell border or mention."""
    line = " ".join(plain(value, limit).split())
    line = _MARKS.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = line.replace("@", "&#64;")
    return _LEAD.sub(lambda match: f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", line)
