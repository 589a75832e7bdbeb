"""Ranked lists of documents: made from a search or from scored candidates, cut, merged and graded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.examples import RankingExamples
from harness.data.packed import arrow_strings, positions
from harness.errors import DataError, ModelError, NonFiniteError
from harness.types import Float32, Int64

Candidates = Mapping[str, Sequence[str]]
Positions = npt.NDArray[np.integer[Any]]
Qrels = Sequence[Mapping[str, int]]

_CELLS = 2**18  # ranked documents that judged ones are compared with at a time


@dataclass(frozen=True)
class Run:
    """Lists in canonical order: score descending, then document id descending.

    Attributes:
        docs: integers [m], corpus positions of all lists end to end.
        scores: float32 [m].
        offsets: int64 [lists + 1]; list i is docs[offsets[i]:offsets[i + 1]].
    """

    docs: Positions
    scores: Float32
    offsets: Int64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lists(self) -> Int64:
        """The list each entry belongs to: int64 [m]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def rank(self, which: int, doc: int) -> int:
        """Rank of a document in one list, from 1; one beyond the last where it is not there."""
        found = np.flatnonzero(self.docs[self.offsets[which] : self.offsets[which + 1]] == doc)
        return int(found[0] if len(found) else self.offsets[which + 1] - self.offsets[which]) + 1


@dataclass(frozen=True)
class Listed:
    """Candidates as (query, document) pairs, in the order of the queries, each document once a query.

    Attributes:
        queries: int64 [pairs] positions in `query_ids`, ascending.
        docs: int64 [pairs] corpus positions.
        corpus: int64 corpus positions of every document that stands in some list, ascending; the
            documents that need embedding, in that order.
    """

    queries: Int64
    docs: Int64
    corpus: Int64

    @property
    def local(self) -> Int64:
        """`docs` as positions in `corpus`."""
        return np.searchsorted(self.corpus, self.docs)


def listed(examples: RankingExamples, candidates: Candidates) -> Listed:
    """The candidate pairs of the queries at hand; a query without a list has none.

    Raises DataError for a candidate that the corpus lacks, naming query and document.
    """
    lists = [list(dict.fromkeys(candidates.get(name, ()))) for name in examples.query_ids]
    position = positions(examples.doc_ids, {doc for docs in lists for doc in docs})
    for name, docs in zip(examples.query_ids, lists, strict=True):
        for doc in docs:
            if doc not in position:
                raise DataError(f"candidate {doc!r} of query {name!r} is not in the corpus")
    queries = np.repeat(np.arange(len(lists)), [len(docs) for docs in lists])
    found = np.fromiter((position[doc] for docs in lists for doc in docs), np.int64, len(queries))
    return Listed(queries, found, np.unique(found))


@dataclass(frozen=True)
class Judged:
    """Judged documents that the corpus has.

    Attributes:
        queries: int64 [pairs] places in a list of queries, ascending.
        docs: int64 [pairs] corpus positions.
        grades: int32 [pairs].
    """

    queries: Int64
    docs: Int64
    grades: npt.NDArray[np.int32]

    def of(self, start: int, stop: int) -> Judged:
        """Those of the queries `start` to `stop`, counted from `start`."""
        part = slice(*np.searchsorted(self.queries, [start, stop]))
        return Judged(self.queries[part] - start, self.docs[part], self.grades[part])


def descending_places(doc_ids: Sequence[str]) -> Int64:
    """Place of each document when ids are sorted descending by code point, 0 for the highest: int64 [d].

    Raises DataError for an id that stands twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    own = {"memory_pool": pa.system_memory_pool()}  # which gives back what it took
    ids = arrow_strings(doc_ids)
    order = pc.array_sort_indices(ids, order="descending", **own)
    ranked = pc.take(ids, order, **own)
    equal = pc.equal(ranked.slice(1), ranked.slice(0, max(0, len(ids) - 1)), **own)
    twice = np.flatnonzero(equal.to_numpy(zero_copy_only=False))
    if len(twice):
        raise DataError(f"document id {ranked[int(twice[0])].as_py()!r} stands twice in the corpus")
    places = np.empty(len(ids), dtype=np.int64)
    places[order.to_numpy(zero_copy_only=False)] = np.arange(len(ids))
    return places


def rectangular(docs: Positions, scores: Float32) -> Run:
    """A run from arrays [lists, k] that already stand in canonical order."""
    return Run(docs.ravel(), scores.ravel(), np.arange(len(docs) + 1, dtype=np.int64) * docs.shape[1])


def ranked(
    lists: Int64, docs: Positions, scores: Float32, count: int, places: Int64, k: int | None = None
) -> Run:
    """A run of `count` lists from entries in any order, cut at the best k where k is given."""
    single = np.asarray(scores, dtype=np.float32)  # trec_eval compares no finer
    order = np.lexsort((places[docs], -single, lists))
    run = Run(docs[order], single[order], _offsets(lists, count))
    return run if k is None else cut(run, k)


def cut(run: Run, k: int) -> Run:
    """The best k of each list."""
    return keep(run, _rank(run) < k)


def keep(run: Run, mask: npt.NDArray[np.bool_]) -> Run:
    """The entries of a run where the mask [m] holds; lists may become empty."""
    return Run(run.docs[mask], run.scores[mask], _offsets(run.lists()[mask], len(run)))


def without(run: Run, unwanted: Int64) -> Run:
    """Drop from each list one document, [lists], or none where it is -1."""
    return keep(run, run.docs != unwanted[run.lists()])


def own_documents(examples: RankingExamples) -> Int64:
    """Corpus position of the document that has each query's id, -1 where there is none: int64 [q]."""
    position = positions(examples.doc_ids, set(examples.query_ids))
    return np.array([position.get(name, -1) for name in examples.query_ids], dtype=np.int64)


