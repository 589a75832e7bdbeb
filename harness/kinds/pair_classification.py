"""Pair classification: can a threshold on the similarity tell the pairs labelled 1 from those labelled 0?

Parity: mteb 2.26.24 (AbsTaskPairClassification, PairClassificationEvaluator), with one difference: where
no pair is labelled 1, average precision is undefined (mteb warns and writes 0.0); F1, precision and
recall are 0.0 there, as in mteb. A cross-encoder scores left with right and has `ap`, `f1`, `accuracy`,
`precision` and `recall` alone; a main metric such as `max_ap` then means `ap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import PairExamples
from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import (
    check_pair_scores,
    check_vectors,
    column,
    conclude,
    main_metric,
    main_metric_of_pairs,
    same_length,
)
from harness.metrics.similarity import paired
from harness.metrics.thresholds import average_precision, best_cuts
from harness.types import Float32, Int64, Pairs, Scores, Texts, Vectors

# Prefix of the metrics, column of the samples, and the sign that makes larger mean closer.
SETS = (
    ("similarity_", "similarity", 1),
    ("cosine_", "cosine", 1),
    ("manhattan_", "manhattan_distance", -1),
    ("euclidean_", "euclidean_distance", -1),
    ("dot_", "dot", 1),
)
_CROSS_SETS = (("", "score", 1),)
CROSS_METRICS = ("accuracy", "f1", "precision", "recall", "ap")
METRICS = tuple(
    prefix + name for prefix in (*(prefix for prefix, _, _ in SETS), "max_") for name in CROSS_METRICS
)


def needs(examples: PairExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """Both sides of the pairs, under `sentence1` and `sentence2`."""
    return {"sentence1": Texts(examples.sentence1), "sentence2": Texts(examples.sentence2)}


def score(examples: PairExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Accuracy, F1, precision, recall and AP of five similarities, and the maximum of each over the five.

    Raises DataError (labels missing or not 0 and 1, main metric undefined), ModelError, NonFiniteError,
    UnknownNameError (main metric, similarity).
    """
    main = main_metric(settings.get("main") or scorer("pair_classification").main, METRICS)
    labels = labels_of(examples)
    check_vectors(needs(examples, settings), vectors)
    values = paired(
        vectors["sentence1"],
        vectors["sentence2"],
        ("similarity", "cosine", "manhattan", "euclidean", "dot"),
        settings.get("similarity", "cosine"),
    )
    samples = pa.table(
        {
            "label": labels,
            "similarity": values["similarity"],
            "cosine": values["cosine"],
            "manhattan_distance": values["manhattan"],
            "euclidean_distance": values["euclidean"],
            "dot": values["dot"],
        }
    )
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def pairs(examples: PairExamples, settings: Mapping[str, Any]) -> Pairs:
    """Each sentence1 with its sentence2, left to right."""
    return Pairs(examples.sentence1, examples.sentence2)


def score_pairs(examples: PairExamples, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    """Accuracy, F1, precision, recall and AP of a cross-encoder's scores [n]; errors as in `score`."""
    main = main_metric_of_pairs(settings.get("main") or "ap", CROSS_METRICS, METRICS)
    labels = labels_of(examples)
    answered = check_pair_scores(examples.sentence1, examples.sentence2, scores)
    samples = pa.table({"label": labels, "score": answered})
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples, and the reasons of those that have no value."""
    return metrics_of(samples, SETS, CROSS_METRICS)


def metrics_of(
    samples: pa.Table,
    sets: Sequence[tuple[str, str, int]],
    maxima: Sequence[str],
    *,
    split_ties: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """`metrics_from`, over some of SETS and with `max_*` of some metrics.

    Args:
        split_ties: as in `best_cuts`.
    """
    labels = column(samples, "label")
    cross = "score" in samples.column_names
    exact: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for prefix, name, sign in _CROSS_SETS if cross else sets:
        values = sign * column(samples, name)
        cuts = best_cuts(values, labels, split_ties=split_ties)
        exact |= {prefix + metric: value for metric, value in cuts._asdict().items()}
        precision = average_precision(values, labels)
        if precision is None:
            undefined[f"{prefix}ap"] = "average precision needs a pair labelled 1, and there is none"
        else:
            exact[f"{prefix}ap"] = precision
    if cross:
        return exact, undefined
    for metric in maxima:
        over = [prefix + metric for prefix, _, _ in sets]
        if over[0] in undefined:  # no label is 1: the same reason for every set
            undefined[f"max_{metric}"] = undefined[over[0]]
        else:
            exact[f"max_{metric}"] = max(exact[name] for name in over)
    return exact, undefined


def labels_of(examples: PairExamples) -> Int64:
    """The labels, int64 [n] of 0 and 1. Raises DataError naming the first that is something else."""
    labels = np.asarray(examples.gold)
    same_length(sentence1=examples.sentence1, sentence2=examples.sentence2, labels=labels)
    good = np.isin(labels, (0, 1)) & (labels.dtype.kind in "biuf")
    if not good.all():
        first = int(good.argmin())
        raise DataError(f"label of pair {first} is {labels.tolist()[first]!r}; labels are 0 or 1")
    return labels.astype(np.int64)
