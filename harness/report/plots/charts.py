"""The plots of reports, data in and a `Drawing` out: lines and points with names.

None of them lets two labels overlap: legends and rows make a drawing higher, names that find no place
beside their point are listed below it. Values that are missing are None and stay gaps; a value that is no
finite number is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.errors import ConfigError
from harness.report.plots.axis import Axis, apart, linear, logarithmic, short, ticks, widest
from harness.report.plots.drawing import (
    DASHES,
    FAINT,
    INK,
    LIGHT,
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
    series,
    wrapped,
)

HEIGHT = 240.0  # of the plane of lines and points
_BESIDE = (8.0, 16.0, 26.0, 38.0)  # how far from its point a number may stand; a name only as near as can be


@dataclass(frozen=True)
class Line:
    """A named series of (x, y); y is None where there is no value."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Point:
    """A named point."""

    name: str
    x: float
    y: float


def lines(
    title: str, data: Sequence[Line], *, x_label: str, y_label: str, decimals: int = 2, log: bool = True
) -> Drawing:
    """Values along an axis, a line a series; every x that occurs is a tick, as far as there is room.

    Args:
        decimals: of the values told when pointing at a dot, and in the description.
        log: equal ratios of x are equal distances (lengths that double); all x must be above 0.

    Raises:
        ConfigError: no values, or one that is not finite.
    """
    xs = sorted({x for line in data for x, _ in line.points})
    ys = [y for line in data for _, y in line.points if y is not None]
    checked("lines", xs, ys)
    _above_zero(x_label, xs, log)
    marks, top = heading(title)
    place = (logarithmic if log else linear)(xs, _left(ys), WIDTH - 18)
    plane, across, bottom = _plane(place, ys, top, xs, x_label, y_label)
    marks += plane
    for i, line in enumerate(data):
        points = sorted((x, y) for x, y in line.points if y is not None)
        known = dict(line.points)
        for (x, y), (x2, y2) in pairwise(points):
            if not any(x < gap < x2 for gap, value in known.items() if value is None):
                ends = ((place.at(x), across.at(y)), (place.at(x2), across.at(y2)))
                marks.append(Stroke(ends, series(i), 2, DASHES[i // len(LIGHT) % len(DASHES)]))
        for x, y in points:
            tip = f"{line.name}, {x_label} {x:g}: {y:.{decimals}f}"
            marks.append(Dot(place.at(x), across.at(y), series(i), tip, hollow=i % 2 == 1))
    legend, bottom = key([line.name for line in data], bottom)
    told = "; ".join(f"{line.name}: {_told(line.points, decimals)}" for line in data)
    return Drawing(bottom, title, f"{y_label} by {x_label}. {told}", (*marks, *legend))


def scatter(
    title: str,
    data: Sequence[Point],
    *,
    x_label: str,
    y_label: str,
    decimals: int = 2,
    log: bool = True,
    front: bool = True,
) -> Drawing:
    """Named points, and the line through those that no other beats at smaller or equal x.

    Raises:
        ConfigError: no points, or a value that is not finite (or not above 0 where x goes by logarithm).
    """
    xs, ys = [point.x for point in data], [point.y for point in data]
    checked("scatter", xs, ys)
    _above_zero(x_label, xs, log)
    best = pareto(data) if front else []
    marks, top = heading(title, ["The line joins those that none of the same size or smaller beats."] * front)
    place = (logarithmic if log else linear)(xs, _left(ys), WIDTH - 18)
    plane, across, bottom = _plane(place, ys, top, [], x_label, y_label)
    marks += plane
    corners = [(place.at(point.x), across.at(point.y)) for point in best]
    steps = [at for (x, y), (x2, y2) in pairwise(corners) for at in ((x, y), (x2, y), (x2, y2))]
    if steps:
        marks.append(Stroke(tuple(steps), "0", 1.5, "5 3"))
    for point in data:
        tip = f"{point.name}: {point.y:.{decimals}f}, {x_label} {short(point.x, 0)}"
        at = place.at(point.x), across.at(point.y)
        marks.append(Dot(*at, "0", tip, hollow=front and point not in best))
    labels, bottom = _named([*best, *(p for p in data if p not in best)], place, across, steps, bottom)
    told = "; ".join(f"{p.name}: {p.y:.{decimals}f} at {short(p.x, 0)}" for p in data)
    return Drawing(bottom, title, f"{y_label} against {x_label}. {told}", (*marks, *labels))


def pareto(data: Iterable[Point]) -> list[Point]:
    """Points that no other beats or equals at smaller or equal x, by rising x."""
    front: list[Point] = []
    for point in sorted(data, key=lambda p: (p.x, -p.y, p.name)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def checked(what: str, *values: Sequence[float]) -> None:
    """Refuse what cannot be drawn. Raises ConfigError."""
    if not all(values):
        raise ConfigError(f"{what}: there is nothing to draw")
    if not all(math.isfinite(value) for some in values for value in some):
        raise ConfigError(f"{what}: every value must be a finite number; a missing one is None")


def _above_zero(label: str, xs: Sequence[float], log: bool) -> None:
    if log and min(xs) <= 0:
        raise ConfigError(f"{label} must be above 0 on a logarithmic axis, not {min(xs):g}")


def _left(ys: Sequence[float]) -> float:
    """Room for the numbers of the upright axis."""
    values, decimals = ticks(linear(ys, 0, 1))
    return 14 + widest([short(value, decimals) for value in values])


def _plane(
    place: Axis, ys: Sequence[float], top: float, xs: Sequence[float], x_label: str, y_label: str
) -> tuple[list[Mark], Axis, float]:
    """Grid, ticks and the axes' names; the upright axis; how far down it all reaches."""
    marks: list[Mark] = []
    for text in wrapped(y_label, WIDTH - 16, SMALL):
        marks.append(Words(8, top + SMALL, text, size=SMALL))
        top += 1.3 * SMALL
    top += 12
    across = linear(ys, top + HEIGHT, top)
    values, decimals = ticks(across)
    for value in values:
        y = across.at(value)
        marks.append(Stroke(((place.start, y), (place.end, y)), FAINT))
        marks.append(Words(place.start - 6, y + 4, short(value, decimals), "end", SMALL))
    marked, decimals = (list(xs), 0) if xs else ticks(place)
    labels = [
        Words(place.at(x), top + HEIGHT + 18, f"{x:g}" if xs else short(x, decimals), "middle", SMALL)
        for x in marked
    ]
    feet = [(place.at(x), top + HEIGHT) for x in marked]
    marks += [Stroke(((x, y), (x, y + 4)), INK) for x, y in feet]
    marks += apart(labels)
    marks.append(Stroke(((place.start, top + HEIGHT), (place.end, top + HEIGHT)), INK))
    below, y = caption(x_label, (place.start + place.end) / 2, top + HEIGHT + 22)
    return marks + below, across, y + 6


Rect = tuple[float, float, float, float]


def _named(
    data: Sequence[Point],
    place: Axis,
    across: Axis,
    steps: Sequence[tuple[float, float]],
    bottom: float,
) -> tuple[list[Mark], float]:
    """Each point's name beside it where there is room, else a number, and the names of these below.

    Args:
        data: points, those first that are to have their names beside them.
    """
    spots = [(place.at(point.x), across.at(point.y)) for point in data]
    taken: list[Rect] = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    taken += [
        (min(x, x2), min(y, y2) - 1, max(x, x2), max(y, y2) + 1) for (x, y), (x2, y2) in pairwise(steps)
    ]
    frame = (place.start, across.end - 8, WIDTH - 4, across.start - 2)
    marks: list[Mark] = []
    listed: list[str] = []
    for point, spot in zip(data, spots, strict=True):
        words = _placed(point.name, spot, taken, frame, _BESIDE[:1])
        if words is None:
            listed.append(point.name)
            words = _placed(str(len(listed)), spot, taken, frame, _BESIDE)
        if words is not None:
            taken.append(words.box)
            marks.append(words)
    for number, name in enumerate(listed, 1):
        bottom += 17
        marks.append(Words(10, bottom, cut(f"{number}  {name}", WIDTH - 18, SMALL), size=SMALL, full=name))
    return marks, bottom + 10


def _placed(
    text: str, spot: tuple[float, float], taken: Sequence[Rect], frame: Rect, distances: Sequence[float]
) -> Words | None:
    """The text at the first of the places around a point where it is within the frame and hits nothing."""
    x, y = spot
    for away in distances:
        places = (
            (x + away, y + 4, "start"), (x - away, y + 4, "end"), (x, y - away, "middle"),
            (x, y + away + 8, "middle"), (x + 6, y - away, "start"), (x - 6, y - away, "end"),
            (x + 6, y + away + 8, "start"), (x - 6, y + away + 8, "end"),
        )  # fmt: skip
        for left, base, anchor in places:
            words = Words(left, base, text, anchor, SMALL)
            a, b, c, d = words.box
            inside = frame[0] <= a and frame[1] <= b and c <= frame[2] and d <= frame[3]
            if inside and not any(a < r and c > p and b < s and d > q for p, q, r, s in taken):
                return words
    return None


def _told(points: Sequence[tuple[float, float | None]], decimals: int) -> str:
    return ", ".join(f"{x:g} {'none' if y is None else format(y, f'.{decimals}f')}" for x, y in points)
