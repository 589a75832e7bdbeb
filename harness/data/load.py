"""A resolved task's examples, from its folder, the hub or mteb; one entry at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import files, hub, layout, mteb_source
from harness.data.build import RANKING
from harness.data.examples import Chosen, DevTest, Examples, LabelledExamples, RankingExamples
from harness.errors import DataError, MissingSplitError

if TYPE_CHECKING:
    from harness.task import Task


def load_examples(task: Task, split: str, subset: str, loaded: dict[str, Any], *, offline: bool) -> Examples:
    """Examples of one (split, subset) of a task; `DevTest` where the scorer chooses on a dev split.

    Args:
        loaded: mteb task objects already loaded in this run, by task name; filled here.

    Raises:
        DataError: missing, unreachable or malformed data.
    """
    test = _examples(task, split, subset, loaded, split, offline)
    if not task.scorer.dev:
        return test
    assert isinstance(test, Chosen)
    try:
        dev = _examples(task, task.dev_split, subset, loaded, split, offline)
    except MissingSplitError as error:
        if task.kind in RANKING:  # vectors of unit length need no choice
            return DevTest(test, None)
        raise DataError(
            f"{task.name}: protocol {task.protocol} chooses on a dev split, and the data have no "
            f"{task.dev_split!r}; name another (splits: {{dev: ..., test: {split}}}) or add it\n{error}"
        ) from error
    assert isinstance(dev, Chosen)
    return DevTest(test, _without_shared(dev, test))


def _without_shared(dev: Chosen, test: Chosen) -> Chosen:
    if isinstance(dev, LabelledExamples):
        return replace(dev, train_texts=[], train_labels=[])
    if isinstance(dev, RankingExamples) and isinstance(test, RankingExamples):
        same = dev.doc_ids == test.doc_ids and dev.documents == test.documents
        return replace(dev, doc_ids=[], documents=[]) if same else dev
    return dev


def _examples(
    task: Task, split: str, subset: str, loaded: dict[str, Any], corpus_split: str, offline: bool
) -> Examples:
    if task.folder is not None:
        return layout.load(
            task.folder,
            task.rows or task.kind,
            split,
            subset,
            train_split=task.train_split,
            columns=task.columns,
            document=task.document,
            corpus_split=corpus_split,
        )
    assert task.source is not None
    if task.source.files is not None:
        paths = file_paths(task, (split, subset), offline=offline)
        return files.load(
            task.rows or task.kind,
            paths,
            form=task.source.format,
            columns=task.columns,
            document=task.document,
        )
    if task.source.hub is not None:
        return hub.load(
            task.name,
            task.rows or task.kind,
            split,
            hub=task.source.hub,
            revision=str(task.source.revision),
            config=task.source.config or (None if subset == "default" else subset),
            configs={str(part): name for part, name in (task.source.configs or {}).items()} or None,
            train_split=task.train_split,
            columns=task.columns,
            document=task.document,
            offline=offline,
        )
    if task.name not in loaded:
        entries = task.sequence or task.entries
        subsets = list(dict.fromkeys(s for _, s in entries))
        splits = list(dict.fromkeys(s for s, _ in entries))
        loaded[task.name] = mteb_source.load_task(str(task.source.mteb), subsets, splits, offline=offline)
    return mteb_source.examples(loaded[task.name], task.kind, split, subset, task.train_split)


def file_paths(task: Task, entry: tuple[str, str], *, offline: bool) -> dict[str, Path]:
    """The files of one (split, subset) of a task whose source names files; those of a hub are fetched.

    Raises:
        DataError: a hub's file is not to be had.
    """
    assert task.source is not None
    assert task.source.files is not None
    own = files.files_of(task.name, task.rows or task.kind, task.source.files)
    paths = files.wanted(own, task.rows or task.kind, entry, task.train_split)
    if task.source.hub is None:
        return {part: Path(path) for part, path in paths.items()}
    place = task.name, task.source.hub, str(task.source.revision)
    return {part: hub.download(*place, path, offline=offline) for part, path in paths.items()}
