"""Token-budget batches: texts of like length together, so that little is spent on padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from harness.types import Int64


def token_batches(lengths: npt.ArrayLike, budget: int) -> Iterator[Int64]:
    """Positions of the texts of each batch, longest texts first; equal lengths keep their order.

    A batch is padded to its longest text, so it costs `longest * size` tokens: at most `budget`, save
    that a text longer than the budget has a batch of its own.

    Args:
        lengths: int [n], tokens of each text.
        budget: padded tokens a batch, at least 1.

    Yields:
        int64 [size]; together a permutation of 0 ... n - 1.
    """
    counts = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-counts, kind="stable").astype(np.int64)
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(counts[order[start]])))
        yield order[start : start + size]
        start += size
