"""A model card's results: stored results as the groups of a `model-index`, in the shapes that cards have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from harness.errors import ConfigError, DataError
from harness.report import names
from harness.report.card.render import model_index_text
from harness.types import Result

Profile = Literal["mteb", "generic"]
Names = Literal["v1", "v2"]
Metrics = Literal["main", "all"]

# kind to mteb's task type, and to the Hub's task id
TYPES = {
    "sts": ("STS", "sentence-similarity"),
    "pair_classification": ("PairClassification", "sentence-similarity"),
    "classification": ("Classification", "text-classification"),
    "multilabel": ("MultilabelClassification", "text-classification"),
    "clustering": ("Clustering", "sentence-similarity"),
    "retrieval": ("Retrieval", "text-retrieval"),
    "aggregate": ("Retrieval", "text-retrieval"),
    "reranking": ("Reranking", "text-ranking"),
    "instruction_reranking": ("InstructionReranking", "text-ranking"),
    "summarization": ("Summarization", "sentence-similarity"),
    "bitext": ("BitextMining", "sentence-similarity"),
    "triplet": ("Triplet", "sentence-similarity"),
}
GENUINE = ("mteb", "cmteb-v1")  # the protocols whose figures may be called MTEB's
# What sentence-transformers' evaluator calls itself on the cards it writes, and what it keeps off them.
EVALUATOR = {"type": "cross-encoder-reranking", "name": "Cross Encoder Reranking"}
OFF_CARD = ("base_", "delta_")
NO_REVISION = ("", "none", "null", "no_revision_available", "revision_not_applicable")
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Group:
    """One task, split and subset on a card.

    Attributes:
        data: task, dataset and metrics as they stand in a model-index; metrics are lists of mappings.
        task: the harness's name of the task.
        entry: split and subset.
        protocol: how it was scored; what metric names mean depends on it.
        main: value of the main metric in the card's scale (some cards have it as `main_score`).
        scale: what values were multiplied by, 100 or 1.
        homes: every dataset type by which cards know the task.
    """

    data: Mapping[str, Any]
    task: str
    entry: tuple[str, str]
    protocol: str
    main: float
    scale: int
    homes: frozenset[str]

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.task} ({'/'.join(self.entry)})"


def groups_of(
    results: Iterable[Result],
    profile: str = "mteb",
    *,
    datasets: Mapping[str, str] = NOTHING,
    types: Mapping[str, str] = NOTHING,
    metrics: Metrics = "all",
    mains: Mapping[str, str] = NOTHING,
    metric_names: Names = "v2",
    digits: int | None = None,
) -> list[Group]:
    """One model's results as groups of a model-index, sorted by task, split and subset.

    Profile `mteb` is the shape of cards of the MTEB leaderboard: mteb's task types, dataset names `MTEB
    <Task>`, values x100. Profile `generic` is for other tasks: the Hub's task ids, plain names, values as
    they are, metrics named; results of sentence-transformers' reranking evaluator get the very shape of
    the cards that it writes.

    Args:
        results: of one model, revision and variant, each split and subset once.
        datasets: task to the dataset's path on the Hub; default the task's name.
        types: task to mteb's task type, where its kind does not tell (results that mteb wrote).
        metrics: all of them, or each entry's main one.
        mains: task to the metric that a suite shows, where it is not the stored main one.
        metric_names: v1 writes the metrics that cards of mteb 1 have, by their names (`cos_sim_spearman`,
            `map`, `mrr`), and data sets by the paths of then; `mteb` profile only.
        digits: of the values; None writes them in full.

    Raises:
        ConfigError: several models, an entry given twice, a result that is not MTEB's under `mteb`, or a
            task of unknown type.
        DataError: no results, or a value that is not finite.
    """
    if profile not in ("mteb", "generic"):
        raise ConfigError(f"unknown profile {profile!r}; there are mteb and generic")
    if profile == "generic" and metric_names == "v1":
        raise ConfigError("the metric names of mteb 1 belong to the mteb profile")
    ordered = sorted(results, key=lambda r: (r.task, r.split, r.subset))
    _check(ordered, profile)
    splits = {task: {r.split for r in ordered if r.task == task} for task in {r.task for r in ordered}}
    groups = []
    for result in ordered:
        task, word = _task(result, profile, types)
        own = _own_dataset(result, profile, metric_names, datasets, several=len(splits[result.task]) > 1)
        exact = _exact(result)
        main = mains.get(result.task, result.main_metric)
        main = main if main in exact else names.today(main, result.protocol)
        scale = 100 if profile == "mteb" else 1
        values = {
            name: _value(result, name, value, scale, digits)
            for name, value in _chosen(result, word, metrics, main, metric_names, profile).items()
        }
        groups.append(
            Group(
                {"task": task, "dataset": own, "metrics": _metrics(values, profile)},
                result.task,
                (result.split, result.subset),
                result.protocol,
                _value(result, main, exact.get(main, exact[result.main_metric]), scale, digits),
                scale,
                frozenset({own["type"], datasets.get(result.task, own["type"])})
                | ({names.CARD_TYPES[result.task]} if result.task in names.CARD_TYPES else set()),
            )
        )
    return groups


def model_index(
    results: Iterable[Result], profile: str = "mteb", *, name: str | None = None, **options: Any
) -> str:
    """The `model-index:` block of one model's results; `yaml.safe_load` gives the data back.

    Args:
        name: of the entry; default the model's name, without its organisation under `mteb`.
        options: results, profile, and errors as in `groups_of`.
    """
    found = list(results)
    groups = groups_of(found, profile, **options)
    return model_index_text(
        name or entry_name(found[0].model, profile), [dict(group.data) for group in groups]
    )


def entry_name(model: str, profile: str) -> str:
    """What a model-index calls a model: without its organisation under `mteb`."""
    return model.split("/")[-1] if profile == "mteb" else model


def known_revision(revision: str | None) -> str | None:
    """A real revision; None for what stands for none (`'None'`, null, a local folder's hash)."""
    if revision is None or revision.lower() in NO_REVISION or "not available" in revision:
        return None
    return None if revision.startswith("local:") else revision


def _check(results: list[Result], profile: str) -> None:
    if not results:
        raise DataError("there are no results to write into a card")
    models = sorted(
        {"@".join((r.model, r.revision or "none")) + "".join(f"+{v}" for v in r.variant) for r in results}
    )
    if len(models) > 1:
        raise ConfigError(
            f"a card is about one model, revision and variant; these are {', '.join(models[:4])}"
        )
    seen = set()
    for result in results:
        entry = f"{result.task} ({result.split}/{result.subset})"
        if entry in seen:
            raise ConfigError(f"{entry} is given twice")
        seen.add(entry)
        if profile == "mteb" and result.protocol not in GENUINE:
            raise ConfigError(
                f"{entry} was scored by protocol {result.protocol}, which is not MTEB's: --profile generic"
            )


def _task(result: Result, profile: str, types: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """The `task` of a group, and mteb's word for its type."""
    word, hub = TYPES.get(result.kind, (None, None))
    word = types.get(result.task, word)
    hub = hub or next((own for named, own in TYPES.values() if named == word), None)
    if word is None or hub is None:
        raise ConfigError(
            f"{result.task} is no task of mteb, and its results do not say of what kind it is\n"
            "leave it out: --suite S takes the tasks of a suite alone"
        )
    if profile == "mteb":
        return {"type": word}, word
    return (dict(EVALUATOR) if _by_evaluator(result) else {"type": hub, "name": word}), word


def _by_evaluator(result: Result) -> bool:
    return result.protocol == "sbert" and result.kind == "reranking"


def _own_dataset(
    result: Result, profile: str, era: str, datasets: Mapping[str, str], *, several: bool
) -> dict[str, str]:
    path = datasets.get(result.task, result.task)
    revision = known_revision(result.data_revision)
    end = {"revision": revision} if revision else {}
    suffix = "" if result.subset == "default" else f" ({result.subset})"
    if profile == "generic" and _by_evaluator(result):
        # the evaluator knows one name, no split and no config: those are written where there are several
        dataset = {
            "name": re.sub("[_-]", " ", result.task) + suffix,
            "type": datasets.get(result.task, result.task.replace(" ", "-")),
        }
        config = {"config": result.subset} if suffix else {}
        return dataset | config | ({"split": result.split} if several else {}) | end
    name = result.task if profile == "generic" else f"MTEB {result.task}"
    if profile == "mteb" and era == "v1":
        path = names.CARD_TYPES.get(result.task, path)
        name = names.CARD_NAMES.get(result.task, name)
    return {"type": path, "name": name + suffix, "config": result.subset, "split": result.split, **end}


def _exact(result: Result) -> dict[str, float]:
    return {name: result.exact.get(name, value) for name, value in result.metrics.items()}


def _chosen(
    result: Result, word: str, metrics: str, main: str, era: str, profile: str
) -> Mapping[str, float]:
    """The metrics to write, by the names they get."""
    exact = _exact(result)
    if metrics == "main" and main not in exact:
        raise DataError(f"{result.task} ({result.split}/{result.subset}) has no {main}")
    if era == "v1" and word in names.V1_METRICS:
        old = names.v1_metrics(exact, word, result.protocol)
        if any(name.startswith("cos_sim_") for name in exact):  # of mteb 1: its maxima are over the four
            old |= {name: exact[name] for name in names.V1_METRICS[word] if name in exact}
        if metrics == "all":
            return old
        name = names.old_name(main, word, result.protocol) or main
        return {name: old.get(name, exact[main])}
    if metrics == "main":
        return {main: exact[main]}
    if profile == "generic" and _by_evaluator(result):
        return {name: value for name, value in exact.items() if not name.startswith(OFF_CARD)}
    return exact


def _value(result: Result, metric: str, value: float, scale: int, digits: int | None) -> float:
    if not math.isfinite(value):
        raise DataError(
            f"{metric} of {result.task} ({result.split}/{result.subset}) is {value}; a card takes numbers"
        )
    scaled = float(value) * scale
    return scaled if digits is None else round(scaled, digits)


def _metrics(found: Mapping[str, float], profile: str) -> list[dict[str, Any]]:
    if profile == "generic":
        spelled = {re.sub(r"_at_(\d+)", r"@\1", metric): value for metric, value in found.items()}
        return [
            {"type": m, "value": v, "name": m.replace("_", " ").title()} for m, v in sorted(spelled.items())
        ]
    return [{"type": metric, "value": value} for metric, value in sorted(found.items())]
