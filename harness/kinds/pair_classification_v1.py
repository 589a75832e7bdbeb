"""Pair classification as the model cards of C-MTEB's first two years have it, scorer `cmteb`.

Parity: mteb 1.1.1 (AbsTaskPairClassification, PairClassificationEvaluator), with today's spelling of the
names: four similarities and no `similarity_*`, a sweep that may part equal scores (in the order of the
rows), and a maximum over the four for accuracy, F1 and AP alone. Where no pair is labelled 1, AP is
undefined (mteb 1.1.1 wrote 0.0). A cross-encoder, which mteb 1.1.1 did not score, has its five metrics by
the same sweep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from harness.data.examples import PairExamples
from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import (
    check_pair_scores,
    check_vectors,
    conclude,
    main_metric,
    main_metric_of_pairs,
)
from harness.kinds.pair_classification import CROSS_METRICS, SETS, labels_of, metrics_of, needs, pairs
from harness.metrics.similarity import paired
from harness.types import Float32, Scores, Vectors

__all__ = ["metrics_from", "needs", "pairs", "score", "score_pairs"]

_SETS = tuple(own for own in SETS if own[0] != "similarity_")
_MAXIMA = ("accuracy", "f1", "ap")
METRICS = (
    *(prefix + name for prefix, _, _ in _SETS for name in CROSS_METRICS),
    *(f"max_{name}" for name in _MAXIMA),
)


def score(examples: PairExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Accuracy, F1, precision, recall and AP of four similarities; of three of them the maximum.

    Raises DataError (labels missing or not 0 and 1, main metric undefined), ModelError, NonFiniteError,
    UnknownNameError (main metric).
    """
    main = main_metric(settings.get("main") or scorer("pair_classification", "cmteb").main, METRICS)
    labels = labels_of(examples)
    check_vectors(needs(examples, settings), vectors)
    values = paired(vectors["sentence1"], vectors["sentence2"], ("cosine", "manhattan", "euclidean", "dot"))
    samples = pa.table(
        {
            "label": labels,
            "cosine": values["cosine"],
            "manhattan_distance": values["manhattan"],
            "euclidean_distance": values["euclidean"],
            "dot": values["dot"],
        }
    )
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def score_pairs(examples: PairExamples, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    """Accuracy, F1, precision, recall and AP of a cross-encoder's scores [n]; errors as in `score`."""
    main = main_metric_of_pairs(settings.get("main") or "ap", CROSS_METRICS, METRICS)
    labels = labels_of(examples)
    answered = check_pair_scores(examples.sentence1, examples.sentence2, scores)
    samples = pa.table({"label": labels, "score": answered})
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples, and the reasons of those that have no value."""
    return metrics_of(samples, _SETS, _MAXIMA, split_ties=True)
