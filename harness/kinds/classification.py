"""Classification by few labelled examples: a logistic regression per experiment on frozen vectors.

Reference: mteb's AbsTaskClassification. Every experiment fits on the first `samples_per_label` rows of
each label in a shuffled order of the training rows and predicts all test rows; the scores are means over
experiments. With `cross_validation` the test rows themselves are folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import LabelledExamples
from harness.errors import DataError
from harness.kinds import _labelled as shared
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.metrics import classification as metrics
from harness.types import Int64, Label, Scores, Texts, Vectors

METRICS = (
    "accuracy", "f1", "f1_weighted", "precision", "precision_weighted", "recall", "recall_weighted",
    "ap", "ap_weighted",
)  # fmt: skip

_MAX_ITER = 100
_BLOCK = 65_536


def needs(examples: LabelledExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The training rows that any experiment samples, ascending ("train"), and all test rows ("test").

    Cross-validation folds the test rows and needs no others. Raises DataError for rows or labels that
    cannot be scored, ConfigError for impossible settings.
    """
    return _texts(examples, _plan(examples, _options(settings)))


def score(examples: LabelledExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Fit and predict every experiment; means of the metrics over experiments.

    `ap` and `ap_weighted` (of hard predictions) exist where the test labels are exactly two, one of them
    the integer 1, and are undefined elsewhere. Raises what `needs` raises, ModelError for vectors that do
    not fit and NonFiniteError, and UnknownNameError for a main metric that is none.
    """
    options = _options(settings)
    plan = _plan(examples, options)
    check_vectors(_texts(examples, plan), vectors)
    predicted = _predictions(plan, vectors, options["seed"])
    samples = _samples(plan, predicted)
    experiments = _experiments(samples)
    exact, undefined = _means(experiments, samples)
    scores = conclude(options["main"], samples, (exact, undefined), DataError)
    return replace(scores, details={"scores_per_experiment": experiments})


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric, and the reasons for those without a value, from the stored predictions."""
    return _means(_experiments(samples), samples)


@dataclass(frozen=True)
class _Fold:
    """One experiment: rows of vectors["train"] (or of "test") to fit on, test rows to predict."""

    fit: Int64
    fit_labels: Int64
    test: Int64


@dataclass(frozen=True)
class _Plan:
    values: list[Label]
    gold: Int64
    folds: list[_Fold]
    union: Int64 | None  # None: the fit rows are test rows


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = shared.options("classification", "few_shot", settings)
    shared.positive(options, "samples_per_label", "n_experiments")
    main_metric(options["main"], METRICS)
    return options


def _plan(examples: LabelledExamples, options: Mapping[str, Any]) -> _Plan:
    shared.check_rows(examples.texts, examples.labels, "test data")
    plan = _cross_validated if options["cross_validation"] else _few_shot
    made = plan(examples, options)
    for fold in made.folds:
        if len(np.unique(fold.fit_labels)) < 2:
            raise DataError("a classifier needs training rows of at least two labels; these have one")
    return made


def _texts(examples: LabelledExamples, plan: _Plan) -> dict[str, Texts]:
    test = {"test": Texts(examples.texts)}
    if plan.union is None:
        return test
    return {"train": Texts([examples.train_texts[row] for row in plan.union.tolist()]), **test}


def _few_shot(examples: LabelledExamples, options: Mapping[str, Any]) -> _Plan:
    shared.check_rows(examples.train_texts, examples.train_labels, "training data")
    split = len(examples.train_labels)
    values, codes = shared.encode([*examples.train_labels, *examples.labels], "classification")
    train, gold = codes[:split], codes[split:]
    draws = list(_draws(train, options["n_experiments"], options))
    union = np.unique(np.concatenate(draws))
    everything = np.arange(len(gold))
    folds = [_Fold(np.searchsorted(union, rows), train[rows], everything) for rows in draws]
    return _Plan(values, gold, folds, union)


def _cross_validated(examples: LabelledExamples, options: Mapping[str, Any]) -> _Plan:
    from sklearn.model_selection import KFold

    n, n_splits = len(examples.texts), options["n_splits"]
    if len(examples.train_texts) and list(examples.train_texts) != list(examples.texts):
        raise DataError("cross-validation folds one split, but training and test data differ")
    if not isinstance(n_splits, int) or not 2 <= n_splits <= n:
        raise DataError(f"{n} rows cannot be split into {n_splits!r} folds")
    values, gold = shared.encode(examples.labels, "classification")
    halves = list(KFold(n_splits, shuffle=True, random_state=options["seed"]).split(np.arange(n)))
    # the order drawn for the first fold goes on into the later ones, whose training part may be longer
    orders = _orders(len(halves[0][0]), n_splits, options["seed"])
    folds = []
    for order, (train, test) in zip(orders, halves, strict=True):
        rows = train[_first_per_label(gold[train], order, options["samples_per_label"])]
        folds.append(_Fold(rows, gold[rows], test))
    return _Plan(values, gold, folds, None)


def _draws(labels: Int64, experiments: int, options: Mapping[str, Any]) -> Iterator[Int64]:
    for order in _orders(len(labels), experiments, options["seed"]):
        yield _first_per_label(labels, order, options["samples_per_label"])


def _orders(n: int, experiments: int, seed: int) -> Iterator[Int64]:
    """Row orders: the generator starts anew each time, but what it shuffles is already shuffled."""
    shuffle = np.random.RandomState(seed).permutation(n)
    order = np.arange(n)
    for _ in range(experiments):
        order = order[shuffle]
        yield order


def _first_per_label(labels: Int64, order: Int64, count: int) -> Int64:
    """The first `count` rows of each label in `order`, in that order."""
    seen = labels[order]
    by_label = np.argsort(seen, kind="stable")
    ordered = seen[by_label]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    return order[np.sort(by_label[rank < count])]


def _predictions(plan: _Plan, vectors: Mapping[str, Vectors], seed: int) -> list[Int64]:
    from sklearn.linear_model import LogisticRegression

    source = vectors["test" if plan.union is None else "train"]

    def fit(fold: _Fold) -> Any:
        model = LogisticRegression(max_iter=_MAX_ITER, random_state=seed)
        return model.fit(source.gather(fold.fit), fold.fit_labels)

    models = shared.independent_fits(fit, plan.folds)
    predicted = [np.empty(len(fold.test), np.int64) for fold in plan.folds]
    for start, block in vectors["test"].blocks(_BLOCK):
        for fold, model, out in zip(plan.folds, models, predicted, strict=True):
            here = np.flatnonzero((fold.test >= start) & (fold.test < start + len(block)))
            if len(here):
                rows = fold.test[here] - start
                out[here] = model.predict(block if len(rows) == len(block) else block[rows])
    return predicted


def _samples(plan: _Plan, predicted: Sequence[Int64]) -> pa.Table:
    rows = np.concatenate([fold.test for fold in plan.folds])
    sizes = [len(fold.test) for fold in plan.folds]
    return pa.table(
        {
            "experiment": pa.array(np.repeat(np.arange(len(sizes)), sizes), pa.int32()),
            "row": pa.array(rows, pa.int32()),
            "gold": shared.label_column(plan.values, plan.gold[rows]),
            "prediction": shared.label_column(plan.values, np.concatenate(predicted)),
        }
    )


def _experiments(samples: pa.Table) -> list[dict[str, float | None]]:
    values, (gold, predicted) = shared.read_labels(samples, "gold", "prediction")
    numbers = np.asarray(values)
    found: list[dict[str, float | None]] = []
    for _, rows in shared.groups(samples, "experiment"):
        scores: dict[str, float | None] = {**metrics.label_scores(gold[rows], predicted[rows])}
        ap = None
        if _has_average_precision(numbers[np.unique(gold[rows])].tolist()):
            ap = metrics.average_precision(numbers[gold[rows]] == 1, numbers[predicted[rows]])
        # both means of a binary task are the same number
        scores |= {"ap": ap, "ap_weighted": ap}
        found.append({name: scores[name] for name in METRICS})
    return found


def _has_average_precision(labels: Sequence[Label]) -> bool:
    return len(labels) == 2 and 1 in labels


def _means(
    experiments: Sequence[Mapping[str, float | None]], samples: pa.Table
) -> tuple[dict[str, float], dict[str, str]]:
    exact, undefined = {}, {}
    for name in METRICS:
        values = [value for scores in experiments if (value := scores[name]) is not None]
        if values:
            exact[name] = float(np.mean(values))
        else:
            undefined[name] = _why_undefined(samples)
    return exact, undefined


def _why_undefined(samples: pa.Table) -> str:
    values, (gold,) = shared.read_labels(samples, "gold")
    labels = [values[code] for code in np.unique(gold).tolist()]
    shown = ", ".join(repr(label) for label in labels[:3]) + (", ..." if len(labels) > 3 else "")
    return f"average precision needs exactly two test labels, one of them the number 1; found {shown}"
