"""reranking, scorer `jmteb`: graded candidates in the order of the similarity that does best on dev.

Reference: JMTEB 1.3.3, RerankingEvaluator: cosine, dot product or Euclidean distance, chosen by nDCG at 10
with linear gain over the listed documents. A document that is listed twice has the grade of its first
place. With `upstream` it is ranked twice, and equal scores stay in the order of the list; else each document
is ranked once, and of equal scores the higher id comes first. A query whose candidates are all irrelevant
has no nDCG: upstream's mean is then NaN, which no result can hold, so that both refuse it on test; on dev,
with `upstream`, NaN chooses cosine as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import DevTest, RankingExamples
from harness.data.packed import positions
from harness.errors import DataError
from harness.kinds import _chosen, scorer
from harness.kinds._outcome import conclude, main_metric
from harness.kinds._ranking_runs import descending_places
from harness.kinds.jmteb_retrieval import complete, parts, unchosen, with_corpus
from harness.metrics.jmteb_ranking import graded_ndcg
from harness.metrics.similarity import SIMILARITIES
from harness.metrics.topk import candidate_scores
from harness.types import Float32, Int64, Scores, Texts, Vectors

DEPTHS = (10, 20, 40)
METRICS = tuple(f"ndcg_at_{k}" for k in DEPTHS)


@dataclass(frozen=True)
class _Lists:
    """The candidates of all queries end to end.

    Attributes:
        queries, docs, grades: int64 [m], places of queries and documents, and the grades.
        offsets: int64 [q + 1]; the candidates of query i are those from offsets[i] to offsets[i + 1].
    """

    queries: Int64
    docs: Int64
    grades: Int64
    offsets: Int64


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The queries of both splits and the documents that stand in some list, in corpus order.

    Raises DataError for a query without candidates or with irrelevant ones alone, a candidate that the
    corpus lacks, a split without queries, ids that stand twice.
    """
    dev, test = parts(examples)
    asked = {"queries": Texts(test.queries, role="query")}
    used = [_lists(test, settings, "test").docs]
    if dev is not None:
        asked["dev_queries"] = Texts(dev.queries, role="query")
        on_dev = _lists(with_corpus(dev, test), settings, "dev").docs
        if len(dev.doc_ids):
            own = [dev.documents[i] for i in np.unique(on_dev).tolist()]
            asked["dev_documents"] = Texts(own, role="document")
        else:
            used.append(on_dev)
    listed = np.unique(np.concatenate(used)).tolist()
    return {**asked, "documents": Texts([test.documents[i] for i in listed], role="document")}


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """nDCG at 10, 20 and 40 by the similarity chosen on dev.

    Raises DataError (as `needs`; no dev split for vectors that are not of unit length), ModelError (not as
    many vectors as texts), NonFiniteError, UnknownNameError (main metric).
    """
    main = main_metric(settings.get("main") or scorer("reranking", "jmteb").main, METRICS)
    complete(needs(examples, settings), vectors)
    dev, test = parts(examples)
    lists, used = _lists(test, settings, "test"), []
    found: dict[str, dict[str, float]] = {}
    if dev is None:
        chosen, used = unchosen(vectors), [lists.docs]
    else:
        whole = with_corpus(dev, test)
        on_dev = _lists(whole, settings, "dev")
        used = [lists.docs] if len(dev.doc_ids) else [lists.docs, on_dev.docs]
        own = [on_dev.docs] if len(dev.doc_ids) else used
        side = (vectors["dev_queries"], vectors.get("dev_documents", vectors["documents"]), _union(own))
        for name in SIMILARITIES:
            table = _samples(whole, on_dev, side, name, settings)
            found[name], _ = metrics_from(table, settings)
        chosen = _chosen.best(found, "ndcg_at_10")
    side = (vectors["queries"], vectors["documents"], _union(used))
    samples = _samples(test, lists, side, chosen, settings)
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    return _chosen.told(outcome, chosen, found)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Means over the stored queries; none is ever undefined."""
    return {name: float(np.mean(samples.column(name).to_numpy())) for name in METRICS}, {}


def _union(docs: list[Int64]) -> Int64:
    return np.unique(np.concatenate(docs))


def _lists(examples: RankingExamples, settings: Mapping[str, Any], split: str) -> _Lists:
    upstream, listed = bool(settings["upstream"]), examples.candidates or {}
    own = [list(listed.get(name, ())) for name in examples.query_ids]
    if not upstream:
        own = [list(dict.fromkeys(docs)) for docs in own]
    place = positions(examples.doc_ids, {doc for docs in own for doc in docs})
    grades: list[int] = []
    for name, docs in zip(examples.query_ids, own, strict=True):
        missing = [doc for doc in docs if doc not in place]
        if missing or not docs:
            what = f"candidate {missing[0]!r} is not in the corpus" if missing else "it has no candidates"
            raise DataError(f"{split} query {name!r}: {what}")
        judged = examples.qrels[name]
        grades += (gained := [judged.get(doc, 0) for doc in docs])
        if not any(gained) and not (upstream and split == "dev"):
            raise DataError(
                f"{split} query {name!r}: none of its candidates is relevant, so that it has no nDCG; "
                "leave it out of the data"
            )
    sizes = np.array([len(docs) for docs in own])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    found = np.fromiter((place[doc] for docs in own for doc in docs), np.int64, offsets[-1])
    return _Lists(np.repeat(np.arange(len(own)), sizes), found, np.array(grades, np.int64), offsets)


def _samples(
    examples: RankingExamples,
    lists: _Lists,
    side: tuple[Vectors, Vectors, Int64],
    similarity: str,
    settings: Mapping[str, Any],
) -> pa.Table:
    """One row a query: `query_id`, and each metric.

    Args:
        side: vectors of the queries and of the embedded documents, and the corpus places of the latter.
    """
    queries, documents, embedded = side
    local = np.searchsorted(embedded, lists.docs)
    values: Float32 = candidate_scores(queries.gather(), documents, lists.queries, local, similarity)
    ties = np.arange(len(local)) if settings["upstream"] else descending_places(examples.doc_ids)[lists.docs]
    order = np.lexsort((ties, -values, lists.queries))
    ranked = np.split(lists.grades[order], lists.offsets[1:-1])
    columns: dict[str, Any] = {"query_id": list(examples.query_ids)}
    return pa.table(columns | {f"ndcg_at_{k}": [graded_ndcg(own, k) for own in ranked] for k in DEPTHS})
