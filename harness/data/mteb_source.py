"""Task data through mteb's own loading, turned into examples. mteb is the source, never the engine."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.data.build import FIELDS, LABELLED, RANKING, build, document_text, query_text
from harness.data.examples import BitextExamples, Examples, RankingExamples
from harness.data.rows import check_columns
from harness.errors import DataError, MissingSplitError
from harness.network import cut_off, transport_errors

# How mteb's task classes call the columns that our rows call otherwise.
_COLUMNS = {
    "pair_classification": {
        "sentence1": "input1_column_name",
        "sentence2": "input2_column_name",
        "label": "label_column_name",
    },
    "classification": {"text": "input_column_name", "label": "label_column_name"},
    "multilabel": {"text": "input_column_name", "label": "label_column_name"},
    "clustering": {"sentences": "input_column_name", "labels": "label_column_name"},
    "summarization": {
        "text": "text_column_name",
        "machine_summaries": "machine_summaries_column_name",
        "human_summaries": "human_summaries_column_name",
        "relevance": "relevancy_column_name",
    },
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep mteb's and datasets' warnings, logs and progress bars off the user's screen."""
    loggers = [logging.getLogger(name) for name in ("mteb", "datasets", "huggingface_hub", "httpx", "fsspec")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def loading_errors() -> tuple[type[Exception], ...]:
    """What `datasets` and the hub raise for data that are missing, broken or out of reach."""
    return OSError, ValueError, RuntimeError, *transport_errors()


def load_task(name: str, subsets: Sequence[str], splits: Sequence[str], *, offline: bool) -> Any:
    """An mteb task object with the data of some subsets loaded from the hub or its cache.

    Raises:
        DataError: the data are not in the cache and the hub cannot be reached; says what to do.
    """
    with quiet(), cut_off(offline):
        import mteb

        task = mteb.get_task(name)
        task.hf_subsets = list(subsets)
        task.filter_eval_splits(list(splits))
        try:
            task.load_data()
        except loading_errors() as error:
            raise DataError(unreachable(name, task.metadata.dataset, error)) from error
        if hasattr(task, "convert_v1_dataset_format_to_v2"):
            task.convert_v1_dataset_format_to_v2(num_proc=None)
    return task


def unreachable(name: str, dataset: Mapping[str, Any], error: Exception) -> str:
    """What to tell a user whose data cannot be had: what failed, what to set, what to fetch."""
    where = f"{dataset.get('path')} @ {dataset.get('revision')}"
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return (
        f"data of {name} ({where}) are neither local nor to be had from the hub ({reason})\n"
        f"go online (HF_ENDPOINT, HF_TOKEN), or put them into <DIR>/{name}/ and pass --data <DIR>"
    )


def examples(task: Any, kind: str, split: str, subset: str, train_split: str = "train") -> Examples:
    """Examples of one split and subset of a loaded mteb task object.

    Raises:
        DataError: the data set lacks the split or subset, or holds a bad row.
    """
    where = f"{task.metadata.name} ({split}, {subset})"
    if kind in RANKING:
        return _ranking(task, split, subset, where)
    if kind == "bitext":
        return _bitext(task, split, subset, where)
    splits = task.dataset.get(subset, task.dataset)
    columns = {ours: getattr(task, theirs) for ours, theirs in _COLUMNS.get(kind, {}).items()}
    if kind == "sts":
        columns = dict(zip(("sentence1", "sentence2"), task.column_names, strict=True))
    fields = FIELDS[kind]
    parts = {"rows": _unpacked(splits, split, where, kind)}
    if kind in LABELLED:
        parts["train"] = _unpacked(splits, train_split, where, kind)
    checked = {
        part: check_columns(enumerate(rows, 1), fields, columns, where=where) for part, rows in parts.items()
    }
    return build(kind, checked, dict.fromkeys(checked, where))


def _unpacked(splits: Mapping[str, Any], split: str, where: str, kind: str) -> list[dict[str, Any]]:
    if split not in splits:
        raise MissingSplitError(
            f"{where}: the data set has no split {split!r} (it has {', '.join(map(str, splits))})"
        )
    rows = [dict(row) for row in splits[split]]
    if kind == "pair_classification" and len(rows) == 1:  # old sets keep a whole split in one row of lists
        lists = {name: value for name, value in rows[0].items() if isinstance(value, list)}
        rows = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)] or rows
    return rows


def _ranking(task: Any, split: str, subset: str, where: str) -> RankingExamples:
    data = task.dataset[subset][split]
    corpus, queries = data["corpus"], data["queries"]
    titles = corpus["title"] if "title" in corpus.column_names else [None] * len(corpus)
    documents = [document_text(title, text) for title, text in zip(titles, corpus["text"], strict=True)]
    instructions = queries["instruction"] if "instruction" in queries.column_names else [None] * len(queries)
    qrels = {
        str(q): {str(d): int(g) for d, g in docs.items()} for q, docs in data["relevant_docs"].items() if docs
    }
    kept = [
        (str(name), query_text(text, instruction))
        for name, text, instruction in zip(queries["id"], queries["text"], instructions, strict=True)
        if str(name) in qrels
    ]
    if not kept:
        raise DataError(f"{where}: no query has qrels")
    listed = data["top_ranked"]
    candidates = None if listed is None else {str(q): [str(d) for d in docs] for q, docs in listed.items()}
    names = [name for name, _ in kept]
    return RankingExamples(
        names,
        [text for _, text in kept],
        [str(name) for name in corpus["id"]],
        documents,
        {name: qrels[name] for name in names},
        candidates,
    )


def _bitext(task: Any, split: str, subset: str, where: str) -> BitextExamples:
    if task.parallel_subsets:
        left, right = subset.split("-")
        data = task.dataset[split]
    else:
        left, right = "sentence1", "sentence2"
        data = task.dataset[subset][split] if subset in task.dataset else task.dataset[split]
    names = data.column_names if hasattr(data, "column_names") else list(data)
    for column in (left, right):
        if column not in names:
            raise DataError(f"{where}: the data set has no column {column!r}")
    gold = [pair[1] for pair in data["gold"]] if "gold" in names else range(len(data[left]))
    return BitextExamples(list(data[left]), list(data[right]), np.array(list(gold), dtype=np.int64))
