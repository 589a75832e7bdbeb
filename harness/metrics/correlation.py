"""Pearson's and Spearman's correlation, defined or refused, never NaN."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Correlation(NamedTuple):
    """A correlation (-1 to 1) and its two-sided p-value, None where the test has no degree of freedom."""

    statistic: float
    pvalue: float | None


def why_undefined(gold: npt.NDArray[Any], scores: npt.NDArray[Any]) -> str | None:
    """The reason why two vectors [n] have no correlation, or None if they have one."""
    if len(gold) < 2:
        return "a correlation needs at least two examples"
    for name, values in (("gold", gold), ("predicted", scores)):
        if (values == values[0]).all():
            return f"all {len(values)} {name} scores are equal ({float(values[0]):g})"
    return None


def pearson(gold: npt.NDArray[Any], scores: npt.NDArray[Any]) -> Correlation:
    """Pearson's correlation of two vectors [n] in float64, by `scipy.stats.pearsonr`.

    Raises ValueError where `why_undefined` has a reason.
    """
    from scipy.stats import pearsonr

    _refuse_undefined(gold, scores)
    result = pearsonr(_unit(gold), _unit(scores))
    return Correlation(float(result.statistic), float(result.pvalue))


def spearman(gold: npt.NDArray[Any], scores: npt.NDArray[Any]) -> Correlation:
    """Spearman's rank correlation of two vectors [n], ties at their mean rank, by `scipy.stats.spearmanr`.

    With two examples there is no p-value. Raises ValueError where `why_undefined` has a reason.
    """
    from scipy.stats import spearmanr

    _refuse_undefined(gold, scores)
    with np.errstate(invalid="ignore"):  # two examples: 0 / 0 on the way to a p-value that is dropped
        result = spearmanr(np.asarray(gold, dtype=np.float64), np.asarray(scores, dtype=np.float64))
    return Correlation(float(result.statistic), float(result.pvalue) if len(gold) > 2 else None)


def _unit(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    # Pearson does not change under it, and values that hardly differ keep their digits.
    wide = np.asarray(values, dtype=np.float64)
    low = wide.min()
    return np.asarray((wide - low) / (wide.max() - low), dtype=np.float64)


def _refuse_undefined(gold: npt.NDArray[Any], scores: npt.NDArray[Any]) -> None:
    reason = why_undefined(gold, scores)
    if reason:
        raise ValueError(reason)
