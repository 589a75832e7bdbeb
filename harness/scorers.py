"""The table of task kinds and the named ways to score them; the code stands in `harness.kinds`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from harness.errors import ConfigError, UnknownNameError
from harness.types import ModelKind

BI: tuple[ModelKind, ...] = ("bi-encoder",)
BI_CROSS: tuple[ModelKind, ...] = ("bi-encoder", "cross-encoder")
CROSS: tuple[ModelKind, ...] = ("cross-encoder",)
ALL: tuple[ModelKind, ...] = ("bi-encoder", "cross-encoder", "lexical")

PROTOCOLS: tuple[str, ...] = ("mteb", "jmteb-1.3.3", "jmteb", "cmteb-v1", "sbert", "custom")
LIKE_MTEB: tuple[str, ...] = ("mteb", "cmteb-v1", "custom")  # mteb's scorer where they have none of their own


@dataclass(frozen=True)
class Scorer:
    """A named way to score a kind.

    Attributes:
        version: raised whenever the figures it gives could change; part of a result's validity.
        main: main metric where neither the task nor its manifest names one.
        models: kinds of model it can score.
        protocols: those, beside mteb's, that score the kind this way unless a task names another scorer.
        rows: format of the rows it reads (a key of `harness.data.build.FIELDS`); empty for its kind's.
        defaults: settings and their default values; unknown settings are refused.
        by_protocol: protocol to the defaults that are its own.
        dev: whether it chooses on a dev split what it scores, so that its examples are `DevTest`.
        stream: whether mteb's task object draws from one random stream that runs on from entry to entry
            (`rng: sequence`).
    """

    kind: str
    name: str
    module: str
    main: str
    models: tuple[ModelKind, ...]
    version: int = 1
    protocols: tuple[str, ...] = ()
    rows: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    by_protocol: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dev: bool = False
    stream: bool = False

    def load(self) -> ModuleType:
        """The module that implements this scorer."""
        return import_module(self.module)


_RANKING: dict[str, Any] = {
    "top_k": 1000,
    "k_values": (1, 3, 5, 10, 20, 100, 1000),
    "ignore_identical_ids": False,
    "skip_first_result": False,
    "extra": (),  # max_over_subqueries, p_mrr, paired_accuracy, robustness_at_10, level_scores, recall_cap
}

# JMTEB's own evaluators. `upstream`: its slips included, so that figures compare with published ones.
_JMTEB: dict[str, Any] = {"protocols": ("jmteb-1.3.3", "jmteb"), "dev": True}
_SLIPS: dict[str, Any] = {
    **_JMTEB, "defaults": {"upstream": False}, "by_protocol": {"jmteb-1.3.3": {"upstream": True}},
}  # fmt: skip

_TABLE = (
    Scorer("sts", "correlation", "harness.kinds.sts", "cosine_spearman", BI_CROSS),
    Scorer("pair_classification", "thresholds", "harness.kinds.pair_classification", "max_ap", BI_CROSS),
    Scorer("pair_classification", "cmteb", "harness.kinds.pair_classification_v1", "cosine_ap", BI_CROSS,
           protocols=("cmteb-v1",)),
    Scorer(
        "classification", "few_shot", "harness.kinds.classification", "accuracy", BI,
        defaults={"samples_per_label": 8, "n_experiments": 10, "seed": 42,
                  "cross_validation": False, "n_splits": 5},
    ),
    Scorer(
        "multilabel", "few_shot_knn", "harness.kinds.multilabel", "accuracy", BI, stream=True,
        defaults={"samples_per_label": 8, "n_experiments": 10, "seed": 42, "max_eval_samples": 3000},
    ),
    Scorer(
        "clustering", "bootstrap_kmeans", "harness.kinds.clustering_bootstrap", "v_measure", BI, stream=True,
        defaults={"max_fraction_of_documents_to_embed": 0.04, "max_document_to_embed": None, "seed": 42,
                  "max_documents_per_cluster": 16384, "n_clusters": 10, "k_mean_batch_size": 512,
                  "max_depth": None},
    ),
    Scorer(
        "clustering", "minibatch_kmeans", "harness.kinds.clustering_sets", "v_measure", BI,
        defaults={"batch_size": 500, "seed": 42},
    ),
    Scorer("retrieval", "trec", "harness.kinds.ranking", "ndcg_at_10", ALL, defaults=_RANKING),
    Scorer("reranking", "trec", "harness.kinds.ranking", "map_at_1000", ALL, defaults=_RANKING),
    Scorer("reranking", "cmteb", "harness.kinds.reranking_v1", "map", BI_CROSS, protocols=("cmteb-v1",),
           defaults={"subqueries": False}),
    Scorer("reranking", "cross_encoder_reranking", "harness.kinds.reranking_sbert", "ndcg_at_{at_k}", CROSS,
           protocols=("sbert",), rows="cross_encoder_reranking",
           defaults={"at_k": 10, "always_rerank_positives": True}),
    Scorer(
        "instruction_reranking", "trec", "harness.kinds.ranking", "p-MRR", ALL,
        defaults={**_RANKING, "extra": ("p_mrr",)},
    ),
    Scorer(
        "summarization", "mean_correlation", "harness.kinds.summarization", "cosine_spearman", BI,
        defaults={"min_score": 0, "max_score": 5, "average_p_values": False},
    ),
    Scorer(
        "summarization", "mean_with_p", "harness.kinds.summarization", "cosine_spearman", BI,
        defaults={"min_score": 0, "max_score": 5, "average_p_values": True},
    ),
    Scorer("bitext", "nearest", "harness.kinds.bitext", "f1", BI),
    Scorer("triplet", "negation", "harness.kinds.triplet", "anchor_score", BI_CROSS),
    Scorer("sts", "dev_selected", "harness.kinds.jmteb_sts", "spearman", BI, **_SLIPS),
    Scorer("pair_classification", "dev_selected", "harness.kinds.jmteb_pairs", "binary_f1", BI, **_SLIPS),
    Scorer(
        "classification", "full_train_dev_selected", "harness.kinds.jmteb_classification", "macro_f1", BI,
        **_JMTEB,
    ),
    Scorer(
        "clustering", "dev_selected", "harness.kinds.jmteb_clustering", "v_measure", BI,
        defaults={"seed": 42}, **_JMTEB,
    ),
    Scorer("retrieval", "jmteb", "harness.kinds.jmteb_retrieval", "ndcg_at_10", BI, **_SLIPS),
    Scorer("reranking", "jmteb", "harness.kinds.jmteb_reranking", "ndcg_at_10", BI, **_SLIPS),
    Scorer("aggregate", "mean_of_members", "harness.kinds.aggregate", "ndcg_at_10", ALL),
)  # fmt: skip

SCORERS: dict[tuple[str, str], Scorer] = {(s.kind, s.name): s for s in _TABLE}
OF_ROWS: dict[str, Scorer] = {s.rows: s for s in _TABLE if s.rows}  # row format to the scorer that reads it
KINDS: tuple[str, ...] = tuple(dict.fromkeys(s.kind for s in _TABLE))

REFUSED: dict[str, str] = {
    "image": "image tasks need an image encoder",
    "audio": "audio tasks need an audio encoder",
    "video": "video tasks need a video encoder",
    "regression": "regression is not a task of MTEB's text benchmarks",
    "zero_shot": "zero-shot classification pairs images or audio with text",
}


def scorer(kind: str, name: str | None = None, protocol: str = "mteb") -> Scorer:
    """The scorer called `name` of a kind; the protocol's own when no name is given.

    Raises:
        UnknownNameError: no such kind, or no scorer of that name.
        ConfigError: the protocol does not score this kind.
    """
    if kind not in KINDS:
        raise UnknownNameError("task kind", kind, KINDS)
    here = {own: s for (of, own), s in SCORERS.items() if of == kind}
    if name is None:
        own = next((s for s in here.values() if protocol in s.protocols), None)
        if own is None and protocol not in LIKE_MTEB:
            able = [s.kind for s in SCORERS.values() if protocol in s.protocols]
            raise ConfigError(
                f"protocol {protocol} does not score {kind}; it scores {', '.join(able) or 'nothing yet'}"
            )
        return own or next(iter(here.values()))
    if name not in here:
        raise UnknownNameError(f"scorer of {kind}", name, here)
    return here[name]
