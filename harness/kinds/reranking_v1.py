"""Reranking as the model cards of C-MTEB's first two years have it, scorer `cmteb`: `map` and `mrr`.

Parity: mteb 1.1.1 (AbsTaskReranking, RerankingEvaluator). Cosine whatever the model's own similarity; `map`
is scikit-learn's average precision over the whole list, `mrr` the reciprocal rank within the best ten, and
both are means over the lists that have a relevant and an irrelevant candidate. Relevant candidates stand
first in a list, as they did in the data sets of that time, so among equal scores they rank first.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import RankingExamples
from harness.errors import DataError, ModelError, NonFiniteError
from harness.kinds import scorer
from harness.kinds._outcome import column, conclude, main_metric
from harness.kinds._ranking_runs import Listed, listed
from harness.kinds.ranking import needs, pairs
from harness.metrics.reranking import average_precision
from harness.metrics.topk import candidate_scores
from harness.types import Float32, Int64, Scores, Vectors

__all__ = ["metrics_from", "needs", "pairs", "remarks", "score", "score_pairs"]

METRICS = ("map", "mrr")
DEPTH = 10  # of the reciprocal rank


def score(examples: RankingExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Rank the candidates of each query by cosine.

    Setting `subqueries`: queries `<base>_<part>` are one list, in which a document has its best score.

    Raises:
        DataError: no candidates, an unknown one, or no list has both a relevant and an irrelevant one.
        ModelError: not as many vectors as texts.
        NonFiniteError: a similarity is NaN or infinite.
        UnknownNameError: a main metric other than `map` and `mrr`.
    """
    pool = _pool(examples)
    queries, documents = vectors["queries"], vectors["documents"]
    if (len(queries), len(documents)) != (len(examples.query_ids), len(pool.corpus)):
        raise ModelError(
            f"{len(queries)} query and {len(documents)} document vectors for "
            f"{len(examples.query_ids)} queries and {len(pool.corpus)} documents"
        )
    scores = candidate_scores(queries.gather(), documents, pool.queries, pool.local, "cosine")
    return _finish(examples, pool, scores, settings)


def score_pairs(examples: RankingExamples, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    """Rank the candidates by a cross-encoder's scores, float32 [len(pairs)]; errors as in `score`."""
    pool = _pool(examples)
    if len(scores) != len(pool.docs):
        raise ModelError(f"{len(scores)} scores for {len(pool.docs)} pairs")
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, doc = examples.query_ids[pool.queries[bad[0]]], examples.doc_ids[pool.docs[bad[0]]]
        raise NonFiniteError(f"the score of query {query!r} with document {doc!r} is {scores[bad[0]]}")
    return _finish(examples, pool, np.asarray(scores, np.float32), settings)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """`map` and `mrr` from the lists that have both kinds of candidates.

    Raises DataError where no list has.
    """
    both = (column(samples, "num_relevant") > 0) & (column(samples, "num_irrelevant") > 0)
    if not both.any():
        raise DataError("no query has both a relevant and an irrelevant candidate, which map and mrr need")
    found = samples.filter(pa.array(both))
    return {
        "map": float(np.mean(column(found, "average_precision"))),
        "mrr": float(np.mean(column(found, "reciprocal_rank"))),
    }, {}


def remarks(examples: RankingExamples, settings: Mapping[str, Any]) -> list[str]:
    """How many queries count for nothing."""
    pool = _pool(examples)
    relevant = np.bincount(pool.queries, _relevant(examples, pool), len(examples.query_ids))
    total = np.bincount(pool.queries, minlength=len(examples.query_ids))
    left_out = int(((relevant == 0) | (relevant == total)).sum())
    return (
        [f"{left_out} queries lack a relevant or an irrelevant candidate; they are left out"]
        if left_out
        else []
    )


def _pool(examples: RankingExamples) -> Listed:
    if examples.candidates is None:
        raise DataError("reranking needs candidate lists, and there are none")
    return listed(examples, examples.candidates)


def _relevant(examples: RankingExamples, pool: Listed) -> Int64:
    """1 for each pair whose document is relevant to its query, else 0: int64 [pairs]."""
    qrels = [examples.qrels[name] for name in examples.query_ids]
    pairs = zip(pool.queries.tolist(), pool.docs.tolist(), strict=True)
    grades = (qrels[query].get(examples.doc_ids[doc], 0) > 0 for query, doc in pairs)
    return np.fromiter(grades, np.int64, len(pool.docs))


def _finish(examples: RankingExamples, pool: Listed, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    main = main_metric(settings.get("main") or scorer("reranking", "cmteb").main, METRICS)
    relevant = _relevant(examples, pool)
    names, lists, docs = list(examples.query_ids), pool.queries, pool.docs
    if settings.get("subqueries"):
        names = list(dict.fromkeys(name.rpartition("_")[0] for name in examples.query_ids))
        number = {base: i for i, base in enumerate(names)}
        lists = np.array([number[name.rpartition("_")[0]] for name in examples.query_ids])[lists]
        order = np.lexsort((docs, lists))
        lists, docs = lists[order], docs[order]
        new = np.ones(len(docs), dtype=np.bool_)
        new[1:] = (lists[1:] != lists[:-1]) | (docs[1:] != docs[:-1])
        starts = np.flatnonzero(new)
        scores = np.maximum.reduceat(scores[order], starts)
        relevant = np.maximum.reduceat(relevant[order], starts)
        lists = lists[starts]
    edges = np.searchsorted(lists, np.arange(len(names) + 1))
    rows = [_measured(relevant[start:end] > 0, scores[start:end]) for start, end in pairwise(edges.tolist())]
    columns = ("average_precision", "reciprocal_rank", "num_relevant", "num_irrelevant")
    samples = pa.table({"query_id": names, **dict(zip(columns, zip(*rows, strict=True), strict=True))})
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def _measured(relevant: Any, scores: Float32) -> tuple[float | None, float | None, int, int]:
    """Average precision, reciprocal rank (None where a list lacks either kind) and the two counts."""
    positives, negatives = int(relevant.sum()), int((~relevant).sum())
    if not positives or not negatives:
        return None, None, positives, negatives
    first = 1 + int((scores[~relevant] > scores[relevant].max()).sum())
    rank = 1 / first if first <= DEPTH else 0.0
    return average_precision(relevant, scores), rank, positives, negatives
