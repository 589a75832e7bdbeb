"""One type at each step: Texts or Pairs, then Vectors, then Scores, then Result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Role = Literal["query", "document", "sentence"]
ModelKind = Literal["bi-encoder", "cross-encoder", "lexical"]
Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Label = int | str


@dataclass(frozen=True)
class Texts:
    """Strings to embed.

    Attributes:
        items: the strings. What a task kind asks for is bare (`prompt` empty); what an adapter gets is
            rendered: every item then starts with `prompt`.
        role: what the strings are to the task.
        prompt: the prompt that stands in front of every item, already part of it.
        route: what an adapter needs beyond the text (LoRA task, an API's input type ...), else empty.
    """

    items: Sequence[str]
    role: Role = "sentence"
    prompt: str = ""
    route: str = ""

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Pairs:
    """Text pairs for a cross-encoder, `left[i]` with `right[i]`."""

    left: Sequence[str]
    right: Sequence[str]
    route: str = ""

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class Vectors:
    """Vectors of `len(self)` texts: rows over shard segments plus a row index.

    Attributes:
        segments: arrays or memory maps of shape [n_i, dim]; together they form one long storage.
        rows: int64 [n]; `rows[i]` is the storage row of text i. Equal texts share a row.
    """

    segments: tuple[npt.NDArray[Any], ...]
    rows: Int64

    @classmethod
    def of(cls, array: npt.ArrayLike) -> Vectors:
        """Vectors held in one array of shape [n, dim], row i belonging to text i."""
        matrix = np.asarray(array)
        return cls((matrix,), np.arange(len(matrix), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Length of one vector."""
        return int(self.segments[0].shape[1]) if self.segments else 0

    def gather(self, positions: npt.ArrayLike | None = None) -> Float32:
        """Copy the vectors of `positions` (default: all) as float32 [len(positions), dim], in that order."""
        rows = self.rows if positions is None else self.rows[np.asarray(positions)]
        return gather_rows(self.segments, rows, (self.dim,))

    def distinct(self) -> tuple[Vectors, Int64]:
        """Each storage row once, in storage order, and for every text its position among them."""
        rows, inverse = np.unique(self.rows, return_inverse=True)
        return Vectors(self.segments, rows), inverse.astype(np.int64)

    def blocks(self, size: int) -> Iterator[tuple[int, Float32]]:
        """Stream float32 blocks of at most `size` vectors with the position of their first row."""
        for start in range(0, len(self), size):
            yield start, gather_rows(self.segments, self.rows[start : start + size], (self.dim,))


def gather_rows(segments: Sequence[npt.NDArray[Any]], rows: Int64, shape: tuple[int, ...]) -> Float32:
    """Copy storage rows as float32 [len(rows), *shape]; each segment is touched once.

    Args:
        segments: together one long storage. An attribute `starts` (int64, first row of each), where there
            is one, saves counting their lengths.
        shape: of one row.

    Raises:
        IndexError: a row outside the storage.
    """
    out = np.empty((len(rows), *shape), dtype=np.float32)
    if not len(rows):
        return out
    starts = getattr(segments, "starts", None)
    if starts is None:
        starts = np.cumsum([0, *map(len, segments)])[:-1]
    end = starts[-1] + len(segments[-1]) if len(segments) else 0
    if rows.min() < 0 or rows.max() >= end:
        raise IndexError(f"rows {rows.min()} to {rows.max()} of a storage of {end}")
    home = np.searchsorted(starts, rows, side="right") - 1
    order = None if (np.diff(home) >= 0).all() else np.argsort(home, kind="stable")
    if order is not None:
        home, rows = home[order], rows[order]
    edges = np.flatnonzero(np.diff(home)) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
        segment, local = segments[home[first]], rows[first:last] - starts[home[first]]
        low, high = int(local[0]), int(local[-1]) + 1
        straight = high - low == last - first and bool((np.diff(local) == 1).all())
        out[slice(first, last) if order is None else order[first:last]] = segment[
            slice(low, high) if straight else local
        ]
    return out


@dataclass(frozen=True)
class Scores:
    """What a scorer found for one split and subset.

    Attributes:
        main: name of the main metric, a key of `metrics`.
        metrics: metric name to value, as the protocol's reference reports it (its rounding included);
            every value finite, 0 to 1 unless the metric says otherwise.
        exact: the same names, unrounded; what gates and comparisons use.
        samples: per-example values from which every metric can be computed again.
        undefined: metric name to the reason why it has no value here.
        details: what the reference nests beside its metrics (per-experiment values), JSON-ready.
    """

    main: str
    metrics: Mapping[str, float]
    exact: Mapping[str, float]
    samples: pa.Table
    undefined: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One model on one (task, split, subset): all that persists, all that reports read.

    Attributes:
        model: `org/name` of a hub model, `local/<dir>`, `harness/<baseline>`.
        revision: commit hash, or 12 hex digits over a local checkpoint's files, or None.
        variant: tokens that set this run apart from the catalog's defaults (`bf16`, `len512` ...).
        scorer: `name@version` of the code that scored.
        data_fingerprint: SHA-256 over the examples that were scored.
        metrics, exact, undefined, details, main_metric: as in `Scores`.
        samples: per-example values; None when read back from disk (their hash is in `samples_sha256`).
        provenance: everything else that could move the number.
        reused: True when the store already held this result and it was still valid.
    """

    model: str
    revision: str | None
    variant: tuple[str, ...]
    task: str
    kind: str
    protocol: str
    scorer: str
    split: str
    subset: str
    languages: tuple[str, ...]
    data_revision: str
    data_fingerprint: str
    main_metric: str
    metrics: Mapping[str, float]
    exact: Mapping[str, float]
    undefined: Mapping[str, str]
    details: Mapping[str, Any]
    provenance: Mapping[str, Any]
    samples: pa.Table | None = None
    samples_sha256: str | None = None
    reused: bool = False

    @property
    def main_score(self) -> float:
        """The protocol's main score of this entry."""
        return self.metrics[self.main_metric]
