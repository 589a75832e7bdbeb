"""What single tasks ask of a ranking beyond trec_eval: subqueries, changed instructions, pairs, levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from harness.data.examples import RankingExamples
from harness.data.packed import positions
from harness.errors import DataError
from harness.kinds._ranking_runs import Qrels, Run, best_of_groups
from harness.metrics.ranking import Float64, paired_accuracy, rank_score, robustness_at_10
from harness.types import Int64

EXTRAS: tuple[str, ...] = (
    "max_over_subqueries",
    "p_mrr",
    "paired_accuracy",
    "robustness_at_10",
    "level_scores",
    "recall_cap",
)

OG, CHANGED = "-og", "-changed"

# Extras that are one number over (query ids, a per-query metric): the metric and the function.
SINGLE: dict[str, tuple[str, Callable[[Sequence[str], Float64], float]]] = {
    "paired_accuracy": ("recall_at_1", paired_accuracy),
    "robustness_at_10": ("ndcg_at_10", robustness_at_10),
}


def over_subqueries(examples: RankingExamples, run: Run, places: Int64) -> tuple[list[str], Run, Qrels]:
    """Queries `<base>_<part>` merged: base ids, one list a base, and the grades of each base.

    A document takes its best score over the subqueries; the grades are those of the base's last
    subquery in the order of the qrels (MindSmallReranking, as mteb 2.26.24).
    """
    at_hand = set(examples.query_ids)
    last = {name.rpartition("_")[0]: name for name in examples.qrels if name in at_hand}
    number = {base: i for i, base in enumerate(last)}
    groups = np.array([number[name.rpartition("_")[0]] for name in examples.query_ids], dtype=np.int64)
    merged = best_of_groups(run, groups, len(last), places)
    return list(last), merged, [examples.qrels[name] for name in last.values()]


def p_mrr_of_queries(examples: RankingExamples, run: Run) -> dict[str, float]:
    """Mean `rank_score` of each base query over the documents whose relevance its change removed.

    A base without such documents, or without both queries `<base>-og` and `<base>-changed`, is left out.
    """
    changed = examples.changed if examples.changed is not None else no_longer_relevant(examples)
    position = positions(examples.doc_ids, {doc for docs in changed.values() for doc in docs})
    place = {name: i for i, name in enumerate(examples.query_ids)}
    out: dict[str, float] = {}
    for base, docs in changed.items():
        lists = place.get(base + OG), place.get(base + CHANGED)
        if lists[0] is None or lists[1] is None or not docs:
            continue
        og, new = (
            np.array([run.rank(i, position.get(doc, -1)) for doc in docs]) for i in lists if i is not None
        )
        out[base] = sum(rank_score(og, new).tolist()) / len(docs)
    return out


def no_longer_relevant(examples: RankingExamples) -> dict[str, list[str]]:
    """Per base query the documents relevant to `<base>-og` and not to `<base>-changed`."""
    out: dict[str, list[str]] = {}
    for name in examples.query_ids:
        base = name.removesuffix(OG)
        if base != name and base + CHANGED in examples.qrels:
            after = examples.qrels[base + CHANGED]
            out[base] = [d for d, grade in examples.qrels[name].items() if grade > 0 >= after.get(d, 0)]
    return out


def halves(query_ids: Sequence[str]) -> Mapping[str, Int64]:
    """Rows of the original (`og`) and of the changed instructions (`changed`, all others).

    Raises DataError if one of the two is empty.
    """
    is_og = np.array([name.endswith(OG) for name in query_ids], dtype=np.bool_)
    rows = {"og": np.flatnonzero(is_og), "changed": np.flatnonzero(~is_og)}
    for half, found in rows.items():
        if not len(found):
            raise DataError(f"p-MRR needs queries '<id>{OG}' and '<id>{CHANGED}'; none is {half}")
    return rows
