"""Small models, tasks and folders that several tests build with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from harness.models.base import ModelCard
from harness.types import Pairs, Texts


class Toy:
    """A deterministic bi-encoder that counts what it is asked."""

    def __init__(self, fingerprint: str | None = "toy-1", **card: Any) -> None:
        self.card = ModelCard(
            **{"name": "test/toy", "revision": "1", "kind": "bi-encoder", "fingerprint": fingerprint, **card}
        )
        self.encoded: list[str] = []

    def encode(self, texts: Texts) -> np.ndarray:
        self.encoded.extend(texts.items)
        return np.stack([vector(text) for text in texts.items])


class ToyCross:
    """A deterministic cross-encoder: shared characters."""

    def __init__(self) -> None:
        self.card = ModelCard(name="test/cross", revision="1", kind="cross-encoder", fingerprint="cross-1")
        self.scored = 0

    def score(self, pairs: Pairs) -> np.ndarray:
        self.scored += len(pairs)
        shared = [
            len(set(a) & set(b)) / (1 + len(set(b))) for a, b in zip(pairs.left, pairs.right, strict=True)
        ]
        return np.array(shared, dtype=np.float32)


def vector(text: str, dim: int = 8) -> np.ndarray:
    """A vector of the text's characters, so that like texts are alike; float32 [dim]."""
    out = np.full(dim, 0.01, dtype=np.float32)
    for character in text.lower():
        out[hashlib.blake2b(character.encode(), digest_size=1).digest()[0] % dim] += 1
    return out


def write_task(root: Path, name: str, kind: str, main: str, **files: list[dict[str, Any]]) -> Path:
    """A task folder `root/name`; keywords are file names with `__` for dots. Returns root."""
    home = root / name
    home.mkdir(parents=True, exist_ok=True)
    for stem, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (home / (stem.replace("__", ".") + ".jsonl")).write_text(text, encoding="utf-8")
    (home / "manifest.json").write_text(json.dumps({"kind": kind, "main": main, "languages": ["eng"]}))
    return root


def sts_rows(n: int = 12, offset: int = 0) -> list[dict[str, Any]]:
    """Pairs whose likeness falls as the row number rises."""
    return [
        {
            "sentence1": f"row {i + offset} {'abcdef' * 3}",
            "sentence2": f"row {i + offset} {'abcdef'[: 1 + i % 6]}zz{'q' * i}",
            "score": n - i,
        }
        for i in range(n)
    ]


def retrieval_files(n: int = 6) -> dict[str, list[dict[str, Any]]]:
    """A tiny retrieval task as keywords of `write_task`."""
    return {
        "test__corpus": [
            {"id": f"d{i}", "title": "", "text": f"{'abcdefgh'[i] * 4} topic {i}"} for i in range(n)
        ],
        "test__queries": [{"id": f"q{i}", "text": f"{'abcdefgh'[i]} question"} for i in range(n)],
        "test__qrels": [{"query_id": f"q{i}", "corpus_id": f"d{i}", "score": 1} for i in range(n)],
    }
