"""How alike two vectors are: row by row, nearest row, and the best of several references.

Every value is computed by the operation mteb 2.26.24 uses (scikit-learn's paired distances, `np.dot`,
torch in float32), because a last bit decides which scores tie. Measured against it: scikit-learn's
cosine and a dot of normalised rows differ by 3e-7; `np.vecdot` gives the bits of a loop over `np.dot`,
`einsum` and multiply-and-sum do not; a matrix product gives a row other bits when it holds fewer rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.errors import UnknownNameError
from harness.types import Float32, Int64, Vectors

if TYPE_CHECKING:
    import torch

Measure = Literal["similarity", "cosine", "manhattan", "euclidean", "dot"]
SIMILARITIES: tuple[str, ...] = ("cosine", "dot", "euclidean")

_PAIRED_FLOATS = 2**23  # per side and block: 32 MiB, a handful of temporaries of that size
_QUERY_ROWS = 100  # mteb's chunk: a matrix product of another height may differ in the last bit
_CORPUS_ROWS = 2**16


def paired(
    left: Vectors, right: Vectors, measures: Sequence[Measure], similarity: str = "cosine"
) -> dict[str, Float32]:
    """Each measure of `left[i]` with `right[i]`, float32 [n], computed block by block.

    Measures: `similarity` is the model's own (`cosine`, `dot` or `euclidean`, see `own_paired`); `cosine`
    and `dot` grow with likeness; `manhattan` and `euclidean` are distances and shrink with it.

    Raises UnknownNameError for a similarity that does not exist.
    """
    known_similarity(similarity)
    out: dict[str, Float32] = {measure: np.empty(len(left), dtype=np.float32) for measure in measures}
    for start, stop in _spans(len(left), max(1, _PAIRED_FLOATS // max(1, left.dim))):
        rows = np.arange(start, stop)
        a, b = left.gather(rows), right.gather(rows)
        for measure in measures:
            out[measure][start:stop] = paired_block(a, b, measure, similarity)
    return out


def paired_block(a: Float32, b: Float32, measure: Measure, similarity: str = "cosine") -> Float32:
    """One measure of the rows of two float32 [n, dim] matrices held in memory: float32 [n].

    A zero vector has cosine 0.5 to any other, as in scikit-learn (1 - half the squared distance of
    the normalised rows); two zero vectors have cosine 1.
    """
    from sklearn.metrics.pairwise import (
        paired_cosine_distances,
        paired_euclidean_distances,
        paired_manhattan_distances,
    )

    if measure == "cosine":
        return np.asarray(1 - paired_cosine_distances(a, b), dtype=np.float32)
    if measure == "manhattan":
        return np.asarray(paired_manhattan_distances(a, b), dtype=np.float32)
    if measure == "euclidean":
        return np.asarray(paired_euclidean_distances(a, b), dtype=np.float32)
    if measure == "dot":
        return np.asarray(np.vecdot(a, b), dtype=np.float32)
    return own_paired(a, b, similarity)


def own_paired(a: Float32, b: Float32, similarity: str) -> Float32:
    """The model's own similarity of paired rows, in torch float32: [n], larger is closer.

    `euclidean` is the negated distance. Raises UnknownNameError for a similarity that does not exist.
    """
    import torch

    x, y = torch.tensor(a), torch.tensor(b)
    if known_similarity(similarity) == "euclidean":
        return _numpy(-torch.sqrt(torch.sum((x - y) ** 2, dim=-1)))
    if similarity == "cosine":
        x, y = _normalised(x), _normalised(y)
    return _numpy((x * y).sum(dim=-1))


def nearest(queries: Vectors, corpus: Vectors, similarity: str) -> tuple[Int64, Float32]:
    """For each query the corpus row most similar to it, and that similarity: int64 [q], float32 [q].

    Of exactly equal rows the lowest index wins. mteb takes whatever `torch.topk` leaves first: that is
    the lowest index too in a corpus of 64 rows or more, and arbitrary below. Holds 100 x 65,536
    scores at a time. Raises UnknownNameError for a similarity that does not exist.
    """
    import torch

    known_similarity(similarity)
    index = np.zeros(len(queries), dtype=np.int64)
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    for offset, documents in corpus.blocks(_CORPUS_ROWS):
        y = torch.tensor(documents)
        y = _normalised(y) if similarity == "cosine" else y
        for start, block in queries.blocks(_QUERY_ROWS):
            x = torch.tensor(block)
            if similarity == "euclidean":
                # torch's own rule (a matrix product beyond 25 rows), asked of the corpus, not of its block.
                by_product = max(len(block), len(corpus)) > 25
                mode = "use_mm_for_euclid_dist" if by_product else "donot_use_mm_for_euclid_dist"
                scores = _numpy(-torch.cdist(x, y, p=2.0, compute_mode=mode))
            else:
                scores = _numpy((_normalised(x) if similarity == "cosine" else x) @ y.T)
            found = scores.argmax(axis=1)
            value = scores[np.arange(len(found)), found]
            rows = start + np.flatnonzero(value > best[start : start + len(found)])
            index[rows], best[rows] = offset + found[rows - start], value[rows - start]
    return index, best


def best_of_references(candidates: Float32, references: Float32, similarity: str) -> dict[str, Float32]:
    """Maximum of `cosine`, `dot` and the model's `similarity` over the references, per candidate.

    `candidates` is [k, dim], `references` [m, dim]; each value is float32 [k]. A candidate meets the
    references one product at a time, and one reference at a time for the model's own similarity, as
    in mteb: only then do equal summaries get equal scores, bit for bit, and the skipped samples agree.
    Raises UnknownNameError for a similarity that does not exist.
    """
    import torch

    known_similarity(similarity)
    x, y = torch.tensor(candidates), torch.tensor(references)
    unit_x, unit_y = _normalised(x), _normalised(y)
    out = {
        "cosine": [float((row @ unit_y.T).max()) for row in _alone(unit_x)],
        "dot": [float((row @ y.T).max()) for row in _alone(x)],
    }
    if similarity == "euclidean":
        distances = torch.cdist(x, y, p=2.0, compute_mode="donot_use_mm_for_euclid_dist")
        out["similarity"] = (-distances).max(dim=1).values.tolist()
    else:
        own_x, own_y = (unit_x, unit_y) if similarity == "cosine" else (x, y)
        others = [other.T for other in _alone(own_y)]
        out["similarity"] = [max(float(row @ other) for other in others) for row in _alone(own_x)]
    return {name: np.asarray(values, dtype=np.float32) for name, values in out.items()}


def known_similarity(name: str) -> str:
    """`name` itself if it is a similarity a model can have; else raises UnknownNameError."""
    if name not in SIMILARITIES:
        raise UnknownNameError("similarity", name, SIMILARITIES, f"known: {', '.join(SIMILARITIES)}")
    return name


def _spans(n: int, size: int) -> Iterator[tuple[int, int]]:
    # Even blocks: a last block of one or two rows would sum long vectors in another order.
    edges = np.linspace(0, n, -(-n // size) + 1).astype(np.int64).tolist()
    return pairwise(edges)


def _normalised(x: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(x, p=2, dim=1)


def _alone(x: torch.Tensor) -> list[torch.Tensor]:
    # Each row in memory of its own: where a vector starts decides how a matrix-vector product sums it.
    return [row[None].clone() for row in x]


def _numpy(x: torch.Tensor) -> Float32:
    return np.asarray(x.numpy(), dtype=np.float32)
