"""A namespace's folder: what may lie in it, who uses it, who writes it.

`<cache>/vectors/<fingerprint>/` and `<cache>/pairs/<fingerprint>/` hold shards, what was set aside, the
name of the model, and two lock files. A store that hands out rows holds `.use` shared for as long as it or
its rows live, and its time of change says when that was; who deletes holds it alone. Who appends holds
`.lock`. Both locks belong to the process and die with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.engine.shards import DAMAGED, is_shard, refusals
from harness.errors import StoreError

KINDS = {"vectors": "vectors", "pairs": "scores"}  # folder of the cache to payload of its shards
LABEL = "model.txt"  # the name of the model, for people
LOCK = ".lock"
IN_USE = ".use"
LOCK_SECONDS = 120.0
_FINGERPRINT = re.compile(r"\w[\w.-]{0,127}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # as `harness.paths.write_atomic` names them
_SET_ASIDE = re.compile(r"[0-9a-f]{32}" + re.escape(DAMAGED))


def names_namespace(name: str) -> bool:
    """Whether a fingerprint can name a folder."""
    return _FINGERPRINT.fullmatch(name) is not None


def is_leftover(name: str) -> bool:
    """Whether a file was left by a killed writer or set aside as damaged."""
    return bool(_TEMPORARY.fullmatch(name) or _SET_ASIDE.fullmatch(name))


def is_own(name: str) -> bool:
    """Whether a file of this name is one that the store makes."""
    return name in (LABEL, LOCK, IN_USE) or is_shard(name) or is_leftover(name)


class Mark:
    """Holds an open file, and with it a lock, until it is collected."""

    def __init__(self, handle: int) -> None:
        self._close = weakref.finalize(self, os.close, handle)


def mark_in_use(folder: Path) -> Mark | None:
    """Say that this process uses the namespace; None where there is none, or nothing can be locked there."""
    path = folder / IN_USE
    while True:
        handle = _opened(path)
        if handle is None:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
        except OSError:
            os.close(handle)
            return None
        if _still_there(handle, path):
            with contextlib.suppress(OSError):
                os.utime(handle)
            return Mark(handle)
        os.close(handle)  # pruned between opening and locking


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Own a namespace to delete it; False where another store uses it, or that cannot be known."""
    handle = os.open(folder / IN_USE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)


@contextmanager
def writing(folder: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Be the only one who appends to the namespace (made if absent) while the block runs.

    Raises:
        StoreError: the folder cannot be written, or another process holds the lock too long.
    """
    from filelock import FileLock, Timeout

    with refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=seconds, poll_interval=0.01)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreError(
                f"cannot write the vector cache {folder}: another process has held {LOCK} for {seconds:g} s"
            ) from error
    try:
        yield
    finally:
        lock.release()


def last_used(folder: Path) -> float | None:
    """When a store last opened the namespace to use it, in seconds since 1970; else when it was changed."""
    for path in (folder / IN_USE, folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return None


def _opened(path: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_NOFOLLOW, 0o644)
    return None


def _still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
