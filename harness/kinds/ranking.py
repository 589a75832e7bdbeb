"""retrieval, reranking and instruction_reranking, scorer `trec`: trec_eval's measures as mteb reports them.

Settings beside the scorer's defaults: `similarity` (cosine, dot, euclidean), `main`, `memory` (bytes that a
search may hold; changes no figure) and, where a task has no candidates of its own, `first_stage`, a mapping
of query id to document ids that stands in for them, with `first_stage_depth`, how many were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any

import numpy as np

from harness.data.examples import RankingExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds._ranking_runs import (
    Candidates,
    Listed,
    Run,
    check_found,
    descending_places,
    listed,
    own_documents,
    ranked,
    rectangular,
    without,
    without_first,
)
from harness.kinds._ranking_samples import complete, details_from, make_samples, metrics_from, reported
from harness.kinds.first_stage import with_recall
from harness.metrics.topk import candidate_scores, search
from harness.types import Float32, Int64, Pairs, Scores, Texts, Vectors

__all__ = ["metrics_from", "needs", "pairs", "score", "score_pairs", "score_search"]

Settings = Mapping[str, Any]
Search = Callable[[list[str], list[str], int], tuple[Int64, Float32]]

_SEARCH_CELLS = 2**23  # (query, document) scores a searcher is asked for at a time when reranking


def needs(examples: RankingExamples, settings: Settings) -> dict[str, Texts]:
    """Queries in their order; all documents, or with candidates those listed, in corpus order.

    Raises DataError as `score` does.
    """
    pool = _pool(examples, complete(settings))
    documents = examples.documents if pool is None else _take(examples.documents, pool.corpus)
    return {
        "queries": Texts(examples.queries, role="query"),
        "documents": Texts(documents, role="document"),
    }


def score(examples: RankingExamples, vectors: Mapping[str, Vectors], settings: Settings) -> Scores:
    """Search the corpus, or rank the candidates, by the similarity of vectors.

    Raises:
        DataError: no queries or documents, a query without qrels, an unknown candidate, ids that stand
            twice, an undefined main metric.
        ModelError: not as many vectors as texts.
        NonFiniteError: a similarity is NaN.
        UnknownNameError: a main metric, extra or similarity that does not exist.
    """
    settings = complete(settings)
    pool, places = _pool(examples, settings), descending_places(examples.doc_ids)
    documents = vectors["documents"]
    due = len(examples.doc_ids) if pool is None else len(pool.corpus)
    if (len(vectors["queries"]), len(documents)) != (len(examples.query_ids), due):
        raise ModelError(
            f"{len(vectors['queries'])} query and {len(documents)} document vectors for "
            f"{len(examples.query_ids)} queries and {due} documents"
        )
    queries, similarity, k = vectors["queries"], settings["similarity"], settings["top_k"]
    if pool is None:
        found = search(queries, documents, k, similarity, places, settings.get("memory"))
        return _finish(examples, starmap(rectangular, found), places, settings)
    scores = candidate_scores(queries.gather(), documents, pool.queries, pool.local, similarity)
    run = ranked(pool.queries, pool.docs, scores, len(queries), places, k)
    return _finish(examples, [run], places, settings)


def pairs(examples: RankingExamples, settings: Settings) -> Pairs:
    """(query, document) pairs of the candidates, in the order of the queries.

    Raises ModelError for retrieval without a first stage, else as `score`.
    """
    pool = _candidate_pool(examples, complete(settings))
    return Pairs(_take(examples.queries, pool.queries), _take(examples.documents, pool.docs))


def score_pairs(examples: RankingExamples, scores: Float32, settings: Settings) -> Scores:
    """Rank the candidates by a cross-encoder's scores, float32 [len(pairs)]; no list is cut (as mteb).

    Raises NonFiniteError naming the first pair whose score is not finite, else as `score` and `pairs`.
    """
    settings = complete(settings)
    pool, places = _candidate_pool(examples, settings), descending_places(examples.doc_ids)
    if len(scores) != len(pool.docs):
        raise ModelError(f"{len(scores)} scores for {len(pool.docs)} pairs")
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, doc = examples.query_ids[pool.queries[bad[0]]], examples.doc_ids[pool.docs[bad[0]]]
        raise NonFiniteError(f"the score of query {query!r} with document {doc!r} is {scores[bad[0]]}")
    run = ranked(pool.queries, pool.docs, scores, len(examples.query_ids), places)
    return _finish(examples, [run], places, settings)


def score_search(examples: RankingExamples, search: Search, settings: Settings) -> Scores:
    """Rank by a searcher: the best `top_k` of the corpus, or the candidates' places in a full search.

    `search(queries, documents, k)` answers (document positions int64 [q, k], -1 for none; scores float32
    [q, k]) and always gets the whole corpus, whose term statistics are part of the model. A candidate
    that it does not return scores 0.

    Raises NonFiniteError for a score that is not finite, else as `score`.
    """
    settings = complete(settings)
    pool, places = _pool(examples, settings), descending_places(examples.doc_ids)
    queries, documents = list(examples.queries), list(examples.documents)
    entries: list[tuple[Int64, Int64, Float32]] = []
    k = settings["top_k"] if pool is None else len(documents)
    step = len(queries) if pool is None else max(1, _SEARCH_CELLS // len(documents))
    for start in range(0, len(queries), step):
        found, scores = search(queries[start : start + step], documents, k)
        check_found(found, scores, len(queries[start : start + step]), len(documents))
        rows, columns = np.nonzero(found >= 0)
        docs, values = found[rows, columns], scores[rows, columns]
        if pool is None:
            entries.append((rows + start, docs, values))
            continue
        table = np.zeros((len(found), len(documents)), dtype=np.float32)
        table[rows, docs] = values
        part = slice(*np.searchsorted(pool.queries, [start, start + step]))
        entries.append(
            (pool.queries[part], pool.docs[part], table[pool.queries[part] - start, pool.docs[part]])
        )
    lists, docs, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    run = ranked(lists, docs, values, len(examples.query_ids), places, settings["top_k"])
    return _finish(examples, [run], places, settings)


def _finish(examples: RankingExamples, runs: Iterable[Run], places: Int64, settings: Settings) -> Scores:
    samples = make_samples(examples, _trimmed(examples, runs, settings), places, settings)
    if settings.get("first_stage") is not None and examples.candidates is None:
        samples = with_recall(samples, examples, settings)
    exact, undefined = metrics_from(samples, settings)
    main = settings.get("main") or "ndcg_at_10"
    if main in undefined:
        raise DataError(f"the main metric {main} is undefined: {undefined[main]}")
    if main not in exact:
        raise UnknownNameError("metric", main, exact)
    metrics = {name: reported(name, value) for name, value in exact.items()}
    return Scores(main, metrics, exact, samples, undefined, details_from(samples, settings))


def _trimmed(examples: RankingExamples, runs: Iterable[Run], settings: Settings) -> Iterator[Run]:
    """The lists without what the task leaves out of them."""
    own = own_documents(examples) if settings["ignore_identical_ids"] else None
    start = 0
    for run in runs:
        lists = run if own is None else without(run, own[start : start + len(run)])
        start += len(run)
        yield without_first(lists) if settings["skip_first_result"] else lists
        del run, lists  # before the next are made


def _pool(examples: RankingExamples, settings: Settings) -> Listed | None:
    _check(examples)
    candidates = _candidates(examples, settings)
    return None if candidates is None else listed(examples, candidates)


def _candidate_pool(examples: RankingExamples, settings: Settings) -> Listed:
    pool = _pool(examples, settings)
    if pool is None:
        raise ModelError(
            "a cross-encoder cannot search a whole corpus: it needs a first stage "
            "that proposes candidates beside the queries"
        )
    return pool


def _candidates(examples: RankingExamples, settings: Settings) -> Candidates | None:
    return examples.candidates if examples.candidates is not None else settings.get("first_stage")


def _check(examples: RankingExamples) -> None:
    if not len(examples.query_ids):
        raise DataError("no query has relevance judgements (qrels)")
    if not len(examples.doc_ids):
        raise DataError("the corpus is empty")
    seen: set[str] = set()
    for name in examples.query_ids:
        if name in seen:
            raise DataError(f"query id {name!r} stands twice")
        if not examples.qrels.get(name):
            raise DataError(f"query {name!r} has no relevance judgements (qrels)")
        seen.add(name)


def _take(texts: Sequence[str], index: Int64) -> list[str]:
    """The texts at places; one that is asked for often is one string all the same."""
    distinct, place = np.unique(index, return_inverse=True)
    own = [texts[i] for i in distinct.tolist()]
    return [own[i] for i in place.tolist()]
