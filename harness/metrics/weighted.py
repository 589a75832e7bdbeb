"""Metrics of weighted examples, many weightings at a time: what a bootstrap needs.

Each function takes weights [b, n] (how often each of n examples counts) and gives [b] values; with weights
1 it equals the plain metric, with whole numbers the plain metric of the examples so repeated. Examples are
sorted once for all weightings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.types import Int64

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_IN_CACHE = 100_000  # weights that are worked on together
LABEL_SCORES = (
    "accuracy", "f1", "f1_weighted", "precision", "precision_weighted", "recall", "recall_weighted",
)  # fmt: skip


def pearson(gold: npt.ArrayLike, scores: npt.ArrayLike, weights: Float64) -> Float64:
    """Pearson's correlation of two vectors [n]; NaN where a weighting leaves one of them constant."""
    return _correlation(_centred(gold), _centred(scores), weights)


def spearman(gold: npt.ArrayLike, scores: npt.ArrayLike, weights: Float64) -> Float64:
    """Spearman's correlation, ties at their mean rank; NaN where a weighting leaves one side constant."""
    return spearman_under(gold, scores)(weights)


def spearman_under(gold: npt.ArrayLike, scores: npt.ArrayLike) -> Callable[[Float64], Float64]:
    """As `spearman`, a function of the weights alone: both sides are sorted here, once for all of them.

    Ranks count from their middle and in examples, so that whole weights give whole halves without rounding.
    """
    order = np.argsort(np.asarray(scores, dtype=np.float64), kind="stable")
    _, groups = np.unique(np.asarray(gold, dtype=np.float64)[order], return_inverse=True)
    starts = _starts(np.asarray(scores, dtype=np.float64)[order])
    size = int(groups.max()) + 1

    def of(weights: Float64) -> Float64:
        taken = weights.take(order, axis=1)
        places = groups + size * np.arange(len(taken))[:, None]
        counted = np.bincount(places.ravel(), taken.ravel(), minlength=size * len(taken))
        own: Float64 = counted.astype(np.float64, copy=False).reshape(-1, size)
        middle = _middles(own)
        mine = _together(taken, starts)
        theirs = _middles(mine)
        both = _dot(_together(taken * middle.take(groups, axis=1), starts), theirs)
        return _ratio(both, _dot(own * middle, middle), _dot(mine * theirs, theirs), mine.sum(axis=1) ** 3)

    return lambda weights: np.concatenate([of(part) for part in _parts(weights)])


def average_precision(scores: npt.ArrayLike, labels: Int64, weights: Float64) -> Float64:
    """Average precision, equal scores together; NaN where a weighting has no positive."""
    return average_precision_under(scores, labels)(weights)


