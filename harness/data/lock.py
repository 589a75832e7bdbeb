"""`<DIR>/harness.lock.json`: which revision of which data set every fetched task of a folder came from.

`{"schema": 1, "tasks": {<Task>: {source, revision, kind, main, document, entries: [[split, subset]], files:
{<name>: {sha256, rows}}}}}`, sorted, the same for the same data whoever fetched them and in whatever order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data import layout
from harness.errors import DataError
from harness.paths import write_atomic

if TYPE_CHECKING:
    from harness.task import Task

NAME = "harness.lock.json"
HIDDEN = ".prefetch"  # unfinished work, and the files that keep two writers apart
SCHEMA = 1
SECONDS = 3600.0  # that one writer waits for another

Record = Mapping[str, Any]


_PINNED = ("revision", "source", "kind", "document")


def read(root: Path) -> dict[str, Record]:
    """Task to its record; empty where there is no lock file.

    Raises:
        DataError: it is no JSON of this shape, or of a later version.
    """
    path = root / NAME
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable JSON ({error}); restore or remove it") from error
    tasks = found.get("tasks") if isinstance(found, dict) else None
    if found.get("schema") != SCHEMA if isinstance(tasks, dict) else True:
        raise DataError(f"{path}: not a lock file of this version (schema {SCHEMA}); restore or remove it")
    assert isinstance(tasks, dict)
    return tasks


def record(folder: layout.Folder, kind: str) -> dict[str, Any]:
    """What the lock file says of a task folder."""
    manifest = folder.manifest
    files = {
        name: {"sha256": manifest["files"][name], "rows": rows(folder.path / name)} for name in folder.names
    }
    return {
        "source": manifest["source"],
        "revision": manifest["revision"],
        "kind": manifest["kind"],
        "main": manifest["main"],
        "document": manifest["rendered"]["document"],
        "entries": [list(entry) for entry in sorted(layout.entries(folder, kind))],
        "files": files,
    }


def put(root: Path, task: str, facts: Record) -> None:
    """Write one task's record; what other tasks and other processes wrote stays."""
    with alone(root, ".index"):
        tasks = {**read(root), task: facts}
        text = json.dumps({"schema": SCHEMA, "tasks": tasks}, indent=1, sort_keys=True, ensure_ascii=False)
        write_atomic(root / NAME, text.encode() + b"\n")


def hidden(root: Path, *parts: str) -> Path:
    """A place among the unfinished work of a folder."""
    return root.joinpath(HIDDEN, *parts)


@contextmanager
def alone(root: Path, name: str) -> Iterator[None]:
    """Keep other processes out of the block for the same folder and name.

    Raises:
        DataError: another process is in it for an hour, or the disk refuses.
    """
    from filelock import FileLock, Timeout

    path = hidden(root, "locks", name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=SECONDS)
        lock.acquire()
    except Timeout as error:
        raise DataError(f"another process has held {path} for {SECONDS:g} s") from error
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def rows(path: Path) -> int:
    """Rows of a data file."""
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            return sum(bool(line.strip()) for line in file)
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def source_of(task: Task) -> str:
    """Where a task's data come from, as manifest and lock file say it."""
    if task.source is None or task.source.folder is not None:
        return "harness"
    configs = task.source.configs or {}
    named = [task.source.config, *(f"{part}={configs[part]}" for part in sorted(configs))]
    read_as = {"files": task.source.files, "columns": dict(task.columns)}
    told = [f"{word}={json.dumps(said, sort_keys=True)}" for word, said in read_as.items() if said]
    return " ".join([f"hub:{task.dataset}", *(name for name in named if name), *told])


def conflicts(tasks: Sequence[Task], root: Path) -> list[str]:
    """Tasks that the folder holds at another revision, of another source or text; one line each."""
    known = read(root)
    found = []
    for task in tasks:
        if layout.by_hand(root, task.name):
            continue
        new = _identity(task)
        for old in map(_identity_of, (known.get(task.name), layout.read_manifest(root / task.name))):
            if old and old != new:
                pairs = ", ".join(
                    f"{name} {old[name]}, not {new[name]}" for name in new if old[name] != new[name]
                )
                found.append(f"{task.name} is there with {pairs}")
                break
    return found


def _identity(task: Task) -> dict[str, Any]:
    """What must stay the same of a task in a folder."""
    return dict(zip(_PINNED, (task.revision, source_of(task), task.kind, task.document), strict=True))


def _identity_of(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """The same of a lock file's record or a manifest; empty where there is none."""
    if not found:
        return {}
    said = {**found, **found.get("rendered", {})}
    return {name: said.get(name) for name in _PINNED}
