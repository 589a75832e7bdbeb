"""The vector store: what a model answered, by content, kept for ever.

`<cache>/vectors/<fingerprint>/<shard>.safetensors` holds vectors, `<cache>/pairs/<fingerprint>/...` pair
scores. The namespace is everything about the model that changes an answer; the key is everything about
the text: route, prompt and text, each with its length in front.

Opening reads headers and keys alone. A row is handed out only from a shard all of whose bytes were checked
by this process, once; one that is damaged is set aside, and its texts count as missing.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from harness.engine.index import Halves, Index
from harness.engine.intake import Refusal, Shape, new_shards, problems, stamp, width
from harness.engine.namespace import LABEL, mark_in_use, names_namespace, writing
from harness.engine.segments import Maps, Segment, Segments
from harness.engine.shards import read_shard, refusals, set_aside, write_shard
from harness.errors import ModelError
from harness.models.base import ModelCard
from harness.paths import cache_folder, write_atomic
from harness.types import Float32, Int64, Pairs, Texts, Vectors, gather_rows

Keys = npt.NDArray[np.bytes_]


def text_keys(texts: Texts) -> Keys:
    """16-byte keys [n] of rendered texts: blake2b-128 over length-prefixed (route, prompt, text)."""
    skip = len(texts.prompt)
    head = _prefixed(texts.route) + _prefixed(texts.prompt)
    return _keys(head + _prefixed(item[skip:]) for item in texts.items)


def pair_keys(pairs: Pairs) -> Keys:
    """16-byte keys [n] of pairs: blake2b-128 over length-prefixed (route, left, right)."""
    head = _prefixed(pairs.route)
    return _keys(head + _prefixed(a) + _prefixed(b) for a, b in zip(pairs.left, pairs.right, strict=True))


def _prefixed(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(8, "little") + raw


def _keys(contents: Iterable[bytes]) -> Keys:
    joined = bytearray()
    for content in contents:
        joined += hashlib.blake2b(content, digest_size=16).digest()
    return np.frombuffer(bytes(joined), dtype="S16")


class VectorStore:
    """Vectors (or pair scores) of one model, by key. May be used from several threads and processes at once.

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
        self._warn, self._lock, self._maps, self._index = warn, threading.RLock(), Maps(), Index()
        self._segments: list[Any] = []  # arrays, or Segment; one never moves, so that rows stay true
        self._table: Segments | None = None
        self._size = 0
        self._shape: Shape | None = None  # of one row
        self._known: set[str] = set()  # names of shards taken in or refused
        self._unchecked: set[int] = set()  # segments that nobody has hashed yet
        self._refused: list[Refusal] = []  # found when opened, reported when used
        self._stamp: int | None = None
        self.refresh()

    def __len__(self) -> int:
        return len(self._index)

    def refresh(self) -> None:
        """Take in shards that other runs wrote since; a look at the folder's time where nothing changed."""
        if self.folder is None:
            return
        with self._lock:
            now = stamp(self.folder)
            if now is None or now != self._stamp:
                self._take_in(self.folder)
            self._stamp = now

    def present(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Whether the store has each key, for a plan: nothing is checked, reported or written. [n]."""
        with self._lock:
            return self._index.find(_halves(keys)) >= 0

    def find(self, keys: Keys) -> Int64:
        """Storage row of each key, -1 where the store lacks it or holds it damaged. int64 [n].

        Shards that are answered from for the first time are read whole and checked, on threads.
        """
        with self._lock:
            self._use()
            halves = _halves(keys)
            rows = self._index.find(halves)
            while self._lost(rows):
                rows = self._index.find(halves)
            return rows

    def append(self, keys: Keys, rows: npt.NDArray[Any]) -> None:
        """Keep `rows` [n, ...] float32 under their keys, durably before this returns.

        What another run has kept in the meantime is not written again, so that no key stands twice.

        Raises:
            ModelError: the rows are wider or narrower than those already kept.
            StoreError: the folder cannot be written; nothing of this call is kept.
        """
        with self._lock:
            if self.folder is None:
                fresh = self._fresh(keys, rows)
                self._add(rows[fresh], [_halves(keys[fresh])])
                return
            with refusals(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
            self._use()
            with writing(self.folder):
                self.refresh()
                fresh = self._fresh(keys, rows)
                if len(fresh):
                    self._write(self.folder, keys[fresh], rows[fresh])

    def vectors(self, rows: Int64) -> Vectors:
        """The vectors standing at storage rows."""
        return Vectors(cast("tuple[npt.NDArray[Any], ...]", self._all()), rows)

    def scores(self, rows: Int64) -> Float32:
        """The pair scores standing at storage rows, float32 [len(rows)]."""
        return gather_rows(self._all(), rows, ())

    def _all(self) -> Segments:
        with self._lock:
            if self._table is None:
                self._table = Segments(self._segments)
            return self._table

    def _add(self, segment: Any, keys: list[Halves]) -> None:
        self._index.add(keys, self._size)
        self._segments.append(segment)
        self._size += len(segment)
        self._shape = tuple(segment.shape[1:])
        self._table = None

    def _fresh(self, keys: Keys, rows: npt.NDArray[Any]) -> Int64:
        """Positions of the keys nobody has kept, each key once."""
        shape = tuple(rows.shape[1:])
        if self._shape is not None and self._shape != shape:
            had, has = width(self._shape), width(shape)
            raise ModelError(f"{self.label}: vectors of length {has} where earlier ones have {had}")
        _, first = np.unique(keys, return_index=True)
        first.sort()
        return first[self.find(keys[first]) < 0].astype(np.int64)

    def _write(self, folder: Path, keys: Keys, rows: npt.NDArray[Any]) -> None:
        if self.label and not (folder / LABEL).is_file():
            with refusals(folder):
                write_atomic(folder / LABEL, (self.label + "\n").encode())
        path = write_shard(folder, keys.view(np.uint8).reshape(len(keys), 16), rows, self.payload)
        head, halves = read_shard(path, self.payload)
        self._known.add(path.name)
        self._add(Segment(path, head, self._maps), [halves])

    def _use(self) -> None:
        """Mark the namespace as in use, and set aside what was found damaged when it was opened."""
        if self.folder is not None and self._maps.keep is None:
            self._maps.keep = mark_in_use(self.folder)
        while self._refused:
            self._refuse(self._refused.pop(0))

    def _take_in(self, folder: Path) -> None:
        found = new_shards(folder, self.payload, self._known, self._shape)
        self._known.update(path.name for path, _ in found.shards)
        self._known.update(refusal.path.name for refusal in found.refused)
        self._refused.extend(found.refused)
        if not found.shards:
            return
        start = self._size
        for path, head in found.shards:
            self._unchecked.add(len(self._segments))
            self._segments.append(Segment(path, head, self._maps))
            self._size += head.rows
        self._index.add(found.keys, start)
        self._shape = found.shards[0][1].shape
        self._table = None

    def _lost(self, rows: Int64) -> bool:
        """Check the shards behind `rows` that were not checked yet; True if one of them was dropped."""
        if not self._unchecked or not len(rows) or rows.max() < 0:
            return False
        table = self._all()
        needed = np.zeros(len(table) + 1, dtype=np.bool_)
        needed[np.searchsorted(table.starts, rows, side="right") - 1] = True  # row -1 falls on the last
        todo = sorted(self._unchecked.intersection(np.flatnonzero(needed[:-1]).tolist()))
        lost = False
        for at, problem in zip(todo, problems([table[at] for at in todo], self.payload), strict=True):
            self._unchecked.discard(at)
            if problem is not None:
                start = int(table.starts[at])
                self._index.drop(start, start + len(table[at]))
                self._refuse(problem)
                lost = True
        return lost

    def _refuse(self, refusal: Refusal) -> None:
        aside = set_aside(refusal.path) if refusal.then == "aside" else None
        if aside is not None or refusal.then == "again":
            self._known.discard(refusal.path.name)  # a shard of this name will be another, whole one
            self._stamp = None
        kept = f"kept as {aside.name}" if aside else "left as it is"
        self._warn(f"damaged vector shard: {refusal.reason}; {kept}, its texts are embedded again")


def _halves(keys: Keys) -> Halves:
    return np.ascontiguousarray(keys).view(np.uint64).reshape(-1, 2)


def open_vectors(
    card: ModelCard, cache: str | Path | None, no_cache: bool, warn: Callable[[str], None]
) -> VectorStore:
    """The store of a model's vectors or pair scores; in memory where nothing may be kept on disk."""
    payload: Literal["vectors", "scores"] = "scores" if card.kind == "cross-encoder" else "vectors"
    folder = None
    if card.fingerprint is not None and not no_cache and card.kind != "lexical":
        if not names_namespace(card.fingerprint):
            raise ModelError(
                f"{card.name}: fingerprint {card.fingerprint!r} names no folder; use letters, digits, . - _"
            )
        name = "pairs" if payload == "scores" else "vectors"
        folder = cache_folder(cache) / name / card.fingerprint
    return VectorStore(folder, payload, warn, card.name)
