"""Deterministic stand-ins for tests: vectors and scores from a hash of the text, and failures on demand."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

import numpy as np

from harness.models.base import ModelCard, Options
from harness.models.identity import fingerprint
from harness.models.resolve import Source
from harness.types import Float32, Pairs, Texts

VERSION = 1


@dataclass
class Fake:
    """What both stand-ins can be told to do.

    Attributes:
        dim: length of a vector.
        nan_for: a text (or left text) that is answered with NaN.
        fail_for: a text that raises RuntimeError, as a broken library would.
        drop_rows: rows left out of each answer, to make its shape wrong.
        seconds: time each call takes.
        name: as in results; part of the fingerprint.
        seen: every text (or left, right) asked for, call after call.
    """

    dim: int = 16
    nan_for: str | None = None
    fail_for: str | None = None
    drop_rows: int = 0
    seconds: float = 0.0
    name: str = "harness/fake"
    seen: list[str] = field(default_factory=list)

    def _answer(self, keys: list[str], rows: Float32) -> Float32:
        time.sleep(self.seconds)
        self.seen.extend(keys)
        for at, key in enumerate(keys):
            if key == self.fail_for:
                raise RuntimeError(f"told to fail for {key!r}")
            if key == self.nan_for:
                rows[at] = np.nan
        return rows[self.drop_rows :]


@dataclass
class FakeEncoder(Fake):
    """A bi-encoder: equal texts give equal vectors, others almost orthogonal ones."""

    card: ModelCard = field(init=False)

    def __post_init__(self) -> None:
        mark = fingerprint({"adapter": f"fake@{VERSION}", "dim": self.dim, "name": self.name})
        self.card = ModelCard(
            self.name, None, "bi-encoder", mark, dim=self.dim, normalized=True, backend="numpy",
            adapter=f"fake@{VERSION}",
        )  # fmt: skip

    def encode(self, texts: Texts) -> Float32:
        """Unit vectors float32 [len(texts), dim] from BLAKE2b of each text."""
        rows = np.array([_hashed(text, self.dim) for text in texts.items], dtype=np.float32)
        rows = rows.reshape(len(texts), self.dim)
        return self._answer(list(texts.items), rows / np.linalg.norm(rows, axis=1, keepdims=True))


@dataclass
class FakeCross(Fake):
    """A cross-encoder: the share of distinct characters that both texts have, and a little of the hash."""

    name: str = "harness/fake-cross"
    card: ModelCard = field(init=False)

    def __post_init__(self) -> None:
        mark = fingerprint({"adapter": f"fake_cross@{VERSION}", "name": self.name})
        self.card = ModelCard(
            self.name, None, "cross-encoder", mark, backend="numpy", adapter=f"fake_cross@{VERSION}"
        )

    def score(self, pairs: Pairs) -> Float32:
        """Scores float32 [len(pairs)] between 0 and 1."""
        rows = np.empty(len(pairs), dtype=np.float32)
        for at, (left, right) in enumerate(zip(pairs.left, pairs.right, strict=True)):
            both, either = set(left) & set(right), set(left) | set(right)
            share = len(both) / len(either) if either else 1.0
            rows[at] = 0.9 * share + 0.05 * (1.0 + _hashed(f"{left}\x00{right}", 1)[0])
        return self._answer(list(pairs.left), rows)


def load_fake(source: Source, options: Options) -> FakeEncoder:
    """The bi-encoder stand-in."""
    return FakeEncoder(name=source.name)


def load_fake_cross(source: Source, options: Options) -> FakeCross:
    """The cross-encoder stand-in."""
    return FakeCross(name=source.name)


def _hashed(text: str, count: int) -> list[float]:
    """`count` numbers in (-1, 1) from the text alone."""
    raw = text.encode("utf-8", "surrogatepass")
    stream = b"".join(
        hashlib.blake2b(raw, digest_size=64, salt=b"%d" % i).digest() for i in range(-(-count // 8))
    )
    return [int.from_bytes(stream[8 * i : 8 * i + 8], "little") / 2**63 - 1 for i in range(count)]
