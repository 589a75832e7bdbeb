"""A plot of one row a thing, which grows in height: two values a row, joined by a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.plots.axis import Axis, apart, linear, short, ticks, widest
from harness.report.plots.charts import checked
from harness.report.plots.drawing import (
    FAINT,
    FONT,
    SMALL,
    WIDTH,
    Dot,
    Drawing,
    Mark,
    Stroke,
    Words,
    caption,
    cut,
    heading,
    key,
)

ROW = 22.0
_MOST = 0.5  # of the width that names may take


@dataclass(frozen=True)
class Pair:
    """A row of two values; None where one is missing."""

    name: str
    first: float | None
    second: float | None


def dumbbell(
    title: str, data: Sequence[Pair], names: tuple[str, str], *, x_label: str, decimals: int = 2
) -> Drawing:
    """Two values a row, joined; at the right the second minus the first.

    Args:
        data: rows from top to bottom.
        names: what the first and the second values are of.

    Raises:
        ConfigError: no values, or one that is not finite.
    """
    values = [v for row in data for v in (row.first, row.second) if v is not None]
    checked("dumbbell", values)
    told = [_difference(row, decimals) for row in data]
    marks, top = heading(title)
    legend, top = key(list(names), top - 8)
    place = _columns([row.name for row in data], told, values)
    base, top, bottom = _frame(place, top, ROW * len(data), x_label)
    marks += [*legend, *base]
    for i, (row, change) in enumerate(zip(data, told, strict=True)):
        y = top + ROW * (i + 0.5)
        marks += _row(place, row.name, change, y)
        ends = [(v, n) for v, n in ((row.first, 0), (row.second, 1)) if v is not None]
        if len(ends) == 2:
            (a, _), (b, _) = ends
            marks.append(Stroke(((place.at(a), y), (place.at(b), y)), FAINT, 4))
        for value, n in ends:
            tip = f"{row.name}, {names[n]}: {value:.{decimals}f}"
            marks.append(Dot(place.at(value), y, str(n), tip, radius=4.5, hollow=n == 1))
    rows = "; ".join(
        f"{row.name}: {_value(row.first, decimals)} and {_value(row.second, decimals)}" for row in data
    )
    return Drawing(bottom, title, f"{x_label} of {names[0]} and {names[1]}. {rows}", tuple(marks))


def _columns(names: Sequence[str], told: Sequence[str], values: Sequence[float]) -> Axis:
    """The scale between the names at the left and the numbers at the right."""
    left = min(8 + widest(names, FONT) + 12, _MOST * WIDTH)
    return linear(values, left, WIDTH - 8 - widest(told) - 12)


def _row(place: Axis, name: str, told: str, y: float) -> list[Mark]:
    return [
        Words(8, y + 4.5, cut(name, place.start - 18), full=name),
        Words(WIDTH - 8, y + 4.5, told, "end", SMALL),
    ]


def _frame(place: Axis, top: float, height: float, x_label: str) -> tuple[list[Mark], float, float]:
    """The scale above and below the rows; where they begin, and how far down it all reaches."""
    values, decimals = ticks(place)
    start, end = top + 22, top + 22 + height
    marks: list[Mark] = [
        Stroke(((place.at(value), start), (place.at(value), end)), FAINT) for value in values
    ]
    for y in (start - 6, end + 15):
        marks += apart([Words(place.at(v), y, short(v, decimals), "middle", SMALL) for v in values])
    below, y = caption(x_label, (place.start + place.end) / 2, end + 19)
    return marks + below, start, y + 8


def _value(value: float | None, decimals: int) -> str:
    return "none" if value is None else f"{value:.{decimals}f}"


def _difference(row: Pair, decimals: int) -> str:
    if row.first is None or row.second is None:
        return "none"
    return f"{row.second - row.first:+.{decimals}f}"
