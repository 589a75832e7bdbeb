"""Scales from values to places, and round numbers to mark them with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.plots.drawing import SMALL, Words, breadth

_ROUND = (1.0, 2.0, 5.0, 10.0)
_GAP = 8.0  # between the labels of two ticks


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on places from `start` to `end`, by logarithm where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The place of a value."""
        low, high, value = (
            (math.log(self.low), math.log(self.high), math.log(value))
            if self.log
            else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / (high - low)


def linear(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis from one round number below all values to one above."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    for _ in range(3):  # a wider range may need a wider step, which may widen the range
        step = stride(low, high)
        low, high = step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9)
    return Axis(low, high, start, end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis by logarithm with a little room at both ends; all values must be above 0."""
    margin = (max(values) / min(values)) ** 0.06 if max(values) > min(values) else 2.0
    return Axis(min(values) / margin, max(values) * margin, start, end, log=True)


def stride(low: float, high: float, most: int = 6) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that gives at most `most` steps."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * times for times in _ROUND if power * times >= rough * (1 - 1e-9))


def ticks(axis: Axis) -> tuple[list[float], int]:
    """Round values within an axis and the decimals that tell them apart."""
    if axis.log:
        powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
        round_ones = [10.0**power * times for power in powers for times in _ROUND[:3]]
        return [value for value in round_ones if axis.low <= value <= axis.high], 0
    step = stride(axis.low, axis.high)
    first = round(axis.low / step)
    count = round((axis.high - axis.low) / step)
    return [step * (first + i) for i in range(count + 1)], max(0, -math.floor(math.log10(step) + 1e-9))


def short(value: float, decimals: int) -> str:
    """A value on an axis: `0.25`, `512`, `4K`, `110M`, `7.5B`."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "K")):
        if abs(value) >= size:
            return f"{value / min(size, 1e3 if letter == 'K' else size):.1f}".removesuffix(".0") + letter
    return f"{value:.{decimals}f}" if value >= 1 or decimals else f"{value:g}"


def apart(labels: Sequence[Words]) -> list[Words]:
    """Those labels of an axis that leave room between them; the first and the last always stay."""
    if len(labels) < 2:
        return list(labels)
    kept, last = [labels[0]], labels[-1]
    for label in labels[1:-1]:
        if label.box[0] >= kept[-1].box[2] + _GAP and label.box[2] + _GAP <= last.box[0]:
            kept.append(label)
    return [*kept, last] if last.box[0] >= kept[-1].box[2] + _GAP else kept


def widest(texts: Sequence[str], size: float = SMALL) -> float:
    """Width of the longest of some lines."""
    return max((breadth(text, size) for text in texts), default=0.0)
