"""Token-budget batches of texts that are padded to the same width.

A float32 forward pass gives a text other last bits in another batch: the width it is padded to, and for
small batches the number of rows, choose the order in which sums are made. So the width depends on the
text alone, and a batch never has fewer than LEAST tokens, above which the matrix kernels of CPUs treat
every row alike. Then a vector does not depend on what else was encoded beside it: not on the other tasks
of a run, nor on what a killed run had already stored.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from harness.types import Int64

# Below about 200 rows in all, matrix products choose other kernels (measured; 256 leaves room).
LEAST = 256


def token_batches(lengths: npt.ArrayLike, budget: int) -> Iterator[tuple[Int64, int]]:
    """Positions of the texts of each batch and the width they are padded to, widest first.

    Args:
        lengths: int [n], tokens of each text.
        budget: padded tokens a batch, at least 1; a text wider than that has a batch of its own.

    Yields:
        int64 [size] and their width. Together the positions are a permutation of 0 ... n - 1; equal widths
        keep their order.
    """
    widths = padded_widths(lengths)
    order = np.argsort(-widths, kind="stable").astype(np.int64)
    start = 0
    while start < len(order):
        width = int(widths[order[start]])
        same = int(np.searchsorted(-widths[order], -width, side="right")) - start
        size = min(same, max(1, budget // width))
        yield order[start : start + size], width
        start += size


def padded_widths(lengths: npt.ArrayLike) -> Int64:
    """What each text is padded to: its own length up to 48, then multiples of 4, above 64 of 16.

    Short texts share their length with many others and need no padding; long ones would be alone.
    """
    counts = np.maximum(np.asarray(lengths, dtype=np.int64), 1)
    step = np.where(counts <= 48, 1, np.where(counts <= 64, 4, 16))
    return -(-counts // step) * step
