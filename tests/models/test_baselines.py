"""char-ngram, bm25 and the stand-ins for tests."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.models import load_model
from harness.models.base import BiEncoder, CrossEncoder, Searcher
from harness.models.fake import FakeCross, FakeEncoder
from harness.models.ngram import DIM
from harness.models.words import terms
from harness.types import Pairs, Texts

CORPUS = ["the red planet mars", "venus and mars", "東京都の天気", "", "the the the", "mars"]


@pytest.fixture
def ngram(tmp_path: Path) -> BiEncoder:
    model = load_model("char-ngram", cache=tmp_path)
    assert isinstance(model, BiEncoder)
    return model


@pytest.fixture
def bm25(tmp_path: Path) -> Searcher:
    model = load_model("bm25", cache=tmp_path)
    assert isinstance(model, Searcher)
    return model


def test_ngram_card(ngram: BiEncoder) -> None:
    card = ngram.card
    assert (card.name, card.revision, card.kind, card.dim) == ("harness/char-ngram", None, "bi-encoder", DIM)
    assert card.fingerprint
    assert card.variant == ()


def test_ngram_vectors(ngram: BiEncoder) -> None:
    texts = [
        "The red planet",
        "the  RED planet ",
        "a red planet",
        "unrelated words",
        "東京の天気",
        "東京都の天気",
    ]
    rows = ngram.encode(Texts(texts))
    assert rows.dtype == np.float32
    assert rows.shape == (6, DIM)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    close = rows @ rows.T
    assert close[0, 1] == pytest.approx(1)
    assert close[0, 2] > close[0, 3] + 0.2
    assert close[4, 5] > 0.5 > abs(close[4, 3]) + 0.3
    np.testing.assert_array_equal(ngram.encode(Texts(texts[3:4]))[0], rows[3])


def test_ngram_edges(ngram: BiEncoder) -> None:
    rows = ngram.encode(Texts(["", "   \n", "a", "\ud800", "ｱ" * 3, "é" * 5000]))
    np.testing.assert_array_equal(rows[0], np.eye(1, DIM, dtype=np.float32)[0])
    np.testing.assert_array_equal(rows[0], rows[1])
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert ngram.encode(Texts([])).shape == (0, DIM)


def test_ngram_does_not_depend_on_the_process(ngram: BiEncoder) -> None:
    code = (
        "import hashlib, harness as h; "
        "v = h.load_model('char-ngram').encode(h.Texts(['the red planet 東京'])); "
        "print(hashlib.sha256(v.tobytes()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == 64


def test_terms() -> None:
    assert terms("Tokyo 東京都 is_ok!") == ["tokyo", "東京", "京都", "is_ok"]
    assert terms("犬 ＡＢＣ ｶﾀｶﾅ a犬b") == ["犬", "abc", "カタ", "タカ", "カナ", "a", "犬", "b"]
    assert terms("naïve-Bayes 3.5") == ["naïve", "bayes", "3", "5"]
    assert terms(" \n!?") == []


def by_hand(query: str, corpus: list[str], k1: float = 1.5, b: float = 0.75) -> np.ndarray:
    """Lucene's BM25, written out."""
    documents = [terms(text) for text in corpus]
    mean = np.mean([len(d) for d in documents])
    scores = np.zeros(len(corpus))
    for term in terms(query):
        holding = sum(term in d for d in documents)
        idf = np.log(1 + (len(corpus) - holding + 0.5) / (holding + 0.5))
        for at, document in enumerate(documents):
            tf = document.count(term)
            scores[at] += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean))
    return scores


@pytest.mark.parametrize("query", ["red mars", "the the mars", "東京", "天気 of venus", "nothing here", ""])
def test_bm25_scores(bm25: Searcher, query: str) -> None:
    ids, scores = bm25.search([query], CORPUS, 6)
    assert (ids.dtype, scores.dtype) == (np.int64, np.float32)
    expected = by_hand(query, CORPUS)
    np.testing.assert_allclose(scores[0], expected[ids[0]], atol=1e-6)
    assert ids[0].tolist() == sorted(range(6), key=lambda i: (-scores[0][ids[0].tolist().index(i)], i))


