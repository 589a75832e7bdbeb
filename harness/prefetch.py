"""Task data fetched into a folder of the layout: resumable, checked, pinned by a lock file.

A task is put together in `<DIR>/.prefetch/work/<Task>/`, each entry written, read back and compared with its
source, its files' SHA-256s noted in a manifest there; a run that is killed goes on behind them. The folder
is moved to `<DIR>/<Task>` when everything the suite needs is in it, so that no half task is ever scored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.data import layout, lock
from harness.data.covered import (
    asked_dev,
    covers,
    of_ones_own,
    rows_of,
    scored_with,
    stem_of,
    training,
    unasked_dev,
)
from harness.data.examples import fingerprint
from harness.data.folders import Held, held, publish, stage, staged, write_manifest
from harness.data.load import load_examples
from harness.data.presence import check, in_cache, remote
from harness.data.write import write_table
from harness.entries import Entry
from harness.errors import ConfigError, DataError, HarnessError
from harness.models import models
from harness.models.catalog import load_catalog
from harness.models.identity import Memo
from harness.models.resolve import parse_reference, resolve
from harness.network import transient
from harness.paths import cache_folder
from harness.task import Task

WAITS = (2.0, 8.0)  # seconds before another attempt

State = Literal["written", "there", "own", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        state: "written"; "there" already, checked; the user's "own" files, left alone; or "failed".
        files: names of the files that were written.
        record: what the lock file says of it.
        error: why it failed.
    """

    task: Task
    state: State
    files: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


Listener = Callable[[Task, str], None]


def ready(
    tasks: Sequence[Task], root: Path, *, update: bool = False, offline: bool = False
) -> tuple[bool, list[Task]]:
    """Check, before anything is fetched, what can be told without fetching.

    Returns:
        Whether to keep off the network, and the tasks that cannot be had then.

    Raises:
        ConfigError: without `update`, all tasks that the folder holds at another revision; a task whose name
            is hidden among files.
        DataError: a damaged lock file or manifest.
    """
    for task in tasks:
        if task.name.startswith("."):
            raise ConfigError(f"task {task.name}: a name that begins with a dot makes no data folder")
    changed = lock.conflicts(tasks, root)
    if changed and not update:
        raise ConfigError(
            "\n".join(changed)
            + f"\n{root / lock.NAME} pins them: pass --update to replace them, or fetch into another folder"
        )
    return check([task for task in tasks if missing(task, root) or lock.conflicts([task], root)], offline)


def prefetch(
    tasks: Sequence[Task],
    root: Path,
    *,
    update: bool = False,
    offline: bool = False,
    listen: Listener = lambda task, text: None,
) -> Iterator[Outcome]:
    """Fetch tasks one after the other; what is there and right is kept. Call `ready` first.

    Args:
        tasks: resolved against their sources (`load_suite(..., fetched=root)`), aggregates not among them.
        update: replace data of another revision or source.
        offline: from the hub's cache alone.
        listen: called with what is being done, for progress.
    """
    for task in tasks:
        try:
            with lock.alone(root, task.name):
                outcome = _one(task, root, update, offline, listen)
        except (HarnessError, OSError, RuntimeError, ValueError, LookupError) as error:
            outcome = Outcome(task, "failed", error=str(error) or type(error).__name__)
        yield outcome


def missing(task: Task, root: Path) -> tuple[Entry, ...]:
    """The entries of a task that the folder lacks, by its manifest alone: nothing is hashed."""
    if of_ones_own(task, root):
        return ()
    unasked = unasked_dev(task, root / task.name)
    there = {path.name for path in (root / task.name).glob("*")}
    files = there.intersection(layout.read_manifest(root / task.name).get("files", ()))
    return tuple(entry for entry in task.entries if entry in unasked or not covers(files, task, entry))


def standing(task: Task, root: Path) -> str:
    """How a task stands in the folder, in a few words, without a file being read or the hub being asked."""
    if of_ones_own(task, root):
        return "your own files"
    if lock.conflicts([task], root):
        return "there at another revision"
    lacking = len(missing(task, root))
    if not lacking:
        return "there"
    part = f" {lacking} of {len(task.entries)}" if lacking < len(task.entries) else ""
    cached = remote(task) and in_cache(task.dataset, task.revision)
    return f"to write{part}" if cached or not remote(task) else f"to fetch{part}"


