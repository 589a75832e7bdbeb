"""The index of a results tree: what tables need of every file, as Parquet in the cache folder.

Reading 100,000 result files takes minutes; reading the index takes a moment. Each time it is asked for, the
tree is walked and the files whose time or size changed are read again; files that are gone vanish from it.
It lies in `<cache>/results/<hash of the tree's path>/`, never in the tree, and holds nothing that cannot be
made again: one that is damaged, or of another version, is.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import StoreError
from harness.paths import cache_folder
from harness.store.scan import numbers, plain, scanned, strings
from harness.store.tree import Files, listed

VERSION = "2"  # of what is held: raise it when a file's rows change
FILES, ENTRIES = "files.parquet", "entries-{}.parquet"
LOCK_SECONDS = 600.0
AT_ONCE = 4000  # files that are worth a process of their own
GROUP = 1 << 13  # rows read together
FRESH = 2_000_000_000  # ns; what changed so lately may change again within one tick of the clock

_DAMAGED = (pa.ArrowException, OSError, KeyError, ValueError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True)
class Indexed:
    """What the index holds of a tree.

    Attributes:
        paths: of the files.
        problems: number of a file and what is wrong with it, in the order of the files.
        contents: number of a file and its content, of the files that hold no scores.
        entries: the rows of `harness.store.scan`, in no particular order; their metadata is gone.
    """

    paths: list[str]
    problems: list[tuple[int, str]]
    contents: list[tuple[int, Any]]
    entries: pa.Table


def indexed(
    root: Path,
    tasks: Tasks | None = None,
    cache: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Indexed:
    """What is in a tree now, its index brought up to date first.

    Args:
        tasks: task to subsets whose rows are wanted; default all. Rows of others may come too.
        cache: the cache folder; where it cannot be written, the files are read every time.
        say: is told of very many files that are about to be read.

    Raises:
        StoreError: the root is no folder or cannot be read, or another process does not finish its index.
    """
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:20]
    folder = cache_folder(cache) / "results" / name
    with _alone(folder) as writable:
        now = listed(root)
        then = _stored(folder)
        if then is not None and then[0] == now:
            try:
                return Indexed(now.paths, *then[1:3], _rows(folder / then[3], tasks))
            except _DAMAGED:
                then = None
        found = _renewed(root, folder, now, then, say)
        if writable:
            _write(folder, now, found)
        return found


Tasks = Mapping[str, Collection[str]]
Stored = tuple[Files, list[tuple[int, str]], list[tuple[int, Any]], str]


def _stored(folder: Path) -> Stored | None:
    """The files, problems and contents of the index, and where its rows are; None where it is of no use."""
    try:
        with pq.ParquetFile(folder / FILES, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)  # read_table would import pandas
        told = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        if told["version"] != VERSION or told.pop("digest") != _digest(told, folder / told["entries"]):
            return None
        files = Files(*(table.column(name).to_pylist() for name in Files._fields))
        problems = [(n, line) for n, line in json.loads(told["problems"])]
        return files, problems, [(n, content) for n, content in json.loads(told["contents"])], told["entries"]
    except _DAMAGED:
        return None


def _digest(told: Mapping[str, str], entries: Path) -> str:
    """Of what the checksums of Parquet's pages leave out: the metadata, and where the rows say they are."""
    with entries.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        where = file.read()
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode() + where).hexdigest()


