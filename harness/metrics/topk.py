"""Exact nearest documents without a q x d matrix: tiles of scores in, the best k of each query out.

Order is trec_eval's: score descending, then document id descending. Equal texts share a storage row and
therefore a score.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import ConfigError
from harness.memory import shown
from harness.metrics.best import LOW, STRIP, Best, Int32, capacity, refuse_nan
from harness.metrics.similarity import known_similarity
from harness.metrics.tiles import DOC_TILE, QUERY_TILE, blank, prepared, product, workers
from harness.types import Float32, Int64, Vectors

_LISTS = 8 * 2**20  # bytes of lists that are held at once however few documents there are


def search(
    queries: Vectors,
    documents: Vectors,
    k: int,
    similarity: str,
    doc_order: npt.NDArray[np.integer],
    memory: int | None = None,
) -> Iterator[tuple[Int32, Float32]]:
    """The k documents most similar to each query, in canonical order, a group of queries at a time.

    All documents tied at the k-th score are considered; those with the highest ids survive. The documents
    are streamed once for each group; how large the groups are changes no bit of the result.

    Args:
        queries, documents: [q] and [d] vectors.
        similarity: cosine, dot or euclidean (negated distance), each as mteb 2.26.24 computes it.
        doc_order: [d] place of each document when ids are sorted descending (0: the highest id).
        memory: bytes that the search may hold beside its arguments. It holds less where more would save
            little time: the lists of a group weigh at most an eighth of what the documents' vectors do.

    Yields:
        (document positions int32 [g, min(k, d)], scores float32 of the same shape) of the next g queries.

    Raises:
        ConfigError: less memory than one tile of queries takes; says how much that is.
        NonFiniteError: a score is NaN or infinite.
        UnknownNameError: a similarity that does not exist.
    """
    known_similarity(similarity)
    width = max(0, min(k, len(documents)))
    if not width or not len(queries):
        yield np.empty((len(queries), width), np.int32), np.empty((len(queries), width), np.float32)
        return
    room = _room(len(queries), width, documents, memory)
    by_order = np.empty(len(doc_order), dtype=np.int32)
    by_order[doc_order] = np.arange(len(doc_order), dtype=np.int32)
    distinct, owners = _owners(documents, doc_order, width)
    with workers(room.workers) as (pool, count):
        for start in range(0, len(queries), room.queries):
            group = np.arange(start, min(start + room.queries, len(queries)))
            yield _scan(pool, count, queries, group, distinct, owners, width, similarity).ranked(by_order)


def top_k(
    queries: Float32,
    documents: Vectors,
    k: int,
    similarity: str,
    doc_order: npt.NDArray[np.integer],
    memory: int | None = None,
) -> tuple[Int32, Float32]:
    """`search` for all queries [q, dim] at once: positions int32 and scores float32, [q, min(k, d)]."""
    found = list(search(Vectors.of(queries), documents, k, similarity, doc_order, memory))
    return np.concatenate([index for index, _ in found]), np.concatenate([scores for _, scores in found])


def candidate_scores(
    queries: Float32, documents: Vectors, query_index: Int64, doc_index: Int64, similarity: str
) -> Float32:
    """Scores of (query, document) pairs that stand grouped by query: float32 [pairs].

    Args:
        queries: [q, dim].
        query_index: [pairs] rows of `queries`, ascending.
        doc_index: [pairs] positions in `documents`.
        similarity: as in `search`, and with the very bits that `search` gives the same pair.

    Raises:
        NonFiniteError: a score is NaN or infinite.
        UnknownNameError: a similarity that does not exist.
        ValueError: `query_index` is not ascending.
    """
    known_similarity(similarity)
    if np.any(np.diff(query_index) < 0):
        raise ValueError("pairs must be grouped by query, in the order of the queries")
    out = np.empty(len(query_index), dtype=np.float32)

    def one(start: int) -> None:
        scores = blank()
        left = prepared(np.array(queries[start : start + QUERY_TILE], np.float32), similarity, "query")
        first, last = np.searchsorted(query_index, [start, start + QUERY_TILE])
        rows, column = np.unique(documents.rows[doc_index[first:last]], return_inverse=True)
        row = query_index[first:last] - start
        for offset, block in Vectors(documents.segments, rows).blocks(DOC_TILE):
            tile = product(left, prepared(block, similarity, "document"), similarity, scores)
            here = np.flatnonzero((column >= offset) & (column < offset + DOC_TILE))
            out[first:last][here] = tile[row[here], column[here] - offset]

    starts = range(0, len(queries), QUERY_TILE)
    with workers(len(starts)) as (pool, _):
        list(pool.map(one, starts))
    refuse_nan(out)
    return out


def _scan(
    pool: ThreadPoolExecutor,
    count: int,
    queries: Vectors,
    group: Int64,
    documents: Vectors,
    owners: _Owners,
    k: int,
    similarity: str,
) -> Best:
    """Show every document to the queries of a group; whichever worker is free takes the next tile."""
    best = Best.of(len(group), k)
    tiles = [group[at : at + QUERY_TILE] for at in range(0, len(group), QUERY_TILE)]
    lefts = list(pool.map(lambda rows: prepared(queries.gather(rows), similarity, "query"), tiles))
    offsets = iter(range(0, len(documents), DOC_TILE))
    locks = [threading.Lock() for _ in lefts]

    def work(begin: int) -> None:
        scores = blank()
        for offset in offsets:
            rows = np.arange(offset, min(offset + DOC_TILE, len(documents)))
            right = prepared(documents.gather(rows), similarity, "document")
            parts = list(owners.parts(offset, offset + len(rows)))
            for at in range(begin, begin + len(lefts)):
                at %= len(lefts)  # workers begin at different queries, to wait for each other less
                tile = product(lefts[at], right, similarity, scores)
                with locks[at]:
                    for first in range(0, QUERY_TILE, STRIP):
                        for columns, shared, low in parts:
                            strip = tile[first : first + STRIP, columns]
                            best.take(at * QUERY_TILE + first, strip, shared, low)
            del right  # before the next is read

    running = [pool.submit(work, number * len(lefts) // count) for number in range(count)]
    try:
        for done in wait(running, return_when=FIRST_EXCEPTION).done:
            done.result()
    finally:
        for _ in offsets:  # after a failure the others end with the tile at hand
            pass
    return best


@dataclass(frozen=True)
class _Room:
    """How many queries hold their lists at a time, and how many tiles of documents are at work."""

    queries: int
    workers: int


def _room(queries: int, k: int, documents: Vectors, memory: int | None) -> _Room:
    tiles = -(-queries // QUERY_TILE)
    lists = QUERY_TILE * (8 * capacity(k) + 8 * k + 4 * (documents.dim + 2))
    worker = 4 * DOC_TILE * (3 * documents.dim + QUERY_TILE) + 64 * STRIP * (DOC_TILE + k)
    always = 40 * len(documents)
    wanted = -(-len(documents) // DOC_TILE)
    allowed = max(_LISTS, documents.dim * len(documents) // 2)
    if memory is not None:
        if memory < always + worker + lists:
            raise ConfigError(
                f"a search among {len(documents)} documents takes {shown(always + worker + lists)} beside "
                f"its vectors, and {shown(memory)} are allowed; allow more memory"
            )
        wanted = min(wanted, 1 + (memory - always - worker - lists) // 2 // worker)
        allowed = min(allowed, memory - always - wanted * worker)
    passes = -(-tiles // max(1, allowed // lists))
    return _Room(QUERY_TILE * -(-tiles // passes), wanted)


@dataclass(frozen=True)
class _Owners:
    """The documents that share each distinct row.

    Attributes:
        first: int64 [u + 1]; row i belongs to documents first[i] to first[i + 1]; None: to document i.
        low: int64, the lower half of the keys of those documents.
    """

    first: Int64 | None
    low: Int64

    def parts(self, start: int, stop: int) -> Iterator[tuple[slice, Int64 | None, Int64]]:
        """Columns of the rows `start` to `stop`, with their documents: few enough for one strip."""
        if self.first is None:
            yield slice(0, stop - start), None, self.low[start:stop]
            return
        at = start
        while at < stop:
            room = np.searchsorted(self.first[at : stop + 1], self.first[at] + 2 * DOC_TILE, side="right")
            end = at + max(1, int(room) - 1)
            own = slice(self.first[at], self.first[end])
            yield slice(at - start, end - start), self.first[at : end + 1] - self.first[at], self.low[own]
            at = end


def _owners(documents: Vectors, doc_order: npt.NDArray[np.integer], k: int) -> tuple[Vectors, _Owners]:
    """Each storage row once, in storage order, and the documents it belongs to."""
    rows = documents.rows
    order = np.asarray(doc_order, dtype=np.int64)
    if (rows[1:] > rows[:-1]).all():
        return documents, _Owners(None, LOW - order)
    members = np.argsort(rows, kind="stable")
    rows = rows[members]
    new = np.concatenate([[True], rows[1:] > rows[:-1]])
    if new.all():
        return Vectors(documents.segments, rows), _Owners(None, LOW - order[members])
    members = np.lexsort((order, documents.rows))
    starts = np.flatnonzero(new)
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    kept = rank < k  # of equal texts only the k highest ids can survive
    first = np.concatenate([[0], np.cumsum(np.add.reduceat(kept, starts, dtype=np.int64))])
    return Vectors(documents.segments, rows[starts]), _Owners(first, LOW - order[members[kept]])
