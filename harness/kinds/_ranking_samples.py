"""From ranked lists to the samples table, and from the table to every metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import RankingExamples
from harness.errors import ConfigError, DataError, UnknownNameError
from harness.kinds import SCORERS
from harness.kinds._ranking_extra import EXTRAS, SINGLE, halves, over_subqueries, p_mrr_of_queries
from harness.kinds._ranking_runs import Judged, Qrels, Run, grades, ideal, joined, judged, split
from harness.kinds.first_stage import PREFIX
from harness.metrics.ranking import CONFIDENCES, Float64, confidence, level_scores, naucs, recall_cap, trec
from harness.types import Int64

Settings = Mapping[str, Any]

_SUBQUERIES, _P_MRR = "max_over_subqueries", "p_mrr"
_AT_ONCE = 2048  # lists that are graded together
_ROUNDED = ("ndcg_at_", "map_at_", "recall_at_", "precision_at_", "hit_rate_at_", "accuracy")


def complete(settings: Settings) -> dict[str, Any]:
    """Settings with the scorer's defaults filled in.

    Raises UnknownNameError for an unknown extra, ConfigError for settings that exclude each other.
    """
    full = {"similarity": "cosine", **SCORERS["retrieval", "trec"].defaults, **settings}
    for name in full["extra"]:
        if name not in EXTRAS:
            raise UnknownNameError("extra of ranking", name, EXTRAS)
    if full["skip_first_result"] and full["extra"]:
        raise ConfigError(f"skip_first_result does not go with extra: {', '.join(full['extra'])}")
    return full


def make_samples(
    examples: RankingExamples, runs: Iterable[Run], places: Int64, settings: Settings
) -> pa.Table:
    """One row a query: `group`, `query_id`, each measure at each k, confidences, counts.

    `group` is empty for the task's own queries; extras add rows: `max_over_subqueries` (one a base
    query, the same columns) and `p_mrr` (one a base query, column `p_mrr` alone, the others null).

    Args:
        runs: the lists of the queries in their order, some at a time; kept only where an extra needs all.
    """
    settings = complete(settings)
    qrels = [examples.qrels[name] for name in examples.query_ids]
    known = judged(qrels, examples.doc_ids)
    tables: list[pa.Table] = []
    kept: list[Run] = []
    start = 0
    for run in split(runs, _AT_ONCE):
        part = slice(start, start + len(run))
        pairs = known.of(part.start, part.stop)
        tables.append(_rows("", examples.query_ids[part], run, qrels[part], pairs, settings))
        start = part.stop
        if {_SUBQUERIES, _P_MRR} & set(settings["extra"]):
            kept.append(run)
        del run  # before the next is made
    if _SUBQUERIES in settings["extra"]:
        bases, merged, base_qrels = over_subqueries(examples, joined(kept), places)
        pairs = judged(base_qrels, examples.doc_ids)
        tables.append(_rows(_SUBQUERIES, bases, merged, base_qrels, pairs, settings))
    if _P_MRR in settings["extra"]:
        values = p_mrr_of_queries(examples, joined(kept))
        columns = {"group": [_P_MRR] * len(values), "query_id": list(values), _P_MRR: list(values.values())}
        schema = pa.schema([("group", pa.string()), ("query_id", pa.string()), (_P_MRR, pa.float64())])
        tables.append(pa.table(columns, schema=schema))
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def metrics_from(samples: pa.Table, settings: Settings) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric from the samples: unrounded values, and the undefined names with the reason.

    Raises DataError where an extra finds no queries of its kind.
    """
    settings = complete(settings)
    own = _group(samples, "")
    exact, undefined = _means(own, settings["k_values"])
    exact.update({name: float(np.mean(values)) for name, values in own.items() if name.startswith(PREFIX)})
    for extra in settings["extra"]:
        if extra == _SUBQUERIES:
            values, missing = _means(_group(samples, _SUBQUERIES), settings["k_values"])
            exact.update({f"{_SUBQUERIES}_{name}": value for name, value in values.items()})
            undefined.update({f"{_SUBQUERIES}_{name}": reason for name, reason in missing.items()})
        elif extra == _P_MRR:
            scores = _group(samples, _P_MRR)[_P_MRR].tolist()
            if scores:
                exact["p-MRR"] = sum(scores) / len(scores)
            else:
                undefined["p-MRR"] = "no document lost its relevance between original and changed queries"
        elif extra == "recall_cap":
            exact.update({f"R_cap_at_{k}": _defined_mean(own[f"R_cap_at_{k}"]) for k in settings["k_values"]})
        elif extra in SINGLE:
            metric, function = SINGLE[extra]
            exact[extra] = function(own["query_id"].tolist(), own[metric])
    return exact, undefined


