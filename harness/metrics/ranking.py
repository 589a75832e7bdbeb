"""Measures of ranked lists, per query: trec_eval's, their abstention curves, and what some tasks add.

Lists stand in trec_eval's canonical order (score descending, compared in float32; then document id
descending). Reference: trec_eval 9 through pytrec_eval, and mteb 2.26.24 where trec_eval has no such measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.types import Float32, Int64

Float64 = npt.NDArray[np.float64]
Grades = npt.NDArray[np.integer]

MEASURES: tuple[str, ...] = ("ndcg", "map", "recall", "precision", "hit_rate", "mrr")
CONFIDENCES: tuple[str, ...] = ("max", "std", "diff1")

_ROWS = 2048  # queries at a time: bounds the float64 temporaries
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
    out = {f"{m}_at_{k}": np.zeros(len(grades)) for m in MEASURES for k in k_values}
    depth = max(k_values)
    for start in range(0, len(grades), _ROWS):
        part = slice(start, start + _ROWS)
        ranked = np.clip(grades[part, :depth], 0, None).astype(np.float64)
        ranked[np.arange(ranked.shape[1]) >= lengths[part, None]] = 0
        columns = _at_each_k(ranked, ideal[part, :depth].astype(np.float64), num_relevant[part], k_values)
        for name, values in columns.items():
            out[name][part] = values
    return out


def _at_each_k(
    ranked: Float64, ideal: Float64, num_relevant: Int64, k_values: Sequence[int]
) -> dict[str, Float64]:
    hit = ranked > 0
    hits: Float64 = np.cumsum(hit, axis=1, dtype=np.float64)
    found = hits * hit / np.arange(1, ranked.shape[1] + 1)  # precision at the rank of each relevant one
    first = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 0) if hit.shape[1] else num_relevant * 0
    dcg, best_dcg, precisions = (np.cumsum(x, axis=1) for x in (_gains(ranked), _gains(ideal), found))
    out: dict[str, Float64] = {}
    for k in k_values:
        count = _column(hits, k)
        out[f"ndcg_at_{k}"] = _ratio(_column(dcg, k), _column(best_dcg, k))
        out[f"map_at_{k}"] = _ratio(_column(precisions, k), num_relevant)
        out[f"recall_at_{k}"] = _ratio(count, num_relevant)
        out[f"precision_at_{k}"] = count / k
        out[f"hit_rate_at_{k}"] = (count > 0).astype(np.float64)
        out[f"mrr_at_{k}"] = _ratio((first > 0) & (first <= k), first)
    return out


def _gains(grades: Float64) -> Float64:
    # The C library's log2, as trec_eval: numpy's own may differ in the last bit.
    gains: Float64 = grades / [math.log2(rank + 1) for rank in range(1, grades.shape[1] + 1)]
    return gains


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
    oracle = _abstention_curve(metric, metric)
    area, best = (float(np.trapezoid(c, _RATES)) for c in (_abstention_curve(confidence, metric), oracle))
    flat = float(oracle[0] * (_RATES[-1] - _RATES[0]))
    return None if best == flat else (area - flat) / (best - flat)


def _abstention_curve(confidence: Float64, metric: Float64) -> Float64:
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(ranked)]]))
    expected = np.repeat(np.add.reduceat(metric[order], starts) / sizes, sizes)
    dropped = [min(round(rate * len(ranked)), len(ranked) - 1) for rate in _RATES]
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
