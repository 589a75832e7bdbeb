"""pair_classification, scorer `dev_selected`: similarity and threshold are chosen on dev, scored on test.

Reference: JMTEB 1.3.3, PairClassificationEvaluator. A threshold lies halfway between two neighbouring
scores of dev, never beyond the last; equal scores are kept in the order of the rows and may be parted.
With `upstream` its slip is kept: the cosine similarity is taken for a distance, so that less of it means
more alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.data.examples import DevTest, PairExamples
from harness.errors import DataError
from harness.kinds import _chosen, scorer
from harness.kinds._outcome import check_vectors, column, conclude, main_metric, same_length
from harness.metrics.similarity import Measure, paired
from harness.types import Float32, Int64, Scores, Texts, Vectors

METRICS = ("binary_f1", "accuracy")
CANDIDATES: tuple[Measure, ...] = ("cosine", "manhattan", "euclidean", "dot")


class Cuts(NamedTuple):
    """The best F1 and the best accuracy that a threshold reaches, each with its threshold."""

    binary_f1: float
    accuracy: float
    f1_threshold: np.float32
    accuracy_threshold: np.float32


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """Both sides of the pairs of both splits: `sentence1`, `sentence2`, `dev_sentence1`, `dev_sentence2`."""
    dev, test = _chosen.pair_parts(examples)
    return {**_chosen.sides(test), **_chosen.on_dev(_chosen.sides(dev))}


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """F1 of label 1, and accuracy, at the thresholds of the candidate that has the best F1 on dev.

    Raises DataError (labels missing, not 0 and 1, or of one value alone), ModelError, NonFiniteError,
    UnknownNameError (main metric).
    """
    main = main_metric(settings.get("main") or scorer("pair_classification", "dev_selected").main, METRICS)
    check_vectors(needs(examples, settings), vectors)
    dev, test = _chosen.pair_parts(examples)
    labels, dev_labels = _labels(test, "test"), _labels(dev, "dev")
    upstream = bool(settings["upstream"])
    on_dev = _chosen.of_dev(vectors, _chosen.sides(dev))
    values = paired(on_dev["sentence1"], on_dev["sentence2"], CANDIDATES)
    cuts = {name: best_cuts(values[name], dev_labels, _grows(name, upstream)) for name in CANDIDATES}
    found = {name: {metric: float(getattr(cut, metric)) for metric in METRICS} for name, cut in cuts.items()}
    chosen = _chosen.best(found, "binary_f1")
    cut, grows = cuts[chosen], _grows(chosen, upstream)
    scores = paired(vectors["sentence1"], vectors["sentence2"], (chosen,))[chosen]
    samples = pa.table(
        {
            "label": labels,
            "score": scores,
            "prediction": _predicted(scores, cut.f1_threshold, grows),
            "accuracy_prediction": _predicted(scores, cut.accuracy_threshold, grows),
        }
    )
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    thresholds = {"binary_f1": float(cut.f1_threshold), "accuracy": float(cut.accuracy_threshold)}
    return _chosen.told(outcome, chosen, found, thresholds=thresholds)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples; none is ever undefined."""
    gold, predicted = column(samples, "label") == 1, column(samples, "prediction") == 1
    right = column(samples, "accuracy_prediction") == column(samples, "label")
    either = int(gold.sum() + predicted.sum())
    f1 = 2 * int((gold & predicted).sum()) / either if either else 0.0
    return {"binary_f1": f1, "accuracy": float(right.mean())}, {}


def best_cuts(scores: Float32, labels: Int64, grows: bool) -> Cuts:
    """The best thresholds of float32 scores [n] for labels [n] of 0 and 1.

    Args:
        grows: whether a larger score means more alike. At least the threshold is then label 1, else less
            than it.

    Returns:
        the first best cut in the order of falling (or rising) scores; threshold -1 where no cut is any good.
    """
    order = np.argsort(-scores if grows else scores, kind="stable")
    ordered, hit = scores[order], labels[order] == 1
    count = np.arange(1, len(scores))
    positives = np.cumsum(hit)[:-1]
    with np.errstate(divide="ignore"):
        f1 = 2 / (1 / (positives / count) + 1 / (positives / hit.sum()))
    right = (positives + (~hit).sum() - (count - positives)) / len(labels)
    middle = (ordered[:-1] + ordered[1:]) / np.float32(2)
    (best_f1, at_f1), (best_right, at_right) = _first_best(f1, middle), _first_best(right, middle)
    return Cuts(best_f1, best_right, at_f1, at_right)


def _first_best(values: npt.NDArray[np.float64], middle: Float32) -> tuple[float, np.float32]:
    at = int(np.argmax(values)) if len(values) else -1
    if at < 0 or not values[at] > 0:
        return 0.0, np.float32(-1)
    return float(values[at]), np.float32(middle[at])


def _grows(name: str, upstream: bool) -> bool:
    return name == "dot" or (name == "cosine" and not upstream)


def _predicted(scores: Float32, threshold: np.float32, grows: bool) -> npt.NDArray[np.int8]:
    return ((scores >= threshold) if grows else (scores < threshold)).astype(np.int8)


def _labels(examples: PairExamples, split: str) -> Int64:
    labels = np.asarray(examples.gold)
    same_length(sentence1=examples.sentence1, sentence2=examples.sentence2, labels=labels)
    good = np.isin(labels, (0, 1)) & (labels.dtype.kind in "biuf")
    if not good.all():
        first = int(good.argmin())
        raise DataError(f"label of {split} pair {first} is {labels.tolist()[first]!r}; labels are 0 or 1")
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"all pairs of {split} are labelled {labels.tolist()[0]}; a threshold needs both labels"
        )
    return labels.astype(np.int64)
