"""One scored list of candidates against binary relevance, as scikit-learn and sentence-transformers do.

All functions take one query's list: `relevant` bool [n] and `scores` float [n], larger is closer. They are
for whole short lists; retrieval's measures over graded qrels stand in `ranking`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]


def average_precision(relevant: Bools, scores: npt.NDArray[Any]) -> float:
    """Average precision over the whole list; equal scores enter together (scikit-learn's definition).

    Does not depend on the order of the list. Raises ValueError where nothing is relevant: there is no
    recall to step through.
    """
    if not relevant.any():
        raise ValueError("average precision of a list without a relevant candidate")
    hits, counts = _groups(relevant, scores)
    return float(np.sum(hits * np.cumsum(hits) / np.cumsum(counts)) / relevant.sum())


def ndcg(relevant: Bools, scores: npt.NDArray[Any], k: int) -> float:
    """nDCG of the best k, gains 0 and 1; candidates with equal scores share the mean of their discounts.

    That is scikit-learn's `ndcg_score`, which averages over all orders that ties allow; 0.0 where nothing
    is relevant.
    """
    ideal = int(relevant.sum())
    if not ideal:
        return 0.0
    discounts = 1 / np.log2(np.arange(len(scores)) + 2)
    discounts[k:] = 0
    summed = np.concatenate([[0.0], np.cumsum(discounts)])
    hits, counts = _groups(relevant, scores)
    ends = np.cumsum(counts)
    gained = np.sum(hits / counts * (summed[ends] - summed[ends - counts]))
    return float(gained / summed[ideal])


def reciprocal_rank(relevant: Bools, order: npt.NDArray[Any], k: int) -> float:
    """1 / rank of the first relevant candidate among the first k of `order` [n]; 0.0 where there is none."""
    found = np.flatnonzero(relevant[order[:k]])
    return 1 / (int(found[0]) + 1) if len(found) else 0.0


def _groups(relevant: Bools, scores: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Relevant candidates and all candidates of each distinct score, best score first."""
    _, group, counts = np.unique(-np.asarray(scores), return_inverse=True, return_counts=True)
    return np.bincount(group, weights=relevant, minlength=len(counts)), counts
