"""report.html: the readable report in one file, without network and without JavaScript."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.plaintext import plain
from harness.results import Results, RunResult, label
from reports import _svg, _view


def write(results: Results, out: Path) -> Path:
    """Write report.html into the folder."""
    path = out / "report.html"
    template = environment().get_template("report.html.j2")
    path.write_text(template.render(r=results, view=_view, label=label, plot=_plot), encoding="utf-8")
    return path


def environment() -> Environment:
    """Templates in which every text is bounded, made visible and escaped."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _safe(value: Any) -> Any:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _plot(run: RunResult, place: int) -> Markup | None:
    curves = _view.curves(run)
    drawn = _svg.plot(curves, _view.windows(run), place) if curves else None
    return None if drawn is None else Markup(drawn)  # noqa: S704 - our own drawing, its texts escaped by matplotlib
