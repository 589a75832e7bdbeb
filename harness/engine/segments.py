"""Segments of the storage: payloads of shards, mapped into memory when they are touched, and let go again.

A process may hold some 65,000 maps (Linux, vm.max_map_count); a store may have as many shards. So only the
maps used last are held. An array cut from a map keeps it alive for as long as the array lives.
"""

from __future__ import annotations

import mmap
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.engine.shards import Head
from harness.errors import StoreError

MAPS = 4096


class Maps:
    """The maps used last, at most `limit`; safe to use from several threads.

    Args:
        keep: held for as long as any segment lives (the mark that the namespace is in use).
    """

    def __init__(self, limit: int = MAPS) -> None:
        self.keep: Any = None
        self._limit = limit
        self._held: OrderedDict[Path, npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, path: Path, head: Head) -> npt.NDArray[Any]:
        """The payload of a shard, read-only.

        Raises:
            StoreError: the file vanished or was cut off since it was checked.
        """
        with self._lock:
            held = self._held.get(path)
            if held is None:
                held = self._held[path] = _mapped(path, head)
                if len(self._held) > self._limit:
                    self._held.popitem(last=False)
            else:
                self._held.move_to_end(path)
        return held


class Segment:
    """The payload of one shard: looks like a read-only array [rows, *shape], mapped when it is indexed."""

    __slots__ = ("_head", "_maps", "path")

    def __init__(self, path: Path, head: Head, maps: Maps) -> None:
        self.path, self._head, self._maps = path, head, maps

    def __len__(self) -> int:
        return self._head.rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return (self._head.rows, *self._head.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the stored numbers."""
        return self._head.dtype

    @property
    def head(self) -> Head:
        """What the shard's header said when it was opened."""
        return self._head

    def __getitem__(self, index: Any) -> Any:
        return self._maps.rows(self.path, self._head)[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self[:], dtype=dtype, copy=copy)


class Segments(tuple[Any, ...]):
    """Segments in storage order; `starts[i]` is the storage row of the first of segment i, int64 [n]."""

    starts: npt.NDArray[np.int64]

    def __new__(cls, segments: Iterable[Any]) -> Segments:
        """Count the rows once."""
        made = super().__new__(cls, segments)
        made.starts = np.cumsum([0, *map(len, made)], dtype=np.int64)[: len(made)]
        return made


def _mapped(path: Path, head: Head) -> npt.NDArray[Any]:
    try:
        with path.open("rb", buffering=0) as file:
            raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: the file is empty by now
        raise StoreError(f"{path} vanished under a running evaluation: {error}\nrun it again") from error
    if len(raw) != head.size:
        raise StoreError(
            f"{path} changed under a running evaluation\nrun it again; what is damaged is redone"
        )
    count = head.rows * int(np.prod(head.shape, dtype=np.int64))
    flat = np.frombuffer(raw, dtype=head.dtype, count=count, offset=head.rows_at)
    return flat.reshape(head.rows, *head.shape)
