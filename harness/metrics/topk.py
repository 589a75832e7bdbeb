"""Exact nearest documents without a q x d matrix: blocks in, the best k of each query out.

Every score comes from one matrix product of a fixed shape (`QUERY_TILE` x `DOC_TILE`, zero-padded), so
the block size cannot change it. Both sides are multiples of the widths BLAS kernels work in (6, 16, 24,
48), so that no row or column falls to an edge kernel that adds in another order: measured with MKL's
SSE4.2, AVX2 and AVX-512 kernels on 1, 2, 3, 4, 6, 8, 12 and 16 threads, a score's bits do not depend on
where in the corpus its document stands either, and a candidate has the very score a search gives it.
Equal texts share a storage row and therefore a score. Order is trec_eval's: score descending, then
document id descending.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import NonFiniteError
from harness.metrics.similarity import known_similarity
from harness.types import Float32, Int64, Vectors

if TYPE_CHECKING:
    import torch

QUERY_TILE = 192
DOC_TILE = 4608
_QUERY_GROUP = 16384  # queries that hold their best k at a time: 8 bytes x 2 k each
_CDIST = "use_mm_for_euclid_dist"  # what torch chooses by itself beyond 25 rows
_NOTHING = np.iinfo(np.int64).min  # sorts below the key of any score


def top_k(
    queries: Float32,
    documents: Vectors,
    k: int,
    similarity: str,
    doc_order: npt.NDArray[np.integer],
    block: int = 8 * DOC_TILE,
) -> tuple[Int64, Float32]:
    """The k documents most similar to each query, in canonical order.

    All documents tied at the k-th score are considered; those with the highest ids survive.

    Args:
        queries: [q, dim].
        documents: [d] vectors; streamed `block` distinct rows at a time, whatever that is the result is
            the same.
        similarity: cosine, dot or euclidean (negated distance), each as mteb 2.26.24 computes it.
        doc_order: [d] place of each document when ids are sorted descending (0: the highest id).

    Returns:
        (document positions int64 [q, min(k, d)], scores float32 of the same shape).

    Raises:
        NonFiniteError: a score is NaN.
        UnknownNameError: a similarity that does not exist.
    """
    known_similarity(similarity)
    width = max(0, min(k, len(documents)))
    index = np.empty((len(queries), width), dtype=np.int64)
    scores = np.empty((len(queries), width), dtype=np.float32)
    if width == 0:
        return index, scores
    order = np.asarray(doc_order, dtype=np.int64)
    by_order = np.empty_like(order)
    by_order[order] = np.arange(len(order))
    for start in range(0, len(queries), _QUERY_GROUP):
        group = slice(start, start + _QUERY_GROUP)
        keys = _best_keys(queries[group], documents, width, similarity, order, block)
        scores[group], places = _unpack(keys)
        index[group] = by_order[places]
    return index, scores


def candidate_scores(
    queries: Float32, documents: Vectors, query_index: Int64, doc_index: Int64, similarity: str
) -> Float32:
    """Scores of (query, document) pairs that stand grouped by query: float32 [pairs].

    Args:
        queries: [q, dim].
        query_index: [pairs] rows of `queries`, ascending.
        doc_index: [pairs] positions in `documents`.
        similarity: as in `top_k`, and with the very bits `top_k` gives the same pair.

    Raises:
        NonFiniteError: a score is NaN.
        UnknownNameError: a similarity that does not exist.
        ValueError: `query_index` is not ascending.
    """
    known_similarity(similarity)
    if np.any(np.diff(query_index) < 0):
        raise ValueError("pairs must be grouped by query, in the order of the queries")
    out = np.empty(len(query_index), dtype=np.float32)
    for start, left in _query_tiles(queries, similarity):
        first, last = np.searchsorted(query_index, [start, start + QUERY_TILE])
        rows, column = np.unique(documents.rows[doc_index[first:last]], return_inverse=True)
        wanted = Vectors(documents.segments, rows)
        scored = out[first:last]
        for offset, right in _doc_tiles(wanted, similarity, DOC_TILE):
            here = np.flatnonzero((column >= offset) & (column < offset + DOC_TILE))
            tile = _product(left, right, similarity)
            scored[here] = tile[query_index[first:last][here] - start, column[here] - offset]
    _refuse_nan(out)
    return out


def _best_keys(
    queries: Float32, documents: Vectors, k: int, similarity: str, order: Int64, block: int
) -> Int64:
    # Keys (score above, place in id order below) are distinct integers: no tie is left to chance.
    distinct, row_of = documents.distinct()
    members = np.lexsort((order, row_of))
    first = np.searchsorted(row_of[members], np.arange(len(distinct) + 1))
    members = members[_rank_in_group(first) < k]  # of equal texts only the k highest ids can survive
    column_of = row_of[members]
    lefts = list(_query_tiles(queries, similarity))
    held: list[list[Int64]] = [[] for _ in lefts]
    floor = [np.full(min(QUERY_TILE, len(queries) - start), -np.inf, np.float32) for start, _ in lefts]
    for offset, right in _doc_tiles(distinct, similarity, block):
        low, high = np.searchsorted(column_of, [offset, offset + DOC_TILE]).tolist()
        parts = [
            (_compact(column_of[start : min(start + DOC_TILE, high)] - offset), order[members[start:high]])
            for start in range(low, high, DOC_TILE)
        ]
        for tile, (_, left) in enumerate(lefts):
            scores = _product(left, right, similarity)[: len(floor[tile])]
            for columns, places in parts:
                found = scores[:, columns]
                _refuse_nan(found)
                _raise_floor(floor[tile], found, k)
                held[tile].append(_keys_from(found, floor[tile], places))
                if sum(keys.shape[1] for keys in held[tile]) >= 2 * k:
                    held[tile] = [_cut(held[tile], k)]
                    floor[tile] = np.maximum(floor[tile], _unpack(held[tile][0].min(axis=1))[0])
    best = [_cut(keys, k) for keys in held]
    return np.concatenate([np.sort(keys, axis=1)[:, ::-1] for keys in best])


def _compact(columns: Int64) -> slice | Int64:
    # Where no text stands twice the columns are a range, and a view saves a copy of the tile.
    unbroken = len(columns) and columns[-1] - columns[0] + 1 == len(columns) == len(np.unique(columns))
    return slice(int(columns[0]), int(columns[-1]) + 1) if unbroken else columns


def _raise_floor(floor: Float32, scores: Float32, k: int) -> None:
    # With nothing held yet, the k-th best of this tile is the least a document must reach.
    if scores.shape[1] > k and np.isneginf(floor).any():
        kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
        np.maximum(floor, kth, out=floor)


def _keys_from(scores: Float32, floor: Float32, order: Int64) -> Int64:
    rows, columns = np.divmod(np.flatnonzero(scores >= floor[:, None]), scores.shape[1])
    counts = np.bincount(rows, minlength=len(scores))
    rank = _rank_in_group(np.concatenate([[0], np.cumsum(counts)]))
    keys = np.full((len(scores), int(counts.max(initial=0))), _NOTHING, dtype=np.int64)
    keys[rows, rank] = _pack(scores[rows, columns], order[columns])
    return keys


def _cut(parts: list[Int64], k: int) -> Int64:
    keys = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    drop = keys.shape[1] - k
    return np.partition(keys, drop, axis=1)[:, drop:] if drop > 0 else keys


def _pack(scores: Float32, order: Int64) -> Int64:
    bits = (scores + np.float32(0)).view(np.int32)  # adding zero makes one of the two zeros
    rising = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
    return (rising << 32) | (0xFFFFFFFF - order)


def _unpack(keys: Int64) -> tuple[Float32, Int64]:
    rising = (keys >> 32).astype(np.int32)
    scores = (rising ^ ((rising >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)
    return np.where(keys == _NOTHING, np.float32(-np.inf), scores), 0xFFFFFFFF - (keys & 0xFFFFFFFF)


def _rank_in_group(offsets: npt.NDArray[np.integer]) -> Int64:
    return np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))


def _query_tiles(queries: Float32, similarity: str) -> Iterator[tuple[int, torch.Tensor]]:
    for start in range(0, len(queries), QUERY_TILE):
        yield start, _padded(queries[start : start + QUERY_TILE], QUERY_TILE, similarity)


def _doc_tiles(documents: Vectors, similarity: str, block: int) -> Iterator[tuple[int, torch.Tensor]]:
    tiles = max(1, block // DOC_TILE)
    for offset, rows in documents.blocks(tiles * DOC_TILE):
        for start in range(0, len(rows), DOC_TILE):
            yield offset + start, _padded(rows[start : start + DOC_TILE], DOC_TILE, similarity)


def _padded(rows: Float32, height: int, similarity: str) -> torch.Tensor:
    import torch

    tile = torch.as_tensor(np.asarray(rows, dtype=np.float32))
    if len(rows) < height:
        tile = torch.nn.functional.pad(tile, (0, 0, 0, height - len(rows)))
    return torch.nn.functional.normalize(tile, p=2, dim=1) if similarity == "cosine" else tile


def _product(left: torch.Tensor, right: torch.Tensor, similarity: str) -> Float32:
    import torch

    tile = (
        -torch.cdist(left, right, p=2.0, compute_mode=_CDIST) if similarity == "euclidean" else left @ right.T
    )
    return np.asarray(tile.numpy(), dtype=np.float32)


def _refuse_nan(scores: Float32) -> None:
    top = scores.max() if scores.size else 0.0
    if np.isnan(top) or top == np.inf:
        raise NonFiniteError(
            "a similarity score is NaN or infinite; the vectors' values are too large or no numbers"
        )