def details_from(samples: pa.Table, settings: Settings) -> dict[str, Any]:
    """What mteb nests beside its metrics: `og` and `changed` (p-MRR), `level_scores` (IFIR); JSON-ready."""
    settings = complete(settings)
    own = _group(samples, "")
    details: dict[str, Any] = {}
    if _P_MRR in settings["extra"]:
        for half, rows in halves(own["query_id"].tolist()).items():
            exact, missing = _means(
                {name: values[rows] for name, values in own.items()}, settings["k_values"]
            )
            details[half] = {name: reported(name, value) for name, value in exact.items()}
            details[half].update(dict.fromkeys(missing))
    if "level_scores" in settings["extra"]:
        details["level_scores"] = level_scores(own["query_id"].tolist(), own["ndcg_at_20"])
    return details


def reported(name: str, value: float) -> float:
    """A metric as mteb reports it in memory: trec_eval's means to five decimals, the others as they are."""
    bare = name.removeprefix(f"{_SUBQUERIES}_").removeprefix("first_stage_")
    return round(value, 5) if bare.startswith(_ROUNDED) else value


def _rows(
    group: str, names: Sequence[str], run: Run, qrels: Qrels, pairs: Judged, settings: Settings
) -> pa.Table:
    k_values = settings["k_values"]
    best, num_relevant = ideal(qrels, max(k_values))
    lengths = np.diff(run.offsets)
    measures = trec(grades(run, pairs, max(k_values)), lengths, best, num_relevant, k_values)
    columns: dict[str, Any] = {
        "group": pa.array([group] * len(names), pa.string()),
        "query_id": pa.array(list(names), pa.string()),
        **measures,
        **{f"confidence_{name}": v for name, v in confidence(run.scores, run.offsets).items()},
        "num_relevant": num_relevant,
        "num_retrieved": lengths,
    }
    if "recall_cap" in settings["extra"]:
        for k in k_values:
            values = recall_cap(np.rint(measures[f"precision_at_{k}"] * k), num_relevant, k)
            columns[f"R_cap_at_{k}"] = pa.array(values, mask=np.isnan(values))
    return pa.table(columns)


def _group(samples: pa.Table, group: str) -> dict[str, Any]:
    import pyarrow.compute as pc

    table = samples.filter(pc.equal(samples["group"], group))
    return {name: table[name].to_numpy() for name in table.column_names}


def _means(columns: Mapping[str, Any], k_values: Sequence[int]) -> tuple[dict[str, float], dict[str, str]]:
    count = len(columns["query_id"])
    if not count:
        raise DataError("no queries to take a mean of")
    exact: dict[str, float] = {}
    undefined: dict[str, str] = {}
    for measure in ("ndcg", "map", "recall", "precision", "mrr", "hit_rate"):
        # A plain sum in query order, as mteb: another order of adding rounds exact halves another way.
        exact |= {f"{measure}_at_{k}": sum(columns[f"{measure}_at_{k}"].tolist()) / count for k in k_values}
        if measure == "recall" and 1 in k_values:
            exact["accuracy"] = exact["recall_at_1"]
    names = [f"{m}_at_{k}" for m in ("ndcg", "map", "recall", "precision", "mrr") for k in k_values]
    confidences = {kind: columns[f"confidence_{kind}"] for kind in CONFIDENCES}
    for (metric, kind), value in naucs(confidences, {name: columns[name] for name in names}).items():
        if value is None:
            undefined[f"nauc_{metric}_{kind}"] = "all queries score alike"
        else:
            exact[f"nauc_{metric}_{kind}"] = value
    return exact, undefined


def _defined_mean(values: Float64) -> float:
    # mteb's recall_cap: queries without relevant documents are left out; with none left it is 0.
    defined = [value for value in values.tolist() if value == value]
    return sum(defined) / len(defined) if defined else 0.0
