"""Summarization: does a machine summary's similarity to human summaries follow its human grade?

Parity: mteb 2.26.24. `average_p_values` false is SummarizationEvaluator: the mean correlation over
samples. True is DeprecatedSummarizationEvaluator (SummEval, SummEvalFr): each sample counts as the mean
of its correlation and of that correlation's p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.examples import SummaryExamples
from harness.errors import ConfigError, DataError, HarnessError, ModelError
from harness.kinds import scorer
from harness.kinds._outcome import check_vectors, column, conclude, main_metric, same_length
from harness.metrics.correlation import Correlation, pearson, spearman, why_undefined
from harness.metrics.similarity import best_of_references
from harness.types import Scores, Texts, Vectors

# Prefix of the metrics and column of the samples.
_SETS = (("", "similarity"), ("cosine_", "cosine"), ("dot_", "dot"))
_KINDS: dict[str, Callable[[npt.NDArray[Any], npt.NDArray[Any]], Correlation]] = {
    "pearson": pearson,
    "spearman": spearman,
}
METRICS = tuple(prefix + name for prefix, _ in _SETS for name in _KINDS)


def needs(examples: SummaryExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The summaries of all rows, row after row, under `machine` and `human`."""
    return {
        "machine": Texts([summary for row in examples.machine for summary in row]),
        "human": Texts([summary for row in examples.human for summary in row]),
    }


def score(examples: SummaryExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Pearson and Spearman of the model's similarity, cosine and dot product, averaged over the rows.

    A machine summary's value is its maximum over the row's human summaries, in float32. A row is left
    out of every metric if its grades, cosines or dot products are all equal.

    Raises DataError (lists of a row that do not match, grades all equal in every row), ModelError (every
    row left out for another reason), NonFiniteError, UnknownNameError, ConfigError (min equals max).
    """
    main = main_metric(settings.get("main") or scorer("summarization").main, METRICS)
    _check_rows(examples)
    gold = _scaled(examples, settings)
    check_vectors(needs(examples, settings), vectors)
    samples = _samples(examples, gold, vectors, settings.get("similarity", "cosine"))
    return conclude(main, samples, metrics_from(samples, settings), _blame(gold))


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples, and the reasons of those that have no value."""
    gold, skipped = column(samples, "gold"), column(samples, "skipped")
    kept = [rows for rows in _rows_together(column(samples, "row")) if not skipped[rows[0]]]
    if not kept:
        return {}, dict.fromkeys(METRICS, "every row's grades, cosines or dot products are all equal")
    with_p = bool(settings.get("average_p_values", False))
    exact: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for prefix, name in _SETS:
        values = column(samples, name)
        for metric, correlation in _KINDS.items():
            mean = _mean(correlation, [(gold[rows], values[rows]) for rows in kept], with_p)
            if isinstance(mean, str):
                undefined[prefix + metric] = mean
            else:
                exact[prefix + metric] = mean
    return exact, undefined


def _mean(
    correlation: Callable[[npt.NDArray[Any], npt.NDArray[Any]], Correlation],
    rows: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    with_p: bool,
) -> float | str:
    """The mean over the rows, or the reason why there is none."""
    parts: list[float] = []
    for gold, values in rows:
        reason = why_undefined(gold, values)
        if reason:
            return f"in a row that counts {reason}"
        found = correlation(gold, values)
        parts.append(found.statistic)
        if with_p and found.pvalue is None:
            return "a row has two machine summaries, too few for Spearman's p-value"
        if with_p and found.pvalue is not None:
            parts.append(found.pvalue)
    return float(np.mean(parts))


def _rows_together(row: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Positions of the samples of each row; a row's samples stand together."""
    return np.split(np.arange(len(row)), np.flatnonzero(np.diff(row)) + 1)


def _samples(
    examples: SummaryExamples,
    gold: list[npt.NDArray[np.float64]],
    vectors: Mapping[str, Vectors],
    similarity: str,
) -> pa.Table:
    machine = np.cumsum([0, *(len(row) for row in examples.machine)])
    human = np.cumsum([0, *(len(row) for row in examples.human)])
    values = [
        best_of_references(
            vectors["machine"].gather(np.arange(machine[i], machine[i + 1])),
            vectors["human"].gather(np.arange(human[i], human[i + 1])),
            similarity,
        )
        for i in range(len(gold))
    ]
    skipped = [
        any(bool((v == v[0]).all()) for v in (g, row["cosine"], row["dot"]))
        for g, row in zip(gold, values, strict=True)
    ]
    counts = np.diff(machine)
    return pa.table(
        {
            "row": np.repeat(np.arange(len(gold), dtype=np.int64), counts),
            "machine": np.concatenate([np.arange(n, dtype=np.int64) for n in counts]),
            "gold": np.concatenate(gold),
            **{name: np.concatenate([row[name] for row in values]) for _, name in _SETS},
            "skipped": np.repeat(np.asarray(skipped, dtype=bool), counts),
        }
    )


def _check_rows(examples: SummaryExamples) -> None:
    same_length(machine=examples.machine, human=examples.human, relevance=examples.relevance)
    rows = zip(examples.machine, examples.human, examples.relevance, strict=True)
    for i, (machine, human, grades) in enumerate(rows):
        if not machine or not human:
            raise DataError(f"row {i} has {len(machine)} machine and {len(human)} human summaries")
        if len(machine) != len(grades):
            raise DataError(f"row {i} has {len(machine)} machine summaries and {len(grades)} grades")


def _scaled(examples: SummaryExamples, settings: Mapping[str, Any]) -> list[npt.NDArray[np.float64]]:
    chosen = {**scorer("summarization").defaults, **settings}
    low, high = float(chosen["min_score"]), float(chosen["max_score"])
    if low == high:
        raise ConfigError(f"min_score and max_score are both {low:g}; grades have no scale")
    gold = [(np.asarray(grades, dtype=np.float64) - low) / (high - low) for grades in examples.relevance]
    for i, grades in enumerate(gold):
        if not np.isfinite(grades).all():
            raise DataError(f"row {i} has a grade that is not a finite number")
    return gold


def _blame(gold: list[npt.NDArray[np.float64]]) -> type[HarnessError]:
    return DataError if all((grades == grades[0]).all() for grades in gold) else ModelError
