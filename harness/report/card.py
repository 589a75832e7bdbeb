"""A model card's `model-index`: results as the YAML that the Hub reads from a README's front matter."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from harness.errors import ConfigError, DataError
from harness.report.names import old_name
from harness.types import Result

Profile = Literal["mteb", "generic"]
Groups = list[dict[str, Any]]

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
NO_REVISION = ("", "none", "null", "no_revision_available", "revision_not_applicable")
NOTHING: Mapping[str, str] = MappingProxyType({})

# what a YAML 1.1 or 1.2 reader may take for something other than a string
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"}
PLAIN = re.compile(r"[A-Za-z0-9_](?:[\w./()@+ -]*[\w./()@+-])?", re.ASCII)
NUMBER = re.compile(r"[0-9_]+(?:\.[0-9_]*)?(?:e[-+]?[0-9_]+)?|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+|[0-9-]+", re.I)
DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}.*")


def model_index(
    results: Iterable[Result],
    profile: str = "mteb",
    *,
    name: str | None = None,
    datasets: Mapping[str, str] = NOTHING,
    types: Mapping[str, str] = NOTHING,
    metrics: Literal["main", "all"] = "all",
    metric_names: Literal["v1", "v2"] = "v2",
    digits: int | None = None,
) -> str:
    """The `model-index:` block of one model's results; `yaml.safe_load` gives the data back.

    Profile `mteb` is the shape of cards of the MTEB leaderboard: mteb's task types, dataset names `MTEB
    <Task>`, values x100. Profile `generic` is sentence-transformers' shape for other tasks: the Hub's
    task ids, plain names, values as they are, metrics named.

    Args:
        results: of one model, revision and variant, each split and subset once.
        name: of the model-index entry; default the model's name, without its organisation under `mteb`.
        datasets: task to the dataset's path on the Hub; default the task's name.
        types: task to mteb's task type, where its kind does not tell (results that mteb wrote).
        metrics: all of them, or each entry's main one.
        metric_names: v1 spells as mteb 1 did (`cos_sim_spearman`, `map`, `mrr`); `mteb` profile only.
        digits: of the values; None writes them in full.

    Raises:
        ConfigError: several models, an entry given twice, a result that is not MTEB's under `mteb`, or a
            task of unknown type.
        DataError: no results, or a value that is not finite.
    """
    if profile not in ("mteb", "generic"):
        raise ConfigError(f"unknown profile {profile!r}; there are mteb and generic")
    ordered = sorted(results, key=lambda r: (r.task, r.split, r.subset))
    _check(ordered, profile)
    groups: Groups = []
    for result in ordered:
        chosen = sorted(result.metrics) if metrics == "all" else [result.main_metric]
        found = {metric: _value(result, metric, 100 if profile == "mteb" else 1, digits) for metric in chosen}
        dataset = {"type": datasets.get(result.task, result.task), "name": _dataset_name(result, profile)}
        groups.append(
            {
                "task": _task(result, profile, types),
                "dataset": dataset | _place(result),
                "metrics": _metrics(found, result, profile, metric_names),
            }
        )
    model = ordered[0].model
    return _render(name or (model.split("/")[-1] if profile == "mteb" else model), groups)


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
                f"{entry} was scored by protocol {result.protocol}, which is not MTEB's: use generic"
            )


def _task(result: Result, profile: str, types: Mapping[str, str]) -> dict[str, Any]:
    word, hub = TYPES.get(result.kind, (None, None))
    word = types.get(result.task, word)
    hub = hub or next((own for named, own in TYPES.values() if named == word), None)
    if word is None or hub is None:
        raise ConfigError(f"the type of task {result.task} is not known; name it in `types`")
    return {"type": word} if profile == "mteb" else {"type": hub, "name": word}


def _dataset_name(result: Result, profile: str) -> str:
    name = f"MTEB {result.task}" if profile == "mteb" else result.task
    return name if result.subset == "default" else f"{name} ({result.subset})"


def _place(result: Result) -> dict[str, str]:
    place = {"config": result.subset, "split": result.split}
    unknown = result.data_revision.lower() in NO_REVISION or "not available" in result.data_revision
    if unknown or result.data_revision.startswith("local:"):
        return place
    return {**place, "revision": result.data_revision}


def _value(result: Result, metric: str, scale: int, digits: int | None) -> float:
    value = float(result.exact.get(metric, result.metrics[metric]))
    if not math.isfinite(value):
        raise DataError(
            f"{metric} of {result.task} ({result.split}/{result.subset}) is {value}; a card takes numbers"
        )
    value *= scale
    return value if digits is None else round(value, digits)


def _metrics(found: Mapping[str, float], result: Result, profile: str, names: str) -> list[dict[str, Any]]:
    if profile == "generic":
        spelled = {re.sub(r"_at_(\d+)", r"@\1", metric): value for metric, value in found.items()}
        return [
            {"type": m, "value": v, "name": m.replace("_", " ").title()} for m, v in sorted(spelled.items())
        ]
    if names == "v1":
        word = TYPES.get(result.kind, ("", ""))[0]
        old = {metric: old_name(metric, word, result.protocol) for metric in found}
        found = {old[metric] or metric.replace("cosine_", "cos_sim_"): v for metric, v in found.items()}
    return [{"type": metric, "value": value} for metric, value in sorted(found.items())]


def _render(name: str, groups: Groups) -> str:
    lines = ["model-index:", f"- name: {_scalar(name)}", "  results:"]
    for group in groups:
        for first, (key, fields) in zip(("  - ", "    ", "    "), group.items(), strict=True):
            lines.append(f"{first}{key}:")
            for item in fields if isinstance(fields, list) else [fields]:
                starts = ["    - " if isinstance(fields, list) else "      "] + ["      "] * (len(item) - 1)
                lines += [
                    f"{start}{k}: {_scalar(v)}" for start, (k, v) in zip(starts, item.items(), strict=True)
                ]
    return "\n".join(lines) + "\n"


def _scalar(value: str | float) -> str:
    """A YAML scalar that every reader takes for what it is."""
    if isinstance(value, float):
        text = repr(value)
        return (
            text if "e" not in text or "." in text else text.replace("e", ".0e")
        )  # 1e-05 is a string to YAML 1.1
    special = value.lower() in WORDS or NUMBER.fullmatch(value) or DATE.fullmatch(value)
    if PLAIN.fullmatch(value) and not special:
        return value
    escaped = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
