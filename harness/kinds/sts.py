"""Semantic textual similarity: how well similarities of sentence pairs follow human scores.

Parity: mteb 2.26.24 (AbsTaskSTS, AnySTSEvaluator). Gold scores are used as they come: bringing them to
0..1 is affine and changes no correlation. A cross-encoder scores left with right and has `pearson` and
`spearman` alone; a main metric of one of the sets (`cosine_spearman`) then means the plain one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.examples import PairExamples
from harness.errors import DataError, HarnessError, ModelError
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
from harness.metrics.correlation import pearson, spearman, why_undefined
from harness.metrics.similarity import paired
from harness.types import Float32, Pairs, Scores, Texts, Vectors

# Prefix of the metrics, column of the samples, and the sign that makes larger mean closer.
_SETS = (
    ("", "similarity", 1),
    ("cosine_", "cosine", 1),
    ("manhattan_", "manhattan_distance", -1),
    ("euclidean_", "euclidean_distance", -1),
)
_CROSS_SETS = (("", "score", 1),)
_CROSS_METRICS = ("pearson", "spearman")
METRICS = tuple(prefix + name for prefix, _, _ in _SETS for name in _CROSS_METRICS)


def needs(examples: PairExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """Both sides of the pairs, under `sentence1` and `sentence2`."""
    return {"sentence1": Texts(examples.sentence1), "sentence2": Texts(examples.sentence2)}


def score(examples: PairExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Pearson and Spearman of the model's similarity, cosine, and negated Manhattan and Euclidean distance.

    Raises DataError (gold missing, not finite or constant), ModelError (no correlation for the main
    metric's similarities), NonFiniteError, UnknownNameError (main metric, similarity).
    """
    main = main_metric(settings.get("main") or scorer("sts").main, METRICS)
    gold = _gold(examples)
    check_vectors(needs(examples, settings), vectors)
    values = paired(
        vectors["sentence1"],
        vectors["sentence2"],
        ("similarity", "cosine", "manhattan", "euclidean"),
        settings.get("similarity", "cosine"),
    )
    samples = pa.table(
        {
            "gold": gold,
            "similarity": values["similarity"],
            "cosine": values["cosine"],
            "manhattan_distance": values["manhattan"],
            "euclidean_distance": values["euclidean"],
        }
    )
    return conclude(main, samples, metrics_from(samples, settings), _blame(gold))


def pairs(examples: PairExamples, settings: Mapping[str, Any]) -> Pairs:
    """Each sentence1 with its sentence2, left to right."""
    return Pairs(examples.sentence1, examples.sentence2)


def score_pairs(examples: PairExamples, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    """Pearson and Spearman of a cross-encoder's scores [n]; errors as in `score`."""
    main = main_metric_of_pairs(settings.get("main") or "spearman", _CROSS_METRICS, METRICS)
    gold = _gold(examples)
    answered = check_pair_scores(examples.sentence1, examples.sentence2, scores)
    samples = pa.table({"gold": gold, "score": answered})
    return conclude(main, samples, metrics_from(samples, settings), _blame(gold))


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples, and the reasons of those that have no value."""
    gold = column(samples, "gold")
    exact: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for prefix, name, sign in _CROSS_SETS if "score" in samples.column_names else _SETS:
        values = sign * column(samples, name)
        reason = why_undefined(gold, values)
        if reason:
            undefined |= {f"{prefix}pearson": reason, f"{prefix}spearman": reason}
        else:
            exact[f"{prefix}pearson"] = pearson(gold, values).statistic
            exact[f"{prefix}spearman"] = spearman(gold, values).statistic
    return exact, undefined


def _gold(examples: PairExamples) -> npt.NDArray[np.float64]:
    gold = np.asarray(examples.gold, dtype=np.float64)
    same_length(sentence1=examples.sentence1, sentence2=examples.sentence2, gold=gold)
    if not np.isfinite(gold).all():
        raise DataError(f"gold score of pair {int(np.isfinite(gold).argmin())} is not a finite number")
    return gold


def _blame(gold: npt.NDArray[np.float64]) -> type[HarnessError]:
    return DataError if why_undefined(gold, gold) else ModelError
