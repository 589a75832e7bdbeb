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
        module: where the definition stands.
        better: which way is better; "neither" for spreads.
        low, high: the range of values.
    """

    pattern: str
    module: str
    better: Literal["higher", "lower", "neither"] = "higher"
    low: float = 0.0
    high: float = 1.0


FAMILIES: tuple[Family, ...] = (
    Family(r"(ndcg|map|recall|precision|hit_rate|mrr)_at_\d+", "ranking"),
    Family(r"nauc_(ndcg|map|recall|precision|mrr)_at_\d+_(max|std|diff1)", "ranking", low=float("-inf")),
    Family(r"first_stage_recall_at_\d+", "ranking"),
    Family(r"accuracy_at_\d+", "ranking"),  # JMTEB's: a relevant document among the best k
    Family(r"R_cap_at_\d+", "ranking"),
    Family(r"p-MRR", "ranking", low=-1.0),
    Family(r"paired_accuracy|robustness_at_10|level_score.*", "ranking"),
    Family(r"(pearson|spearman)", "correlation", low=-1.0),
    Family(r"(accuracy|f1|precision|recall)(_weighted)?", "classification"),
    Family(r"(macro|binary)_f1", "classification"),
    Family(r"ap(_weighted)?", "classification"),
    Family(r"lrap|hamming", "classification"),
    Family(r"v_measure|homogeneity|completeness", "clustering"),
    Family(r"ami", "clustering", low=-1.0),
    Family(r"(v_measure|ami)_std", "clustering", better="neither"),
    Family(r"(anchor|entailment)_score", "similarity"),
    Family(r"(anchor|entailment)_error_rate", "similarity", better="lower", high=100.0),
)

PREFIXES = ("similarity_", "cosine_", "manhattan_", "euclidean_", "dot_", "max_over_subqueries_", "max_")


def canonical(name: str) -> str:
    """A metric's name as results spell it: `ndcg@10` is `ndcg_at_10`, `map` and others stay."""
    return re.sub(r"@(\d+)$", r"_at_\1", name.strip())


def family(name: str) -> Family:
    """What is known of a metric. Raises UnknownNameError for a name that no table row covers."""
    bare = canonical(name)
    for prefix in PREFIXES:
        if bare.startswith(prefix):
            bare = bare.removeprefix(prefix)
            break
    for row in FAMILIES:
        if re.fullmatch(row.pattern, bare):
            return row
    raise UnknownNameError("metric", name, [row.pattern for row in FAMILIES])
