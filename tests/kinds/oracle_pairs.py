"""mteb as the oracle of the kinds that compare sentences: its own tasks, fed with our vectors."""

from __future__ import annotations

import hashlib
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.types import Scores, Vectors

SIMILARITIES = ("cosine", "dot", "euclidean")


class TableEncoder:
    """mteb's EncoderProtocol over a table of vectors; texts outside it get a vector from their hash."""

    def __init__(self, table: dict[str, np.ndarray] | None = None, similarity: str = "cosine", dim: int = 16):
        self.table, self.name, self.dim = table or {}, similarity, dim
        self.mteb_model_meta = SimpleNamespace(name="table", revision="1")

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs) -> np.ndarray:
        return np.stack([self.vector(text) for batch in inputs for text in batch["text"]])

    def vector(self, text: str) -> np.ndarray:
        if text in self.table:
            return self.table[text]
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self.dim).astype(np.float32)

    def similarity(self, a, b):
        from mteb import similarity_functions as f

        if self.name == "euclidean":
            a, b = np.atleast_2d(a), np.atleast_2d(b)
        return {"cosine": f.cos_sim, "dot": f.dot_score, "euclidean": f.euclidean_sim}[self.name](a, b)

    def similarity_pairwise(self, a, b):
        from mteb import similarity_functions as f

        functions = {
            "cosine": f.pairwise_cos_sim,
            "dot": f.pairwise_dot_score,
            "euclidean": f.pairwise_euclidean_sim,
        }
        return functions[self.name](a, b)


def evaluate(task: Any, encoder: TableEncoder) -> dict[str, dict[str, float]]:
    """mteb's scores of a task by subset, without `main_score`."""
    if not task.data_loaded:
        task.load_data()
    found = task.evaluate(encoder, split="test", encode_kwargs={"batch_size": 64})
    return {
        subset: {name: float(value) for name, value in scores.items() if name != "main_score"}
        for subset, scores in found.items()
    }


def on_data(task: Any, columns: dict[str, Any]) -> Any:
    """The task with its test split replaced by these columns."""
    from datasets import Dataset, DatasetDict

    task.dataset = DatasetDict({"test": Dataset.from_dict(columns)})
    task.data_loaded = True
    return task


def rows_of(task: Any, subset: str) -> Any:
    """The test split of one subset."""
    return task.dataset["test"] if subset == "default" else task.dataset[subset]["test"]


def vectors_for(encoder: TableEncoder, texts: dict[str, Any]) -> dict[str, Vectors]:
    """The encoder's vectors of what a kind's `needs` asked for."""
    return {key: Vectors.of(np.stack([encoder.vector(t) for t in side.items])) for key, side in texts.items()}


def assert_same(scores: Scores, expected: dict[str, float]) -> None:
    """Every metric equal to 1e-6; what mteb calls NaN is undefined here, and nothing else is."""
    nan = {name for name, value in expected.items() if math.isnan(value)}
    assert set(scores.undefined) == nan
    assert set(scores.metrics) == set(expected) - nan
    for name, value in scores.metrics.items():
        assert math.isfinite(value)
        assert abs(value - expected[name]) <= 1e-6, (name, value, expected[name])
    assert scores.metrics == scores.exact


def assert_recomputable(kind: Any, scores: Scores, settings: dict[str, Any], folder: Any) -> None:
    """The samples, written and read back, give every metric again."""
    pq.write_table(scores.samples, folder / "samples.parquet")
    again = pq.read_table(folder / "samples.parquet")
    assert isinstance(again, pa.Table)
    exact, undefined = kind.metrics_from(again, settings)
    assert exact == scores.exact
    assert undefined == scores.undefined


def matrices(name: str, n: int = 60, dim: int = 24, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Two float32 [n, dim] matrices of one of the shapes that have broken parity before."""
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((n, dim)).astype(np.float32) for _ in range(2))
    b = (0.5 * a + b).astype(np.float32)
    if name == "normalised":
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    elif name == "unnormalised":
        a, b = a * rng.uniform(0.01, 50, (n, 1)), b * rng.uniform(0.01, 50, (n, 1))
    elif name == "signs":
        a, b = np.sign(a), np.sign(b)
    elif name == "small_ints":
        a, b = rng.integers(0, 3, (n, 4)), rng.integers(1, 3, (n, 4))
    elif name == "duplicated":
        a, b = np.repeat(a, 4, axis=0)[:n], np.repeat(b, 4, axis=0)[:n]
    elif name == "float16":
        a, b = a.astype(np.float16), b.astype(np.float16)
    elif name == "zeros":
        a[::3], b[::5] = 0, 0
    else:
        assert name == "random"
    return np.ascontiguousarray(a, dtype=np.float32), np.ascontiguousarray(b, dtype=np.float32)


SHAPES = (
    "random",
    "normalised",
    "unnormalised",
    "signs",
    "small_ints",
    "duplicated",
    "float16",
    "zeros",
)
