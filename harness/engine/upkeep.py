"""Looking after a cache: what it holds, whether it is whole, and what may go.

Only real folders `vectors/<fingerprint>` and `pairs/<fingerprint>` are looked at, links never followed, and
in them only files that the store itself makes are ever removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.engine.intake import misfit, threads, usual_shape
from harness.engine.namespace import (
    KINDS,
    LABEL,
    claimed,
    is_leftover,
    is_own,
    last_used,
    names_namespace,
    writing,
)
from harness.engine.shards import DamagedShardError, Head, check_shard, is_shard, set_aside
from harness.errors import StoreError

Progress = Callable[[int, int], None]  # bytes read, bytes to read


@dataclass(frozen=True)
class Namespace:
    """One model's folder in the cache: `kind` vectors or pairs, `used` in seconds since 1970."""

    folder: Path
    kind: str
    model: str | None
    used: float | None

    @property
    def fingerprint(self) -> str:
        """The folder's name."""
        return self.folder.name

    def files(self, wanted: Callable[[str], bool]) -> list[tuple[Path, int]]:
        """Regular files whose names are `wanted`, and their sizes; links are none."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if wanted(entry.name) and entry.is_file(follow_symlinks=False):
                        found.append((Path(entry.path), entry.stat(follow_symlinks=False).st_size))
        return sorted(found)

    def foreign(self) -> list[Path]:
        """What lies here and is none of the store's making."""
        own = {path for path, _ in self.files(is_own)}
        with contextlib.suppress(FileNotFoundError):  # another run may have pruned it
            return sorted(path for path in self.folder.iterdir() if path not in own)
        return []


@dataclass
class Health:
    """What `verify` found.

    Attributes:
        damaged: (shard, why, the name it was set aside under or None).
        repeated: by namespace, how many keys stand in more than one shard; wasteful, never wrong.
        foreign: files that are none of the store's making.
    """

    shards: int = 0
    bytes: int = 0
    damaged: list[tuple[Path, str, str | None]] = field(default_factory=list)
    repeated: dict[Path, int] = field(default_factory=dict)
    foreign: list[Path] = field(default_factory=list)


@dataclass
class Pruned:
    """What `prune` removed, or would; `kept` says of a folder or file why it stays."""

    files: int = 0
    bytes: int = 0
    removed: list[Path] = field(default_factory=list)
    kept: list[tuple[Path, str]] = field(default_factory=list)


def namespaces(root: Path) -> list[Namespace]:
    """The namespaces of a cache folder, in order of kind and fingerprint."""
    found = []
    for kind in KINDS:
        for folder in _folders(root / kind):
            label = folder / LABEL
            model = None
            with contextlib.suppress(OSError):
                model = label.read_text(encoding="utf-8", errors="replace").strip() or None
            found.append(Namespace(folder, kind, model, last_used(folder)))
    return found


def inventory(root: Path) -> list[dict[str, Any]]:
    """What a cache folder holds, by fingerprint: kind, model name, shards, bytes, leftovers, last use."""
    found = []
    for space in namespaces(root):
        shards, leftovers = space.files(is_shard), space.files(is_leftover)
        found.append(
            {
                "kind": space.kind,
                "fingerprint": space.fingerprint,
                "model": space.model,
                "shards": len(shards),
                "bytes": sum(size for _, size in shards),
                "leftover_bytes": sum(size for _, size in leftovers),
                "used": space.used,
            }
        )
    return found


def verify(root: Path, *, repair: bool = False, progress: Progress = lambda done, total: None) -> Health:
    """Hash every shard of a cache, on threads.

    Args:
        repair: set bad shards aside, so that their texts are embedded again.
    """
    health = Health()
    spaces = namespaces(root)
    shards = {space.folder: space.files(is_shard) for space in spaces}
    total, done = sum(size for files in shards.values() for _, size in files), 0
    progress(0, total)
    for space in spaces:
        whole: list[tuple[Path, Head]] = []
        keys = []
        for (path, size), answer in _answers(shards[space.folder], KINDS[space.kind]):
            health.shards += 1
            health.bytes += size
            done += size
            progress(done, total)
            if isinstance(answer, str):
                health.damaged.append((path, answer, _aside(path, repair)))
            elif answer is not None:
                whole.append((path, answer[0]))
                keys.append(answer[1])
        shape = usual_shape([head for _, head in whole])
        for path, head in whole:
            if shape is not None and head.shape != shape:
                health.damaged.append((path, misfit(path, head, shape).reason, _aside(path, repair)))
        if repeated := _repeated(keys):
            health.repeated[space.folder] = repeated
        health.foreign.extend(space.foreign())
    health.foreign.extend(_strangers(root))
    return health


