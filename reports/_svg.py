"""Plots as inline SVG, drawn by matplotlib where the extra `plots` is installed.

The colours are placeholders that become CSS variables, so that a plot follows the page into light and dark.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from harness.plaintext import redacted
from reports._view import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS: Final = 500
_COLOURS: Final[Mapping[str, str]] = {
    "#010203": "--muted", "#040506": "--line", "#070809": "--plot", "#0a0b0c": "--fault",
}  # fmt: skip
_MUTED, _LINE, _PLOT, _FAULT = _COLOURS
_SETTINGS: Final[Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "sse-harness", "hatch.linewidth": 0.6, "hatch.color": _FAULT,
    "text.parse_math": False, "font.size": 8, "font.family": "sans-serif", "axes.unicode_minus": False,
}  # fmt: skip


def plot(curves: Mapping[str, Sequence[tuple[float, float]]], faults: Sequence[Window], place: int) -> str | None:
    """One picture with a panel per curve, fault windows hatched; None without matplotlib.

    `place` keeps the picture's ids apart from those of the page's other pictures.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return None
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(9.2, 1.45 * len(curves) + 0.35), layout="constrained")
        panels = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (name, points) in zip(panels, curves.items(), strict=True):
            _panel(panel, name, points, faults)
        panels[-1].set_xlabel("seconds since the start of the run", color=_MUTED)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), place, list(curves))


def _panel(panel: "Axes", name: str, points: Sequence[tuple[float, float]], faults: Sequence[Window]) -> None:
    thin = points[:: len(points) // POINTS + 1]
    x, y = [t for t, _ in thin], [value for _, value in thin]
    for fault in faults:
        panel.axvspan(fault.begin, fault.end, facecolor="none", edgecolor=_FAULT, hatch="////", linewidth=0.6)
    panel.step(x, y, where="post", color=_PLOT, linewidth=1.6)
    panel.fill_between(x, y, step="post", color=_PLOT, alpha=0.14, linewidth=0)
    panel.set_title(_ascii(name), loc="left", color=_MUTED, fontsize=8.5)
    panel.set_ylim(bottom=0)
    panel.margins(x=0.01)
    panel.locator_params(axis="y", nbins=4, integer=True)
    panel.grid(axis="y", color=_LINE, linewidth=0.6)
    panel.tick_params(colors=_MUTED, length=0)
    for side, spine in panel.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_LINE)


def _ascii(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in redacted(text)[:80])


def _inline(svg: str, place: int, names: Sequence[str]) -> str:
    """The picture without its XML prologue, metadata and fixed size, with colours of the page and ids of its own."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>p{place}-", svg)
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    title = _ascii(", ".join(names))
    title = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{title} over time"', 1)
