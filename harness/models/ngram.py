"""Hashed character n-grams: a bi-encoder of thirty lines that no checkpoint should lose to."""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

from harness.models.base import ModelCard, Options
from harness.models.identity import fingerprint
from harness.models.resolve import Source
from harness.types import Float32, Texts

VERSION = 1
DIM = 2048
LENGTHS = (1, 2, 3, 4)
_Hashes = npt.NDArray[np.uint64]


def load_ngram(source: Source, options: Options) -> CharNgram:
    """The character n-gram encoder."""
    row = source.row
    settings = {
        "adapter": f"ngram@{VERSION}", "dim": DIM, "lengths": LENGTHS, "unicode": unicodedata.unidata_version
    }  # fmt: skip
    return CharNgram(
        ModelCard(
            name=source.name,
            kind="bi-encoder",
            fingerprint=fingerprint(settings),
            dim=DIM,
            pooling="hashed n-grams",
            normalized=True,
            backend="numpy",
            languages=tuple(row.languages) if row else (),
            licence=row.licence if row else None,
            catalog_row=row.row if row else None,
            adapter=f"ngram@{VERSION}",
            notes=tuple(row.notes) if row else (),
        )
    )


class CharNgram:
    """Signed feature hashing of character n-grams; stateless, so any chunking gives the same vectors."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def encode(self, texts: Texts) -> Float32:
        """Unit vectors float32 [len(texts), DIM]; a text without a character is the first unit vector."""
        out = np.empty((len(texts), DIM), dtype=np.float32)
        for at, text in enumerate(texts.items):
            out[at] = _vector(text)
        return out


def _vector(text: str) -> Float32:
    """Sublinear counts (1 + log tf) of the text's n-grams, each in one signed bucket, at unit length."""
    plain = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    codes = np.frombuffer(f" {plain} ".encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    grams, counts = np.unique(_hashes(codes), return_counts=True)
    signs = np.where(grams >> np.uint64(63), 1.0, -1.0)
    buckets = (grams % np.uint64(DIM)).astype(np.int64)
    vector = np.bincount(buckets, weights=signs * (1.0 + np.log(counts)), minlength=DIM)
    length = float(np.linalg.norm(vector))
    if not plain or length == 0.0:
        vector, length = np.eye(1, DIM)[0], 1.0
    return (vector / length).astype(np.float32)


def _hashes(codes: _Hashes) -> _Hashes:
    """A 64-bit hash of each n-gram of every length: base-p digits through the finaliser of splitmix64."""
    found = []
    for n in LENGTHS:
        rows = len(codes) - n + 1
        if rows < 1:
            break
        mixed = np.full(rows, n, dtype=np.uint64)
        for at in range(n):
            mixed = mixed * np.uint64(0x100000001B3) + codes[at : at + rows]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found.append(mixed ^ (mixed >> np.uint64(31)))
    return np.concatenate(found)
