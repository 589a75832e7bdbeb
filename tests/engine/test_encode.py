"""Encoding: every distinct text once, in shards that survive, and never a wrong vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.engine import encode
from harness.engine.encode import embed, plan, score_pairs
from harness.engine.vectors import VectorStore, pair_keys, text_keys
from harness.errors import ModelError, NonFiniteError
from harness.models.base import ModelCard
from harness.types import Pairs, Texts


class Recorder:
    """Answers the lengths of texts, remembers what it was asked."""

    card = ModelCard(name="test/recorder", revision=None, kind="bi-encoder")

    def __init__(self) -> None:
        self.asked: list[Texts] = []

    def encode(self, texts: Texts) -> np.ndarray:
        self.asked.append(texts)
        return np.array([[len(t), sum(map(ord, t)) % 97] for t in texts.items], dtype=np.float32)

    def score(self, pairs: Pairs) -> np.ndarray:
        self.asked.append(Texts([f"{a}|{b}" for a, b in zip(pairs.left, pairs.right, strict=True)]))
        return np.array(
            [len(a) - len(b) for a, b in zip(pairs.left, pairs.right, strict=True)], dtype=np.float32
        )


class Answers(Recorder):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def encode(self, texts: Texts) -> np.ndarray:
        return np.asarray(self.answer, dtype=np.float32)

    score = encode  # type: ignore[assignment]


def test_every_distinct_text_is_encoded_once(tmp_path: Path) -> None:
    model, store = Recorder(), VectorStore(tmp_path)
    first, second = embed(model, [Texts(["a", "bb", "a"]), Texts(["bb", "ccc"])], store)
    assert sorted(t for texts in model.asked for t in texts.items) == ["a", "bb", "ccc"]
    assert first.gather()[:, 0].tolist() == [1, 2, 1]
    assert second.gather()[:, 0].tolist() == [2, 3]
    embed(model, [Texts(["ccc", "a"])], VectorStore(tmp_path))
    assert len(model.asked) == 1, "a later run asks nothing again"


def test_the_same_text_under_another_prompt_is_another_text(tmp_path: Path) -> None:
    model = Recorder()
    embed(model, [Texts(["query: x"], prompt="query: "), Texts(["query: x"])], VectorStore(tmp_path))
    assert [(t.prompt, list(t.items)) for t in model.asked] == [("query: ", ["query: x"]), ("", ["query: x"])]


def test_longest_first_whatever_the_order_given() -> None:
    items = ["a" * n for n in (3, 9, 1, 7)]
    asked = []
    for order in (items, items[::-1]):
        model = Recorder()
        embed(model, [Texts(order)], VectorStore(None))
        asked.append([list(t.items) for t in model.asked])
    assert asked[0] == asked[1] == [["a" * 9, "a" * 7, "a" * 3, "a"]]


def test_shards_are_bounded_and_a_killed_run_loses_at_most_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SHARD_TEXTS", 2)

    class DiesAtThird(Recorder):
        def encode(self, texts: Texts) -> np.ndarray:
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().encode(texts)

    texts = Texts([f"text {'x' * i}" for i in range(7)])
    with pytest.raises(KeyboardInterrupt):
        embed(DiesAtThird(), [texts], VectorStore(tmp_path))
    model = Recorder()
    (vectors,) = embed(model, [texts], VectorStore(tmp_path))
    assert sum(len(t) for t in model.asked) == 3
    np.testing.assert_array_equal(vectors.gather(), Recorder().encode(texts))


def test_progress_begins_at_none_and_ends_at_all() -> None:
    steps: list[tuple[int, int]] = []
    embed(
        Recorder(),
        [Texts(["a", "b", "a"])],
        VectorStore(None),
        lambda done, total: steps.append((done, total)),
    )
    assert steps == [(0, 2), (2, 2)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_names_the_text_and_keeps_nothing(tmp_path: Path, bad: float) -> None:
    with pytest.raises(NonFiniteError, match="the second text"):
        embed(
            Answers([[1, 2], [1, bad]]),
            [Texts(["a much longer first", "the second text"])],
            VectorStore(tmp_path),
        )
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("answer", [[[1.0, 2.0]], [1.0, 2.0], [[], []], [[[1.0]], [[2.0]]]])
def test_a_wrong_shape_is_refused(answer: object) -> None:
    with pytest.raises(ModelError, match="shape"):
        embed(Answers(answer), [Texts(["a", "b"])], VectorStore(None))


def test_pairs_are_scored_once_and_kept(tmp_path: Path) -> None:
    model = Recorder()
    pairs = Pairs(["aaa", "a", "aaa"], ["b", "bb", "b"])
    (scores,) = score_pairs(model, [pairs], VectorStore(tmp_path, "scores"))
    assert scores.tolist() == [2, -1, 2]
    assert sum(len(t) for t in model.asked) == 2
    (again,) = score_pairs(Answers([]), [pairs], VectorStore(tmp_path, "scores"))
    assert again.tolist() == [2, -1, 2]


def test_no_text_is_no_work() -> None:
    model = Recorder()
    (vectors,) = embed(model, [Texts([])], VectorStore(None))
    assert len(vectors) == 0
    assert not model.asked
    (scores,) = score_pairs(model, [Pairs([], [])], VectorStore(None, "scores"))
    assert len(scores) == 0


def test_plan_counts_texts_distinct_and_missing(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    embed(Recorder(), [Texts(["a"])], store)
    texts = Texts(["a", "bb", "bb", "ccc"])
    cost = plan([text_keys(texts)], [texts.items], store, text_keys(Texts(["ccc"])))
    assert (cost.texts, cost.distinct, cost.missing, cost.missing_characters) == (4, 3, 1, 2)
    assert pair_keys(Pairs([], [])).shape == (0,)
