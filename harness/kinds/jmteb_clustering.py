"""clustering, scorer `dev_selected`: four clusterers, the one with the best V-measure on dev is scored.

Reference: JMTEB 1.3.3, ClusteringEvaluator, with scikit-learn's defaults. The number of clusters is that of
the distinct labels of test, on dev as well. Upstream passes no seed, so its MiniBatchKMeans and
BisectingKMeans give another figure each time; here a seed is passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import ClusterExamples, DevTest
from harness.errors import DataError
from harness.kinds import _chosen
from harness.kinds import _labelled as shared
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.metrics.clustering import agreement
from harness.types import Float32, Int64, Label, Scores, Texts, Vectors

METRICS = ("v_measure", "homogeneity", "completeness")
CANDIDATES = ("MiniBatchKMeans", "AgglomerativeClustering", "BisectingKMeans", "Birch")


def needs(examples: DevTest, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The texts of both splits: `sentences`, `dev_sentences`. Raises DataError as `score` does."""
    dev, test = _parts(examples)
    clusters = len(set(_labels(test, "test")))
    for name, part in (("test", test), ("dev", dev)):
        if len(part.texts) < max(2, clusters):
            raise DataError(f"{name} data: {len(part.texts)} rows cannot make {max(2, clusters)} clusters")
    return {"sentences": Texts(test.texts), "dev_sentences": Texts(dev.texts)}


def score(examples: DevTest, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """V-measure, homogeneity and completeness of one clustering of test.

    Raises DataError (more than one set, levels of labels, fewer rows than clusters), ModelError,
    NonFiniteError, UnknownNameError (main metric).
    """
    options = shared.options("clustering", "dev_selected", settings)
    main = main_metric(options["main"], METRICS)
    check_vectors(needs(examples, settings), vectors)
    dev, test = _parts(examples)
    values, gold = shared.encode(_labels(test, "test"), "test data")
    _, dev_gold = shared.encode(_labels(dev, "dev"), "dev data")
    rows = vectors["dev_sentences"].gather()

    def clustered(name: str, rows: Float32) -> Int64:
        return np.asarray(_clusterer(name, len(values), options["seed"]).fit_predict(rows), dtype=np.int64)

    on_dev = shared.independent_fits(lambda name: clustered(name, rows), CANDIDATES)
    found = {name: agreement(dev_gold, own) for name, own in zip(CANDIDATES, on_dev, strict=True)}
    chosen = _chosen.best(found, "v_measure")
    rows = vectors["sentences"].gather()
    (clusters,) = shared.independent_fits(lambda name: clustered(name, rows), [chosen])
    samples = pa.table(
        {
            "row": pa.array(np.arange(len(gold)), pa.int32()),
            "gold": shared.label_column(values, gold),
            "cluster": pa.array(clusters, pa.int32()),
        }
    )
    outcome = conclude(main, samples, metrics_from(samples, settings), DataError)
    return _chosen.told(outcome, chosen, found)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored clusters; none is ever undefined."""
    _, (gold,) = shared.read_labels(samples, "gold")
    return agreement(gold, samples.column("cluster").to_numpy()), {}


def _clusterer(name: str, clusters: int, seed: int) -> Any:
    from sklearn import cluster

    if name == "MiniBatchKMeans":
        return cluster.MiniBatchKMeans(n_clusters=clusters, n_init="auto", random_state=seed)
    if name == "BisectingKMeans":
        return cluster.BisectingKMeans(n_clusters=clusters, random_state=seed)
    return getattr(cluster, name)(n_clusters=clusters)


def _parts(examples: DevTest) -> tuple[ClusterExamples, ClusterExamples]:
    assert isinstance(examples.dev, ClusterExamples)
    assert isinstance(examples.test, ClusterExamples)
    return examples.dev, examples.test


def _labels(examples: ClusterExamples, split: str) -> list[Label]:
    shared.check_rows(examples.texts, examples.labels, f"{split} data")
    if len(examples.offsets) > 2:
        raise DataError(f"{split} data: {len(examples.offsets) - 1} sets; this protocol clusters one")
    if any(len(label) != 1 for label in examples.labels):
        raise DataError(f"{split} data: labels of several levels; this protocol knows one")
    return [label[0] for label in examples.labels]
