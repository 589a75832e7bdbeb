"""Metrics of stored results: their values under any spelling, their scale and direction."""

from __future__ import annotations

from functools import cache

from harness.errors import UnknownNameError
from harness.metrics import Family, family
from harness.report import names
from harness.types import Result


def metric_value(result: Result, metric: str) -> float | None:
    """The value of a stored metric under any of its spellings; None where the result does not have it.

    Where pair classification lacks a `max_...`, it is the largest of its four similarities, its definition.
    Six decimals, as stored, so that a fresh result and the same one read back give the same table.
    """
    if metric in result.metrics:
        return round(result.metrics[metric], 6)
    name = names.today(metric, result.protocol)
    today = {names.today(key, result.protocol): value for key, value in result.metrics.items()}
    spelled = {**today, **result.metrics}
    value = spelled.get(name)
    if value is None and name.startswith("max_"):
        value = names.largest(spelled, name)
    return None if value is None else round(value, 6)


def lower_is_better(metric: str) -> bool:
    """Whether a lower value of this metric is the better one."""
    return _family(metric).better == "lower"


def scale(metric: str) -> float:
    """What a value is multiplied by to be shown: 100, but 1 for what is a percentage already."""
    return 100 / _family(metric).high


def is_possible(metric: str, value: float) -> bool:
    """Whether a metric can have this value; one of 57.3 that ends at 1 was stored in another scale."""
    of = _family(metric)
    return of.low - 1e-6 <= value <= of.high + 1e-6


def known_scale(metric: str) -> float | None:
    """As `scale`; None for a metric that nobody computes."""
    try:
        return scale(metric)
    except UnknownNameError:
        return None


@cache
def _family(metric: str) -> Family:
    """What is known of a metric, under whichever spelling."""
    try:
        return family(metric)
    except UnknownNameError:
        return family(names.today(metric))
