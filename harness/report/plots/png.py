"""Drawings as PNG, by matplotlib (the extra `plots`)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from harness.errors import MissingExtraError
from harness.report.plots.drawing import FAINT, INK, LIGHT, WIDTH, Drawing, Mark, Stroke, Words

_INK, _FAINT = "#1a1a1a", "#d6d6d6"


def check_png() -> None:
    """Refuse early what `to_png` cannot do. Raises MissingExtraError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "a PNG needs matplotlib: pip install 'harness[plots]'\nwithout it, write a plot with -o FILE.svg"
        ) from None


def to_png(drawing: Drawing, path: Path, scale: float = 3.0) -> None:
    """Write a drawing on white, `scale` pixels a unit.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_png()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 72 * scale  # one unit of the drawing is one point
    figure = Figure(figsize=(WIDTH / 72, drawing.height / 72), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    plane = figure.add_axes((0, 0, 1, 1))
    plane.set_axis_off()
    plane.set_xlim(0, WIDTH)
    plane.set_ylim(drawing.height, 0)
    for mark in drawing.marks:
        _draw(plane, mark)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that its font lacks
        figure.savefig(path, format="png", metadata={"Software": None, "Title": drawing.title})


def _draw(plane: Any, mark: Mark) -> None:
    from matplotlib.patches import Circle

    if isinstance(mark, Stroke):
        xs, ys = zip(*mark.points, strict=True)
        dash = [float(part) / mark.width for part in mark.dash.split()]
        style = (0, tuple(dash)) if dash else "solid"
        plane.plot(xs, ys, color=_colour(mark.colour), linewidth=mark.width, linestyle=style, zorder=1)
    elif isinstance(mark, Words):
        at = {"start": "left", "middle": "center", "end": "right"}[mark.anchor]
        weight = "bold" if mark.bold else "normal"
        plane.text(
            mark.x, mark.y, mark.text.replace("$", r"\$"), ha=at, va="baseline",
            fontsize=0.92 * mark.size, color=_INK, fontweight=weight,
        )  # fmt: skip
    else:
        colour = _colour(mark.colour)
        look: dict[str, Any] = {"fill": False, "linewidth": 2} if mark.hollow else {"linewidth": 0}
        plane.add_patch(Circle((mark.x, mark.y), mark.radius, color=colour, zorder=2, **look))


def _colour(name: str) -> str:
    return {INK: _INK, FAINT: _FAINT}.get(name) or LIGHT[int(name)]
