"""Ranked lists of documents: made from a search or from scored candidates, cut, merged and graded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.data.examples import RankingExamples
from harness.errors import DataError
from harness.types import Float32, Int64

Candidates = Mapping[str, Sequence[str]]
Qrels = Sequence[Mapping[str, int]]


@dataclass(frozen=True)
class Run:
    """Lists in canonical order: score descending, then document id descending.

    Attributes:
        docs: int64 [m] corpus positions of all lists end to end.
        scores: float32 [m].
        offsets: int64 [lists + 1]; list i is docs[offsets[i]:offsets[i + 1]].
    """

    docs: Int64
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


def positions(doc_ids: Sequence[str], wanted: set[str]) -> dict[str, int]:
    """Corpus positions of the wanted ids alone: a dictionary of all would outweigh a large corpus."""
    return {doc: place for place, doc in enumerate(doc_ids) if doc in wanted}


def descending_places(doc_ids: Sequence[str]) -> Int64:
    """Place of each document when ids are sorted descending by code point, 0 for the highest: int64 [d].

    Raises DataError for an id that stands twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = pa.array(doc_ids if isinstance(doc_ids, list) else list(doc_ids), pa.large_string())
    order = pc.array_sort_indices(ids, order="descending")
    ranked = ids.take(order)
    twice = pc.indices_nonzero(pc.equal(ranked.slice(1), ranked.slice(0, max(0, len(ids) - 1))))
    if len(twice):
        raise DataError(f"document id {ranked[twice[0].as_py()].as_py()!r} stands twice in the corpus")
    places = np.empty(len(ids), dtype=np.int64)
    places[order.to_numpy(zero_copy_only=False)] = np.arange(len(ids))
    return places


def rectangular(docs: Int64, scores: Float32) -> Run:
    """A run from arrays [lists, k] that already stand in canonical order."""
    return Run(docs.ravel(), scores.ravel(), np.arange(len(docs) + 1, dtype=np.int64) * docs.shape[1])


def ranked(
    lists: Int64, docs: Int64, scores: Float32, count: int, places: Int64, k: int | None = None
) -> Run:
    """A run of `count` lists from entries in any order, cut at the best k where k is given."""
    single = np.asarray(scores, dtype=np.float32)  # trec_eval compares no finer
    order = np.lexsort((places[docs], -single, lists))
    run = Run(docs[order], single[order], _offsets(lists, count))
    return run if k is None else keep(run, _rank(run) < k)


def keep(run: Run, mask: npt.NDArray[np.bool_]) -> Run:
    """The entries of a run where the mask [m] holds; lists may become empty."""
    return Run(run.docs[mask], run.scores[mask], _offsets(run.lists()[mask], len(run)))


def without_own_id(run: Run, query_ids: Sequence[str], doc_ids: Sequence[str]) -> Run:
    """Drop from each list the document whose id is the query's (`ignore_identical_ids`)."""
    position = positions(doc_ids, set(query_ids))
    own = np.array([position.get(name, -1) for name in query_ids], dtype=np.int64)
    return keep(run, run.docs != own[run.lists()])


def without_first(run: Run) -> Run:
    """Drop the best document of each list (`skip_first_result`)."""
    return keep(run, _rank(run) > 0)


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


def grades(run: Run, qrels: Qrels, doc_ids: Sequence[str], width: int) -> npt.NDArray[np.int32]:
    """Grade of each ranked document, int32 [lists, width]: 0 where not judged or beyond the list's end."""
    position = positions(doc_ids, {doc for judged in qrels for doc in judged})
    known = [
        (i * len(doc_ids) + position[doc], int(grade))
        for i, judged in enumerate(qrels)
        for doc, grade in judged.items()
        if doc in position
    ]
    table = np.array(sorted(known), dtype=np.int64).reshape(-1, 2)
    inside = keep(run, _rank(run) < width)
    entries = inside.lists() * len(doc_ids) + inside.docs
    at = np.searchsorted(table[:, 0], entries)
    at[at == len(table)] = 0
    out = np.zeros((len(run), width), dtype=np.int32)
    if len(table):
        out[inside.lists(), _rank(inside)] = np.where(table[at, 0] == entries, table[at, 1], 0)
    return out


def ideal(qrels: Qrels, width: int) -> tuple[npt.NDArray[np.int32], Int64]:
    """Positive grades of all judged documents, descending, int32 [q, <= width]; and their number, [q]."""
    best = [sorted((int(g) for g in judged.values() if g > 0), reverse=True) for judged in qrels]
    out = np.zeros((len(best), min(width, max(map(len, best), default=0))), dtype=np.int32)
    for row, values in zip(out, best, strict=True):
        row[: len(values)] = values[: len(row)]
    return out, np.array([len(values) for values in best], dtype=np.int64)


def _rank(run: Run) -> Int64:
    return np.arange(len(run.docs), dtype=np.int64) - run.offsets[:-1][run.lists()]


def _offsets(lists: Int64, count: int) -> Int64:
    return np.concatenate([[0], np.cumsum(np.bincount(lists, minlength=count))]).astype(np.int64)
