"""Results that mteb wrote: today's TaskResult, and the format from before mteb 1.11, as Results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.store.files import Place
from harness.types import Result

SCORER = "mteb"
PROVENANCE = {"source": "mteb"}

# main metrics of mteb's task types; decides where several metrics have the value of the main score
MAINS = (
    "accuracy",
    "v_measure",
    "ndcg_at_10",
    "cosine_spearman",
    "max_ap",
    "max_accuracy",
    "map_at_1000",
    "map",
    "f1",
    "p-MRR",
)
NO_METRIC = frozenset(("main_score", "hf_subset", "languages", "mteb_version"))
NESTED = {
    "cos_sim": "cosine",
    "cosine": "cosine",
    "manhattan": "manhattan",
    "euclidean": "euclidean",
    "dot": "dot",
    "max": "max",
    "similarity": "similarity",
}


def foreign_result(
    document: Mapping[str, Any], place: Place, task: str, split: str, score: Mapping[str, Any]
) -> Result | None:
    """The Result in one score of an mteb file; None where its main score is missing or not finite.

    What mteb's file does not say stays empty: kind, data fingerprint, samples. `exact` equals `metrics`.
    """
    main = score["main_score"]
    if not is_finite(main):
        return None
    metrics: dict[str, float] = {}
    undefined: dict[str, str] = {}
    details: dict[str, Any] = {}
    for name, value in _flat(score).items():
        if name in NO_METRIC:
            continue
        if type(value) is float and value - value == 0:  # finite; the common case of very many
            metrics[name] = value
        elif value is None or isinstance(value, float):
            undefined[name] = "without a value in mteb's file"
        elif is_finite(value):
            metrics[name] = float(value)
        else:
            details[name] = value
    shown = main_metric(metrics, float(main))
    metrics.setdefault(shown, float(main))
    return Result(
        model=place.model,
        revision=place.revision,
        variant=place.variant,
        task=task,
        kind="",
        protocol=place.protocol,
        scorer=SCORER,
        split=split,
        subset=score["hf_subset"],
        languages=tuple(score["languages"]),
        data_revision=document["dataset_revision"],
        data_fingerprint="",
        main_metric=shown,
        metrics=metrics,
        exact=metrics,
        undefined=undefined,
        details=details,
        provenance=PROVENANCE,
    )


def upgraded(document: Any) -> Any:
    """A document of mteb before 1.11 in today's shape; any other one as it is.

    The old shape is `{mteb_dataset_name, mteb_version?, dataset_revision?, split: scores}`, scores being
    metrics or `{subset: metrics}`. Metrics are nested by similarity (`cos_sim: {spearman}` is
    `cosine_spearman` now). A main score often is missing; then it is the main metric of the task type
    that the metrics tell of. Languages are not recorded.
    """
    if not isinstance(document, dict) or "scores" in document or "mteb_dataset_name" not in document:
        return document
    splits = {name: value for name, value in document.items() if isinstance(value, dict)}
    return {
        "task_name": document["mteb_dataset_name"],
        "dataset_revision": document.get("dataset_revision") or "dataset revision not available",
        "mteb_version": document.get("mteb_version") or "mteb version not available",
        "scores": {split: _old_scores(value) for split, value in splits.items()},
    }


def _old_scores(split: Mapping[str, Any]) -> list[dict[str, Any]]:
    subsets = {
        k: v for k, v in split.items() if isinstance(v, dict) and k not in NESTED and k != "v_measures"
    }
    if not subsets:
        return [_old_score("default", split)]
    return [_old_score(subset, metrics) for subset, metrics in subsets.items()]


def _old_score(subset: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in _flat(metrics).items() if name != "evaluation_time"}
    if "main_score" not in flat:
        bitext = {"f1", "precision", "recall"} <= flat.keys()
        flat["main_score"] = flat.get("f1" if bitext else next((m for m in MAINS if m in flat), ""))
    return {**flat, "hf_subset": subset, "languages": []}


def _flat(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    if NESTED.keys().isdisjoint(metrics):
        return metrics
    flat: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict) and name in NESTED:
            flat |= {f"{NESTED[name]}_{metric}": number for metric, number in value.items()}
        else:
            flat[name] = value
    return flat


def main_metric(metrics: Mapping[str, float], main: float) -> str:
    """Which metric a main score is: the one of its value, of several the one that is a type's main metric."""
    for name in MAINS:
        if metrics.get(name) == main:
            return name
    return min((name for name, value in metrics.items() if value == main), default="main_score")


def is_finite(value: Any) -> bool:
    """Whether a value of a file is a number that a float holds; JSON's whole numbers have no end."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
