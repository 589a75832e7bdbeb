"""Multilabel classification by few labelled examples: five nearest neighbours on frozen vectors.

Reference: mteb's AbsTaskMultilabelClassification with its default classifier. In a shuffled order of the
training rows a row is sampled while any of its labels is under quota; it then counts for all its labels.
Only labels that occur in the test rows are scored. All draws come from one `np.random.default_rng(seed)` that
belongs to this split and subset alone, or that stands where the setting `stream` says (`harness.streams`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.data.examples import LabelledExamples
from harness.errors import DataError
from harness.kinds import _labelled as shared
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.kinds._stratify import stratified_rows
from harness.metrics.classification import Bools, indicator_scores
from harness.types import Int64, Label, Scores, Texts, Vectors

METRICS = ("accuracy", "lrap", "f1", "hamming")

_NEIGHBOURS = 5


def needs(examples: LabelledExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The training rows that any experiment samples and the test rows that are scored, both ascending.

    Raises DataError for rows or labels that cannot be scored, ConfigError for impossible settings.
    """
    return _texts(examples, _plan(examples, _options(settings)))


def score(examples: LabelledExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Predict the test rows in every experiment; means of the metrics over experiments.

    Raises what `needs` raises, ModelError for vectors that do not fit and NonFiniteError, and
    UnknownNameError for a main metric that is none.
    """
    options = _options(settings)
    plan = _plan(examples, options)
    check_vectors(_texts(examples, plan), vectors)
    predicted = _predictions(plan, vectors)
    samples = _samples(plan, predicted)
    experiments = _experiments(samples)
    scores = conclude(options["main"], samples, (_means(experiments), {}), DataError)
    return replace(scores, details={"scores_per_experiment": experiments})


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric from the stored gold and predicted labels; none is ever undefined."""
    return _means(_experiments(samples)), {}


def drawn(examples: LabelledExamples, settings: Mapping[str, Any]) -> Any:
    """The state of the generator (JSON-ready) once this data have been drawn from; raises as `needs` does."""
    options = _options(settings)
    shared.check_rows(examples.train_texts, examples.train_labels, "training data")
    generator = _generator(options)
    for _ in range(options["n_experiments"]):
        generator.permutation(len(examples.train_texts))
    return generator.bit_generator.state


def label_matrices(samples: pa.Table) -> tuple[Bools, Bools]:
    """Gold and predicted labels of the stored samples as indicator matrices [rows, labels]."""
    values, (gold, predicted) = shared.read_labels(samples, "gold", "prediction")
    return (
        _from_lists(samples.column("gold"), gold, len(values)),
        _from_lists(samples.column("prediction"), predicted, len(values)),
    )


@dataclass(frozen=True)
class _Plan:
    """Which rows take part.

    Attributes:
        values: the labels of the scored test rows, sorted.
        test: scored rows of the test data; `gold` [test rows, values] their labels.
        union: rows of the training data that are sampled at all; `known` [union, values] their labels.
        draws: for every experiment the positions in `union` of its rows, in sampled order.
    """

    values: list[Label]
    test: Int64
    gold: Bools
    union: Int64
    known: Bools
    draws: list[Int64]


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = shared.options("multilabel", "few_shot_knn", settings)
    shared.positive(options, "samples_per_label", "n_experiments")
    if options["max_eval_samples"] is not None:
        shared.positive(options, "max_eval_samples")
    main_metric(options["main"], METRICS)
    return options


def _plan(examples: LabelledExamples, options: Mapping[str, Any]) -> _Plan:
    shared.check_rows(examples.texts, examples.labels, "test data")
    shared.check_rows(examples.train_texts, examples.train_labels, "training data")
    gold = _label_lists(examples.labels, "test data")
    train = _label_lists(examples.train_labels, "training data")
    test = _scored_rows(gold, options)
    gold = [gold[row] for row in test.tolist()]
    values, _ = shared.encode([label for row in gold for label in row], "test data")
    if len(values) < 2:
        raise DataError(f"multilabel test rows need at least two distinct labels; these have {len(values)}")
    draws = _draws(train, options)
    smallest = min(map(len, draws))
    if smallest < _NEIGHBOURS:
        raise DataError(
            f"{_NEIGHBOURS} neighbours need as many sampled training rows; an experiment has {smallest}"
        )
    union = np.unique(np.concatenate(draws))
    known = _indicator([train[row] for row in union.tolist()], values)
    return _Plan(
        values, test, _indicator(gold, values), union, known, [np.searchsorted(union, rows) for rows in draws]
    )


def _texts(examples: LabelledExamples, plan: _Plan) -> dict[str, Texts]:
    return {
        "train": Texts([examples.train_texts[row] for row in plan.union.tolist()]),
        "test": Texts([examples.texts[row] for row in plan.test.tolist()]),
    }


def _label_lists(labels: Sequence[Any], what: str) -> list[list[Label]]:
    rows = []
    for row, mine in enumerate(labels):
        if isinstance(mine, str) or not isinstance(mine, Sequence | np.ndarray):
            raise DataError(f"{what}, row {row}: a multilabel row needs a list of labels, not {mine!r}")
        rows.append([shared.plain_label(label, f"{what}, row {row}") for label in mine])
    return rows


def _scored_rows(gold: Sequence[Sequence[Label]], options: Mapping[str, Any]) -> Int64:
    limit = options["max_eval_samples"]
    if limit is None or len(gold) <= limit:
        return np.arange(len(gold))
    values, _ = shared.encode([label for row in gold for label in row], "test data")
    return stratified_rows(_indicator(gold, values), limit / len(gold), options["seed"])


def _generator(options: Mapping[str, Any]) -> np.random.Generator:
    generator = np.random.default_rng(options["seed"])
    if options.get("stream") is not None:
        generator.bit_generator.state = options["stream"]
    return generator


def _draws(train: Sequence[Sequence[Label]], options: Mapping[str, Any]) -> list[Int64]:
    """One generator runs through all experiments; each shuffles the rows in their own order."""
    random = _generator(options)
    quota = options["samples_per_label"]
    draws = []
    for _ in range(options["n_experiments"]):
        count: dict[Label, int] = {}
        rows = []
        for row in random.permutation(len(train)).tolist():
            if any(count.get(label, 0) < quota for label in train[row]):
                rows.append(row)
                for label in train[row]:
                    count[label] = count.get(label, 0) + 1
        draws.append(np.array(rows, dtype=np.int64))
    return draws


def _indicator(rows: Sequence[Sequence[Label]], values: Sequence[Label]) -> Bools:
    """[rows, values], true where a row has the label; labels that are not among the values are left out."""
    column = {label: i for i, label in enumerate(values)}
    matrix = np.zeros((len(rows), len(values)), dtype=np.bool_)
    for i, labels in enumerate(rows):
        matrix[i, [column[label] for label in labels if label in column]] = True
    return matrix


def _predictions(plan: _Plan, vectors: Mapping[str, Vectors]) -> list[Bools]:
    from sklearn.neighbors import NearestNeighbors

    test = vectors["test"].gather()

    def predict(rows: Int64) -> Bools:
        index = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(vectors["train"].gather(rows))
        nearest = rows[index.kneighbors(test, return_distance=False)]
        return plan.known[nearest].sum(axis=1) > _NEIGHBOURS / 2  # type: ignore[no-any-return]

    # one core a search: which of several equally near rows is fifth would else depend on their number
    return shared.independent_fits(predict, plan.draws)


def _samples(plan: _Plan, predicted: Sequence[Bools]) -> pa.Table:
    times = len(predicted)
    return pa.table(
        {
            "experiment": pa.array(np.repeat(np.arange(times), len(plan.test)), pa.int32()),
            "row": pa.array(np.tile(plan.test, times), pa.int32()),
            "gold": shared.label_lists(plan.values, np.tile(plan.gold, (times, 1))),
            "prediction": shared.label_lists(plan.values, np.concatenate(predicted)),
        }
    )


def _experiments(samples: pa.Table) -> list[dict[str, float]]:
    gold, predicted = label_matrices(samples)
    return [
        {name: found[name] for name in METRICS}
        for _, rows in shared.groups(samples, "experiment")
        if (found := indicator_scores(gold[rows], predicted[rows]))
    ]


def _from_lists(lists: pa.ChunkedArray, codes: Int64, labels: int) -> Bools:
    matrix = np.zeros((len(lists), labels), dtype=np.bool_)
    matrix[np.repeat(np.arange(len(lists)), pc.list_value_length(lists).to_numpy()), codes] = True
    return matrix


def _means(experiments: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([scores[name] for scores in experiments])) for name in METRICS}
