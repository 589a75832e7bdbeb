"""Vectors cut to their first components (Kusupati et al., "Matryoshka Representation Learning", 2022).

Where a model's vectors have unit length, what `dim` leaves of them is scaled to unit length again: what
sentence-transformers gives for `truncate_dim` with `normalize_embeddings`. Vectors of other lengths are
only cut, and so are those of a checkpoint that stores a `truncate_dim` of its own, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.errors import ModelError
from harness.models.base import Options
from harness.models.resolve import Source
from harness.types import Float32


@dataclass(frozen=True)
class Cut:
    """What is kept of a vector: its first `dim` components, of unit length `again` or as they are."""

    dim: int
    again: bool

    def of(self, vectors: Float32, named: Callable[[int], str], model: str) -> Float32:
        """What is kept of vectors [n, width].

        Args:
            named: from a row to its text, for people.

        Raises:
            ModelError: nothing but zeros is kept of a vector, which has no direction.
        """
        kept = vectors[:, : self.dim]
        if not self.again:
            return kept
        length = np.linalg.norm(kept, axis=1, keepdims=True)
        lost = np.flatnonzero((length[:, 0] == 0) & vectors.any(axis=1))
        if len(lost):
            raise ModelError(
                f"{model}: the first {self.dim} components are all zero for the text "
                f"{named(int(lost[0]))[:80]!r}; keep more with --dim"
            )
        return np.asarray(kept / np.where(length == 0, 1, length))  # zero as a whole: without a token


def cut_of(source: Source, options: Options, width: int, *, unit: bool) -> Cut:
    """What to keep of vectors of length `width`: as asked, else as the checkpoint says, else all.

    Args:
        unit: whether they have unit length.

    Raises:
        ModelError: the catalog says another width, or more is to be kept than there is.
    """
    row, checkpoint = source.row, source.checkpoint
    assert checkpoint is not None
    if row is not None and row.dim not in (None, width):
        raise ModelError(f"{checkpoint.folder} gives vectors of length {width}; the catalog says {row.dim}")
    dim = int(options.dim or checkpoint.stored.get("truncate_dim") or width)
    if not 0 < dim <= width:
        raise ModelError(f"{source.name} gives vectors of length {width}; {dim} cannot be kept of them")
    return Cut(dim, again=unit and options.dim is not None and dim < width)
