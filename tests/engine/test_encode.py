"""Encoding: every distinct text once, in shards that survive, and never a wrong vector."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from harness.engine import encode
from harness.engine.encode import embed, score_pairs
from harness.engine.vectors import VectorStore
from harness.engine.work import find_work, text_request
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


class Tokenizer(Recorder):
    """Makes tokens ahead: a text's first character says how many it has."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.answered: list[list[str]] = []

    def prepare(self, groups: list[Texts]) -> _Prepared:
        self.threads.add(threading.get_ident())
        return _Prepared([text for texts in groups for text in texts.items])

    def answer(self, prepared: _Prepared, rows: np.ndarray, say: object) -> np.ndarray:
        items = [prepared.items[row] for row in rows]
        self.answered.append(items)
        return super().encode(Texts(items))


class _Prepared:
    def __init__(self, items: list[str]) -> None:
        self.items = items

    @property
    def lengths(self) -> np.ndarray:
        return np.array([int(item[0]) for item in self.items], dtype=np.int64)


def test_tokens_are_made_ahead_and_decide_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "SHARD_TEXTS", 2)
    monkeypatch.setattr(encode, "WINDOW_TEXTS", 4)
    items = ["1aaaaaa", "9a", "5aaaaa", "7p: ", "2aaaa", "8aaa"]
    requests = [Texts(items[:3]), Texts(["7p: x", "3"], prompt="7p: "), Texts(items[4:])]
    model = Tokenizer()
    found = embed(model, requests, VectorStore(None))
    # Windows by characters (1aaaaaa 5aaaaa 2aaaa 7p: x | 8aaa 9a 3), inside them by tokens.
    assert model.answered == [["7p: x", "5aaaaa"], ["2aaaa", "1aaaaaa"], ["9a", "8aaa"], ["3"]]
    assert threading.get_ident() not in model.threads
    for vectors, texts in zip(found, requests, strict=True):
        np.testing.assert_array_equal(vectors.gather(), Recorder().encode(texts))


def test_the_work_is_what_the_store_lacks_and_knows_who_needs_it(tmp_path: Path) -> None:
    store = VectorStore(tmp_path)
    embed(Recorder(), [Texts(["a"])], store)
    requests = [
        text_request([Texts(["a", "bb"]), Texts(["bb", "dddd"])]),
        text_request([Texts(["dddd", "ccc"])]),
    ]
    work = find_work([*requests, text_request([Texts(["a"])])], store)
    assert [work.shown(i) for i in range(len(work))] == ["dddd", "ccc", "bb"]
    assert [needs.tolist() for needs in work.needs] == [[0, 2], [0, 1], []]
    assert work.first.tolist() == [2, 1, 0]
    assert work.characters.tolist() == [4, 3, 2]
    assert [[work.finished(r, whole) for whole in range(4)] for r in range(3)] == [
        [False, False, False, True], [False, False, True, True], [True] * 4,
    ]  # fmt: skip


def test_what_another_run_stored_meanwhile_is_not_encoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SHARD_TEXTS", 2)

    class Meets(Recorder):
        def encode(self, texts: Texts) -> np.ndarray:
            if not self.asked:
                embed(Recorder(), [Texts(["bb", "a"])], VectorStore(tmp_path))
            return super().encode(texts)

    model = Meets()
    (vectors,) = embed(model, [Texts(["a", "bb", "ccc", "dddd"])], VectorStore(tmp_path))
    assert [list(texts.items) for texts in model.asked] == [["dddd", "ccc"]]
    assert vectors.gather()[:, 0].tolist() == [1, 2, 3, 4]


def test_pairs_of_all_requests_are_sorted_together() -> None:
    model = Recorder()
    score_pairs(model, [Pairs(["a"], ["b"]), Pairs(["aaaa", "aa"], ["b", "bb"])], VectorStore(None, "scores"))
    assert [list(texts.items) for texts in model.asked] == [["aaaa|b", "aa|bb", "a|b"]]


def test_vectors_of_two_lengths_are_refused() -> None:
    class Uneven(Recorder):
        def encode(self, texts: Texts) -> np.ndarray:
            return np.ones((len(texts), 2 + bool(texts.prompt)), dtype=np.float32)

    with pytest.raises(ModelError, match="different lengths"):
        embed(Uneven(), [Texts(["px"], prompt="p"), Texts(["y"])], VectorStore(None))
