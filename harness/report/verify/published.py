"""Published figures, from wherever they stand: a card's model-index, a tree of public results, a suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from harness.report import names
from harness.report.card.read import card_scores
from harness.report.sides import Side
from harness.report.values import known_scale, metric_value, scale
from harness.task import Task
from harness.types import Result

MOST = 4  # digits of points that count: mteb stores six of a score from 0 to 1


@dataclass(frozen=True)
class Figure:
    """One published score.

    Attributes:
        task, split, subset: what it is of; split and subset are empty where it is of the whole task.
        metric: today's name.
        spelled: the metric as it was published.
        value: in points, as the suite shows it.
        digits: of those points that were published.
        source: where it stands.
        revision: of the data, as far as it was published.
        type: of the task, as on a card.
        shape: the protocol that a card's group looks like, `custom` where none; empty where not of a card.
    """

    task: str
    split: str
    subset: str
    metric: str
    spelled: str
    value: float
    digits: int
    source: str
    revision: str = ""
    type: str = ""
    shape: str = ""


def card_figures(path: Path, protocol: str) -> list[Figure]:
    """The figures in a model card's `model-index`, of every metric that is known here.

    Raises:
        DataError: as `card_scores`.
    """
    found = []
    for one in card_scores(path, protocol)[1]:
        if one.value is not None:
            times = scale(one.metric) / one.factor
            digits = decimals(one.written, times)
            place = (one.task, one.split, one.subset)
            value = times * one.written
            about = (one.revision, one.type, one.source)
            found.append(Figure(*place, one.metric, one.spelled, value, digits, str(path), *about))
    return precise(found)


def stored_figures(side: Side, source: str) -> list[Figure]:
    """The scores of public results, of every metric that is known here."""
    found = []
    for result in side.results.values():
        for spelled, value in result.metrics.items():
            metric = names.today(spelled, result.protocol)
            if (points := known_scale(metric)) is not None:
                digits = decimals(value, points)
                place = (result.task, result.split, result.subset)
                shown = points * value
                found.append(Figure(*place, metric, spelled, shown, digits, source, result.data_revision))
    return precise(found)


def expected_figures(tasks: Iterable[Task], spellings: Iterable[str], source: str) -> list[Figure]:
    """The scores that a suite's `expect:` holds for a model under any of its names; each is of a whole task.

    Values are from 0 to 1; one above 1 is points.
    """
    wanted = {name.lower() for name in spellings}
    found = []
    for task in tasks:
        for model, value in task.expect.items():
            if model.lower() in wanted:
                points = scale(task.shown) if abs(value) <= 1 else 1.0
                digits = decimals(value, points)
                found.append(
                    Figure(task.name, "", "", task.shown, task.shown, points * value, digits, source)
                )
    return precise(found)


def value_of(figure: Figure, results: Sequence[Result]) -> float | None:
    """Our score of the same in points, the mean over results; None where one lacks the metric."""
    return score_of(figure.metric, results)


def score_of(metric: str, results: Sequence[Result]) -> float | None:
    """The mean of a metric over results in points; None where one lacks it."""
    found = [r.exact.get(metric, metric_value(r, metric)) for r in results]
    own = [value for value in found if value is not None]
    if not own or len(own) < len(found):
        return None
    return scale(metric) * sum(own) / len(own)


def precise(figures: Iterable[Figure]) -> list[Figure]:
    """With the digits that were meant: a trailing zero is lost, so one short of the most is the most."""
    found = list(figures)
    most = max((figure.digits for figure in found), default=0)
    return [replace(f, digits=most) if f.digits == most - 1 else f for f in found]


def decimals(value: float, factor: float) -> int:
    """How many digits of points are said by a number that is multiplied by `factor` to give them."""
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return max(0, min(MOST, decimals - (2 if factor == 100 else 0)))
