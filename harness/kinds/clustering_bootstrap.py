"""Clustering, bootstrapped: mini-batch k-means on draws with replacement, level by level.

Reference: mteb's AbsTaskClustering (the "fast" class). Documents are drawn once, then every level of the
labels is clustered `n_clusters` times on `max_documents_per_cluster` of them drawn with replacement. All
draws come from one `random.Random(seed)` that belongs to this split and subset alone, or that stands where
the setting `stream` says (`harness.streams`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import ClusterExamples
from harness.errors import ConfigError, DataError
from harness.kinds import _labelled as shared
from harness.kinds import scorer
from harness.kinds._outcome import check_vectors, conclude, main_metric
from harness.metrics.clustering import adjusted_mutual_information, v_measure
from harness.types import Int64, Label, Scores, Texts, Vectors

METRICS = ("v_measure", "v_measure_std", "ami", "ami_std")

_FRACTION, _COUNT = "max_fraction_of_documents_to_embed", "max_document_to_embed"
_ABSENT = -1


def needs(examples: ClusterExamples, settings: Mapping[str, Any]) -> dict[str, Texts]:
    """The drawn sentences, in drawn order.

    Raises DataError for data that cannot be clustered, ConfigError for impossible settings.
    """
    return _texts(examples, _plan(examples, _options(settings)))


def score(examples: ClusterExamples, vectors: Mapping[str, Vectors], settings: Mapping[str, Any]) -> Scores:
    """Cluster every draw of every level; mean and standard deviation of the scores over all of them.

    Raises what `needs` raises, ModelError for vectors that do not fit and NonFiniteError, and
    UnknownNameError for a main metric that is none.
    """
    options = _options(settings)
    plan = _plan(examples, options)
    check_vectors(_texts(examples, plan), vectors)
    samples = _samples(plan, _clusters(plan, vectors["sentences"], options))
    levels = _levels(samples)
    scores = conclude(options["main"], samples, (_summary(levels), {}), DataError)
    by_level = {
        name: {f"Level {level}": found[metric] for level, found in levels.items()}
        for name, metric in (("v_measures", "v_measure"), ("ami_scores", "ami"))
    }
    return replace(scores, details=by_level)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric from the stored gold labels and clusters; none is ever undefined."""
    return _summary(_levels(samples)), {}


def drawn(examples: ClusterExamples, settings: Mapping[str, Any]) -> Any:
    """The state of the generator (JSON-ready) once this data have been drawn from; raises as `needs` does."""
    options = _options(settings)
    generator = _generator(options)
    _plan(examples, options, generator)
    return generator.getstate()


@dataclass(frozen=True)
class _Draw:
    """One clustering: positions [k] among the drawn sentences and the number of distinct labels there."""

    level: int
    experiment: int
    positions: Int64
    n_clusters: int


@dataclass(frozen=True)
class _Plan:
    """What is clustered.

    Attributes:
        rows: the drawn sentences as rows of the examples [n].
        values: the labels of all levels, sorted.
        gold: int64 [levels, n], positions in `values`.
        draws: every clustering of every level.
    """

    rows: Int64
    values: list[Label]
    gold: Int64
    draws: list[_Draw]


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = shared.options("clustering", "bootstrap_kmeans", settings)
    shared.positive(options, "max_documents_per_cluster", "n_clusters", "k_mean_batch_size")
    for name in (_COUNT, "max_depth"):
        if options[name] is not None:
            shared.positive(options, name)
    if options[_COUNT] is not None and options[_FRACTION] is not None:
        if options[_FRACTION] != scorer("clustering", "bootstrap_kmeans").defaults[_FRACTION]:
            raise ConfigError(f"{_FRACTION} and {_COUNT} exclude each other; set one of them to null")
        options[_FRACTION] = None  # a count replaces the default fraction
    main_metric(options["main"], METRICS)
    return options


def _generator(options: Mapping[str, Any]) -> random.Random:
    generator = random.Random(options["seed"])  # noqa: S311 - the stream of the reference
    if options.get("stream") is not None:
        generator.setstate(options["stream"])
    return generator


def _plan(
    examples: ClusterExamples, options: Mapping[str, Any], generator: random.Random | None = None
) -> _Plan:
    shared.check_rows(examples.texts, examples.labels, "clustering data")
    generator = generator or _generator(options)
    rows = _drawn_rows(len(examples.texts), generator, options)
    labels = [examples.labels[row] for row in rows.tolist()]
    levels = [_at_level(labels, level) for level in range(_depth(labels, options["max_depth"]))]
    draws = [
        draw for level, found in enumerate(levels) for draw in _bootstrap(level, found, generator, options)
    ]
    if any(isinstance(found[0], str) for found in levels):
        levels = [[str(label) for label in found] for found in levels]
    values, codes = shared.encode([label for found in levels for label in found], "clustering data")
    return _Plan(rows, values, codes.reshape(len(levels), len(rows)), draws)


