"""Published figures, from wherever they stand: a card's model-index, a tree of public results, a suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from harness.errors import DataError, UnknownNameError
from harness.report import names
from harness.report.sides import Side
from harness.report.values import metric_value, scale
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


def card_figures(path: Path, protocol: str) -> list[Figure]:
    """The figures in a model card's `model-index`, of every metric.

    Values are points, as cards of the MTEB leaderboard have them, unless none is above 1.

    Raises:
        DataError: the file cannot be read, or has no model-index with figures in its front matter.
    """
    try:
        _, opened, rest = f"\n{path.read_text(encoding='utf-8-sig')}".partition("\n---\n")
        front = yaml.safe_load(rest.partition("\n---")[0]) if opened else None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{path}: its front matter is no YAML: {' '.join(str(error).split())}") from error
    index = front.get("model-index") if isinstance(front, Mapping) else None
    if not isinstance(index, Sequence) or not index:
        raise DataError(f"{path} has no model-index between --- lines, so it publishes no scores to compare")
    rows = [row for model in index if isinstance(model, Mapping) for row in model.get("results") or ()]
    raw = [(row, metric) for row in rows if isinstance(row, Mapping) for metric in row.get("metrics") or ()]
    numbers = [(row, m) for row, m in raw if isinstance(m, Mapping) and _is_number(m.get("value"))]
    points = any(abs(m["value"]) > 1 for _, m in numbers)
    found = [_card_figure(row, metric, points, protocol, path) for row, metric in numbers]
    if not any(found):
        raise DataError(f"{path}: its model-index holds no score of a metric that is known here")
    return _precise(one for one in found if one is not None)


def stored_figures(side: Side, source: str) -> list[Figure]:
    """The scores of public results, of every metric that is known here."""
    found = []
    for result in side.results.values():
        for spelled, value in result.metrics.items():
            metric = names.today(spelled, result.protocol)
            if (points := _scale(metric)) is not None:
                digits = _decimals(value, points)
                place = (result.task, result.split, result.subset)
                shown = points * value
                found.append(Figure(*place, metric, spelled, shown, digits, source, result.data_revision))
    return _precise(found)


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
                digits = _decimals(value, points)
                found.append(
                    Figure(task.name, "", "", task.shown, task.shown, points * value, digits, source)
                )
    return _precise(found)


def value_of(figure: Figure, results: Sequence[Result]) -> float | None:
    """Our score of the same in points, the mean over results; None where one lacks the metric."""
    found = [r.exact.get(figure.metric, metric_value(r, figure.metric)) for r in results]
    own = [value for value in found if value is not None]
    if not own or len(own) < len(found):
        return None
    return scale(figure.metric) * sum(own) / len(own)


def _card_figure(
    row: Mapping[str, Any], metric: Mapping[str, Any], points: bool, protocol: str, path: Path
) -> Figure | None:
    """None for a metric that nobody computes, and for what names no task."""
    task, dataset = row.get("task"), row.get("dataset")
    if not isinstance(task, Mapping) or not isinstance(dataset, Mapping):
        return None
    spelled = str(metric.get("type", ""))
    home, shown = str(dataset.get("type", "")), str(dataset.get("name", ""))
    config, split = str(dataset.get("config") or "default"), str(dataset.get("split") or "test")
    try:
        name, (split, config), today = names.card_entry(
            str(task.get("type", "")), home, config, split, spelled, protocol
        )
    except UnknownNameError:
        today = names.today(spelled, protocol)
        name = shown.removeprefix("MTEB ").partition(" (")[0] if shown.startswith("MTEB ") else home
    factor = _scale(today)
    if factor is None or not name:
        return None
    value = float(metric["value"])
    digits = _decimals(value, 1.0 if points else factor)
    revision = str(dataset.get("revision") or "")
    return Figure(
        name, split, config, today, spelled, value if points else factor * value, digits, str(path),
        "" if revision.lower() in ("none", "null") else revision,
    )  # fmt: skip


def _precise(figures: Iterable[Figure]) -> list[Figure]:
    """With the digits that were meant: a trailing zero is lost, so one short of the most is the most."""
    found = list(figures)
    most = max((figure.digits for figure in found), default=0)
    return [replace(f, digits=most) if f.digits == most - 1 else f for f in found]


def _decimals(value: float, factor: float) -> int:
    """How many digits of points are said by a number that is multiplied by `factor` to give them."""
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    return max(0, min(MOST, decimals - (2 if factor == 100 else 0)))


def _scale(metric: str) -> float | None:
    try:
        return scale(metric)
    except UnknownNameError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
