"""Confidence intervals of single scores, from the per-example values that stand beside stored results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from harness.errors import DataError, StoreError
from harness.kinds.evidence import Evidence, evidence
from harness.metrics.stats import Spread, bootstrap_weights, mean_spread, resampled
from harness.report import names
from harness.report.board.page import Interval
from harness.report.values import metric_value, scale
from harness.types import Result

if TYPE_CHECKING:
    from harness.report.board.leaderboard import Leaderboard
    from harness.report.board.rows import SuiteTask
    from harness.store import Store

_RESAMPLES = 200  # a spread is drawn, nothing is decided by it
_CLOSE = 1e-4  # what the mean over a task's entries may differ by from the score x100 that the table shows

Stored = tuple[Result, Callable[[], pa.Table]]


def intervals(
    board: Leaderboard, stores: Iterable[Store], tell: Callable[[str], None] = lambda line: None
) -> dict[str, dict[int, Interval]]:
    """95 % intervals of a leaderboard's task scores: task column to row number to (low, high), x100.

    A score has one where each of its splits and subsets has its per-example values; others are missing.

    Args:
        tell: gets a line for each file of per-example values that cannot be read.
    """
    tasks = {task.name: task for task in board.suite.tasks}
    found: dict[tuple[str, str, str, str], list[Stored]] = {}
    frame = board.frame
    ours = set(frame.loc[frame["Source"] == "", "Model"])  # of a large public tree only these are read
    for store in stores:
        for result in store.results(tasks=tasks, models=ours):
            if result.samples_sha256 and result.protocol == (
                tasks[result.task].protocol or board.suite.protocol
            ):
                place = (result.model, result.task, result.split, result.subset)
                found.setdefault(place, []).append((result, _reader(store, result)))
    return {
        column: rows
        for column, task, metric in _columns(board)
        if (rows := dict(_of_column(board, column, task, metric, found, tell)))
    }


def spread(result: Result, samples: pa.Table, metric: str, *, seed: int = 0) -> Spread:
    """How far a stored metric may be from that of all examples of its kind, in the metric's own scale.

    The standard error of a mean over examples, else the bootstrap over examples; where a protocol repeats
    itself, the spread over its repeats is added, as in `harness.report.paired`.

    Raises:
        DataError: the table cannot give this metric.
    """
    found = evidence(
        result.kind, result.scorer.partition("@")[0], result.provenance.get("settings") or {}, samples, metric
    )
    if found.own is not None and found.additive:
        return mean_spread(found.own)
    whole = _bootstrapped(found, seed)
    return whole + mean_spread(found.whole) if len(found.whole) > 1 else whole


def _bootstrapped(found: Evidence, seed: int) -> Spread:
    n = len(found.ids)
    values = np.concatenate(
        [
            found.parts(weights).mean(axis=0)
            for weights in bootstrap_weights(
                n, seed=seed, resamples=min(found.resamples or _RESAMPLES, _RESAMPLES)
            )
        ]
    )
    return resampled(values, n)


def _columns(board: Leaderboard) -> Iterator[tuple[str, SuiteTask, str]]:
    shown = [(task, metric) for task in board.suite.tasks for metric in (task.main, *task.also)]
    for name, (task, metric) in zip(board.scores[-len(shown) :], shown, strict=True):
        yield name, task, metric


def _of_column(
    board: Leaderboard,
    column: str,
    task: SuiteTask,
    metric: str,
    found: dict[tuple[str, str, str, str], list[Stored]],
    tell: Callable[[str], None],
) -> Iterator[tuple[int, Interval]]:
    frame = board.frame
    for row, (model, revision, variant, source, score) in enumerate(
        zip(frame["Model"], frame["Revision"], frame["Variant"], frame["Source"], frame[column], strict=True)
    ):
        if source or math.isnan(score):
            continue
        tokens = frozenset(variant.split("+"))
        chosen = [
            _best(found.get((model, task.name, *entry), ()), revision, tokens) for entry in task.entries
        ]
        parts = [stored for stored in chosen if stored is not None]
        values = [metric_value(result, metric) for result, _ in parts]
        known = [value for value in values if value is not None]
        # What the row shows may come from elsewhere (another split, a store without samples): then nothing
        if (
            len(known) < len(task.entries)
            or abs(scale(metric) * math.fsum(known) / len(known) - score) > _CLOSE
        ):
            continue
        spreads = [_spread(result, read, metric, tell) for result, read in parts]
        if any(each is None or not math.isfinite(each.error) for each in spreads):
            continue
        total = Spread(0.0, math.inf)
        for each in spreads:
            assert each is not None
            total += Spread(scale(metric) * each.error / len(spreads), each.freedom)
        yield row, total.interval(float(score))


def _best(stored: Sequence[Stored], revision: Any, tokens: frozenset[str]) -> Stored | None:
    """The result of the row's revision and variant, or with fewer tokens, where one cannot matter."""
    fitting = [
        each
        for each in stored
        if set(each[0].variant) <= tokens and (not isinstance(revision, str) or each[0].revision == revision)
    ]
    return max(fitting, key=lambda each: len(each[0].variant), default=None)


def _spread(
    result: Result, read: Callable[[], pa.Table], metric: str, tell: Callable[[str], None]
) -> Spread | None:
    name = metric if metric in result.exact else names.today(metric, result.protocol)
    try:
        return spread(result, read(), name)
    except DataError:  # an aggregate, or a metric that is not computed from examples
        return None
    except StoreError as error:
        tell(str(error))
        return None


def _reader(store: Store, result: Result) -> Callable[[], pa.Table]:
    return lambda: store.samples(result)
