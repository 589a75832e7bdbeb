"""Taking shards of a folder into a store: finding new ones, refusing bad ones, checking before use."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from harness.engine.index import Halves
from harness.engine.segments import Segment
from harness.engine.shards import (
    DamagedShardError,
    Head,
    UnreadableShardError,
    check_shard,
    is_shard,
    read_shard,
)

# A folder changed this recently could change again without its time showing it.
_RACY_NS = 2_000_000_000
# Keys of small shards are copied into blocks so large (over 32 MB) that the allocator gives them back to the
# system when they are freed; thousands of small arrays would stay behind as holes in the heap.
_BLOCK = (1 << 21) + 1024
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Refusal:
    """A shard not to be read: why, and whether to set it aside, look at it again, or leave it alone."""

    path: Path
    reason: str
    then: Literal["aside", "again", "leave"]


@dataclass
class Found:
    """New shards of a folder with their keys in the same order, and those that must not be read."""

    shards: list[tuple[Path, Head]] = field(default_factory=list)
    keys: list[Halves] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def new_shards(folder: Path, payload: str, known: set[str], shape: Shape | None) -> Found:
    """Shards of `folder` whose names are not in `known`, in order of their names; headers and keys read.

    Args:
        shape: of the rows of the namespace; None: as most rows found have it. Others are refused.
    """
    found, block, used = Found(), np.empty((0, 2), dtype=np.uint64), 0
    for path in _new_paths(folder, known):
        try:
            head, keys = read_shard(path, payload)
        except FileNotFoundError:
            continue
        except DamagedShardError as error:
            found.refused.append(_refusal(path, error))
            continue
        found.shards.append((path, head))
        if used + len(keys) > len(block):
            found.keys.append(block[:used])
            block, used = np.empty((max(_BLOCK, len(keys)), 2), dtype=np.uint64), 0
        block[used : used + len(keys)] = keys
        used += len(keys)
    found.keys.append(block[:used])
    return _fitting(found, shape)


def problems(segments: Sequence[Segment], payload: str) -> Iterator[Refusal | None]:
    """Hash the shards of segments, several at a time; None for each that is whole and as it was opened."""

    def check(segment: Segment) -> Refusal | None:
        path = segment.path
        try:
            head, _ = check_shard(path, payload)
        except FileNotFoundError:
            return Refusal(path, f"{path.name}: it vanished", "again")
        except DamagedShardError as error:
            return _refusal(path, error)
        return None if head == segment.head else Refusal(path, f"{path.name}: it was replaced", "again")

    if len(segments) == 1:
        yield check(segments[0])
        return
    with ThreadPoolExecutor(threads()) as pool:
        yield from pool.map(check, segments)


def threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def stamp(folder: Path) -> int | None:
    """The folder's time of change; None where it has none, or one too fresh to be trusted."""
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return None
    return changed if time.time_ns() - changed > _RACY_NS else None


def usual_shape(heads: Sequence[Head]) -> Shape | None:
    """The shape that most rows have."""
    rows = Counter[Shape]()
    for head in heads:
        rows[head.shape] += head.rows
    return max(rows, key=lambda shape: (rows[shape], shape)) if rows else None


def misfit(path: Path, head: Head, shape: Shape) -> Refusal:
    """A shard of rows longer or shorter than the namespace's."""
    reason = f"{path.name}: vectors of length {width(head.shape)} where the others have {width(shape)}"
    return Refusal(path, reason, "aside")


def width(shape: Shape) -> int:
    """Numbers in a row."""
    return shape[0] if shape else 1


def _new_paths(folder: Path, known: set[str]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name not in known and is_shard(entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names)]


def _refusal(path: Path, error: DamagedShardError) -> Refusal:
    return Refusal(path, str(error), "leave" if isinstance(error, UnreadableShardError) else "aside")


def _fitting(found: Found, shape: Shape | None) -> Found:
    heads = [head for _, head in found.shards]
    due = usual_shape(heads) if shape is None else shape
    fits = [head.shape == due for head in heads]
    if due is None or all(fits):
        return found
    keep = np.repeat(fits, [head.rows for head in heads])
    wrong = [misfit(path, head, due) for (path, head), fit in zip(found.shards, fits, strict=True) if not fit]
    return Found(
        [shard for shard, fit in zip(found.shards, fits, strict=True) if fit],
        [np.concatenate(found.keys)[keep]],
        [*found.refused, *wrong],
    )
