"""Strings by the million: UTF-8 in blocks with offsets, a fifth of what as many Python strings take."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 4096
_CODEC = "utf-8", "surrogatepass"  # JSON may hold halves of surrogate pairs


class Packed(Sequence[str]):
    """A list of strings that cannot be changed.

    Equal to any sequence of the same strings. An item is decoded each time it is asked for, so what walks
    through all of them should do so once.
    """

    def __init__(self, strings: Iterable[str] = ()) -> None:
        self._data: list[bytes] = []
        self._ends: list[array[int]] = []  # in each block 0, then where each string ends
        self._length = 0
        source = iter(strings)
        while raws := [text.encode(*_CODEC) for text in islice(source, BLOCK)]:
            self._keep(raws)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._length))]
        place = at + self._length if at < 0 else at
        if not 0 <= place < self._length:
            raise IndexError(f"item {at} of {self._length}")
        block, row = divmod(place, BLOCK)
        ends = self._ends[block]
        return self._data[block][ends[row] : ends[row + 1]].decode(*_CODEC)

    def __iter__(self) -> Iterator[str]:
        for raw in self.raw():
            yield raw.decode(*_CODEC)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"Packed({self[:3]!r}{', ...' if len(self) > 3 else ''})"

    def raw(self) -> Iterator[bytes]:
        """The strings in UTF-8, one after the other."""
        for data, ends in zip(self._data, self._ends, strict=True):
            start = 0
            for end in islice(ends, 1, None):
                yield data[start:end]
                start = end

    def drained(self) -> Iterator[str]:
        """The strings one after the other; each block is let go before the next is read."""
        self._data.reverse()
        self._ends.reverse()
        while self._data:
            data, ends = self._data.pop(), self._ends.pop()
            self._length -= len(ends) - 1
            for row in range(len(ends) - 1):
                yield data[ends[row] : ends[row + 1]].decode(*_CODEC)

    def arrow(self) -> pa.ChunkedArray:
        """The same memory as Arrow sees it: large strings, a chunk a block."""
        import pyarrow as pa

        chunks = [
            pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(data))
            for data, ends in zip(self._data, self._ends, strict=True)
        ]
        return pa.chunked_array(chunks, pa.large_string())

    def _keep(self, raws: list[bytes]) -> None:
        ends = array("q", bytes(8 * (len(raws) + 1)))
        np.frombuffer(ends, dtype=np.int64)[1:] = np.cumsum([len(raw) for raw in raws])
        self._data.append(b"".join(raws))
        self._ends.append(ends)
        self._length += len(raws)


class Packer:
    """A `Packed` in the making."""

    def __init__(self) -> None:
        self._packed = Packed()
        self._open: list[bytes] = []

    def append(self, value: str | int | None) -> None:
        """Add a string, the decimal digits of a number, or an empty string for None."""
        self._open.append(b"" if value is None else str(value).encode(*_CODEC))
        if len(self._open) == BLOCK:
            self._flush()

    def packed(self) -> Packed:
        """What was added; the packer is done with."""
        if self._open:
            self._flush()
        return self._packed

    def _flush(self) -> None:
        self._packed._keep(self._open)
        self._open = []


def arrow_strings(strings: Sequence[str]) -> Any:
    """One Arrow array of large strings, in memory that is given back when it goes."""
    import pyarrow as pa

    pool = pa.system_memory_pool()
    if isinstance(strings, Packed):
        empty = pa.array([], pa.large_string())
        return pa.concat_arrays([empty, *strings.arrow().chunks], memory_pool=pool)
    return pa.array(
        strings if isinstance(strings, list) else list(strings), pa.large_string(), memory_pool=pool
    )


def positions(strings: Iterable[str], wanted: Collection[str]) -> dict[str, int]:
    """Where the wanted strings stand: a dictionary of all would outweigh a large corpus."""
    return {text: place for place, text in enumerate(strings) if text in wanted}
