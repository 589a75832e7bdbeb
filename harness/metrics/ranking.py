"""Measures of ranked lists, per query: trec_eval's, their abstention curves, and what some tasks add.

Lists stand in trec_eval's canonical order (score descending, compared in float32; then document id
descending). Reference: trec_eval 9 through pytrec_eval, and mteb 2.26.24 where trec_eval has no such measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.types import Float32, Int64

Float64 = npt.NDArray[np.float64]
Grades = npt.NDArray[np.integer]

MEASURES: tuple[str, ...] = ("ndcg", "map", "recall", "precision", "hit_rate", "mrr")
CONFIDENCES: tuple[str, ...] = ("max", "std", "diff1")

_ROWS = 128  # queries at a time: bounds the float64 temporaries
_RATES: Float64 = np.linspace(0, 1, 11)[:-1]


def trec(
    grades: Grades, lengths: Int64, ideal: Grades, num_relevant: Int64, k_values: Sequence[int]
) -> dict[str, Float64]:
    """Per-query ndcg, map, recall, precision, hit_rate and mrr at each k: `<measure>_at_<k>` to [q].

    nDCG has linear gain and a logarithmic discount, its ideal is cut at k; MAP divides by all relevant
    documents, precision by k whatever the length of the list. A query without a relevant document, or
    with an empty list, scores 0 in all of them.

    Args:
        grades: [q, K] grade of each ranked document, best rank first, 0 where it is not relevant or not
            judged; what stands at or beyond `lengths` is not read. Negative grades count as 0.
        lengths: [q] how many documents were ranked.
        ideal: [q, P] positive grades of *all* judged documents, descending, padded with 0; the best
            max(k_values) are enough.
        num_relevant: [q] how many judged documents have a positive grade.
        k_values: cut-offs.
    """
    depth = max(k_values)
    ranked = grades[:, :depth]
    row, rank = np.nonzero((ranked > 0) & (np.arange(ranked.shape[1]) < lengths[:, None]))
    nth = np.arange(len(row)) - np.searchsorted(row, row) + 1  # so many relevant ones down to this rank
    gains = ranked[row, rank] / _discounts(depth)[rank]
    best = _gains(ideal[:, :depth])
    first = np.zeros(len(grades))
    first[row[nth == 1]] = rank[nth == 1] + 1
    out: dict[str, Float64] = {}
    for k in k_values:
        above = rank < k
        here = row[above]
        # Sums run down the ranks, as trec_eval's: another order would end in other bits.
        count, dcg, precisions = (
            np.bincount(here, weights, minlength=len(grades))
            for weights in (None, gains[above], (nth / (rank + 1))[above])
        )
        out[f"ndcg_at_{k}"] = _ratio(dcg, _column(best, k))
        out[f"map_at_{k}"] = _ratio(precisions, num_relevant)
        out[f"recall_at_{k}"] = _ratio(count, num_relevant)
        out[f"precision_at_{k}"] = count / k
        out[f"hit_rate_at_{k}"] = (count > 0).astype(np.float64)
        out[f"mrr_at_{k}"] = _ratio((first > 0) & (first <= k), first)
    return out


def _gains(ideal: Grades) -> Float64:
    """Running sums of the discounted grades, rank by rank."""
    out: Float64 = np.cumsum(ideal / _discounts(ideal.shape[1]), axis=1)
    return out


def _discounts(depth: int) -> Float64:
    # The C library's log2, as trec_eval: numpy's own may differ in the last bit.
    return np.array([math.log2(rank + 1) for rank in range(1, depth + 1)])


def _column(running: Float64, k: int) -> Float64:
    width = min(k, running.shape[1])
    return running[:, width - 1] if width else np.zeros(len(running))


def _ratio(above: npt.NDArray[np.generic], below: npt.NDArray[np.generic]) -> Float64:
    numerator, denominator = above.astype(np.float64), below.astype(np.float64)
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)


def confidence(scores: Float32, offsets: Int64) -> dict[str, Float64]:
    """How sure a model is of each query's list: `max`, `std` (population) and `diff1` (best - second).

    Args:
        scores: [m] scores of all lists end to end, each list descending.
        offsets: [q + 1]; list i is scores[offsets[i]:offsets[i + 1]].

    Returns:
        float64 [q] each; 0 for an empty list, and `diff1` 0 for a list of one (mteb, arXiv 2402.12997).
    """
    lengths = np.diff(offsets)
    out = {name: np.zeros(len(lengths)) for name in CONFIDENCES}
    for length in np.unique(lengths[lengths > 0]).tolist():
        same = np.flatnonzero(lengths == length)
        for rows in np.split(same, np.arange(_ROWS, len(same), _ROWS)):
            lists = scores[offsets[rows][:, None] + np.arange(length)].astype(np.float64)
            out["max"][rows] = lists[:, 0]
            out["std"][rows] = lists.std(axis=1)
            out["diff1"][rows] = lists[:, 0] - lists[:, 1] if length > 1 else 0.0
    return out


def nauc(confidence: Float64, metric: Float64) -> float | None:
    """Normalised area under the abstention curve (arXiv 2402.12997), as mteb 2.26.24 computes it.

    The least confident share of the queries (0, 10 ... 90 %, never all) is left out and the metric of
    the rest averaged; queries of equal confidence each count with their mean. The area is scaled so that
    leaving out at random is 0 and leaving out the worst first is 1. Arrays are [q].

    Returns:
        The value, or None where the best possible order gains nothing (all queries score alike).
    """
    return naucs({"": confidence}, {"": metric})["", ""]


def naucs(
    confidences: Mapping[str, Float64], metrics: Mapping[str, Float64]
) -> dict[tuple[str, str], float | None]:
    """`nauc` of every metric by every confidence: (metric, confidence) to the value or None."""
    orders = {name: _Order.of(values) for name, values in confidences.items()}
    out: dict[tuple[str, str], float | None] = {}
    for metric, values in metrics.items():
        oracle = _Order.of(values).curve(values)
        best, flat = float(np.trapezoid(oracle, _RATES)), float(oracle[0] * (_RATES[-1] - _RATES[0]))
        for name, order in orders.items():
            area = float(np.trapezoid(order.curve(values), _RATES))
            out[metric, name] = None if best == flat else (area - flat) / (best - flat)
    return out


@dataclass(frozen=True)
class _Order:
    """Queries by rising confidence: int64 [q]; those of equal confidence from each of `starts` on."""

    order: Int64
    starts: Int64
    sizes: Int64

    @classmethod
    def of(cls, confidence: Float64) -> _Order:
        order = np.argsort(confidence, kind="stable")
        ranked = confidence[order]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        return cls(order, starts, np.diff(np.concatenate([starts, [len(ranked)]])))

    def curve(self, metric: Float64) -> Float64:
        """Mean of the metric over the queries that are left, at each rate of abstention."""
        count = len(self.order)
        expected = np.repeat(np.add.reduceat(metric[self.order], self.starts) / self.sizes, self.sizes)
        dropped = [min(round(rate * count), count - 1) for rate in _RATES]
        return np.array([expected[drop:].mean() for drop in dropped])


def recall_cap(hits: npt.NDArray[np.number], num_relevant: Int64, k: int) -> Float64:
    """Relevant documents found above k, over the most there could be: hits / min(num_relevant, k), [q].

    NaN for a query without relevant documents, which the mean leaves out (mteb's LMEB tasks).
    """
    most = np.minimum(num_relevant, k).astype(np.float64)
    out: Float64 = np.full(len(most), np.nan)
    return np.divide(hits.astype(np.float64), most, out=out, where=most > 0)


def rank_score(og_rank: npt.NDArray[np.number], new_rank: npt.NDArray[np.number]) -> Float64:
    """p-MRR of documents whose relevance an instruction removed, -1 to 1 (FollowIR, arXiv 2403.15246).

    Positive where the document fell from `og_rank` to a worse `new_rank` (ranks count from 1).
    """
    og, new = og_rank.astype(np.float64), new_rank.astype(np.float64)
    return np.where(og >= new, new / og - 1, 1 - og / new)


def paired_accuracy(query_ids: Sequence[str], recall_at_1: Float64) -> float:
    """Share of pairs `<base>_q1`, `<base>_q2` with both queries right at rank 1 (NevIR, arXiv 2305.07614).

    Raises DataError if a query has no partner.
    """
    recalls: list[float] = recall_at_1.tolist()
    right = {name: value == 1 for name, value in zip(query_ids, recalls, strict=True)}
    bases = dict.fromkeys(name.split("_")[0] for name in query_ids)
    for base in bases:
        for name in (f"{base}_q1", f"{base}_q2"):
            if name not in right:
                raise DataError(f"paired_accuracy: there is no query {name!r} to make a pair of {base!r}")
    return sum(right[f"{base}_q1"] and right[f"{base}_q2"] for base in bases) / len(bases)


def robustness_at_10(query_ids: Sequence[str], ndcg_at_10: Float64) -> float:
    """Mean over base queries (the id before its first `_`) of the worst nDCG@10 of their instructions.

    InstructIR, arXiv 2402.14334.
    """
    worst: dict[str, float] = {}
    for name, value in zip(query_ids, ndcg_at_10.tolist(), strict=True):
        base = name.split("_")[0]
        worst[base] = min(value, worst.get(base, math.inf))
    return sum(worst.values()) / len(worst)


def level_scores(query_ids: Sequence[str], ndcg_at_20: Float64) -> dict[str, float]:
    """Mean nDCG@20 of the queries whose id holds `v1`, `v2`, `v3`: `level_1` to `level_3`.

    IFIR, arXiv 2503.04644. Raises DataError if a level has no queries.
    """
    levels: dict[str, list[float]] = {f"level_{i}": [] for i in (1, 2, 3)}
    for name, value in zip(query_ids, ndcg_at_20.tolist(), strict=True):
        level = next((i for i in (1, 2, 3) if f"v{i}" in name), None)
        if level is not None:
            levels[f"level_{level}"].append(value)
    for level_name, values in levels.items():
        if not values:
            raise DataError(f"level_scores: no query id holds 'v{level_name[-1]}' ({level_name} is empty)")
    return {level_name: sum(values) / len(values) for level_name, values in levels.items()}
