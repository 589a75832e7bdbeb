"""What stored per-example values say of one metric: each example's share, and the metric of a resample.

A table's columns tell its shape (they are the results' file format); a shape that is not known here is
resampled row by row through the `metrics_from` of its own kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from harness.errors import DataError
from harness.kinds._repeats import of_bitext, of_clusters, of_predictions
from harness.kinds._shares import Evidence, Float64, additive, numbered
from harness.metrics import weighted
from harness.scorers import SCORERS

__all__ = ["Evidence", "evidence"]

_SIMILARITIES = {
    "": "similarity", "similarity_": "similarity", "cosine_": "cosine", "dot_": "dot",
    "manhattan_": "manhattan_distance", "euclidean_": "euclidean_distance",
}  # fmt: skip
_CORRELATIONS = ("pearson", "spearman")
_SLOW = 200  # resamples where each one is a table of its own


def evidence(kind: str, scorer: str, settings: Mapping[str, Any], samples: pa.Table, metric: str) -> Evidence:
    """The evidence in a table of per-example values.

    Args:
        kind, scorer, settings: of the result, as its file names them (`scorer` without its version).

    Raises:
        DataError: the table cannot give this metric.
    """
    columns = set(samples.column_names)
    if "query_id" in columns and (found := _of_queries(samples, metric)):
        return found
    if columns >= {"experiment", "row", "gold", "prediction"}:
        found = of_predictions(samples, metric, lists=pa.types.is_list(samples.schema.field("gold").type))
    elif columns >= {"row", "gold", "cluster"}:
        found = of_clusters(samples, metric)
    elif columns >= {"row", "gold", "predicted"}:
        found = of_bitext(samples, metric)
    elif columns >= {"anchor_entailment", "anchor_negative", "negative_entailment"}:
        found = _of_triplets(samples, metric)
    elif columns >= {"row", "machine", "gold"}:
        found = _of_summaries(kind, scorer, settings, samples, metric)
    elif "gold" in columns and not {"row", "experiment"} & columns:
        found = _of_scores(samples, metric)
    elif "label" in columns and not {"row", "experiment"} & columns:
        found = _of_labelled_pairs(samples, metric)
    else:
        found = None
    return found or _of_rows(kind, scorer, settings, samples, metric)


def _of_queries(samples: pa.Table, metric: str) -> Evidence | None:
    group, name = "", metric
    if metric.startswith("max_over_subqueries_"):
        group, name = "max_over_subqueries", metric.removeprefix("max_over_subqueries_")
    elif metric == "p-MRR":
        group = name = "p_mrr"
    if name not in samples.column_names:
        return None
    if "group" in samples.column_names:
        samples = samples.filter(pa.compute.equal(samples.column("group"), group))
    elif group:
        return None
    column = samples.column(name)
    if column.null_count or not len(column) or not pa.types.is_floating(column.type):
        return None
    return additive(samples.column("query_id").to_pylist(), "queries", column.to_numpy().astype(np.float64))


def _of_scores(samples: pa.Table, metric: str) -> Evidence | None:
    prefix, _, name = metric.rpartition("_")
    column = "score" if "score" in samples.column_names else _SIMILARITIES.get(prefix and f"{prefix}_", "")
    if name not in _CORRELATIONS or column not in samples.column_names:
        return None
    gold = samples.column("gold").to_numpy().astype(np.float64)
    values = _sign(column) * samples.column(column).to_numpy().astype(np.float64)
    if (gold == gold[0]).all() or (values == values[0]).all():
        raise DataError(f"{metric} has no value: all gold scores or all similarities are equal")
    once = np.ones((1, len(gold)))
    under: Callable[[Float64], Float64]
    if name == "spearman":
        ranked = [_standard(weighted.ranks(side, once)[0]) for side in (gold, values)]
        under = weighted.spearman_under(gold, values)
    else:
        ranked = [_standard(gold), _standard(values)]
        under = partial(weighted.pearson, gold, values)
    return Evidence(
        numbered(len(gold)), "pairs",
        lambda weights: under(weights)[None],
        own=ranked[0] * ranked[1],
    )  # fmt: skip


def _of_labelled_pairs(samples: pa.Table, metric: str) -> Evidence | None:
    prefix, _, name = metric.rpartition("_")
    cross = "score" in samples.column_names
    if name not in ("ap", "accuracy", "f1", "precision", "recall"):
        return None
    if cross:
        columns = ["score"]
    elif prefix == "max":
        columns = [c for c in dict.fromkeys(_SIMILARITIES.values()) if c in samples.column_names]
    else:
        columns = [_SIMILARITIES.get(prefix and f"{prefix}_", "")]
    if not set(columns) <= set(samples.column_names):
        return None
    labels = samples.column("label").to_numpy().astype(np.int64)
    sides = [_sign(c) * samples.column(c).to_numpy().astype(np.float64) for c in columns]

    def under(side: Float64) -> Callable[[Float64], Float64]:
        if name == "ap":
            return weighted.average_precision_under(side, labels)
        cuts = weighted.best_cuts_under(side, labels)
        return lambda weights: cuts(weights)[name]

    once = np.ones((1, len(labels)))
    each = [under(side) for side in sides]
    best = sides[int(np.argmax([of(once)[0] for of in each]))]
    place = weighted.ranks(best, once)[0]
    return Evidence(
        numbered(len(labels)), "pairs",
        lambda weights: np.max([of(weights) for of in each], axis=0)[None],
        own=np.where(labels == 1, place, 1 - place),  # how far on its own side a pair stands
    )  # fmt: skip


def _of_triplets(samples: pa.Table, metric: str) -> Evidence | None:
    entailed, negated, between = (
        samples.column(name).to_numpy()
        for name in ("anchor_entailment", "anchor_negative", "negative_entailment")
    )
    side, _, what = metric.partition("_")
    if side not in ("anchor", "entailment") or what not in ("score", "error_rate"):
        return None
    right = (entailed > (negated if side == "anchor" else between)).astype(np.float64)
    ids = numbered(len(right))
    return additive(ids, "triplets", right, *((1.0, 1.0) if what == "score" else (-1.0, 100.0)))


def _of_summaries(
    kind: str, scorer: str, settings: Mapping[str, Any], samples: pa.Table, metric: str
) -> Evidence | None:
    module = SCORERS[kind, scorer].load()
    ids, own = [], []
    for row in dict.fromkeys(samples.column("row").to_pylist()):
        one = samples.filter(pa.compute.equal(samples.column("row"), row))
        value = module.metrics_from(one, settings)[0].get(metric)
        if value is not None:
            ids.append(str(row))
            own.append(value)
    return additive(ids, "texts", np.asarray(own)) if ids else None


def _of_rows(kind: str, scorer: str, settings: Mapping[str, Any], samples: pa.Table, metric: str) -> Evidence:
    """Of any kind: each resample is a table, and its kind computes the metric."""
    if (kind, scorer) not in SCORERS:
        raise DataError(f"the per-example values of scorer {scorer} of {kind} cannot be read here")
    names = next((n for n in ("query_id", "row") if n in samples.column_names), None)
    labels = [str(v) for v in samples.column(names).to_pylist()] if names else numbered(len(samples))
    ids = list(dict.fromkeys(labels))
    places: dict[str, list[int]] = {name: [] for name in ids}
    for place, name in enumerate(labels):
        places[name].append(place)
    own_places = [np.asarray(places[name], dtype=np.int64) for name in ids]
    module = SCORERS[kind, scorer].load()

    def parts(weights: Float64) -> Float64:
        out = np.full(len(weights), np.nan)
        for i, row in enumerate(weights.astype(np.int64)):
            taken = [np.repeat(own_places[unit], row[unit]) for unit in np.flatnonzero(row)]
            value = module.metrics_from(samples.take(np.sort(np.concatenate(taken))), settings)[0].get(metric)
            out[i] = np.nan if value is None else value
        return out[None]

    if metric not in module.metrics_from(samples, settings)[0]:
        raise DataError(f"the per-example values do not give {metric}")
    return Evidence(ids, "queries" if names == "query_id" else "rows", parts, resamples=_SLOW)


def _sign(column: str) -> int:
    return -1 if column.endswith("_distance") else 1


def _standard(values: Float64) -> Float64:
    return np.asarray((values - values.mean()) / values.std())
