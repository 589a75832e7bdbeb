"""retrieval, scorer `jmteb`: the best 10 documents by the similarity that does best on dev.

Reference: JMTEB 1.3.3, RetrievalEvaluator: cosine, dot product or Euclidean distance, chosen by nDCG at 10.
Every grade above 0 is relevant, and a query without relevant documents counts 0. Of equal scores the
document with the higher id comes first, as everywhere here (upstream leaves it to torch). With `upstream`
its slips are kept: the ideal gain counts all relevant documents, not the first 10, and no more documents
are looked at than there are queries.

Without a dev split nothing can be chosen, and need not be for vectors of unit length, which the three
similarities rank alike: cosine then, the first, as a tie on dev would have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import DevTest, RankingExamples
from harness.data.packed import positions
from harness.errors import DataError, ModelError
from harness.kinds import _chosen, scorer
from harness.kinds._outcome import conclude, main_metric
from harness.kinds._ranking_runs import descending_places
from harness.metrics.jmteb_ranking import Bools, binary_ndcg, found_at, reciprocal_rank
from harness.metrics.similarity import SIMILARITIES
from harness.metrics.topk import search
from harness.types import Int64, Scores, Texts, Vectors

DEPTH = 10
ACCURACIES = (1, 3, 5, 10)
METRICS = ("ndcg_at_10", "mrr_at_10", *(f"accuracy_at_{k}" for k in ACCURACIES))

_BLOCK = 65_536
_UNIT = 1e-4  # how far from 1 the length of a vector may be that passes for 1


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """All documents, the queries of both splits, and dev's documents where they are others.

    Raises DataError for a split without queries, an empty corpus, ids that stand twice.
    """
    dev, test = parts(examples)
    asked = {
        "queries": Texts(test.queries, role="query"),
        "documents": Texts(test.documents, role="document"),
    }
    if dev is not None:
        asked["dev_queries"] = Texts(dev.queries, role="query")
        if len(dev.doc_ids):
            asked["dev_documents"] = Texts(dev.documents, role="document")
    return asked


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """nDCG and reciprocal rank at 10, and accuracy at 1, 3, 5, 10, by the similarity chosen on dev.

    Raises DataError (as `needs`; no dev split for vectors that are not of unit length), ModelError (not as
    many vectors as texts), NonFiniteError, UnknownNameError (main metric).
    """
    main = main_metric(settings.get("main") or scorer("retrieval", "jmteb").main, METRICS)
    complete(needs(examples, settings), vectors)
    dev, test = parts(examples)
    found: dict[str, dict[str, float]] = {}
    if dev is None:
        chosen = unchosen(vectors)
    else:
        whole = with_corpus(dev, test)
        on_dev = _chosen.of_dev(
            {"dev_documents": vectors["documents"], **vectors}, {"queries": 0, "documents": 0}
        )
        for name in SIMILARITIES:
            found[name], _ = metrics_from(_samples(whole, on_dev, name, settings), settings)
        chosen = _chosen.best(found, "ndcg_at_10")
    samples = _samples(test, vectors, chosen, settings)
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    return _chosen.told(outcome, chosen, found)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Means over the stored queries; none is ever undefined."""
    names = [name for name in samples.column_names if name != "query_id"]
    return {name: float(np.mean(samples.column(name).to_numpy())) for name in names}, {}


def parts(examples: DevTest) -> tuple[RankingExamples | None, RankingExamples]:
    """Dev (None where the data have none) and test, checked; errors as in `needs`."""
    assert examples.dev is None or isinstance(examples.dev, RankingExamples)
    assert isinstance(examples.test, RankingExamples)
    for name, part in (("test", examples.test), ("dev", examples.dev)):
        if part is None:
            continue
        if not len(part.query_ids):
            raise DataError(f"{name}: no query has relevance judgements (qrels)")
        twice = len(part.query_ids) - len(set(part.query_ids))
        if twice:
            raise DataError(f"{name}: {twice} query ids stand twice")
    if not len(examples.test.doc_ids):
        raise DataError("the corpus is empty")
    return examples.dev, examples.test


def with_corpus(dev: RankingExamples, test: RankingExamples) -> RankingExamples:
    """Dev with the documents it shares with test."""
    return dev if len(dev.doc_ids) else replace(dev, doc_ids=test.doc_ids, documents=test.documents)


def complete(texts: Mapping[str, Texts], vectors: Mapping[str, Vectors]) -> None:
    """Raises ModelError unless every text has a vector."""
    for name, part in texts.items():
        if name not in vectors or len(vectors[name]) != len(part):
            have = len(vectors[name]) if name in vectors else 0
            raise ModelError(f"{len(part)} texts of {name!r} got {have} vectors")


def unchosen(vectors: Mapping[str, Vectors]) -> str:
    """Cosine, for vectors of unit length. Raises DataError for others, which need a dev split."""
    for part in vectors.values():
        for _, block in part.blocks(_BLOCK):
            lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
            if np.abs(lengths - 1).max(initial=0) > _UNIT:
                raise DataError(
                    "the data have no dev split, and vectors that are not of unit length need one to choose "
                    "between cosine, dot product and Euclidean distance\n"
                    "add the dev split's queries and qrels, or take the data from JMTEB's own hub repository"
                )
    return SIMILARITIES[0]


def _samples(
    examples: RankingExamples, vectors: Mapping[str, Vectors], similarity: str, settings: Mapping[str, Any]
) -> pa.Table:
    """One row a query: `query_id`, and each metric."""
    upstream = bool(settings["upstream"])
    count = len(examples.query_ids)
    places = descending_places(examples.doc_ids)
    found = search(
        vectors["queries"], vectors["documents"], DEPTH, similarity, places, settings.get("memory")
    )
    docs = np.concatenate([rows for rows, _ in found])
    if upstream:
        docs = docs[:, : min(DEPTH, count)]
    relevant = [
        {doc for doc, grade in examples.qrels[name].items() if grade > 0} for name in examples.query_ids
    ]
    hits = _hits(docs, relevant, examples.doc_ids)
    totals = np.fromiter(map(len, relevant), np.int64, count)
    columns: dict[str, Any] = {
        "query_id": list(examples.query_ids),
        "ndcg_at_10": binary_ndcg(hits, totals, DEPTH, uncut=upstream),
        "mrr_at_10": reciprocal_rank(hits, DEPTH),
    }
    return pa.table(columns | {f"accuracy_at_{k}": found_at(hits, k) for k in ACCURACIES})


def _hits(docs: Int64 | Any, relevant: Sequence[set[str]], doc_ids: Sequence[str]) -> Bools:
    """Whether each found document is relevant: bool [q, k]."""
    place = positions(doc_ids, set().union(*relevant))
    hits = np.zeros(docs.shape, dtype=np.bool_)
    for row, own in enumerate(relevant):
        hits[row] = np.isin(docs[row], [place[doc] for doc in own if doc in place])
    return hits
