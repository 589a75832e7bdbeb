"""Shard files: keys beside what they stand for, in safetensors, named by a hash of their own bytes.

`keys` is uint8 [n, 16]; the payload is one more tensor, `vectors` [n, dim] or `scores` [n]. A shard is
written to a temporary file, synced and renamed, and never changed. Its header is checked when it is
opened, which costs next to nothing; that all bytes hash to its name is checked by `check_shard`, once,
before any of them is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import StoreError
from harness.paths import write_atomic

SUFFIX = ".safetensors"
DAMAGED = ".damaged"
PAYLOADS = {"vectors": 2, "scores": 1}  # tensor name to number of axes
_NAME = re.compile(r"[0-9a-f]{32}" + re.escape(SUFFIX))
_DTYPES: dict[Any, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_HEADER_BYTES = 4096  # what a header of ours never exceeds; a longer one is none of ours
KEY_BYTES = 16


class DamagedShardError(StoreError):
    """A shard whose bytes are not what its name says."""


class UnreadableShardError(DamagedShardError):
    """A shard that the operating system will not read now; what it holds may be good."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a shard's header says: `rows` keys at byte `keys_at`, payload `[rows, *shape]` at `rows_at`."""

    rows: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    keys_at: int
    rows_at: int
    size: int


def is_shard(name: str) -> bool:
    """Whether a file name is one that `write_shard` gives."""
    return _NAME.fullmatch(name) is not None


def write_shard(folder: Path, keys: npt.NDArray[np.uint8], payload: npt.NDArray[Any], name: str) -> Path:
    """Write one shard into `folder` (made if absent), whole or not at all, and return its path.

    Args:
        keys: uint8 [n, 16].
        payload: [n, ...] in C order; row i belongs to key i.
        name: tensor name of the payload.

    Raises:
        StoreError: the folder cannot be written (permission, full disk).
    """
    from safetensors.numpy import save

    raw = save({"keys": np.ascontiguousarray(keys), name: np.ascontiguousarray(payload)})
    path = folder / f"{hashlib.blake2b(raw, digest_size=16).hexdigest()}{SUFFIX}"
    with refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, raw)
    return path


@contextmanager
def refusals(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses about the cache into one StoreError.

    Raises:
        StoreError: naming the folder and what to do.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write the vector cache {folder}: {error.strerror or error}\n"
            "make room with `harness cache prune`, set --cache to another folder, or run with --no-cache"
        ) from error


def read_shard(path: Path, name: str) -> tuple[Head, npt.NDArray[np.uint64]]:
    """A shard's header and keys (as uint64 [n, 2]), without reading its payload.

    Raises:
        DamagedShardError: the file is no whole shard with this payload.
        UnreadableShardError: the operating system refuses to read it.
        FileNotFoundError: there is no such file (any more).
    """
    with _reading(path), path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        head = _head(os.pread(file.fileno(), 8 + _HEADER_BYTES, 0), size, path.name, name)
        raw = bytearray(head.rows * KEY_BYTES)
        _fill(file.fileno(), memoryview(raw), head.keys_at, path.name)
    return head, np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2)


def check_shard(path: Path, name: str) -> tuple[Head, npt.NDArray[np.uint64]]:
    """`read_shard`, and every byte hashed; lets go of the interpreter while it hashes.

    Raises:
        DamagedShardError: the bytes do not hash to the file's name, or a key stands twice.
        UnreadableShardError: the operating system refuses to read it.
        FileNotFoundError: there is no such file (any more).
    """
    head, keys = read_shard(path, name)
    with _reading(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    if digest != path.stem:
        raise DamagedShardError(f"{path.name}: its bytes do not match its name")
    if _repeats(keys):
        raise DamagedShardError(f"{path.name}: a key stands twice")
    return head, keys


def set_aside(path: Path) -> Path | None:
    """Rename a damaged shard so that it is never read again, but can be looked at; None: it cannot be."""
    aside = path.with_suffix(DAMAGED)
    try:
        path.replace(aside)
    except OSError:
        return None
    return aside


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableShardError(f"{path.name}: cannot be read: {error.strerror or error}") from error


def _head(raw: bytes, size: int, file: str, name: str) -> Head:
    length = int.from_bytes(raw[:8], "little")
    if size < 8 + length or not 2 <= length <= _HEADER_BYTES:
        raise DamagedShardError(
            f"{file}: {'it is empty' if not size else 'its header is garbage or cut off'}"
        )
    try:
        found = json.loads(raw[8 : 8 + length])
        if name not in found:
            raise DamagedShardError(f"{file}: holds no {name!r}")
        rows, at, stop = _span(found, "keys", {"U8": np.dtype(np.uint8)})
        shape, rows_at, rows_stop = _span(found, name, _DTYPES)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedShardError(f"{file}: its header is garbage: {type(error).__name__}") from error
    if len(rows) != 2 or rows[1] != KEY_BYTES or len(shape) != PAYLOADS[name] or shape[0] != rows[0]:
        raise DamagedShardError(f"{file}: keys {list(rows)} beside {name} {list(shape)}")
    start, ((first, middle), (second, end)) = 8 + length, sorted([(at, stop), (rows_at, rows_stop)])
    if first != 0 or middle != second or start + end != size:
        raise DamagedShardError(f"{file}: it is cut off, or longer than its header says")
    return Head(rows[0], shape[1:], _DTYPES[found[name]["dtype"]], start + at, start + rows_at, size)


def _span(found: Any, tensor: str, dtypes: dict[Any, np.dtype[Any]]) -> tuple[tuple[int, ...], int, int]:
    """Shape and byte range of a tensor; whatever does not fit together is a ValueError."""
    entry = found[tensor]
    shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
    numbers = (*shape, start, stop)
    if not all(type(n) is int and n >= 0 for n in numbers) or not all(shape):
        raise ValueError(numbers)
    if stop - start != math.prod(shape) * dtypes[entry["dtype"]].itemsize:
        raise ValueError(shape)
    return shape, start, stop


def _fill(handle: int, into: memoryview, at: int, file: str) -> None:
    done = 0
    while done < len(into):
        got = os.preadv(handle, [into[done:]], at + done)
        if not got:
            raise DamagedShardError(f"{file}: it is cut off")
        done += got


def _repeats(keys: npt.NDArray[np.uint64]) -> bool:
    first = np.sort(keys[:, 0])
    if not (first[1:] == first[:-1]).any():
        return False
    return len(np.unique(keys, axis=0)) < len(keys)
