"""report.md: the readable report for a pull request or a chat."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.results import Results, label
from reports import _view
from reports._text import markdown


def write(results: Results, out: Path) -> Path:
    """Write report.md into the folder."""
    path = out / "report.md"
    template = _environment().get_template("report.md.j2")
    path.write_text(template.render(r=results, view=_view, label=label), encoding="utf-8")
    return path


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - `finalize` escapes every text, for Markdown and for the HTML in it
        finalize=_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _safe(value: Any) -> Any:
    return markdown(value) if isinstance(value, str) else value
