"""Triplets: is an anchor closer to a sentence it entails than to one that negates it?

`anchor_score` is the share of rows with cos(anchor, entailment) > cos(anchor, negative),
`entailment_score` the share with cos(anchor, entailment) > cos(negative, entailment); a tie is an error.
The error rates are 100 * (1 - score), percent. A cross-encoder scores the pairs (anchor, entailment) of
all rows, then (anchor, negative), then (negative, entailment).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import TripletExamples
from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import (
    check_pair_scores,
    check_vectors,
    column,
    conclude,
    main_metric,
    same_length,
)
from harness.metrics.similarity import paired
from harness.types import Float32, Pairs, Scores, Texts, Vectors

METRICS = ("anchor_score", "entailment_score", "anchor_error_rate", "entailment_error_rate")
_SIDES = (("anchor", "entailment"), ("anchor", "negative"), ("negative", "entailment"))


def needs(examples: TripletExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The three sentences of every row, under `anchor`, `entailment` and `negative`."""
    return {
        "anchor": Texts(examples.anchor),
        "entailment": Texts(examples.entailment),
        "negative": Texts(examples.negative),
    }


def score(examples: TripletExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Both scores and error rates from cosines, whatever similarity the model has of its own.

    Raises DataError (columns that do not match), ModelError, NonFiniteError, UnknownNameError.
    """
    main = main_metric(settings.get("main") or scorer("triplet").main, METRICS)
    _check(examples)
    check_vectors(needs(examples, settings), vectors)
    cosines = {
        f"{left}_{right}": paired(vectors[left], vectors[right], ("cosine",))["cosine"]
        for left, right in _SIDES
    }
    samples = pa.table(cosines)
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def pairs(examples: TripletExamples, settings: Mapping[str, Any]) -> Pairs:
    """(anchor, entailment) of all rows, then (anchor, negative), then (negative, entailment)."""
    left = [text for side, _ in _SIDES for text in getattr(examples, side)]
    right = [text for _, side in _SIDES for text in getattr(examples, side)]
    return Pairs(left, right)


def score_pairs(examples: TripletExamples, scores: Float32, settings: Mapping[str, Any]) -> Scores:
    """The same from a cross-encoder's scores [3 n], in the order of `pairs`; errors as in `score`."""
    main = main_metric(settings.get("main") or scorer("triplet").main, METRICS)
    n = _check(examples)
    asked = pairs(examples, settings)
    answered = check_pair_scores(asked.left, asked.right, scores).reshape(3, n)
    samples = pa.table({f"{a}_{b}": row for (a, b), row in zip(_SIDES, answered, strict=True)})
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples; none is ever undefined."""
    entailed, negated, between = (column(samples, f"{a}_{b}") for a, b in _SIDES)
    anchor, entailment = float(np.mean(entailed > negated)), float(np.mean(entailed > between))
    exact = {
        "anchor_score": anchor,
        "entailment_score": entailment,
        "anchor_error_rate": 100 * (1 - anchor),
        "entailment_error_rate": 100 * (1 - entailment),
    }
    return exact, {}


def _check(examples: TripletExamples) -> int:
    return same_length(anchor=examples.anchor, entailment=examples.entailment, negative=examples.negative)