def _one(task: Task, root: Path, update: bool, offline: bool, listen: Listener) -> Outcome:
    final, work = root / task.name, lock.hidden(root, "work", task.name)
    if of_ones_own(task, root):
        return Outcome(task, "own")
    listen(task, "checking")
    replaced = bool(lock.conflicts([task], root))
    if replaced and not update:  # another process was quicker, with other data
        ready([task], root)
    there = Held({}, ()) if replaced else held(final)
    listed = lock.read(root).get(task.name, {}).get("entries", ()) if replaced else ()
    old = [of for split, subset in listed for of in scored_with(task, (str(split), str(subset)))]
    for name in there.damaged:
        listen(task, f"{final / name} differs from its manifest: fetched again")
    places = (layout.place(name, task.kind) for name in there.damaged)
    broken = {of for place in places for of in scored_with(task, place)}
    broken |= set() if replaced else set(unasked_dev(task, final))
    more = [entry for entry in (*old, *sorted(broken)) if not training(task, entry)]
    entries = dict.fromkeys((*task.entries, *more))
    lacking = [e for e in entries if e in broken or not covers(there.files, task, e)]
    if not lacking:
        return Outcome(task, "there", record=_locked(root, task))
    head = _head(task, None if replaced else final)
    stage(work, head)
    todo = [entry for entry in lacking if not covers(staged(work), task, entry)]
    loaded: dict[str, Any] = {}
    narrow = replace(task, entries=tuple(todo))
    for number, entry in enumerate(todo, 1):
        listen(task, f"{'/'.join(entry)} ({number} of {len(todo)})")
        _write(narrow, entry, work, head, loaded, offline, listen)
    written = publish(work, final, head, keep=not replaced)
    return Outcome(task, "written", tuple(written), _locked(root, task))


def _write(
    task: Task,
    entry: Entry,
    work: Path,
    head: Mapping[str, Any],
    loaded: dict[str, Any],
    offline: bool,
    listen: Listener,
) -> None:
    """One entry into the folder of unfinished work; read back it must be what the source gave."""
    split, subset = entry
    examples = _patiently(lambda: load_examples(task, split, subset, loaded, offline=offline), task, listen)
    wanted = fingerprint(examples)
    before = staged(work)
    files = dict(before)
    try:
        for own, part, table in rows_of(task, entry, examples):
            if part == "train" and stem_of(task, own, part) in {Path(name).stem for name in files}:
                continue  # the same rows for every split of a subset
            name = write_table(work, stem_of(task, own, part), table)
            files[name] = layout.sha256(work / name)
        del examples
        write_manifest(work, head, files)
        fetched = replace(task, folder=layout.open_folder(work), source=None)
        if fingerprint(load_examples(fetched, split, subset, {}, offline=True)) != wanted:
            raise DataError("read back, it is not what was written")
    except DataError as error:
        write_manifest(work, head, before)
        raise DataError(f"{task.name} ({split}, {subset}): {error}") from error


def _patiently(load: Callable[[], Any], task: Task, listen: Listener) -> Any:
    for wait in WAITS:
        try:
            return load()
        except HarnessError as error:
            if not transient(error):
                raise
            listen(task, f"{str(error).splitlines()[0]}; again in {wait:g} s")
            time.sleep(wait)
    return load()


def _head(task: Task, final: Path | None) -> dict[str, Any]:
    """A task's manifest without its files.

    Args:
        final: the folder that the task's files are added to, or None.
    """
    spoken = {language for own in task.languages.values() for language in own}
    subsets = {subset for _, subset in task.entries}
    if final is not None:
        spoken.update(layout.read_manifest(final).get("languages", ()))
        subsets.update(asked_dev(task, final))
    return {
        "kind": task.kind,
        "main": task.main,
        "languages": sorted(spoken),
        "source": lock.source_of(task),
        "revision": task.revision,
        "rendered": {"document": task.document, "columns": dict(task.columns)},
        **({"dev": task.dev_split, "dev_subsets": sorted(subsets)} if task.scorer.dev else {}),
    }


def _locked(root: Path, task: Task) -> Mapping[str, Any]:
    """The task's record, now in the lock file too."""
    facts = lock.record(layout.open_folder(root / task.name), task.kind)
    if lock.read(root).get(task.name) != facts:
        lock.put(root, task.name, facts)
    return facts


def fetch_model(
    name: str,
    *,
    catalog: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool = False,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """See that a model's files are on this machine, from the hub if need be; its name, revision and state.

    Args:
        name: as `load_model` takes it; what needs no files (a baseline, a service, a plugin) is there.
        allow_pickle, trust_remote_code: fetch pickle weights and code too.

    Raises:
        UnknownNameError: nobody knows the name.
        ModelError: the files are not here and cannot be had.
    """
    reference = parse_reference(name)
    if reference.name in models:
        return {"name": reference.name, "revision": None}
    found = resolve(
        reference,
        load_catalog(Path(catalog).expanduser() if catalog else None),
        Memo(cache_folder(cache)),
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    return {"name": found.name, "revision": found.revision}
