"""Quantised vectors: what is left of a vector once it is stored in a byte or a bit a component.

binary: +1 where a component is above 0, else -1, the bits that sentence-transformers' `quantize_embeddings`
packs. int8: `round(127 x / max|x|)`, scaled back by `max|x| / 127`. The scale is each vector's own, where
sentence-transformers takes one a dimension from a calibration set: so no vector depends on other texts.
"""

from __future__ import annotations

import numpy as np

from harness.errors import UnknownNameError
from harness.types import Float32

QUANTS = ("int8", "binary")


def quantised(vectors: Float32, quant: str | None) -> Float32:
    """Vectors [n, dim] rounded to what `quant` can hold, as float32; unchanged where it is None.

    A vector with NaN or infinity stays as it is, for the caller to refuse; a zero vector is zero in int8.
    """
    if quant is None:
        return vectors
    check_quant(quant)
    good = np.isfinite(vectors).all(axis=1)
    rows = vectors[good]
    out = vectors.astype(np.float32)
    if quant == "binary":
        out[good] = np.where(rows > 0, 1, -1)
    elif rows.size:
        scale = np.abs(rows).max(axis=1, keepdims=True).astype(np.float64) / 127
        out[good] = np.rint(rows / np.where(scale > 0, scale, 1)) * scale
    return out


def check_quant(quant: str) -> None:
    """Raise UnknownNameError for a quantisation that does not exist."""
    if quant not in QUANTS:
        raise UnknownNameError("quantisation", quant, QUANTS)
