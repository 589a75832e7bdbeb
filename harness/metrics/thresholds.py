"""How well scores separate pairs labelled 1 from pairs labelled 0."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from harness.types import Int64


class BestCuts(NamedTuple):
    """The best accuracy and the best F1 any threshold reaches; precision and recall are at that F1."""

    accuracy: float
    f1: float
    precision: float
    recall: float


def average_precision(scores: npt.NDArray[Any], labels: Int64) -> float | None:
    """Average precision (scikit-learn: step sum, equal scores together), or None without a positive.

    `scores` [n], larger means more likely positive; `labels` int64 [n] of 0 and 1. scikit-learn
    warns and returns 0.0 where no label is 1: there recall is 0 / 0, so it is no score here.
    """
    from sklearn.metrics import average_precision_score

    if not (labels == 1).any():
        return None
    return float(average_precision_score(labels, np.asarray(scores, dtype=np.float64)))


def best_cuts(scores: npt.NDArray[Any], labels: Int64, *, split_ties: bool = False) -> BestCuts:
    """Sweep a threshold down the sorted scores [n]; labels int64 [n] of 0 and 1.

    A cut calls the rows above it positive. Equal scores are never split, and the last row is never a
    cut (not everything is positive), so where all scores tie there is no cut and each value is 0.0, as
    in mteb's AbsTaskPairClassification. Of cuts with equal F1 the highest threshold counts; F1 is
    2pr / (p + r) in doubles as there, since rounding picks among cuts whose F1 is equal on paper.

    With `split_ties` a cut may part equal scores, which then stand in the order given: mteb 1.1.1's sweep.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    ranked = np.asarray(scores)[order]
    last = np.flatnonzero((ranked[:-1] != ranked[1:]) | split_ties)
    if not len(last):
        return BestCuts(0.0, 0.0, 0.0, 0.0)
    hits = np.cumsum(labels[order])[last]
    positives = int(labels.sum())
    misses_below = len(labels) - positives - (last + 1 - hits)
    accuracy = float(((hits + misses_below) / len(labels)).max())
    some = np.flatnonzero(hits > 0)
    if not len(some):
        return BestCuts(accuracy, 0.0, 0.0, 0.0)
    precision, recall = hits[some] / (last[some] + 1), hits[some] / positives
    f1 = 2 * precision * recall / (precision + recall)
    top = int(f1.argmax())
    return BestCuts(accuracy, float(f1[top]), float(precision[top]), float(recall[top]))
