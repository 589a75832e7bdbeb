"""Cells of a leaderboard: values as text, the best two of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

FACTS = {  # of model_meta.json, shown where at least one model has them
    "n_parameters": "Parameters",
    "embed_dim": "Dimension",
    "max_tokens": "Max tokens",
    "license": "Licence",
}
RATE = "Texts/s"
BAND = "Band"
MERGED, PARTIAL = "Merged revisions", "Tasks on other splits"  # what the marks † and ‡ stand for
DIGITS = 4  # of scores x100 in CSV and JSON


class Cell(NamedTuple):
    """A cell as shown; `place` 0 is the best of its column, 1 the second."""

    text: str
    place: int | None = None


def marked(values: Sequence[float | None], lower: bool) -> list[Cell]:
    """Cells of a column; compared as shown, so that equal figures look equal."""
    cells = ["—" if value is None else f"{value:.2f}" for value in values]
    shown = sorted({float(cell) for cell in cells if cell != "—"}, reverse=not lower)[:2]
    if sum(cell != "—" for cell in cells) < 2:
        return [Cell(cell) for cell in cells]
    places = {value: place for place, value in enumerate(shown)}
    return [Cell(cell, None if cell == "—" else places.get(float(cell))) for cell in cells]


def shown_as(name: str, value: Any) -> str:
    """A value of a column that holds no scores."""
    if value is None:
        return "—"
    if name == FACTS["n_parameters"]:
        return f"{value / 1e9:.1f}B" if value >= 1e9 else f"{value / 1e6:.1f}M"
    return f"{value:.0f}" if name == RATE else str(value)


def exported(value: Any, score: bool) -> Any:
    """A value as CSV and JSON have it."""
    return round(value, DIGITS) if score and value is not None else value
