"""classification, scorer `full_train_dev_selected`: two classifiers on the whole train set, one is chosen.

Reference: JMTEB 1.3.3, ClassificationEvaluator: two nearest neighbours by cosine and scikit-learn's
LogisticRegression with its defaults, both on float32 vectors as they are; the better macro F1 on dev counts,
and what was fitted is not fitted again. Labels are numbered once for all splits, by sorted order (upstream
numbers strings in each split by itself, which goes wrong where a split lacks a label).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import DevTest, LabelledExamples
from harness.errors import DataError
from harness.kinds import _chosen, scorer
from harness.kinds import _labelled as shared
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.metrics.classification import label_scores
from harness.types import Float32, Int64, Scores, Texts, Vectors

METRICS = ("macro_f1", "accuracy")
CANDIDATES = ("knn_cosine_k_2", "logreg")

_BLOCK = 8192
_CELLS = 2**24  # distances that are held at a time: 64 MiB


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """All rows of the three splits: `train`, `test`, `dev_test`.

    Raises DataError for splits without rows, or with other numbers of labels than texts.
    """
    dev, test = _parts(examples)
    shared.check_rows(test.train_texts, test.train_labels, "training data")
    shared.check_rows(test.texts, test.labels, "test data")
    shared.check_rows(dev.texts, dev.labels, "dev data")
    return {"train": Texts(test.train_texts), "test": Texts(test.texts), "dev_test": Texts(dev.texts)}


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Macro F1 and accuracy of the classifier that has the better macro F1 on dev.

    Raises what `needs` raises, DataError for labels that are no labels or training rows of one label,
    ModelError for vectors that do not fit, NonFiniteError, UnknownNameError (main metric).
    """
    own = scorer("classification", "full_train_dev_selected")
    main = main_metric(settings.get("main") or own.main, METRICS)
    check_vectors(needs(examples, settings), vectors)
    dev, test = _parts(examples)
    values, codes = shared.encode([*test.train_labels, *dev.labels, *test.labels], "classification")
    ends = np.cumsum([len(test.train_labels), len(dev.labels)])
    train_gold, dev_gold, gold = np.split(codes, ends)
    if len(np.unique(train_gold)) < 2:
        raise DataError("a classifier needs training rows of at least two labels; these have one")
    rows = vectors["train"].gather()
    regression = _fit(rows, train_gold)
    predictors = {
        "knn_cosine_k_2": lambda asked: _nearest_two(rows, train_gold, asked),
        "logreg": lambda asked: _regressed(regression, asked),
    }
    found = {name: _scores(dev_gold, predictors[name](vectors["dev_test"])) for name in CANDIDATES}
    chosen = _chosen.best(found, "macro_f1")
    predicted = predictors[chosen](vectors["test"])
    samples = pa.table(
        {
            "row": pa.array(np.arange(len(gold)), pa.int32()),
            "gold": shared.label_column(values, gold),
            "prediction": shared.label_column(values, predicted),
        }
    )
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    return _chosen.told(outcome, chosen, found)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored predictions; none is ever undefined."""
    _, (gold, predicted) = shared.read_labels(samples, "gold", "prediction")
    return _scores(gold, predicted), {}


def _scores(gold: Int64, predicted: Int64) -> dict[str, float]:
    found = label_scores(gold, predicted)
    return {"macro_f1": found["f1"], "accuracy": found["accuracy"]}


def _fit(rows: Float32, gold: Int64) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the reference stops after 100 steps too
        return LogisticRegression().fit(rows, gold)


def _regressed(model: Any, asked: Vectors) -> Int64:
    parts = [model.predict(block) for _, block in asked.blocks(_BLOCK)]
    return np.concatenate(parts).astype(np.int64)


def _nearest_two(rows: Float32, gold: Int64, asked: Vectors) -> Int64:
    """The label of the two nearest training rows by cosine; the smaller one where they disagree.

    As scikit-learn's KNeighborsClassifier(2, metric="cosine"), a block of asked rows at a time. Where
    several training rows stand equally far on the second place, numpy's partition decides, as there.
    """
    from sklearn.preprocessing import normalize

    right = normalize(rows).T
    predicted = np.empty(len(asked), np.int64)
    for start, block in asked.blocks(max(1, _CELLS // len(rows))):
        far = normalize(block) @ right
        np.subtract(1, far, out=far)
        np.clip(far, 0, 2, out=far)
        pair = _least_two(far)
        predicted[start : start + len(block)] = gold[pair].min(axis=1)
    return predicted


def _least_two(far: Float32) -> Int64:
    """Positions of the two least values of every row: int64 [n, 2], in any order."""
    every = np.arange(len(far))
    first = far.argmin(axis=1)
    low = far[every, first].copy()
    far[every, first] = np.inf
    second = far.argmin(axis=1)
    high = far[every, second]
    far[every, first] = low
    pair = np.stack([first, second], axis=1)
    tied = np.flatnonzero((far <= high[:, None]).sum(axis=1) > 2)
    if len(tied):
        pair[tied] = np.argpartition(far[tied], 1, axis=1)[:, :2]
    return pair


def _parts(examples: DevTest) -> tuple[LabelledExamples, LabelledExamples]:
    assert isinstance(examples.dev, LabelledExamples)
    assert isinstance(examples.test, LabelledExamples)
    return examples.dev, examples.test
