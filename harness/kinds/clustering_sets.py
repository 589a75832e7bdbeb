"""Clustering of given sets: mini-batch k-means on each set, mean V-measure over the sets.

Reference: mteb's AbsTaskClusteringLegacy. A set with one label scores 1.0 and is not clustered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import ClusterExamples
from harness.errors import DataError
from harness.kinds import _labelled as shared
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.metrics.clustering import v_measure
from harness.types import Int64, Label, Scores, Texts, Vectors

METRICS = ("v_measure", "v_measure_std")


def needs(examples: ClusterExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """All sentences, set after set.

    Raises DataError for data that cannot be clustered, ConfigError for impossible settings.
    """
    _options(settings)
    _gold(examples)
    return {"sentences": Texts(examples.texts)}


def score(examples: ClusterExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Cluster every set into as many clusters as it has labels.

    Raises what `needs` raises, ModelError for vectors that do not fit and NonFiniteError, and
    UnknownNameError for a main metric that is none.
    """
    options = _options(settings)
    values, gold = _gold(examples)
    check_vectors({"sentences": Texts(examples.texts)}, vectors)
    clusters = _clusters(gold, list(_sets(examples.offsets)), vectors["sentences"], options)
    samples = _samples(values, gold, examples.offsets, clusters)
    by_set = _by_set(samples)
    scores = conclude(options["main"], samples, (_summary(by_set), {}), DataError)
    return replace(scores, details={"v_measures": by_set})


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric from the stored gold labels and clusters; none is ever undefined."""
    return _summary(_by_set(samples)), {}


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = shared.options("clustering", "minibatch_kmeans", settings)
    shared.positive(options, "batch_size")
    main_metric(options["main"], METRICS)
    return options


def _gold(examples: ClusterExamples) -> tuple[list[Label], Int64]:
    shared.check_rows(examples.texts, examples.labels, "clustering data")
    empty = np.flatnonzero(np.diff(examples.offsets) < 1)
    if len(empty):
        raise DataError(f"clustering data: set {empty[0]} has no sentences")
    if examples.offsets[0] != 0 or examples.offsets[-1] != len(examples.texts):
        raise DataError("clustering data: the sets do not cover the sentences")
    deep = next((row for row, mine in enumerate(examples.labels) if len(mine) != 1), None)
    if deep is not None:
        raise DataError(
            f"clustering data, row {deep}: this scorer takes one label a sentence, not "
            f"{len(examples.labels[deep])}; bootstrap_kmeans scores levels of labels"
        )
    return shared.encode([mine[0] for mine in examples.labels], "clustering data")


def _sets(offsets: Int64) -> Iterator[slice]:
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        yield slice(start, end)


def _clusters(
    gold: Int64, sets: Sequence[slice], vectors: Vectors, options: Mapping[str, Any]
) -> list[Int64]:
    from sklearn.cluster import MiniBatchKMeans

    def fit(rows: slice) -> Int64:
        labels = len(np.unique(gold[rows]))
        if labels == 1:
            return np.zeros(rows.stop - rows.start, dtype=np.int64)
        model = MiniBatchKMeans(
            n_clusters=labels,
            batch_size=options["batch_size"],
            n_init="auto",
            random_state=options["seed"],
        )
        sentences = vectors.gather(np.arange(rows.start, rows.stop))
        return np.asarray(model.fit(sentences).labels_, dtype=np.int64)

    return shared.independent_fits(fit, sets)


def _samples(values: Sequence[Label], gold: Int64, offsets: Int64, clusters: Sequence[Int64]) -> pa.Table:
    sizes = np.diff(offsets)
    within = np.arange(len(gold)) - np.repeat(offsets[:-1], sizes)
    return pa.table(
        {
            "set": pa.array(np.repeat(np.arange(len(sizes)), sizes), pa.int32()),
            "row": pa.array(within, pa.int32()),
            "gold": shared.label_column(values, gold),
            "cluster": pa.array(np.concatenate(clusters), pa.int32()),
        }
    )


def _by_set(samples: pa.Table) -> list[float]:
    _, (gold,) = shared.read_labels(samples, "gold")
    clusters = samples.column("cluster").to_numpy()
    return [v_measure(gold[rows], clusters[rows]) for _, rows in shared.groups(samples, "set")]


def _summary(by_set: Sequence[float]) -> dict[str, float]:
    return {"v_measure": float(np.mean(by_set)), "v_measure_std": float(np.std(by_set))}
