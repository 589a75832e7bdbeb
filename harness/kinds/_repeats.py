"""Evidence in predictions and clusters: experiments repeated over the same texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from harness.kinds import _labelled as shared
from harness.kinds._shares import Evidence, Float64, additive
from harness.kinds.multilabel import label_matrices
from harness.metrics import classification, weighted
from harness.types import Int64


def of_predictions(samples: pa.Table, metric: str, *, lists: bool) -> Evidence | None:
    rows, unit = np.unique(samples.column("row").to_numpy(), return_inverse=True)
    groups = [places for _, places in shared.groups(samples, "experiment")]
    if lists:
        gold_matrix, predicted_matrix = label_matrices(samples)
        each = classification.indicator_rows(gold_matrix, predicted_matrix)
        if metric in each:
            return _by_experiment(rows, unit, groups, each[metric])
        if metric != "f1":
            return None

        def of_lists(places: Int64, weights: Float64) -> Float64:
            return weighted.indicator_f1(gold_matrix[places], predicted_matrix[places], weights)

        own = _mean_by_unit(each["hamming"], unit, len(rows))
        return _experiments(rows, unit, groups, of_lists, own)
    _, (gold, predicted) = shared.read_labels(samples, "gold", "prediction")
    right = (gold == predicted).astype(np.float64)
    if metric == "accuracy":
        return _by_experiment(rows, unit, groups, right)
    if metric not in weighted.LABEL_SCORES:
        return None

    def of_labels(places: Int64, weights: Float64) -> Float64:
        return weighted.label_scores(gold[places], predicted[places], weights)[metric]

    return _experiments(rows, unit, groups, of_labels, _mean_by_unit(right, unit, len(rows)))


def of_clusters(samples: pa.Table, metric: str) -> Evidence | None:
    if metric != "v_measure":
        return None
    _, (gold,) = shared.read_labels(samples, "gold")
    clusters = samples.column("cluster").to_numpy().astype(np.int64)
    sets = "set" in samples.column_names
    names = ("set", "row") if sets else ("row",)
    keys = np.stack([samples.column(name).to_numpy().astype(np.int64) for name in names], axis=1)
    rows, unit = np.unique(keys, axis=0, return_inverse=True)
    by = ("set",) if sets else ("level", "experiment")
    groups = [places for _, places in shared.groups(samples, *by)]

    def parts(weights: Float64) -> Float64:
        return np.stack([weighted.v_measure(gold[p], clusters[p], unit[p], weights) for p in groups])

    return Evidence(["/".join(map(str, row)) for row in rows.tolist()], "texts", parts)


def of_bitext(samples: pa.Table, metric: str) -> Evidence | None:
    gold, predicted = (samples.column(name).to_numpy().astype(np.int64) for name in ("gold", "predicted"))
    ids = [str(row) for row in samples.column("row").to_pylist()]
    right = (gold == predicted).astype(np.float64)
    if metric == "accuracy":
        return additive(ids, "sentences", right)
    name = f"{metric}_weighted"
    if name not in weighted.LABEL_SCORES:
        return None
    return Evidence(
        ids, "sentences",
        lambda weights: weighted.label_scores(gold, predicted, weights)[name][None],
        own=right,
    )  # fmt: skip


def _by_experiment(rows: Int64, unit: Int64, groups: Sequence[Int64], each: Float64) -> Evidence:
    def of(places: Int64, weights: Float64) -> Float64:
        return np.asarray((weights @ each[places]) / weights.sum(axis=1))

    found = _experiments(rows, unit, groups, of, _mean_by_unit(each, unit, len(rows)))
    complete = all(len(places) == len(rows) for places in groups)
    return Evidence(found.ids, found.unit, found.parts, found.own, additive=complete)


def _experiments(
    rows: Int64,
    unit: Int64,
    groups: Sequence[Int64],
    of: Callable[[Int64, Float64], Float64],
    own: Float64,
) -> Evidence:
    def parts(weights: Float64) -> Float64:
        return np.stack([of(places, weights[:, unit[places]]) for places in groups])

    return Evidence([str(row) for row in rows.tolist()], "texts", parts, own)


def _mean_by_unit(values: Float64, unit: Int64, n: int) -> Float64:
    return np.asarray(np.bincount(unit, weights=values, minlength=n) / np.bincount(unit, minlength=n))