def average_precision_under(scores: npt.ArrayLike, labels: Int64) -> Callable[[Float64], Float64]:
    """As `average_precision`, a function of the weights alone: the scores are sorted here, once."""
    swept = _swept_under(scores, labels)

    def of(weights: Float64) -> Float64:
        above, hits = swept(weights)
        gained = np.diff(hits, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(above > 0, hits / above, 0.0)
            return np.asarray(_dot(gained, precision) / hits[:, -1])

    return lambda weights: np.concatenate([of(part) for part in _parts(weights)])


def best_cuts(scores: npt.ArrayLike, labels: Int64, weights: Float64) -> dict[str, Float64]:
    """Best accuracy and best F1 of any threshold, precision and recall at that F1.

    As `harness.metrics.thresholds.best_cuts`: equal scores are never split, the last row is never a cut.
    """
    return best_cuts_under(scores, labels)(weights)


def best_cuts_under(scores: npt.ArrayLike, labels: Int64) -> Callable[[Float64], dict[str, Float64]]:
    """As `best_cuts`, a function of the weights alone: the scores are sorted here, once."""
    swept = _swept_under(scores, labels)

    def of(weights: Float64) -> dict[str, Float64]:
        found = [_cuts(*swept(part)) for part in _parts(weights)]
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    return of


def _cuts(above: Float64, hits: Float64) -> dict[str, Float64]:
    everything, positives = above[:, -1:], hits[:, -1:]
    cut = (above > 0) & (above < everything)
    with np.errstate(invalid="ignore", divide="ignore"):
        right = hits + (everything - positives) - (above - hits)
        accuracy = np.where(cut, right / everything, 0.0).max(axis=1)
        some = cut & (hits > 0)
        precision = np.where(some, hits / above, 0.0)
        recall = np.where(some, hits / positives, 0.0)
        f1 = np.where(some, 2 * precision * recall / (precision + recall), 0.0)
    best = f1.argmax(axis=1)[:, None]
    found = {"f1": f1, "precision": precision, "recall": recall}
    return {"accuracy": accuracy} | {
        name: np.take_along_axis(values, best, 1)[:, 0] for name, values in found.items()
    }


def label_scores(gold: Int64, predicted: Int64, weights: Float64) -> dict[str, Float64]:
    """Accuracy, macro and weighted F1, precision and recall of label codes [n], as `classification`'s."""
    size = int(max(gold.max(), predicted.max())) + 1
    support, claimed = _sums(gold, size, weights), _sums(predicted, size, weights)
    hits = _sums(gold, size, weights * (gold == predicted))
    present = (support + claimed) > 0
    count, total = present.sum(axis=1), weights.sum(axis=1)
    found = {"accuracy": hits.sum(axis=1) / total}
    parts: Mapping[str, tuple[Float64, Float64]] = {
        "f1": (2 * hits, support + claimed),
        "precision": (hits, claimed),
        "recall": (hits, support),
    }
    for name, (part, whole) in parts.items():
        values = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
        found[name] = values.sum(axis=1) / count
        found[f"{name}_weighted"] = (values * support).sum(axis=1) / total
    return found


def indicator_f1(gold: Bools, predicted: Bools, weights: Float64) -> Float64:
    """Macro F1 over the labels of indicator matrices [n, labels]; 0 for one neither gold nor predicted."""
    hits = weights @ (gold & predicted)
    either = weights @ gold + weights @ predicted
    return np.asarray(np.where(either > 0, 2 * hits / np.where(either > 0, either, 1), 0.0).mean(axis=1))


def v_measure(gold: Int64, clusters: Int64, units: Int64, weights: Float64) -> Float64:
    """V-measure of label codes and cluster numbers [m], which may name an example several times.

    Args:
        units: int64 [m], the example (column of `weights`) that each row stands for.
    """
    from scipy.sparse import csr_array

    size = int(clusters.max()) + 1
    cells, cell = np.unique(gold * size + clusters, return_inverse=True)
    shape = (len(cells), weights.shape[1])
    table = csr_array((np.ones(len(units)), (cell, units)), shape=shape) @ weights.T  # [cells, b]
    total = table.sum(axis=0)
    joint = _entropy(table, total)
    labels, groups = cells // size, cells % size
    of_gold = _entropy(_added(table, labels), total)
    of_clusters = _entropy(_added(table, groups), total)
    shared = of_gold + of_clusters - joint
    with np.errstate(invalid="ignore", divide="ignore"):
        homogeneity = np.where(of_gold > 0, shared / of_gold, 1.0)
        completeness = np.where(of_clusters > 0, shared / of_clusters, 1.0)
        both = homogeneity + completeness
        return np.where(both > 0, 2 * homogeneity * completeness / both, 0.0)


def ranks(values: npt.ArrayLike, weights: Float64) -> Float64:
    """Mid-ranks [b, n] of values [n], in 0 to 1: the mean place of an example's copies among all copies."""
    _, group = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    own = _sums(group, int(group.max()) + 1, weights)
    upto = np.cumsum(own, axis=1)
    middle = (upto - own / 2) / upto[:, -1:]
    return np.asarray(middle[:, group])


def _middles(own: Float64) -> Float64:
    """The mean place of each group's copies among all copies, from the middle of all; groups in order."""
    upto = np.cumsum(own, axis=1)
    return np.asarray(upto - own / 2 - upto[:, -1:] / 2)


def _dot(one: Float64, other: Float64) -> Float64:
    return np.asarray(np.einsum("ij,ij->i", one, other))


def _correlation(x: Float64, y: Float64, weights: Float64) -> Float64:
    total = weights.sum(axis=1, keepdims=True)
    dx = x - (weights * x).sum(axis=1, keepdims=True) / total
    dy = y - (weights * y).sum(axis=1, keepdims=True) / total
    both, one, other = ((weights * a * b).sum(axis=1) for a, b in ((dx, dy), (dx, dx), (dy, dy)))
    return _ratio(both, one, other, total[:, 0])


def _ratio(both: Float64, one: Float64, other: Float64, scale: Float64) -> Float64:
    # What rounding leaves of a constant side is no spread.
    flat = (one <= 1e-18 * scale) | (other <= 1e-18 * scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(flat, np.nan, both / np.sqrt(one * other))


def _centred(values: npt.ArrayLike) -> Float64:
    wide = np.asarray(values, dtype=np.float64)
    spread = wide.std()
    return np.asarray((wide - wide.mean()) / (spread or 1.0))


def _swept_under(scores: npt.ArrayLike, labels: Int64) -> Callable[[Float64], tuple[Float64, Float64]]:
    """Weight, and weight of positives, at or above each distinct score, from the highest down: [b, g]."""
    down = -np.asarray(scores, dtype=np.float64)
    order = np.argsort(down, kind="stable")
    starts = _starts(down[order])
    positive = (labels == 1)[order].astype(np.float64)

    def of(weights: Float64) -> tuple[Float64, Float64]:
        taken = weights.take(order, axis=1)
        above = np.cumsum(_together(taken, starts), axis=1)
        return above, np.cumsum(_together(taken * positive, starts), axis=1)

    return of


def _starts(ordered: Float64) -> Int64:
    """Where each group of equal values begins."""
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _together(values: Float64, starts: Int64) -> Float64:
    """Added up by group, [b, g]."""
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def _parts(weights: Float64) -> Iterator[Float64]:
    """Rows that are worked on together."""
    rows = max(1, _IN_CACHE // weights.shape[1])
    return (weights[at : at + rows] for at in range(0, len(weights), rows))


def _sums(codes: Int64, size: int, weights: Float64) -> Float64:
    """Weights added up by code: [b, size]."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    out = np.zeros((len(weights), size))
    out[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return out


def _added(table: Float64, codes: Int64) -> Float64:
    return _sums(codes, int(codes.max()) + 1, np.ascontiguousarray(table.T)).T


def _entropy(counts: npt.NDArray[Any], total: Float64) -> Float64:
    """In nats, of counts [cells, b]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(counts > 0, counts * np.log(counts), 0.0).sum(axis=0)
        return np.where(total > 0, np.log(total) - inner / total, 0.0)
