"""Text from elsewhere as Markdown in which nothing is markup."""

import re
from typing import Any, Final

from harness.plaintext import LIMIT, plain

_MARKS: Final = re.compile(r"([\\`*\[\]|~!$]|(?<!\w)_|_(?!\w))")
_LEAD: Final = re.compile(r"^(\s*)([#+=-]|\d+[.)](?=\s|$))")

# Readers of GitHub's kind make links of what looks like an address, without any markup.
_LINKS: Final = re.compile(r"(?i)(?<=[a-z0-9+.-]):(?=//)|(?<=\bmailto):|(?<=\bxmpp):|(?<=\bwww)\.")


def markdown(value: Any, limit: int = LIMIT) -> str:
    """The text as one line of Markdown in which nothing is markup: no HTML, link, image, cell border or mention."""
    line = " ".join(plain(value, limit).split())
    line = _MARKS.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _LINKS.sub(lambda match: f"\\{match[0]}", line).replace("@", "&#64;")
    return _LEAD.sub(lambda match: f"{match[1]}{match[2][:-1]}\\{match[2][-1]}", line)
