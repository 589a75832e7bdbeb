"""A resolved task's examples, from its folder, the hub or mteb; one entry at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.data import hub, layout, mteb_source
from harness.data.examples import Examples

if TYPE_CHECKING:
    from harness.task import Task


def load_examples(task: Task, split: str, subset: str, loaded: dict[str, Any], *, offline: bool) -> Examples:
    """Examples of one (split, subset) of a task.

    Args:
        loaded: mteb task objects already loaded in this run, by task name; filled here.

    Raises:
        DataError: missing, unreachable or malformed data.
    """
    if task.folder is not None:
        return layout.load(
            task.folder,
            task.kind,
            split,
            subset,
            train_split=task.train_split,
            columns=task.columns,
            document=task.document,
        )
    assert task.source is not None
    if task.source.hub is not None:
        return hub.load(
            task.name,
            task.kind,
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
