"""Bitext mining: is a sentence's nearest neighbour in the other language its translation?

Parity: mteb 2.26.24 (AbsTaskBitextMining, BitextMiningEvaluator): the model's own similarity, forward
only, each row of the other side a class. Of equally similar rows the lowest index is taken, whatever
the corpus size (see `harness.metrics.similarity.nearest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import BitextExamples
from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import check_vectors, column, conclude, main_metric, same_length
from harness.metrics.similarity import nearest
from harness.types import Int64, Scores, Texts, Vectors

METRICS = ("precision", "recall", "f1", "accuracy")


def needs(examples: BitextExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """Both languages, under `sentence1` and `sentence2`."""
    return {"sentence1": Texts(examples.sentence1), "sentence2": Texts(examples.sentence2)}


def score(examples: BitextExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Precision, recall and F1 weighted by class, and accuracy, of the nearest rows.

    Raises DataError (gold missing or outside sentence2), ModelError, NonFiniteError, UnknownNameError.
    """
    main = main_metric(settings.get("main") or scorer("bitext").main, METRICS)
    gold = _gold(examples)
    check_vectors(needs(examples, settings), vectors)
    predicted, best = nearest(
        vectors["sentence1"], vectors["sentence2"], settings.get("similarity", "cosine")
    )
    samples = pa.table(
        {"row": np.arange(len(gold), dtype=np.int64), "gold": gold, "predicted": predicted, "score": best}
    )
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples; none is ever undefined. A class never predicted has precision 0."""
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = column(samples, "gold"), column(samples, "predicted")
    precision, recall, f1, _ = precision_recall_fscore_support(
        gold, predicted, average="weighted", zero_division=0
    )
    exact = {
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "accuracy": float(np.mean(gold == predicted)),
    }
    return exact, {}


def _gold(examples: BitextExamples) -> Int64:
    gold = np.asarray(examples.gold, dtype=np.int64)
    same_length(sentence1=examples.sentence1, gold=gold)
    outside = (gold < 0) | (gold >= len(examples.sentence2))
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"row {row} points at sentence2 {gold[row]}, which has {len(examples.sentence2)} rows"
        )
    return gold
