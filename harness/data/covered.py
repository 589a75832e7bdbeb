"""What a fetched folder must hold for a task: the parts of each entry, and the dev split it chooses on."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data import layout
from harness.data.build import LABELLED, RANKING
from harness.data.examples import DevTest, Examples, RankingExamples
from harness.data.write import Table, tables

if TYPE_CHECKING:
    from harness.entries import Entry
    from harness.task import Task


def rows_of(task: Task, entry: Entry, examples: Examples) -> Iterator[tuple[Entry, str, Table]]:
    """The rows of an entry by part, then those of its dev split that the entry does not have already."""
    test = examples.test if isinstance(examples, DevTest) else examples
    for part, table in tables(test, sets=task.scorer.name == "minibatch_kmeans").items():
        yield entry, part, table
    dev = examples.dev if isinstance(examples, DevTest) else None
    if dev is None:
        return
    for part, table in tables(dev).items():
        shared = part == "train" or (
            part == "corpus" and isinstance(dev, RankingExamples) and not dev.doc_ids
        )
        if not shared:
            yield (task.dev_split, entry[1]), part, table


def of_ones_own(task: Task, root: Path) -> bool:
    """Whether a task's data are files of the user's own, in the folder or where a YAML names them."""
    local = task.source is not None and task.source.files is not None and task.source.hub is None
    return local or layout.by_hand(root, task.name)


def scored_with(task: Task, place: Entry) -> list[Entry]:
    """The entries that a file is read for; one of a dev split for those that are scored with it."""
    if not task.scorer.dev or place[0] != task.dev_split:
        return [place]
    return [entry for entry in task.entries if entry[1] == place[1]]


def unasked_dev(task: Task, folder: Path) -> tuple[Entry, ...]:
    """The entries of a ranking task whose dev split, or this one, was not asked for when a folder was filled.

    Sources may lack it, so that no file tells; other kinds always have one.
    """
    if not task.scorer.dev or task.kind not in RANKING:
        return ()
    asked = asked_dev(task, folder)
    return tuple(entry for entry in task.entries if entry[1] not in asked)


def asked_dev(task: Task, folder: Path) -> list[str]:
    """The subsets of a folder for which the task's dev split was asked for, sorted.

    Of manifests that do not list them it is all that the folder has.
    """
    manifest = layout.read_manifest(folder)
    if not task.scorer.dev or manifest.get("dev") != task.dev_split:
        return []
    listed = manifest.get("dev_subsets")
    if listed is None:
        listed = {layout.place(name, task.kind)[1] for name in manifest.get("files", ())}
    return sorted(listed)


def covers(files: Collection[str], task: Task, entry: Entry) -> bool:
    """Whether files hold everything that an entry is read from."""
    stems = {Path(name).stem for name in files}
    parts = layout.parts(task.rows or task.kind)
    dev = task.scorer.dev and task.kind not in RANKING
    return all(stem_of(task, entry, part) in stems for part in parts) and (
        not dev or layout.stem(task.dev_split, entry[1]) in stems
    )


def stem_of(task: Task, entry: Entry, part: str) -> str:
    """The name, without its ending, of the file that holds a part of an entry."""
    split, subset = entry
    if part in ("rows", "train"):
        return layout.stem(task.train_split if part == "train" else split, subset)
    return layout.stem(split, subset, part)


def training(task: Task, entry: Entry) -> bool:
    """Whether an entry is only there for others to be trained on."""
    return task.kind in LABELLED and entry[0] == task.train_split and entry not in task.entries
