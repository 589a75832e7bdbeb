"""Which storage row a key has: sorted runs of 20 bytes a key.

A key is two uint64. Sorting and searching by the first is several times faster than comparing 16 bytes as a
string, and the second decides. Keys that come a thousand at a time go to a short run; runs are merged when
they grow alike, so that ten million keys are not sorted again for each thousand (O'Neil et al., "The
log-structured merge-tree", 1996).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.types import Int64

Halves = npt.NDArray[np.uint64]  # [n, 2]
_GROWTH = 4  # a run is merged into the next when it is not this many times shorter
_NEEDLES = 1 << 19  # keys looked up at a time: bounds what a search takes


class Run(NamedTuple):
    """Keys sorted by (first, second, row)."""

    first: npt.NDArray[np.uint64]
    second: npt.NDArray[np.uint64]
    row: npt.NDArray[np.uint32]


class Index:
    """Keys to storage rows (below 2**32)."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __len__(self) -> int:
        return sum(len(run.row) for run in self._runs)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for run in self._runs for part in run)

    def add(self, parts: list[Halves], start: int) -> None:
        """Add keys whose rows count up from `start`; `parts` is emptied on the way, to save memory."""
        run = _sorted(parts, start)
        while self._runs and len(self._runs[-1].row) < _GROWTH * len(run.row):
            run = _merged(self._runs.pop(), run)
        if len(run.row):
            self._runs.append(run)

    def find(self, keys: Halves) -> Int64:
        """Row of each key, the lowest where it stands more than once; -1 where it stands nowhere."""
        rows = np.full(len(keys), -1, dtype=np.int64)
        for start in range(0, len(keys), _NEEDLES):
            part = np.ascontiguousarray(keys[start : start + _NEEDLES])
            order = np.argsort(part[:, 0])  # needles in order find their neighbours in the processor's cache
            left, sorted_part = order, part[order]
            for run in self._runs:
                found = _search(run, sorted_part[:, 0], sorted_part[:, 1])
                rows[start + left] = found
                left, sorted_part = left[found < 0], sorted_part[found < 0]
        return rows

    def drop(self, start: int, stop: int) -> None:
        """Forget all keys of the rows from `start` up to `stop`."""
        for at, run in enumerate(self._runs):
            keep = (run.row < start) | (run.row >= stop)
            if not keep.all():
                self._runs[at] = Run(run.first[keep], run.second[keep], run.row[keep])


def _sorted(parts: list[Halves], start: int) -> Run:
    """One run of all parts; at no time more than 32 bytes a key."""
    first, second = _split(parts)
    order = np.argsort(first)
    first = first[order]
    second = second[order]
    order += start
    return _settled(Run(first, second, order.astype(np.uint32)))


def _split(parts: list[Halves]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    total = sum(map(len, parts))
    first, second = np.empty(total, np.uint64), np.empty(total, np.uint64)
    parts.reverse()
    at = 0
    while parts:
        part = parts.pop()
        first[at : at + len(part)], second[at : at + len(part)] = part[:, 0], part[:, 1]
        at += len(part)
    return first, second


def _merged(one: Run, other: Run) -> Run:
    first = np.concatenate([one.first, other.first])
    order = np.argsort(first)
    return _settled(
        Run(
            first[order],
            np.concatenate([one.second, other.second])[order],
            np.concatenate([one.row, other.row])[order],
        )
    )


def _settled(run: Run) -> Run:
    """Put the few keys that share their first half in order of (second, row)."""
    ties = np.flatnonzero(run.first[1:] == run.first[:-1])
    if len(ties):
        members = np.union1d(ties, ties + 1)
        order = members[np.lexsort((run.row[members], run.second[members], run.first[members]))]
        run.second[members], run.row[members] = run.second[order], run.row[order]
    return run


def _search(run: Run, first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> Int64:
    rows = np.full(len(first), -1, dtype=np.int64)
    open_ = np.arange(len(first))
    at = np.searchsorted(run.first, first)
    while len(open_):  # again only for first halves that several keys share
        open_ = open_[at[open_] < len(run.first)]
        open_ = open_[run.first[at[open_]] == first[open_]]
        hit = run.second[at[open_]] == second[open_]
        rows[open_[hit]] = run.row[at[open_[hit]]]
        open_ = open_[~hit]
        at[open_] += 1
    return rows
