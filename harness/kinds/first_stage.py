"""The first of two stages: the documents a search proposes to a cross-encoder, and the ceiling they set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.examples import RankingExamples
from harness.kinds._ranking_runs import (
    Candidates,
    Run,
    check_found,
    cut,
    descending_places,
    joined,
    own_documents,
    ranked,
    rectangular,
    without,
)
from harness.metrics.topk import search
from harness.types import Float32, Int64, Vectors

Settings = Mapping[str, Any]
PREFIX = "first_stage_recall_at_"


def found_by_vectors(
    examples: RankingExamples, vectors: Mapping[str, Vectors], settings: Settings, depth: int
) -> dict[str, list[str]]:
    """The `depth` documents nearest to each query, in canonical order: query id to document ids.

    A document with the query's own id is no candidate where the task leaves it out of its lists.

    Args:
        vectors: of `queries` and of all `documents`.
        settings: the task's, with `similarity` of the first stage and `memory`.

    Raises:
        NonFiniteError: a similarity is NaN.
    """
    places = descending_places(examples.doc_ids)
    k = depth + bool(settings["ignore_identical_ids"])
    found = search(
        vectors["queries"],
        vectors["documents"],
        k,
        settings["similarity"],
        places,
        settings.get("memory"),
    )
    return _lists(examples, starmap(rectangular, found), settings, depth)


def found_by_search(
    examples: RankingExamples,
    search: Callable[[Sequence[str], Sequence[str], int], tuple[Int64, Float32]],
    settings: Settings,
    depth: int,
) -> dict[str, list[str]]:
    """As `found_by_vectors`, by a searcher.

    It gets the documents in descending order of id, so that those tied at the cut survive in canonical order.

    Raises:
        ModelError: the searcher answered something else than `depth` places and scores a query.
        NonFiniteError: a score is not finite.
    """
    places = descending_places(examples.doc_ids)
    order = np.argsort(places)
    texts = list(examples.documents)
    k = depth + bool(settings["ignore_identical_ids"])
    found, scores = search(list(examples.queries), [texts[i] for i in order.tolist()], k)
    check_found(found, scores, len(examples.query_ids), len(texts))
    rows, columns = np.nonzero(found >= 0)
    docs = order[found[rows, columns]]
    run = ranked(rows, docs, scores[rows, columns], len(examples.query_ids), places)
    return _lists(examples, [run], settings, depth)


def spread(examples: RankingExamples, depth: int) -> dict[str, list[str]]:
    """As many documents a query as a first stage would propose, from all over the corpus.

    They stand in for candidates that nobody has searched yet, where only their number and length count.
    """
    count = len(examples.doc_ids)
    width = min(depth, count)
    picked = np.arange(width) * count // max(1, width)
    return {
        name: [examples.doc_ids[i] for i in ((picked + at) % count).tolist()]
        for at, name in enumerate(examples.query_ids)
    }


def recall(examples: RankingExamples, candidates: Candidates) -> npt.NDArray[np.float64]:
    """The share of each query's relevant documents (all that are judged so) among its candidates, [q].

    0 for a query without relevant documents, as trec_eval counts it.
    """
    values = np.zeros(len(examples.query_ids))
    for at, name in enumerate(examples.query_ids):
        relevant = {doc for doc, grade in examples.qrels[name].items() if grade > 0}
        if relevant:
            values[at] = len(relevant.intersection(candidates.get(name, ()))) / len(relevant)
    return values


def with_recall(samples: pa.Table, examples: RankingExamples, settings: Settings) -> pa.Table:
    """The samples with the column `first_stage_recall_at_<depth>`; null in the rows that extras add.

    Args:
        settings: with `first_stage`, the candidates, and `first_stage_depth`.
    """
    values = recall(examples, settings["first_stage"]).tolist()
    column = pa.array([*values, *[None] * (len(samples) - len(values))], pa.float64())
    return samples.append_column(f"{PREFIX}{settings['first_stage_depth']}", column)


def _lists(
    examples: RankingExamples, runs: Iterable[Run], settings: Settings, depth: int
) -> dict[str, list[str]]:
    run = joined(list(runs))
    if settings["ignore_identical_ids"]:
        run = without(run, own_documents(examples))
    run = cut(run, depth)
    ids = [examples.doc_ids[i] for i in run.docs.tolist()]
    ends = run.offsets.tolist()
    return {
        name: ids[start:stop]
        for name, start, stop in zip(examples.query_ids, ends[:-1], ends[1:], strict=True)
    }
