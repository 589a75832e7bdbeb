"""Whether tasks' data are on this machine, by a look at folders: nothing is loaded and nobody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError
from harness.network import why_offline

if TYPE_CHECKING:
    from harness.task import Task

_SHOWN = 8  # data sets that a message names


def remote(task: Task) -> bool:
    """Whether a task's data are the hub's, so that a run without the network depends on its cache."""
    source = task.source if task.folder is None and task.kind != "aggregate" else None
    return source is not None and (source.files is None or source.hub is not None)


def absent(task: Task) -> bool:
    """Whether the hub's cache surely lacks a task's data at their revision.

    Where mteb loads a task by code of its own, files are named, or no data set is known, only trying tells:
    False.
    """
    named = task.source is not None and task.source.files is not None  # then not in that cache
    if not remote(task) or task.own_loading or named or not task.dataset:
        return False
    return not in_cache(task.dataset, task.revision)


def in_cache(dataset: str, revision: str) -> bool:
    """Whether the library `datasets` has prepared some configuration of a hub data set at a commit."""
    import datasets
    from datasets.naming import camelcase_to_snakecase

    *owner, name = dataset.split("/")
    folder = Path(datasets.config.HF_DATASETS_CACHE).expanduser() / "___".join(
        [*owner, camelcase_to_snakecase(name)]
    )
    return any(path.is_dir() for path in folder.glob(f"*/*/{revision}"))


def check(tasks: Iterable[Task], asked: bool) -> tuple[bool, list[Task]]:
    """Find out, before anything is loaded, what of a run's data cannot be had.

    Args:
        asked: the user said --offline.

    Returns:
        Whether to keep off the network, and the tasks that cannot be had then. The hub is asked
        once, and only if some task's data are its.
    """
    wanted = [task for task in tasks if remote(task)]
    if not wanted:
        return asked, []
    offline = bool(why_offline(asked))
    return offline, [task for task in wanted if offline and absent(task)]


def lacking(tasks: Sequence[Task], asked: bool, command: str) -> DataError:
    """One error that names the data sets of the tasks, why they cannot be had, and what gets them.

    Of many it names the first, and says all in `more`.
    """
    every = [f"{task.name} ({task.dataset} @ {task.revision[:12]})" for task in tasks]
    shown, few = ", ".join(every), len(tasks) <= _SHOWN
    if not few:
        named = ", ".join(task.name for task in tasks[:_SHOWN])
        shown = f"{len(tasks)} tasks: {named} and {len(tasks) - _SHOWN} more (-v names all)"
    error = DataError(
        f"{why_offline(asked)}, and not on this machine: data of {shown}\n"
        f"where there is a network: {command}; then pass --data DIR (or go online: HF_ENDPOINT, HF_TOKEN)"
    )
    error.more = () if few else tuple(every)
    return error
