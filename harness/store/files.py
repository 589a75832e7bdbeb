"""Files of the results store: names that become paths, atomic writes, the lock, what is set aside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from harness.errors import StoreError
from harness.paths import encode_part, fsync_folder

NO_REVISION = "no_revision_available"
META = "model_meta.json"
FAILED = ".failed.json"
LOCK = ".lock"
LOCK_SECONDS = 120.0
_BLOCK = 1 << 18
# A pipe that nobody writes to is empty, it does not wait; bytes are bytes on every system.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

T = TypeVar("T")


class CorruptFileError(StoreError):
    """A file of the store that nothing can read: truncated, not JSON, or of another shape."""


class Place(NamedTuple):
    """Whose results a folder holds; `revision` None where the model has none."""

    model: str
    revision: str | None
    variant: tuple[str, ...] = ()
    protocol: str = "mteb"


def folder_of(place: Place) -> PurePosixPath:
    """The folder of a place, relative to the results root.

    `org/name` at `abc` with variant (`bf16`, `len512`) is `org__name/abc+bf16+len512`, followed by the
    protocol where that is not `mteb`.

    Raises:
        StoreError: a name that is no single safe path part, or that would read back as another one.
    """
    revision = place.revision or NO_REVISION
    parts = [place.model.replace("/", "__"), "+".join((revision, *place.variant))]
    for what, name in (
        *(("model name", part) for part in place.model.split("/")),
        ("revision", revision),
        *(("variant", token) for token in place.variant),
        ("protocol", place.protocol),
    ):
        check_name(what, name)
    if place.protocol != "mteb":
        parts.append(place.protocol)
    asked = place._replace(revision=None if revision == NO_REVISION else revision)
    if place_of(parts) != asked:
        raise StoreError(f"no unambiguous results folder for {place.model!r} at {parts[1]!r}")
    return PurePosixPath(*parts)


def place_of(parts: list[str]) -> Place:
    """The place of a folder given as parts (model, revision+variant, protocol); inverse of `folder_of`."""
    model, revision, *protocol = parts
    revision, *variant = revision.split("+")
    return Place(
        model=model.replace("__", "/", 1),
        revision=None if revision == NO_REVISION else revision,
        variant=tuple(variant),
        protocol=protocol[0] if protocol else "mteb",
    )


def folders(root: Path) -> list[Path]:
    """The folders inside `root`, sorted by name, hidden ones left out; none where `root` is absent."""
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"cannot read {root}: {error.strerror}") from error


def check_name(what: str, name: str) -> None:
    """Refuse (StoreError) a name from outside that is not one plain, printable path part."""
    if (
        not name
        or name.startswith(".")
        or name != name.strip()
        or not name.isprintable()
        or any(mark in name for mark in "/\\")
    ):
        raise StoreError(f"{what} {name!r} cannot be part of a results path")


def task_file(task: str) -> str:
    """`<Task>.json`. StoreError where the name is no path part or already means something else."""
    check_name("task name", task)
    if f"{task}.json" == META or task.endswith(FAILED.removesuffix(".json")):
        raise StoreError(f"task name {task!r} is taken by a file of the results store")
    return f"{task}.json"


def samples_file(task: str, split: str, subset: str) -> str:
    """`<Task>.<split>.<subset>.samples.parquet`, dots and slashes of the last two percent-encoded."""
    for what, name in (("split", split), ("subset", subset)):
        if not name or not name.isprintable():
            raise StoreError(f"{what} {name!r} cannot be part of a results path")
    return f"{task}.{encode_part(split)}.{encode_part(subset)}.samples.parquet"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Own the folder of `path` (made if absent) while the block runs; one writer at a time, over processes.

    Raises:
        StoreError: whatever the operating system refuses, naming the path.
    """
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.parent / LOCK, timeout=LOCK_SECONDS):
            for left_by_a_kill in path.parent.glob(".*.tmp"):
                left_by_a_kill.unlink(missing_ok=True)
            yield
    except Timeout as error:
        message = f"cannot write {path}: another process has held {path.parent / LOCK} for {LOCK_SECONDS:g} s"
        raise StoreError(message) from error
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error


def read_bytes(path: str | Path) -> bytes:
    """A file's bytes with as few system calls as can be: of 100,000 files each one shows.

    Raises:
        OSError: it cannot be read, or is a pipe whose writer has nothing to say yet.
    """
    handle = os.open(path, _READ)
    try:
        parts = [os.read(handle, _BLOCK)]
        while len(parts[-1]) == _BLOCK:
            parts.append(os.read(handle, _BLOCK))
    finally:
        os.close(handle)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_or_set_aside(
    path: Path,
    parse: Callable[[bytes], T],
    report: Callable[[str], None],
    *,
    repair: bool = True,
    locked: bool = False,
) -> T | None:
    """What `parse` makes of a file's bytes; None where there is no file, or none that can be read.

    A file that `parse` finds corrupt is renamed to `<name>.corrupt`, under the lock and after a second look,
    so that no writer's new file is taken for the old one; where it cannot be renamed, or `repair` is False,
    it is only reported. With `locked` (the caller is inside `writing`) every other fault is raised.
    """
    try:
        return parse(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except CorruptFileError as fault:
        what = f"{path} cannot be read ({fault})"
    except StoreError as fault:
        if locked:
            raise StoreError(f"{path} {fault}") from fault
        report(f"{path} {fault}")
        return None
    except OSError as fault:
        if locked:
            raise
        report(f"{path} cannot be read ({fault.strerror})")
        return None
    if locked:
        report(f"{what}; set aside as {set_aside(path).name}")
        return None
    try:
        if repair:
            with writing(path):
                return read_or_set_aside(path, parse, report, locked=True)
    except StoreError as fault:
        what = f"{what}; {fault}"
    report(what)
    return None


def set_aside(path: Path) -> Path:
    """Rename a file to `<name>.corrupt`, numbered where that exists, and return the new path."""
    target, number = path.with_name(f"{path.name}.corrupt"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.corrupt.{number}")
    path.rename(target)
    fsync_folder(path.parent)
    return target


def sha256_file(path: Path) -> str | None:
    """SHA-256 (hex) of a file's bytes; None where there is no such file."""
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except FileNotFoundError:
        return None


def previous(samples: Path) -> Path:
    """Where the samples that the JSON on disk still names wait while their successor is being written."""
    return samples.with_name(f"{samples.name}.previous")
