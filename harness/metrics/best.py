"""The best k documents so far of many queries, as integers whose order is trec_eval's.

A key holds a score's bits above and the document's place in the order of ids below, so that all keys differ
and no tie is left to chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import NonFiniteError
from harness.types import Float32, Int64

Int32 = npt.NDArray[np.int32]

STRIP = 48  # queries that are best taken together: the temporaries stay in the cache
LOW = 0xFFFFFFFF
_NOTHING = np.iinfo(np.int64).min  # sorts below the key of any score


def capacity(k: int) -> int:
    """Keys a query may hold before they are cut to the best k."""
    return k + max(64, k // 4)


@dataclass(frozen=True)
class Best:
    """The best documents so far of some queries.

    Attributes:
        keys: int64 [g, capacity], in no order; `_NOTHING` beyond `held`.
        held: int64 [g].
        floor: float32 [g]: what a document must reach to be among the best k.
        k: how many are wanted.
    """

    keys: Int64
    held: Int64
    floor: Float32
    k: int

    @classmethod
    def of(cls, queries: int, k: int) -> Best:
        """Nothing found yet."""
        keys = np.full((queries, capacity(k)), _NOTHING, dtype=np.int64)
        return cls(keys, np.zeros(queries, np.int64), np.full(queries, -np.inf, np.float32), k)

    def take(self, row: int, scores: Float32, first: Int64 | None, low: Int64) -> None:
        """Consider the documents of some texts for the queries from `row` on.

        Args:
            scores: [n, texts]; rows beyond the last query are not read.
            first: int64 [texts + 1]; documents first[i] to first[i + 1] have text i; None: document i has.
            low: int64, LOW less the place in the order of ids of each of those documents.
        """
        scores = scores[: max(0, len(self.keys) - row)]
        refuse_nan(scores)
        mine = slice(row, row + len(scores))
        floor, held = self.floor[mine], self.held[mine]
        if scores.shape[1] > self.k and np.isneginf(floor).any():
            # With too few held yet, the k-th best of these is the least a document must reach.
            drop = scores.shape[1] - self.k
            np.maximum(floor, np.partition(scores, drop, axis=1)[:, drop], out=floor)
        columns = np.flatnonzero(scores >= floor[:, None])
        edges = np.searchsorted(columns, np.arange(len(scores) + 1) * scores.shape[1])
        values = scores.reshape(-1)[columns]
        columns -= np.repeat(np.arange(len(scores)) * scores.shape[1], np.diff(edges))
        if first is not None:
            values, columns, edges = _each_owner(values, columns, edges, first)
        counts = np.diff(edges)
        keys = _pack(values, low[columns])
        del columns, values
        total = held + counts
        widest = int(total.max(initial=0))
        cut = widest > self.keys.shape[1]
        target = self.keys[mine]
        if cut:
            target = np.full((len(scores), widest), _NOTHING, dtype=np.int64)
            target[:, : self.keys.shape[1]] = self.keys[mine]
        place = np.repeat(np.arange(len(scores)) * target.shape[1] + held - edges[:-1], counts)
        place += np.arange(len(keys))
        target.reshape(-1)[place] = keys
        held[:] = total
        if cut:
            target.partition(widest - self.k, axis=1)
            self.keys[mine, : self.k] = target[:, widest - self.k :]
            self.keys[mine, self.k :] = _NOTHING
            np.minimum(held, self.k, out=held)
            np.maximum(floor, _unpack(target[:, widest - self.k])[0], out=floor)

    def ranked(self, by_order: Int32) -> tuple[Int32, Float32]:
        """Documents and scores [g, k], best first; `by_order` gives the document at each place of the ids."""
        index = np.empty((len(self.keys), self.k), dtype=np.int32)
        scores = np.empty((len(self.keys), self.k), dtype=np.float32)
        for start in range(0, len(self.keys), STRIP):
            part = slice(start, start + STRIP)
            self.keys[part].sort(axis=1)
            scores[part], places = _unpack(self.keys[part, : -self.k - 1 : -1])
            index[part] = by_order[places]
        return index, scores


def _each_owner(values: Float32, columns: Int64, edges: Int64, first: Int64) -> tuple[Float32, Int64, Int64]:
    """Scores of distinct texts, and their columns, as those of every document that has the text."""
    many = first[columns + 1] - first[columns]
    ends = np.concatenate([[0], np.cumsum(many)])
    owners = np.arange(ends[-1]) + np.repeat(first[columns] - ends[:-1], many)
    return np.repeat(values, many), owners, ends[edges]


def _pack(scores: Float32, low: Int64) -> Int64:
    bits = (scores + np.float32(0)).view(np.int32)  # adding zero makes one of the two zeros
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    keys = bits.astype(np.int64)
    keys <<= 32
    keys |= low
    return keys


def _unpack(keys: Int64) -> tuple[Float32, Int64]:
    rising = (keys >> 32).astype(np.int32)
    scores = (rising ^ ((rising >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)
    return np.where(keys == _NOTHING, np.float32(-np.inf), scores), LOW - (keys & LOW)


def refuse_nan(scores: Float32) -> None:
    """Raise NonFiniteError where a score is NaN or larger than float32 holds."""
    top = scores.max() if scores.size else 0.0
    if np.isnan(top) or top == np.inf:
        raise NonFiniteError(
            "a similarity score is NaN or infinite; the vectors' values are too large or no numbers"
        )
