"""mteb as the oracle of the ranking kinds: its tasks, wrappers and metrics over texts we give vectors to."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.data.examples import RankingExamples
from harness.types import Scores, Texts, Vectors


class Encoder:
    """mteb's EncoderProtocol: a vector for each text, from a table or else from the text's hash."""

    def __init__(self, similarity: str = "cosine", table: Mapping[str, np.ndarray] | None = None):
        self.name, self.table = similarity, table or {}
        self.mteb_model_meta = SimpleNamespace(name="oracle", revision="1")

    def encode(self, inputs, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs) -> np.ndarray:
        return self.matrix([text for batch in inputs for text in batch["text"]])

    def matrix(self, texts) -> np.ndarray:
        return np.stack([self.table[text] if text in self.table else hashed(text) for text in texts])

    def similarity(self, a, b):
        from mteb import similarity_functions as f

        return {"cosine": f.cos_sim, "dot": f.dot_score, "euclidean": f.euclidean_sim}[self.name](a, b)

    def similarity_pairwise(self, a, b):
        raise AssertionError("ranking asks for no pairwise similarity")

    def vectors(self, needs: Mapping[str, Texts]) -> dict[str, Vectors]:
        """What the engine would hand to a kind: equal texts share a storage row."""
        out = {}
        for name, texts in needs.items():
            rows: dict[str, int] = {}
            index = np.array([rows.setdefault(text, len(rows)) for text in texts.items], dtype=np.int64)
            out[name] = Vectors((self.matrix(rows),), index) if rows else Vectors.of(np.zeros((0, 4)))
        return out


class PairScorer:
    """mteb's CrossEncoderProtocol: a float32 score for each pair of texts."""

    def __init__(self, levels: int = 0):
        self.levels = levels
        self.mteb_model_meta = SimpleNamespace(name="pairs", revision="1")

    def predict(
        self, inputs1, inputs2, *, task_metadata, hf_split, hf_subset, prompt_type=None, **kwargs
    ) -> np.ndarray:
        left = [text for batch in inputs1 for text in batch["text"]]
        right = [text for batch in inputs2 for text in batch["text"]]
        return self.scores(left, right)

    def scores(self, left, right) -> np.ndarray:
        """With `levels`, few distinct scores, so that candidates tie."""
        values = [float(hashed(f"{a}\n{b}")[0]) for a, b in zip(left, right, strict=True)]
        out = np.array(values, dtype=np.float32)
        return np.round(out * self.levels) / np.float32(self.levels) if self.levels else out


def hashed(text: str, dim: int = 16) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(dim).astype(np.float32)


def task_of(examples: RankingExamples, task_scores=None, **attributes) -> Any:
    """An mteb task over the examples; `task_scores(task, scores, qrels, results)` adds its own metrics."""
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.mocks.mock_tasks import MockRetrievalTask

    class Task(MockRetrievalTask):
        def load_data(self, num_proc=None, **kwargs):
            queries = {"id": list(examples.query_ids), "text": list(examples.queries)}
            corpus = {"id": list(examples.doc_ids), "text": list(examples.documents)}
            lists = examples.candidates
            split = RetrievalSplitData(
                queries=Dataset.from_dict(queries),
                corpus=Dataset.from_dict({**corpus, "title": [""] * len(corpus["id"])}),
                relevant_docs={q: dict(docs) for q, docs in examples.qrels.items()},
                top_ranked=None if lists is None else {q: list(docs) for q, docs in lists.items()},
            )
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

        def task_specific_scores(self, scores, qrels, results, hf_split, hf_subset):
            return task_scores(self, scores, qrels, results) if task_scores else {}

    for name, value in attributes.items():
        setattr(Task, name, value)
    return Task()


def evaluate(task: Any, model: Any, split: str = "test") -> dict[str, dict[str, Any]]:
    """mteb's scores of a task by subset, as it holds them in memory, without `main_score`."""
    if not task.data_loaded:
        task.load_data()
    found = task.evaluate(model, split=split, encode_kwargs={"batch_size": 64, "show_progress_bar": False})
    return {subset: {k: v for k, v in s.items() if k != "main_score"} for subset, s in found.items()}


def assert_same(ours: Scores, theirs: Mapping[str, Any], but: tuple[str, ...] = ()) -> None:
    """Every metric to 1e-6 under the same name; NaN there is undefined here; nested ones in `details`."""
    nested = {name: value for name, value in theirs.items() if isinstance(value, dict)}
    flat = {name: float(value) for name, value in theirs.items() if name not in nested}
    assert set(flat) == set(ours.metrics) | set(ours.undefined)
    assert set(ours.metrics) == set(ours.exact)
    for name, value in flat.items():
        if name.startswith(but or ("\0",)):
            continue
        if math.isnan(value):
            assert name in ours.undefined, name
        else:
            assert abs(ours.metrics[name] - value) <= 1e-6, (name, ours.metrics[name], value)
            assert abs(ours.exact[name] - value) <= 6e-6, name
    assert set(nested) == set(ours.details)
    for key, values in nested.items():
        assert set(values) == set(ours.details[key])
        for name, value in values.items():
            mine = ours.details[key][name]
            assert (mine is None and math.isnan(value)) or abs(mine - value) <= 1e-6, (key, name)