def _rows(path: Path, tasks: Tasks | None) -> pa.Table:
    """The rows of tasks: all of the groups that may hold some (rows are sorted by task and subset)."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        columns = [_place(file.metadata, name) for name in ("task", "subset")]
        groups = []
        for group in range(file.metadata.num_row_groups):
            found = file.metadata.row_group(group)
            bounds = [found.column(column).statistics for column in columns]
            if tasks is None or _within([(b.min, b.max) for b in bounds], tasks):
                groups.append(group)
        return file.read_row_groups(groups, use_threads=False)


def _place(metadata: Any, name: str) -> int:
    return next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == name)


def _within(bounds: Sequence[tuple[str, str]], tasks: Tasks) -> bool:
    """Whether rows between these may be of the tasks and subsets."""
    (first, last), (low, high) = bounds
    return any(
        first <= task <= last and (first != last or any(low <= subset <= high for subset in subsets))
        for task, subsets in tasks.items()
    )


def _renewed(
    root: Path, folder: Path, now: Files, then: Stored | None, say: Callable[[str], None]
) -> Indexed:
    """What unchanged files had, and what the others have now."""
    numbers = {path: number for number, path in enumerate(now.paths)}
    moved: dict[int, int] = {}
    kept: list[pa.Table] = []
    problems: list[tuple[int, str]] = []
    contents: list[tuple[int, Any]] = []
    if then is not None:
        old, old_problems, old_contents, name = then
        for place, (path, *state) in enumerate(zip(*old, strict=True)):
            number = numbers.get(path)
            if number is not None and state == [now.times[number], now.sizes[number]] and state[1] >= 0:
                moved[place] = number
        try:
            kept = [_moved(_rows(folder / name, None), moved, len(old.paths))]
            problems = [(moved[n], line) for n, line in old_problems if n in moved]
            contents = [(moved[n], content) for n, content in old_contents if n in moved]
        except _DAMAGED:
            moved, kept = {}, []
    same = set(moved.values())
    fresh = [(number, path) for path, number in numbers.items() if number not in same]
    if len(fresh) >= AT_ONCE:
        say(f"reading {len(fresh):,} files of {root}; the next time only what changed is read")
    for table in _scanned(root, fresh) if fresh or not kept else ():
        told = table.schema.metadata
        problems += [(n, line) for n, line in json.loads(told[b"problems"])]
        contents += [(n, content) for n, content in json.loads(told[b"contents"])]
        kept.append(table.replace_schema_metadata(None))
    entries = pa.concat_tables(kept).unify_dictionaries().combine_chunks()
    problems.sort(key=lambda problem: problem[0])
    contents.sort(key=lambda content: content[0])
    return Indexed(now.paths, problems, contents, entries)


def _moved(entries: pa.Table, moved: dict[int, int], count: int) -> pa.Table:
    """The rows of the files that stay, under their new numbers."""
    places = np.full(count, -1, dtype=np.int32)
    places[list(moved)] = list(moved.values())
    files = places[plain(entries.column("file"))]
    entries = entries.set_column(0, "file", numbers(files, pa.int32())).replace_schema_metadata(None)
    return entries if (files >= 0).all() else entries.filter(pa.array(files >= 0))


def _scanned(root: Path, files: Sequence[tuple[int, str]]) -> Iterator[pa.Table]:
    """The rows of files, read by as many processes as there are cores where there are very many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(1, min(cores, len(files) // AT_ONCE))
    shares = [files[i::count] for i in range(count)]
    command = [sys.executable, "-m", "harness.store.scan", str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    workers = []
    for share in shares[1:]:
        with TemporaryFile() as asked:
            asked.write(json.dumps(share).encode())
            asked.seek(0)
            # A program of its own: a fork would copy threads, and a spawn start the caller's program anew.
            worker = subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, env=environment)  # noqa: S603
        workers.append(worker)
    try:
        yield scanned(root, shares[0])
        for worker, share in zip(workers, shares[1:], strict=True):
            assert worker.stdout is not None
            raw = worker.stdout.read()
            # A worker that died (no memory, say) leaves its share to us.
            yield scanned(root, share) if worker.wait() else pa.ipc.open_stream(raw).read_all()
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def _write(folder: Path, files: Files, found: Indexed) -> None:
    """The rows first, then the list of files that names them; what was there before is removed."""
    entries = _sorted(found.entries)
    name = ENTRIES.format(secrets.token_hex(8))
    limit = time.time_ns() - FRESH
    times = [stamp if stamp < limit else -1 for stamp in files.times]
    told = {
        "version": VERSION,
        "entries": name,
        "problems": json.dumps(found.problems),
        "contents": json.dumps(found.contents),
    }
    columns = [strings(files.paths), *(numbers(array("q", own), pa.int64()) for own in (times, files.sizes))]
    try:
        common: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
        pq.write_table(entries, folder / name, row_group_size=GROUP, **common)
        told["digest"] = _digest(told, folder / name)
        table = pa.table(columns, names=list(Files._fields)).replace_schema_metadata(told)
        temporary = folder / f".{name}.tmp"
        pq.write_table(table, temporary, **common)
        temporary.replace(folder / FILES)
        for left in folder.iterdir():
            if left.name not in (name, FILES, ".lock"):
                left.unlink(missing_ok=True)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else


def _sorted(entries: pa.Table) -> pa.Table:
    """The rows by task, subset and file, what still is equal in the order of the file."""
    keys = [plain(entries.column("file"))]
    for name in ("subset", "task"):
        column = entries.column(name).combine_chunks()
        places = np.argsort(np.argsort(np.asarray(column.dictionary.to_pylist(), dtype=object)))
        keys.append(places[plain(column.indices)])
    return entries.take(numbers(np.lexsort(keys), pa.int64()))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Own the index while the block runs, over processes; False where it cannot be written."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=LOCK_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process has held {folder / '.lock'} for {LOCK_SECONDS:g} s: is it still at work?"
        ) from error
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
