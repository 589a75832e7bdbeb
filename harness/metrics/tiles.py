"""Scores of queries and documents as tiles of one shape, so that a score's bits depend on the pair alone.

Every score comes from one matrix product of a fixed shape (`QUERY_TILE` x `DOC_TILE`, zero-padded) on one
thread, so neither the memory nor the number of threads at hand can change it. Both sides are multiples of
the widths BLAS kernels work in (6, 16, 24, 48), so that no row or column falls to an edge kernel that adds
in another order: measured with MKL's SSE4.2, AVX2 and AVX-512 kernels, a score's bits do not depend on
where in the corpus its document stands either, and a candidate has the very score a search gives it.
Products of one thread each keep all cores busy: the same tiles on all threads together ran at half the rate.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from harness.types import Float32

if TYPE_CHECKING:
    import torch

QUERY_TILE = 192
DOC_TILE = 1152
_EPSILON = 1e-12  # the least norm that torch's normalize divides by


@contextmanager
def workers(wanted: int) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads whose products run on one thread each, and their number: `wanted`, or as many as torch uses."""
    import torch

    mine = torch.get_num_threads()
    count = max(1, min(wanted, mine))
    ready = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # the first thing a thread asks torch resets its number of threads
        torch.set_num_threads(1)  # of this thread, and of threads that begin later
        ready.wait()

    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(begin) for _ in range(count)]
        ready.wait()
        torch.set_num_threads(mine)
        for each in begun:
            each.result()
        yield pool, count


def blank() -> torch.Tensor:
    """Room for the scores of one tile."""
    import torch

    return torch.empty(QUERY_TILE, DOC_TILE)


def prepared(rows: Float32, similarity: str, side: Literal["query", "document"]) -> torch.Tensor:
    """One side of a tile, padded, for `product`; changes `rows`, [n, dim].

    Cosine divides by the norm as torch's normalize does; euclidean adds the two columns with which
    torch.cdist turns squared distances into one matrix product.
    """
    import torch

    tile = torch.from_numpy(rows)
    height = QUERY_TILE if side == "query" else DOC_TILE
    if similarity == "cosine":
        tile /= torch.linalg.vector_norm(tile, dim=1, keepdim=True).clamp_min_(_EPSILON)
    if similarity == "euclidean":
        norm = tile.pow(2).sum(dim=-1, keepdim=True)
        one = torch.ones_like(norm)
        tile = torch.cat([tile.mul_(-2), norm, one] if side == "query" else [tile, one, norm], dim=-1)
    if len(tile) < height:
        tile = torch.nn.functional.pad(tile, (0, 0, 0, height - len(tile)))
    return tile


def product(left: torch.Tensor, right: torch.Tensor, similarity: str, out: torch.Tensor) -> Float32:
    """Scores of every query of one tile with every document of another, written to `out`."""
    import torch

    torch.mm(left, right.T, out=out)
    if similarity == "euclidean":
        out.clamp_min_(0).sqrt_().neg_()
    scores: Float32 = out.numpy()
    return scores