def leftovers(spaces: list[Namespace], *, dry_run: bool = False) -> Pruned:
    """Remove what killed writers left and what was set aside."""
    pruned = Pruned()
    for space in spaces:
        if not space.files(is_leftover):
            continue
        if dry_run:
            _remove(space.files(is_leftover), pruned, dry_run=True)
            continue
        try:
            with writing(space.folder, seconds=5):  # nobody writes now: no temporary file is anybody's
                _remove(space.files(is_leftover), pruned)
        except (StoreError, OSError) as error:
            pruned.kept.append((space.folder, str(error).splitlines()[0]))
    return pruned


def prune(spaces: list[Namespace], *, dry_run: bool = False) -> Pruned:
    """Remove whole namespaces, except those that a running evaluation uses."""
    pruned = Pruned()
    for space in spaces:
        if dry_run:
            _remove(space.files(is_own), pruned, dry_run=True)
            pruned.removed.append(space.folder)
            continue
        try:
            with claimed(space.folder) as alone:
                if not alone:
                    pruned.kept.append((space.folder, "in use by a running evaluation"))
                    continue
                _remove(space.files(is_own), pruned)
                if foreign := space.foreign():
                    pruned.kept.append((space.folder, f"holds what is not the cache's: {foreign[0].name}"))
                    continue
                space.folder.rmdir()
                pruned.removed.append(space.folder)
        except OSError as error:
            pruned.kept.append((space.folder, error.strerror or str(error)))
    return pruned


def _folders(kind: Path) -> list[Path]:
    if kind.is_symlink() or not kind.is_dir():
        return []
    with os.scandir(kind) as entries:
        return sorted(
            Path(e.path) for e in entries if names_namespace(e.name) and e.is_dir(follow_symlinks=False)
        )


def _strangers(root: Path) -> list[Path]:
    """What lies beside the namespaces and is none: files, links, folders of impossible names."""
    kinds = [root / kind for kind in KINDS]
    found = [kind for kind in kinds if kind.is_symlink()]
    for kind in kinds:
        if kind.is_dir() and not kind.is_symlink():
            known = set(_folders(kind))
            found.extend(sorted(path for path in kind.iterdir() if path not in known))
    return found


def _answers(files: list[tuple[Path, int]], payload: str) -> Iterator[tuple[tuple[Path, int], Any]]:
    """For each shard its head and keys, or what is wrong with it, or None where it vanished meanwhile."""

    def check(file: tuple[Path, int]) -> Any:
        try:
            return check_shard(file[0], payload)
        except FileNotFoundError:
            return None
        except DamagedShardError as error:
            return str(error)

    with ThreadPoolExecutor(threads()) as pool:
        for start in range(0, len(files), 1024):
            part = files[start : start + 1024]
            yield from zip(part, pool.map(check, part), strict=True)


def _aside(path: Path, repair: bool) -> str | None:
    aside = set_aside(path) if repair else None
    return aside.name if aside else None


def _repeated(keys: list[Any]) -> int:
    """How many keys stand more than once."""
    if not keys:
        return 0
    halves = np.concatenate(keys)
    keys.clear()
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    halves = halves[order]
    return int((halves[1:] == halves[:-1]).all(axis=1).sum())


def _remove(files: list[tuple[Path, int]], pruned: Pruned, *, dry_run: bool = False) -> None:
    for path, size in files:
        if not dry_run:
            path.unlink(missing_ok=True)
        pruned.files += 1
        pruned.bytes += size