def without_first(run: Run) -> Run:
    """Drop the best document of each list (`skip_first_result`)."""
    return keep(run, _rank(run) > 0)


def joined(runs: Sequence[Run]) -> Run:
    """The lists of several runs, one after the other."""
    lengths = np.concatenate([np.diff(run.offsets) for run in runs])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Run(np.concatenate([r.docs for r in runs]), np.concatenate([r.scores for r in runs]), offsets)


def split(runs: Iterable[Run], size: int) -> Iterator[Run]:
    """The same lists, at most `size` at a time."""
    for run in runs:
        for start in range(0, len(run), size):
            ends = run.offsets[start : start + size + 1]
            part = slice(int(ends[0]), int(ends[-1]))
            yield Run(run.docs[part], run.scores[part], ends - ends[0])
        del run  # before the next is made


def best_of_groups(run: Run, groups: Int64, count: int, places: Int64) -> Run:
    """One list a group, holding the documents of all its lists with the best score of each.

    Args:
        groups: int64 [lists] group of each list, 0 to `count` - 1.
    """
    lists = groups[run.lists()]
    order = np.lexsort((-run.scores, run.docs, lists))
    lists, docs, scores = lists[order], run.docs[order], run.scores[order]
    best = np.ones(len(docs), dtype=np.bool_)
    best[1:] = (lists[1:] != lists[:-1]) | (docs[1:] != docs[:-1])
    return ranked(lists[best], docs[best], scores[best], count, places)


def judged(qrels: Qrels, doc_ids: Sequence[str]) -> Judged:
    """The judged documents that the corpus has, query by query."""
    position = positions(doc_ids, {doc for own in qrels for doc in own})
    known = [
        (query, position[doc], int(grade))
        for query, own in enumerate(qrels)
        for doc, grade in own.items()
        if doc in position
    ]
    table = np.array(known, dtype=np.int64).reshape(-1, 3)
    return Judged(table[:, 0], table[:, 1], table[:, 2].astype(np.int32))


def grades(run: Run, pairs: Judged, width: int) -> npt.NDArray[np.int32]:
    """Grade of each ranked document, int32 [lists, width]: 0 where not judged or beyond the list's end."""
    out = np.zeros((len(run), width), dtype=np.int32)
    lengths = np.minimum(np.diff(run.offsets), width)
    depth = int(lengths.max(initial=0))
    if not depth:
        return out
    even = bool((np.diff(run.offsets) == run.offsets[1]).all())
    table = run.docs.reshape(len(run), -1) if even else None
    step = max(1, _CELLS // depth)
    for start in range(0, len(pairs.docs), step):
        part = slice(start, start + step)
        lists = pairs.queries[part]
        if table is not None:
            ranked_docs = table[lists, :depth]
        else:
            inside = np.arange(depth) < lengths[lists][:, None]
            at = np.where(inside, run.offsets[lists][:, None] + np.arange(depth), 0)
            ranked_docs = np.where(inside, run.docs[at], -1)
        pair, rank = np.nonzero(ranked_docs == pairs.docs[part, None].astype(ranked_docs.dtype))
        out[lists[pair], rank] = pairs.grades[part][pair]
    return out


def ideal(qrels: Qrels, width: int) -> tuple[npt.NDArray[np.int32], Int64]:
    """Positive grades of all judged documents, descending, int32 [q, <= width]; and their number, [q]."""
    best = [sorted((int(g) for g in judged.values() if g > 0), reverse=True) for judged in qrels]
    out = np.zeros((len(best), min(width, max(map(len, best), default=0))), dtype=np.int32)
    for row, values in zip(out, best, strict=True):
        row[: len(values)] = values[: len(row)]
    return out, np.array([len(values) for values in best], dtype=np.int64)


def check_found(found: Int64, scores: Float32, queries: int, documents: int) -> None:
    """Refuse what a searcher answered unless it is places in the corpus, each once a query, with scores.

    Raises:
        ModelError: wrong shapes, a place outside the corpus, a document twice.
        NonFiniteError: the score of a document is not finite.
    """
    if found.ndim != 2 or found.shape != scores.shape or len(found) != queries:
        raise ModelError(
            f"the searcher answered shapes {found.shape} and {scores.shape} for {queries} queries"
        )
    if found.size and (found.min() < -1 or found.max() >= documents):
        raise ModelError(f"the searcher answered places outside its {documents} documents")
    ordered = np.sort(found, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise ModelError("the searcher answered a document twice for one query")
    if not np.isfinite(scores[found >= 0]).all():
        raise NonFiniteError("the searcher answered a score that is not finite")


def _rank(run: Run) -> Int64:
    return np.arange(len(run.docs), dtype=np.int64) - run.offsets[:-1][run.lists()]


def _offsets(lists: Int64, count: int) -> Int64:
    return np.concatenate([[0], np.cumsum(np.bincount(lists, minlength=count))]).astype(np.int64)
