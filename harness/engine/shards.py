"""Shard files: keys beside what they stand for, in safetensors, named by a hash of their own bytes.

`keys` is uint8 [n, 16]; the payload is one more tensor, `vectors` [n, dim] or `scores` [n]. A shard is
written to a temporary file, synced and renamed, and never changed; its name says what its bytes hash to,
so a flipped bit or a truncated file is found when the shard is opened.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import StoreError
from harness.paths import write_atomic

SUFFIX = ".safetensors"
_DTYPES: dict[str, np.dtype[Any]] = {"U8": np.dtype(np.uint8), "F32": np.dtype("<f4"), "F16": np.dtype("<f2")}


class DamagedShardError(StoreError):
    """A shard whose bytes are not what its name says."""


def write_shard(folder: Path, keys: npt.NDArray[np.uint8], payload: npt.NDArray[Any], name: str) -> Path:
    """Write one shard into `folder` (made if absent) and return its path.

    Args:
        keys: uint8 [n, 16].
        payload: [n, ...] in C order; row i belongs to key i.
        name: tensor name of the payload.

    Raises:
        StoreError: the folder cannot be written (permission, full disk).
    """
    from safetensors.numpy import save

    raw = save({"keys": np.ascontiguousarray(keys), name: np.ascontiguousarray(payload)})
    path = folder / f"{_digest(raw)}{SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, raw)
    except OSError as error:
        raise StoreError(
            f"cannot write the vector cache {folder}: {error.strerror}\nset --cache to a folder with room"
        ) from error
    return path


def open_shard(path: Path, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Check a shard and map it: keys uint8 [n, 16] and the payload as read-only memory maps.

    Raises:
        DamagedShardError: the bytes do not hash to the file's name, or are no shard of this payload.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    if _digest(raw) != path.stem:
        raise DamagedShardError(f"{path.name}: its bytes do not match its name")
    length = int.from_bytes(raw[:8].tobytes(), "little")
    header = json.loads(raw[8 : 8 + length].tobytes())
    if "keys" not in header or name not in header:
        raise DamagedShardError(f"{path.name}: holds no {name!r}")
    return _tensor(raw, header["keys"], 8 + length), _tensor(raw, header[name], 8 + length)


def set_aside(path: Path) -> Path:
    """Rename a damaged shard so that it is never read again, but can be looked at."""
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    return aside


def _tensor(raw: npt.NDArray[np.uint8], entry: dict[str, Any], base: int) -> npt.NDArray[Any]:
    start, stop = entry["data_offsets"]
    flat: npt.NDArray[Any] = raw[base + start : base + stop].view(_DTYPES[entry["dtype"]])
    return flat.reshape(entry["shape"])


def _digest(raw: bytes | npt.NDArray[np.uint8]) -> str:
    return hashlib.blake2b(memoryview(raw), digest_size=16).hexdigest()  # type: ignore[arg-type]
