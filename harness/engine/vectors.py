"""The vector store: what a model answered, by content, kept for ever.

`<cache>/vectors/<fingerprint>/<shard>.safetensors` holds vectors, `<cache>/pairs/<fingerprint>/...` pair
scores. The namespace is everything about the model that changes an answer; the key is everything about
the text: route, prompt and text, each with its length in front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harness.engine.shards import SUFFIX, DamagedShardError, open_shard, set_aside, write_shard
from harness.errors import ModelError
from harness.models.base import ModelCard
from harness.paths import cache_folder
from harness.types import Float32, Int64, Pairs, Texts, Vectors

Keys = npt.NDArray[np.bytes_]
LABEL = "model.txt"  # beside the shards: the name of the model, for `harness cache list`


def text_keys(texts: Texts) -> Keys:
    """16-byte keys [n] of rendered texts: blake2b-128 over length-prefixed (route, prompt, text)."""
    skip = len(texts.prompt)
    head = _prefixed(texts.route) + _prefixed(texts.prompt)
    return _keys([head + _prefixed(item[skip:]) for item in texts.items])


def pair_keys(pairs: Pairs) -> Keys:
    """16-byte keys [n] of pairs: blake2b-128 over length-prefixed (route, left, right)."""
    head = _prefixed(pairs.route)
    return _keys([head + _prefixed(a) + _prefixed(b) for a, b in zip(pairs.left, pairs.right, strict=True)])


def _prefixed(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw


def _keys(contents: Sequence[bytes]) -> Keys:
    joined = b"".join(hashlib.blake2b(content, digest_size=16).digest() for content in contents)
    return np.frombuffer(joined, dtype="S16")


class VectorStore:
    """Vectors (or pair scores) of one model, by key.

    Args:
        folder: where the shards lie; None keeps everything in memory (models without a fingerprint).
        payload: "vectors" ([n, dim]) or "scores" ([n]).
        warn: called with one line for each damaged shard set aside.
        label: the model's name, kept beside the shards for people.
    """

    def __init__(
        self,
        folder: Path | None,
        payload: Literal["vectors", "scores"] = "vectors",
        warn: Callable[[str], None] = lambda line: None,
        label: str = "",
    ) -> None:
        self.folder, self.payload, self.label = folder, payload, label
        self._segments: list[npt.NDArray[Any]] = []
        self._keys: list[Keys] = []
        self._size = 0
        self._sorted: Keys = np.empty(0, dtype="S16")
        self._row_of: Int64 = np.empty(0, dtype=np.int64)
        for path in sorted(folder.glob(f"*{SUFFIX}")) if folder and folder.is_dir() else []:
            try:
                keys, payload_rows = open_shard(path, payload)
            except DamagedShardError as error:
                aside = set_aside(path)
                warn(f"damaged vector shard: {error}; kept as {aside.name}, its texts are embedded again")
                continue
            self._add(np.ascontiguousarray(keys).view("S16").ravel(), payload_rows)

    def __len__(self) -> int:
        return self._size

    def find(self, keys: Keys) -> Int64:
        """Storage row of each key, -1 where the store lacks it. int64 [n]."""
        self._index()
        if not len(self._sorted):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[at] == keys, self._row_of[at], -1)

    def append(self, keys: Keys, rows: npt.NDArray[Any]) -> None:
        """Keep `rows` [n, ...] float32 under their keys, durably before this returns.

        Raises:
            ModelError: the rows are wider or narrower than those already kept.
        """
        if self._segments and self._segments[0].shape[1:] != rows.shape[1:]:
            had, has = self._segments[0].shape[1:], rows.shape[1:]
            raise ModelError(f"{self.label}: vectors of length {has} where earlier ones have {had}")
        if self.folder is not None:
            write_shard(self.folder, keys.view(np.uint8).reshape(len(keys), 16), rows, self.payload)
            if self.label and not (self.folder / LABEL).is_file():
                (self.folder / LABEL).write_text(self.label + "\n", encoding="utf-8")
        self._add(keys, rows)

    def vectors(self, rows: Int64) -> Vectors:
        """The vectors standing at storage rows."""
        return Vectors(tuple(self._segments), rows)

    def scores(self, rows: Int64) -> Float32:
        """The pair scores standing at storage rows, float32 [len(rows)]."""
        if not self._segments:
            return np.empty(0, dtype=np.float32)
        return np.concatenate(self._segments)[rows].astype(np.float32)

    def _add(self, keys: Keys, rows: npt.NDArray[Any]) -> None:
        self._keys.append(keys)
        self._segments.append(rows)
        self._size += len(keys)

    def _index(self) -> None:
        if len(self._sorted) == self._size:
            return
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        self._sorted, self._row_of = keys[order], order.astype(np.int64)


def open_vectors(
    card: ModelCard, cache: str | Path | None, no_cache: bool, warn: Callable[[str], None]
) -> VectorStore:
    """The store of a model's vectors or pair scores; in memory where nothing may be kept on disk."""
    payload: Literal["vectors", "scores"] = "scores" if card.kind == "cross-encoder" else "vectors"
    folder = None
    if card.fingerprint is not None and not no_cache and card.kind != "lexical":
        if not re.fullmatch(r"\w[\w.-]{0,127}", card.fingerprint):
            raise ModelError(
                f"{card.name}: fingerprint {card.fingerprint!r} names no folder; use letters, digits, . - _"
            )
        name = "pairs" if payload == "scores" else "vectors"
        folder = cache_folder(cache) / name / card.fingerprint
    return VectorStore(folder, payload, warn, card.name)


def inventory(root: Path) -> list[dict[str, Any]]:
    """What a cache folder holds, by fingerprint: kind, model name, number of shards, bytes."""
    found = []
    for kind in ("vectors", "pairs"):
        for folder in sorted(p for p in (root / kind).glob("*") if p.is_dir()):
            shards = list(folder.glob(f"*{SUFFIX}"))
            label = folder / LABEL
            found.append(
                {
                    "kind": kind,
                    "fingerprint": folder.name,
                    "model": label.read_text(encoding="utf-8").strip() if label.is_file() else None,
                    "shards": len(shards),
                    "bytes": sum(path.stat().st_size for path in shards),
                }
            )
    return found