def _texts(examples: ClusterExamples, plan: _Plan) -> dict[str, Texts]:
    return {"sentences": Texts([examples.texts[row] for row in plan.rows.tolist()])}


def _drawn_rows(n: int, generator: random.Random, options: Mapping[str, Any]) -> Int64:
    """Rows of the documents to embed; drawn, and so permuted, even where the limit is no limit."""
    fraction, count = options[_FRACTION], options[_COUNT]
    if fraction is None and count is None:
        return np.arange(n)
    limit = int(fraction * n) if count is None else count
    if limit < 1:
        raise DataError(
            f"{_FRACTION} = {fraction} of {n} sentences is not one sentence;\n"
            f"set {_COUNT} to a number of sentences, or {_FRACTION} to null for all of them"
        )
    return np.array(generator.sample(range(n), k=min(n, limit)), dtype=np.int64)


def _depth(labels: Sequence[Sequence[Label]], limit: int | None) -> int:
    depth = max(map(len, labels))
    if depth == 0:
        raise DataError("clustering data: no sentence has a label")
    return depth if limit is None else min(depth, limit)


def _at_level(labels: Sequence[Sequence[Label]], level: int) -> list[Label]:
    """The labels of one level; a missing one is -1, or a class of its own, "-1", among strings."""
    found = [
        shared.plain_label(mine[level], f"clustering data, level {level}") if len(mine) > level else _ABSENT
        for mine in labels
    ]
    return [str(label) for label in found] if any(isinstance(label, str) for label in found) else found


def _bootstrap(
    level: int, labels: Sequence[Label], generator: random.Random, options: Mapping[str, Any]
) -> Iterator[_Draw]:
    present = np.array([i for i, label in enumerate(labels) if label != _ABSENT], dtype=np.int64)
    n_clusters = len({labels[i] for i in present.tolist()})
    size = options["max_documents_per_cluster"]
    if not len(present):
        raise DataError(f"clustering data: no sentence has a label at level {level}")
    if size < n_clusters:
        raise DataError(
            f"level {level} has {n_clusters} labels, more clusters than the {size} sentences drawn for each "
            "clustering;\nraise max_documents_per_cluster"
        )
    for experiment in range(options["n_clusters"]):
        drawn = generator.choices(range(len(present)), k=size)
        yield _Draw(level, experiment, present[drawn], n_clusters)


def _clusters(plan: _Plan, vectors: Vectors, options: Mapping[str, Any]) -> list[Int64]:
    from sklearn.cluster import MiniBatchKMeans

    sentences = vectors.gather()

    def fit(draw: _Draw) -> Int64:
        model = MiniBatchKMeans(
            n_clusters=draw.n_clusters,
            batch_size=options["k_mean_batch_size"],
            init="k-means++",
            n_init=1,
            random_state=options["seed"],
        )
        return np.asarray(model.fit_predict(sentences[draw.positions]), dtype=np.int64)

    return shared.independent_fits(fit, plan.draws)


def _samples(plan: _Plan, clusters: Sequence[Int64]) -> pa.Table:
    sizes = [len(draw.positions) for draw in plan.draws]
    gold = [plan.gold[draw.level, draw.positions] for draw in plan.draws]
    rows = [plan.rows[draw.positions] for draw in plan.draws]
    return pa.table(
        {
            "experiment": pa.array(np.repeat([draw.experiment for draw in plan.draws], sizes), pa.int32()),
            "level": pa.array(np.repeat([draw.level for draw in plan.draws], sizes), pa.int32()),
            "row": pa.array(np.concatenate(rows), pa.int32()),
            "gold": shared.label_column(plan.values, np.concatenate(gold)),
            "cluster": pa.array(np.concatenate(clusters), pa.int32()),
        }
    )


def _levels(samples: pa.Table) -> dict[int, dict[str, list[float]]]:
    _, (gold,) = shared.read_labels(samples, "gold")
    clusters = samples.column("cluster").to_numpy()
    found: dict[int, dict[str, list[float]]] = {}
    for (level, _), rows in shared.groups(samples, "level", "experiment"):
        scores = found.setdefault(level, {"v_measure": [], "ami": []})
        scores["v_measure"].append(v_measure(gold[rows], clusters[rows]))
        scores["ami"].append(adjusted_mutual_information(gold[rows], clusters[rows]))
    return found


def _summary(levels: Mapping[int, Mapping[str, Sequence[float]]]) -> dict[str, float]:
    exact = {}
    for name in ("v_measure", "ami"):
        every = [value for scores in levels.values() for value in scores[name]]
        exact[name], exact[f"{name}_std"] = float(np.mean(every)), float(np.std(every))
    return exact
