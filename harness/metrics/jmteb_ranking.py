"""JMTEB 1.3.3's measures of ranked documents, query by query.

They differ from trec_eval's: see each function. Positions are of the best documents in ranked order, and a
place that no document holds has gain 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from harness.types import Int64

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def discounts(k: int) -> Float64:
    """1 / log2(rank + 1) of the ranks 1 to k."""
    return np.asarray(1.0 / np.log2(np.arange(2, k + 2)), dtype=np.float64)


def binary_ndcg(hits: Bools, relevant: Int64, k: int, *, uncut: bool) -> Float64:
    """nDCG at k of documents that are relevant or not: float64 [q]; 0 for a query without relevant ones.

    Args:
        hits: [q, n], whether the document at each rank is relevant.
        relevant: int64 [q], how many documents are.
        uncut: whether the ideal counts all relevant documents, as JMTEB does, and not the first k alone.
    """
    own = hits[:, :k]
    gained = own @ discounts(own.shape[1])
    most = relevant if uncut else np.minimum(relevant, k)
    ideal = np.concatenate([[0.0], np.cumsum(discounts(int(most.max(initial=0))))])[most]
    return np.asarray(np.divide(gained, ideal, out=np.zeros(len(hits)), where=ideal > 0), dtype=np.float64)


def reciprocal_rank(hits: Bools, k: int) -> Float64:
    """1 / rank of the first relevant document among the best k, else 0: float64 [q]."""
    own = hits[:, :k]
    if not own.shape[1]:
        return np.zeros(len(hits))
    return np.asarray(np.where(own.any(axis=1), 1.0 / (own.argmax(axis=1) + 1), 0.0), dtype=np.float64)


def found_at(hits: Bools, k: int) -> Float64:
    """1 where a relevant document is among the best k, else 0: float64 [q]."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def graded_ndcg(ranked: npt.NDArray[Any], k: int) -> float:
    """nDCG at k of one list, linear gain, its ideal the same grades in falling order.

    Args:
        ranked: grades [n] of the listed documents in ranked order; NaN if the ideal gain is 0.
    """
    ideal = np.sort(ranked)[::-1][:k] @ discounts(min(k, len(ranked)))
    return float(ranked[:k] @ discounts(min(k, len(ranked))) / ideal) if ideal else float("nan")
