"""What mteb knows of its text tasks (kind, scorer, splits, main metric, sampling, data set) and benchmarks.

Importing mteb takes seconds, so what it says is written once per mteb version into the cache and read
from there. Nothing is kept by hand: another mteb, another table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UnknownNameError

SCHEMA = 5

_KINDS = {
    "STS": "sts",
    "PairClassification": "pair_classification",
    "Classification": "classification",
    "MultilabelClassification": "multilabel",
    "Clustering": "clustering",
    "Retrieval": "retrieval",
    "InstructionRetrieval": "retrieval",
    "Reranking": "reranking",
    "InstructionReranking": "instruction_reranking",
    "Summarization": "summarization",
    "BitextMining": "bitext",
}

# Tasks whose class adds metrics of its own, by the name of the setting that computes them.
_EXTRA = {
    "MindSmallReranking": ("max_over_subqueries",),
    "NevIR": ("paired_accuracy",),
    "InstructIR": ("robustness_at_10",),
    "Core17InstructionRetrieval": ("p_mrr",),
    "News21InstructionRetrieval": ("p_mrr",),
    "Robust04InstructionRetrieval": ("p_mrr",),
    "mFollowIR": ("p_mrr",),
    "mFollowIRCrossLingual": ("p_mrr",),
    "IFIRAila": ("level_scores",),
    "IFIRFiQA": ("level_scores",),
    "IFIRPm": ("level_scores",),
    "IFIRScifact": ("level_scores",),
}


@dataclass(frozen=True)
class TaskInfo:
    """One mteb task.

    Attributes:
        type: mteb's own word for the kind ("STS", "PairClassification" ...).
        splits: evaluation splits in mteb's order.
        subsets: subset name to its languages ("eng-Latn"); one subset `default` for monolingual tasks.
        settings: what differs from the scorer's defaults.
        train_split: where few-shot classifiers take their rows from.
        roles: text column to its role where mteb prompts the two sides differently.
        members: tasks an aggregate is the mean of.
        own_loading: its class loads the data by code of its own.
        refused: why the task cannot be scored, or empty.
    """

    name: str
    kind: str
    scorer: str
    type: str
    main: str
    splits: list[str]
    subsets: dict[str, list[str]]
    path: str
    revision: str
    settings: dict[str, Any] = field(default_factory=dict)
    train_split: str = "train"
    roles: dict[str, str] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    own_loading: bool = False
    refused: str = ""


@dataclass(frozen=True)
class BenchmarkInfo:
    """One mteb benchmark.

    Attributes:
        aliases: other names that mteb knows it by.
        splits, subsets: of each task, by its name, in mteb's order: what the benchmark scores of it.
        means: the means that mteb's leaderboard shows of it ("mean_task", "mean_task_type" ...).
    """

    name: str
    aliases: list[str]
    splits: dict[str, list[str]]
    subsets: dict[str, list[str]]
    means: list[str]


@dataclass(frozen=True)
class MtebTable:
    """All that mteb says of tasks and benchmarks, by name."""

    tasks: dict[str, TaskInfo]
    benchmarks: dict[str, BenchmarkInfo]


def catalog(cache_root: Path) -> Mapping[str, TaskInfo]:
    """Every mteb task by name; from the cache where this mteb's table is there, else from mteb itself."""
    return _table(str(cache_root)).tasks


def made_catalog(cache_root: Path) -> Mapping[str, TaskInfo]:
    """The same where the table is in the cache already, else nothing: mteb is never imported."""
    return catalog(cache_root) if _path(cache_root).is_file() else {}


def benchmarks(cache_root: Path) -> Mapping[str, BenchmarkInfo]:
    """Every mteb benchmark by name; from where `catalog` comes from."""
    return _table(str(cache_root)).benchmarks


def benchmark(name: str, cache_root: Path) -> BenchmarkInfo:
    """The benchmark of a name or alias. Raises UnknownNameError with the nearest ones."""
    known = benchmarks(cache_root)
    by_name = {alias: info for info in known.values() for alias in info.aliases} | dict(known)
    if name not in by_name:
        raise UnknownNameError(
            "mteb benchmark", name, by_name, f"mteb {version('mteb')} has {len(known)}, such as MTEB(eng, v2)"
        )
    return by_name[name]


def _path(cache_root: Path) -> Path:
    return cache_root / "mteb" / f"tasks-{version('mteb')}-{SCHEMA}.json"


@cache
def _table(cache_root: str) -> MtebTable:
    path = _path(Path(cache_root))
    if path.is_file():
        try:
            return msgspec.json.decode(path.read_bytes(), type=MtebTable)
        except (msgspec.DecodeError, OSError):
            path.unlink(missing_ok=True)  # a damaged table is made again from mteb
    table = MtebTable(read_mteb(), read_benchmarks())
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(asdict(table)))
        temporary.replace(path)
    except OSError:
        return table  # a cache that cannot be written costs time, nothing else
    return table


