"""Metrics: pure functions, and one table of every name a result can carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.errors import UnknownNameError


@dataclass(frozen=True)
class Family:
    """Metrics that share a definition.

    Attributes:
        pattern: regular expression over the whole name, prefixes such as `cosine_` left out.
        names: some that it covers, apart by spaces, for those who misspell one.
        module: where the definition stands.
        better: which way is better; "neither" for spreads.
        low, high: the range of values.
    """

    pattern: str
    names: str
    module: str
    better: Literal["higher", "lower", "neither"] = "higher"
    low: float = 0.0
    high: float = 1.0


FAMILIES: tuple[Family, ...] = (
    Family(
        r"(ndcg|map|recall|precision|hit_rate|mrr)_at_\d+",
        "ndcg_at_10 map_at_10 recall_at_10 precision_at_10 hit_rate_at_10 mrr_at_10",
        "ranking",
    ),
    Family(
        r"nauc_(ndcg|map|recall|precision|mrr)_at_\d+_(max|std|diff1)",
        "nauc_ndcg_at_10_max",
        "ranking",
        low=float("-inf"),
    ),
    Family(r"first_stage_recall_at_\d+", "first_stage_recall_at_100", "ranking"),
    Family(r"accuracy_at_\d+", "accuracy_at_1", "ranking"),  # JMTEB's: a relevant document among the best k
    Family(r"R_cap_at_\d+", "R_cap_at_10", "ranking"),
    Family(
        r"map|mrr|base_(map|(mrr|ndcg)_at_\d+)", "map mrr base_map base_ndcg_at_10", "reranking"
    ),  # of lists that are not cut
    Family(r"delta_(map|(mrr|ndcg)_at_\d+)", "delta_map delta_ndcg_at_10", "reranking", low=-1.0),
    Family(r"p-MRR", "p-MRR", "ranking", low=-1.0),
    Family(r"paired_accuracy|robustness_at_10|level_score.*", "paired_accuracy robustness_at_10", "ranking"),
    Family(r"(pearson|spearman)", "spearman pearson", "correlation", low=-1.0),
    Family(
        r"(accuracy|f1|precision|recall)(_weighted)?",
        "accuracy f1 precision recall f1_weighted",
        "classification",
    ),
    Family(r"(macro|binary)_f1", "macro_f1 binary_f1", "classification"),
    Family(r"ap(_weighted)?", "ap ap_weighted", "classification"),
    Family(r"lrap|hamming", "lrap hamming", "classification"),
    Family(r"v_measure|homogeneity|completeness", "v_measure homogeneity completeness", "clustering"),
    Family(r"ami", "ami", "clustering", low=-1.0),
    Family(r"(v_measure|ami)_std", "v_measure_std", "clustering", better="neither"),
    Family(r"(anchor|entailment)_score", "anchor_score entailment_score", "similarity"),
    Family(
        r"(anchor|entailment)_error_rate",
        "anchor_error_rate entailment_error_rate",
        "similarity",
        better="lower",
        high=100.0,
    ),
)

PREFIXES = ("similarity_", "cosine_", "manhattan_", "euclidean_", "dot_", "max_over_subqueries_", "max_")


def canonical(name: str) -> str:
    """A metric's name as results spell it: `ndcg@10` is `ndcg_at_10`, `map` and others stay."""
    return re.sub(r"@(\d+)$", r"_at_\1", name.strip())


def family(name: str, what: str = "metric") -> Family:
    """What is known of a metric.

    Raises:
        UnknownNameError: no row of the table covers the name; the error calls it `what`.
    """
    bare = canonical(name)
    before = next((prefix for prefix in PREFIXES if bare.startswith(prefix)), "")
    bare = bare.removeprefix(before)
    for row in FAMILIES:
        if re.fullmatch(row.pattern, bare):
            return row
    raise UnknownNameError(what, name, [before + one for row in FAMILIES for one in row.names.split()])
