"""Classification and multilabel classification: pure functions of gold and predicted labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harness.types import Int64

Bools = npt.NDArray[np.bool_]


def label_scores(gold: Int64, predicted: Int64) -> dict[str, float]:
    """Accuracy, and F1, precision and recall as macro and as support-weighted means.

    The classes are those that occur in `gold` or in `predicted`; a class never predicted has precision
    0, one without gold rows recall 0, as in scikit-learn's `precision_recall_fscore_support` with
    `zero_division=0`.

    Args:
        gold: label codes [n], n >= 1, small integers from 0.
        predicted: label codes [n] of the same numbering.
    """
    size = int(max(gold.max(), predicted.max())) + 1
    support = np.bincount(gold, minlength=size)
    claimed = np.bincount(predicted, minlength=size)
    hits = np.bincount(gold[gold == predicted], minlength=size)
    present = (support + claimed) > 0
    support, claimed, hits = support[present], claimed[present], hits[present]
    by_class = {
        "f1": _ratio(2 * hits, support + claimed),
        "precision": _ratio(hits, claimed),
        "recall": _ratio(hits, support),
    }
    found = {"accuracy": float(hits.sum() / len(gold))}
    for name, values in by_class.items():
        found[name] = float(values.mean())
        found[f"{name}_weighted"] = float(np.average(values, weights=support))
    return found


def average_precision(positive: Bools, score: npt.NDArray[Any]) -> float:
    """Area under the precision-recall steps; equal scores are one step, never split.

    Equals scikit-learn's `average_precision_score`.

    Args:
        positive: [n], at least one true.
        score: numbers [n], larger means more likely positive.
    """
    distinct, step = np.unique(score, return_inverse=True)
    hits = np.bincount(step, weights=positive, minlength=len(distinct))[::-1]
    seen = np.bincount(step, minlength=len(distinct))[::-1]
    precision = np.cumsum(hits) / np.cumsum(seen)
    return float(np.sum(hits * precision) / hits.sum())


def indicator_scores(gold: Bools, predicted: Bools) -> dict[str, float]:
    """Multilabel scores of binary indicator matrices [n rows, labels]: accuracy, lrap, f1, hamming.

    Accuracy is the share of rows that match exactly, F1 the macro mean over all labels (0 for a label
    that is neither gold nor predicted).
    """
    hits = (gold & predicted).sum(axis=0)
    f1 = _ratio(2 * hits, gold.sum(axis=0) + predicted.sum(axis=0))
    rows = indicator_rows(gold, predicted)
    return {**{name: float(values.mean()) for name, values in rows.items()}, "f1": float(f1.mean())}


def indicator_rows(gold: Bools, predicted: Bools) -> dict[str, npt.NDArray[np.float64]]:
    """What each row [n] adds to the multilabel scores that are means over rows: accuracy, lrap, hamming."""
    return {
        "accuracy": (gold == predicted).all(axis=1).astype(np.float64),
        "lrap": _ranking_precision(gold, predicted),
        "hamming": _jaccard(gold, predicted),
    }


def _ranking_precision(gold: Bools, predicted: Bools) -> npt.NDArray[np.float64]:
    """LRAP (Tsoumakas et al. 2010) of hard predictions, in closed form.

    With scores of 0 and 1 there are two ranks only: a gold label that was predicted stands at rank
    "number predicted", one that was not at rank "number of labels". Rows in which no label or every
    label is gold count 1. The mean over rows equals scikit-learn's `label_ranking_average_precision_score`.
    """
    labels = gold.shape[1]
    true = gold.sum(axis=1)
    claimed = predicted.sum(axis=1)
    hits = (gold & predicted).sum(axis=1)
    found = hits * _ratio(hits, claimed)
    missed = (true - hits) * true / labels
    return np.where((true == 0) | (true == labels), 1.0, (found + missed) / np.maximum(true, 1))


def _jaccard(gold: Bools, predicted: Bools) -> npt.NDArray[np.float64]:
    """Jaccard index of each row's gold and predicted labels; 1 where both are empty."""
    both = (gold & predicted).sum(axis=1)
    either = (gold | predicted).sum(axis=1)
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.where(whole == 0, 0.0, part / np.maximum(whole, 1))
