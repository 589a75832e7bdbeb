"""Names on older model cards and today's: metrics, and data sets that have moved. Data, and pure look-ups.

The one place that knows how mteb before 2 spelled its metrics. What a name stands for depends on how the
result was scored: under protocol `cmteb-v1` `map` and `mrr` are stored by these names; under `mteb` they are
`map_at_1000` and `mrr_at_10` (the old `mrr` was always cut at 10). Under any other protocol a name is itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from harness.errors import UnknownNameError

CARD_ERA = "cmteb-v1"
WITH_OLD_NAMES = ("mteb", CARD_ERA)

# mteb's task type to the metrics that cards of mteb 1 have, in their spelling; {} is each word after it.
_RANKS = ("1", "3", "5", "10", "100", "1000")
_CORRELATIONS = ("pearson", "spearman")
_PAIRS = ("accuracy", "ap", "f1", "precision", "recall")


def _each(patterns: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(pattern.format(word) for pattern in patterns for word in words)


V1_METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "STS": _each(("cos_sim_{}", "euclidean_{}", "manhattan_{}"), _CORRELATIONS),
        "PairClassification": (
            *_each(("cos_sim_{}", "dot_{}", "euclidean_{}", "manhattan_{}"), _PAIRS),
            *_each(("max_{}",), _PAIRS[:3]),
        ),
        "Retrieval": _each(
            ("map_at_{}", "mrr_at_{}", "ndcg_at_{}", "precision_at_{}", "recall_at_{}"), _RANKS
        ),
        "Reranking": ("map", "mrr"),
        "Classification": ("accuracy", "f1", "ap"),
        "Clustering": ("v_measure",),
        "Summarization": _each(("cos_sim_{}", "dot_{}"), _CORRELATIONS),
        "BitextMining": ("accuracy", "f1", "precision", "recall"),
    }
)

# Under protocol mteb; what a reranking list was measured by then is measured at a depth now.
_RERANKING = {"map": "map_at_1000", "mrr": "mrr_at_10"}

# Metrics of today with capitals; all others are in small letters, however a card writes them.
_CAPITALS = {"p-mrr": "p-MRR", "r_cap": "R_cap"}

# Data sets that cards call otherwise than the task; then the rule of `_HOMES`.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "C-MTEB/Mmarco-reranking": "MMarcoReranking",
        "C-MTEB/CMedQAv1-reranking": "CMedQAv1-reranking",
        "C-MTEB/CMedQAv2-reranking": "CMedQAv2-reranking",
        "mteb/amazon_reviews_multi": "AmazonReviewsClassification",
        "mteb/amazon_massive_intent": "MassiveIntentClassification",
        "mteb/amazon_massive_scenario": "MassiveScenarioClassification",
        "mteb/sts22-crosslingual-sts": "STS22",
        "C-MTEB/OCNLI": "Ocnli",
        "C-MTEB/CMNLI": "Cmnli",
        "C-MTEB/waimai-classification": "Waimai",
    }
)
_HOMES = re.compile(r"C-MTEB/(?P<task>.+?)(-classification)?")

# The other way round, for the tasks that the aliases and the rule do not give back.
CARD_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **{task: path for path, task in ALIASES.items()},
        **{
            name: f"C-MTEB/{name}-classification"
            for name in ("IFlyTek", "JDReview", "MultilingualSentiment", "OnlineShopping", "TNews")
        },
        **{
            name: f"C-MTEB/{name}"
            for name in (
                "CmedqaRetrieval", "CovidRetrieval", "DuRetrieval", "EcomRetrieval", "MedicalRetrieval",
                "MMarcoRetrieval", "T2Retrieval", "VideoRetrieval", "T2Reranking", "CLSClusteringP2P",
                "CLSClusteringS2S", "ThuNewsClusteringP2P", "ThuNewsClusteringS2S", "AFQMC", "ATEC", "BQ",
                "LCQMC", "PAWSX", "QBQTC", "STSB",
            )
        },
    }
)  # fmt: skip

# Display names on cards that are not `MTEB <Task>`.
CARD_NAMES: Mapping[str, str] = MappingProxyType(
    {"CMedQAv1-reranking": "MTEB CMedQAv1", "CMedQAv2-reranking": "MTEB CMedQAv2"}
)


def today(metric: str, protocol: str = "mteb") -> str:
    """Today's name of a metric under any of its spellings: `cos_sim_ap`, `ndcg@10`, `mrr` ...

    Args:
        protocol: how the result that should hold it was scored.
    """
    name = re.sub(r"\(.*\)$", "", metric).lower().replace("@", "_at_")
    name = re.sub(r"^(p-mrr$|r_cap(?=_at_))", lambda found: _CAPITALS[found[0]], name)
    if protocol in WITH_OLD_NAMES:
        name = re.sub(r"^cos_sim_", "cosine_", name)
    return _RERANKING.get(name, name) if protocol == "mteb" else name


def old_name(metric: str, type_: str, protocol: str = "mteb") -> str | None:
    """What cards of mteb 1 call a metric of today; None for one that they do not have.

    Args:
        type_: mteb's task type, a key of V1_METRICS.
    """
    return next((old for old in V1_METRICS.get(type_, ()) if today(old, protocol) == metric), None)


def v1_metrics(metrics: Mapping[str, float], type_: str, protocol: str = "mteb") -> dict[str, float]:
    """The metrics of a card of mteb 1, by their old names, from those of a result.

    `max_*` of pair classification is the maximum over the four similarities of then; mteb 2 has five.
    A metric that the result lacks is left out (`ap` where there are not two classes).

    Raises:
        UnknownNameError: cards of mteb 1 do not have that type of task.
    """
    if type_ not in V1_METRICS:
        raise UnknownNameError("task type of mteb 1", type_, V1_METRICS)
    found: dict[str, float] = {}
    for old in V1_METRICS[type_]:
        if old.startswith("max_"):
            value = largest(metrics, old)
        else:
            value = metrics.get(today(old, protocol), metrics.get(old))  # the latter: a result of mteb 1
        if value is not None:
            found[old] = value
    return found


def largest(metrics: Mapping[str, float], name: str) -> float | None:
    """`max_...` over the four similarities that every version of mteb has; None where one is missing."""
    parts = [f"{own}_{name.removeprefix('max_')}" for own in ("cosine", "dot", "euclidean", "manhattan")]
    return max(metrics[part] for part in parts) if metrics.keys() >= set(parts) else None


def task_of(dataset: str, paths: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The task behind a card's dataset type, such as `C-MTEB/TNews-classification`; None where unknown.

    Args:
        paths: a data set's path today to its task, for data sets outside C-MTEB. Where several tasks share
            a path, config and split on the card must tell them apart.
    """
    if dataset in ALIASES:
        return ALIASES[dataset]
    found = _HOMES.fullmatch(dataset)
    return found["task"] if found else paths.get(dataset)
