"""What the kinds that compare sentences share: checks on the way in, one Scores on the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.errors import DataError, HarnessError, ModelError, NonFiniteError, UnknownNameError
from harness.types import Float32, Scores, Texts, Vectors

_BLOCK = 8192


def main_metric(wanted: str, known: Sequence[str]) -> str:
    """`wanted` if the scorer makes it; else raises UnknownNameError."""
    if wanted not in known:
        raise UnknownNameError("metric", wanted, known)
    return wanted


def main_metric_of_pairs(wanted: str, known: Sequence[str], of_vectors: Sequence[str]) -> str:
    """A cross-encoder's name for `wanted`: `cosine_spearman` is `spearman`, `max_ap` is `ap`.

    A cross-encoder has one score a pair, so a metric `of_vectors` loses the name of its similarity and
    keeps the last word. Raises UnknownNameError for what is neither that nor `known`.
    """
    main_metric(wanted, (*known, *of_vectors))
    return wanted if wanted in known else wanted.rpartition("_")[2]


def conclude(
    main: str,
    samples: pa.Table,
    found: tuple[Mapping[str, float], Mapping[str, str]],
    blame: type[HarnessError],
) -> Scores:
    """Scores from what `metrics_from` found. Raises `blame` with the reason if `main` is undefined."""
    exact, undefined = found
    if main in undefined:
        raise blame(f"{main} is undefined: {undefined[main]}")
    return Scores(
        main=main, metrics=dict(exact), exact=dict(exact), samples=samples, undefined=dict(undefined)
    )


def same_length(**columns: Sequence[Any] | npt.NDArray[Any]) -> int:
    """Common length of the columns. Raises DataError if they differ or are empty."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError("columns differ in length: " + ", ".join(f"{k} {n}" for k, n in lengths.items()))
    if not all(lengths.values()):
        raise DataError("there are no examples to score")
    return next(iter(lengths.values()))


def check_vectors(texts: Mapping[str, Texts], vectors: Mapping[str, Vectors]) -> None:
    """One finite vector of the same dimension for every text.

    Raises ModelError if vectors are missing or their dimensions differ, NonFiniteError naming the first
    text whose vector holds NaN or infinity, or is so long that float32 cannot hold its squared norm.
    """
    for name, side in texts.items():
        if name not in vectors or len(vectors[name]) != len(side):
            have = len(vectors[name]) if name in vectors else 0
            raise ModelError(f"{len(side)} texts of {name!r} got {have} vectors")
    dims = {vectors[name].dim for name in texts}
    if len(dims) > 1:
        raise ModelError(f"vectors of one task differ in dimension: {sorted(dims)}")
    for name, side in texts.items():
        once, position = vectors[name].distinct()
        for start, block in once.blocks(_BLOCK):
            with np.errstate(over="ignore", invalid="ignore"):
                good = np.isfinite(np.einsum("ij,ij->i", block, block))
            if not good.all():
                first = int(np.flatnonzero(position == start + int(good.argmin()))[0])
                raise NonFiniteError(
                    f"vector with NaN, infinity or overflow for {name} {first}: {_cut(side.items[first])}"
                )


def check_pair_scores(left: Sequence[str], right: Sequence[str], scores: npt.ArrayLike) -> Float32:
    """The scores as float32 [n], one a pair.

    Raises ModelError if there are more or fewer, NonFiniteError on NaN or infinity (names the pair).
    """
    out = np.asarray(scores, dtype=np.float32)
    if out.shape != (len(left),):
        raise ModelError(f"{len(left)} pairs got scores of shape {out.shape}")
    good = np.isfinite(out)
    if not good.all():
        first = int(good.argmin())
        raise NonFiniteError(
            f"score {out[first]} for pair {first}: {_cut(left[first])} | {_cut(right[first])}"
        )
    return out


def column(samples: pa.Table, name: str) -> npt.NDArray[Any]:
    """One column of a samples table as a numpy array [n]."""
    return np.asarray(samples.column(name).to_numpy())


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