def read_mteb() -> dict[str, TaskInfo]:
    """Read the tasks off the installed mteb (imports it: several seconds)."""
    from harness.data.mteb_source import quiet

    with quiet():
        from mteb.get_tasks import _TASKS_REGISTRY

        return {name: _info(_TASKS_REGISTRY[name]) for name in sorted(_TASKS_REGISTRY)}


def read_benchmarks() -> dict[str, BenchmarkInfo]:
    """Read the benchmarks off the installed mteb (imports it)."""
    from harness.data.mteb_source import quiet

    with quiet():
        import mteb

        return {own.name: _benchmark_info(own) for own in mteb.get_benchmarks()}


def _benchmark_info(own: Any) -> BenchmarkInfo:
    return BenchmarkInfo(
        name=own.name,
        aliases=list(own.aliases),
        splits={task.metadata.name: [str(split) for split in task.eval_splits] for task in own.tasks},
        subsets={task.metadata.name: list(task.hf_subsets) for task in own.tasks},
        means=[str(mean.value) for mean in own.aggregations if hasattr(mean, "value")],
    )


def _info(task: Any) -> TaskInfo:
    meta = task.metadata
    langs = meta.eval_langs
    subsets = {k: list(v) for k, v in langs.items()} if isinstance(langs, dict) else {"default": list(langs)}
    if hasattr(meta, "tasks"):  # mteb collects an aggregate's languages in a set, without an order
        subsets = {name: sorted(own) for name, own in subsets.items()}
    common = {
        "name": meta.name,
        "type": str(meta.type),
        "main": str(meta.main_score),
        "splits": [str(s) for s in meta.eval_splits],
        "subsets": subsets,
        "path": str(meta.dataset.get("path", "")),
        "revision": str(meta.dataset.get("revision", "")),
    }
    others = [m for m in meta.modalities if m != "text"]
    if others:
        return TaskInfo(
            **common, kind="", scorer="", refused=f"it is a task on {', '.join(others)}, not on text"
        )
    if hasattr(meta, "tasks"):
        members = [member.metadata.name for member in meta.tasks]
        return TaskInfo(**common, kind="aggregate", scorer="mean_of_members", members=members)
    ancestors = {base.__name__ for base in task.__mro__}
    kind = "multilabel" if "AbsTaskMultilabelClassification" in ancestors else _KINDS.get(str(meta.type), "")
    if not kind or "_evaluate_subset" in _own_attributes(task):
        why = (
            "its evaluation is code of its own"
            if kind
            else f"{meta.type} is no kind of text task scored here"
        )
        return TaskInfo(**common, kind="", scorer="", refused=why)
    scorer, settings = _settings(task, kind, ancestors)
    return TaskInfo(
        **common,
        kind=kind,
        scorer=scorer,
        settings=settings,
        train_split=str(getattr(task, "train_split", "train")),
        roles=_roles(task),
        own_loading="load_data" in _own_attributes(task),
    )


def _settings(task: Any, kind: str, ancestors: set[str]) -> tuple[str, dict[str, Any]]:
    if kind == "classification":
        sampling = _read(task, "samples_per_label", "n_experiments", "n_splits")
        return "few_shot", {**sampling, "cross_validation": task.is_cross_validation}
    if kind == "multilabel":
        return "few_shot_knn", _read(task, "samples_per_label", "n_experiments", "max_eval_samples")
    if kind == "clustering":
        if "AbsTaskClusteringLegacy" in ancestors:
            return "minibatch_kmeans", {}
        limits = _read(task, "max_fraction_of_documents_to_embed", "max_document_to_embed", "max_depth")
        draws = _read(task, "max_documents_per_cluster", "n_clusters", "k_mean_batch_size")
        return "bootstrap_kmeans", {**limits, **draws}
    if kind in ("retrieval", "reranking", "instruction_reranking"):
        settings = {
            "k_values": list(task.k_values),
            "top_k": max(task.k_values),
            "ignore_identical_ids": task.ignore_identical_ids,
            "skip_first_result": task.skip_first_result,
        }
        capped = ("recall_cap",) if "task_specific_scores" in _own_attributes(task) else ()
        settings["extra"] = list(_EXTRA.get(task.metadata.name, capped))
        return "trec", settings
    if kind == "summarization":
        name = "mean_with_p" if task.evaluator.__name__.startswith("Deprecated") else "mean_correlation"
        return name, {"min_score": task.min_score, "max_score": task.max_score}
    return {"sts": "correlation", "pair_classification": "thresholds", "bitext": "nearest"}[kind], {}


def _read(task: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(task, name) for name in names}


def _own_attributes(task: Any) -> set[str]:
    return {name for base in task.__mro__ if base.__module__.startswith("mteb.tasks") for name in vars(base)}


def _roles(task: Any) -> dict[str, str]:
    found = {}
    for ours, theirs in (("sentence1", "input1_prompt_type"), ("sentence2", "input2_prompt_type")):
        role = getattr(task, theirs, None)
        if role is not None:
            found[ours] = str(getattr(role, "value", role))
    return found
