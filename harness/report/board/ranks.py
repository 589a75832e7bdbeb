"""Means and ranks of complete rows. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from harness.report.board.rows import Row, SuiteTable
from harness.report.values import lower_is_better


def with_means(row: Row, suite: SuiteTable) -> Row:
    """A complete row with the mean of each type, over tasks and over types."""
    types = {
        name: mean([row.scores[task.name] for task in suite.tasks if task.type == name])
        for name in suite.types
    }
    tasks = [row.scores[task.name] for task in suite.tasks]
    return replace(row, types=types, mean_tasks=mean(tasks), mean_types=mean(list(types.values())))


def ranked(rows: list[Row], suite: SuiteTable) -> list[Row]:
    """Complete rows with their ranks by Borda count, best first."""
    points = [0.0] * len(rows)
    for task in suite.tasks:
        sign = -1 if lower_is_better(task.main) else 1
        scores = [sign * row.scores[task.name] for row in rows]
        ascending = sorted(scores)
        for i, score in enumerate(scores):
            points[i] += (bisect_left(ascending, score) + bisect_right(ascending, score) - 1) / 2
    ranked = [
        replace(row, rank=1 + sum(p > own for p in points)) for row, own in zip(rows, points, strict=True)
    ]
    return sorted(ranked, key=lambda row: (row.rank or 0, -_primary(row, suite), name_of(row)))


def _primary(row: Row, suite: SuiteTable) -> float:
    mean = row.mean_types if suite.average == "types" else row.mean_tasks
    sign = -1 if suite.lower_is_better else 1
    return sign * mean if mean is not None else -math.inf


def name_of(row: Row) -> tuple[str, str, tuple[str, ...], str]:
    """What orders rows that nothing else does."""
    return row.model, row.revision or "", row.variant, row.source


def mean(values: Sequence[float]) -> float:
    """Correctly rounded, so that no order of the values matters."""
    return math.fsum(values) / len(values)