def test_bm25_cut_and_ties(bm25: Searcher) -> None:
    corpus = ["mars", "sun", "mars", "mars", "sun mars"]
    whole, _ = bm25.search(["mars"], corpus, 5)
    assert whole[0].tolist() == [0, 2, 3, 4, 1]
    for k in range(1, 5):
        ids, scores = bm25.search(["mars", "sun"], corpus, k)
        assert ids.shape == scores.shape == (2, k)
        assert ids[0].tolist() == whole[0].tolist()[:k]


def test_bm25_more_asked_for_than_there_is(bm25: Searcher) -> None:
    ids, scores = bm25.search(["mars", ""], CORPUS, 8)
    assert ids[:, 6:].tolist() == [[-1, -1], [-1, -1]]
    assert np.isneginf(scores[:, 6:]).all()
    assert sorted(ids[0, :6].tolist()) == list(range(6))
    assert ids[1, :6].tolist() == list(range(6))
    assert scores[1, :6].tolist() == [0.0] * 6


@pytest.mark.parametrize("corpus", [[], ["", "!?"]])
def test_bm25_without_a_term_to_find(bm25: Searcher, corpus: list[str]) -> None:
    ids, scores = bm25.search(["mars"], corpus, 3)
    assert ids[0].tolist() == [*range(len(corpus)), *[-1] * (3 - len(corpus))]
    assert np.isfinite(scores[0, : len(corpus)]).all()


def test_bm25_notices_another_corpus(bm25: Searcher) -> None:
    corpus = ["mars", "sun"]
    assert bm25.search(["sun"], corpus, 1)[0].tolist() == [[1]]
    corpus.reverse()
    assert bm25.search(["sun"], corpus, 1)[0].tolist() == [[0]]


def test_bm25_card_and_silence(bm25: Searcher, capfd: pytest.CaptureFixture[str]) -> None:
    bm25.search(["mars"], CORPUS, 2)
    assert capfd.readouterr() == ("", "")
    assert (bm25.card.name, bm25.card.kind, bm25.card.revision) == ("harness/bm25", "lexical", None)
    assert "bigrams" in bm25.card.notes[0]


def test_fake_encoder(tmp_path: Path) -> None:
    model = load_model("fake", cache=tmp_path)
    assert isinstance(model, FakeEncoder)
    rows = model.encode(Texts(["a", "b", "a"]))
    assert rows.shape == (3, 16)
    np.testing.assert_array_equal(rows[0], rows[2])
    assert abs(rows[0] @ rows[1]) < 0.9
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(FakeEncoder().encode(Texts(["b"]))[0], rows[1])
    assert model.seen == ["a", "b", "a"]
    assert FakeEncoder(dim=3).card.fingerprint != model.card.fingerprint
    assert FakeEncoder(dim=3).encode(Texts([])).shape == (0, 3)


def test_fake_cross(tmp_path: Path) -> None:
    model = load_model("fake-cross", cache=tmp_path)
    assert isinstance(model, CrossEncoder)
    scores = model.score(Pairs(["abc", "abc", ""], ["abc", "xyz", ""]))
    assert scores.dtype == np.float32
    assert scores[0] > 0.8 > scores[1]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_fakes_fail_on_demand() -> None:
    assert np.isnan(FakeEncoder(nan_for="b").encode(Texts(["a", "b"]))[1]).all()
    assert np.isnan(FakeCross(nan_for="b").score(Pairs(["a", "b"], ["", ""]))[1])
    assert FakeEncoder(drop_rows=1).encode(Texts(["a", "b"])).shape == (1, 16)
    with pytest.raises(RuntimeError, match="told to fail for 'b'"):
        FakeEncoder(fail_for="b").encode(Texts(["b"]))
    start = time.perf_counter()
    FakeCross(seconds=0.05).score(Pairs(["a"], ["b"]))
    assert time.perf_counter() - start >= 0.05
