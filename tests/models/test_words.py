"""BM25's tokenizers: the table, what each makes of a text, and what its name changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.errors import MissingExtraError, UnknownNameError
from harness.models import load_model, words
from harness.models.catalog import load_catalog
from harness.models.words import TOKENIZERS, open_tokenizer

# As it was before there were other tokenizers: results stored then still stand.
PLAIN = {"adapter": "lexical@1", "k1": 1.5, "b": 0.75}


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Modules that answer as the libraries do, of a version that can be chosen."""

    class Suffix:
        def __init__(self, language: str) -> None:
            assert language == "english"

        def stemWord(self, word: str) -> str:
            return word.removesuffix("s")

    class Tagger:
        def __init__(self, arguments: str) -> None:
            assert arguments == '-Owakati -r "/a b/mecabrc" -d "/a b"'

        def parse(self, run: str) -> str:
            return " ".join([run[:3], *run[3:]])

    contents: dict[str, dict[str, Any]] = {
        "Stemmer": {"Stemmer": Suffix},
        "jieba": {"lcut": lambda run: [run[:2], run[2:]], "setLogLevel": lambda level: None},
        "fugashi": {"GenericTagger": Tagger},
        "unidic_lite": {"DICDIR": "/a b"},
    }
    for name, attributes in contents.items():
        module = ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)

    def of_version(number: str) -> None:
        monkeypatch.setattr(words, "version", lambda distribution: number)

    of_version("1")
    return of_version


def test_every_row_names_a_tokenizer_of_the_table() -> None:
    rows = [row for row in load_catalog().rows.values() if row.kind == "lexical"]
    assert {row.tokenizer or words.DEFAULT for row in rows} == set(TOKENIZERS)


def test_the_plain_one_is_what_it_was(tmp_path: Path) -> None:
    import unicodedata

    from harness.models.identity import fingerprint

    card = load_model("bm25", cache=tmp_path).card
    assert card.fingerprint == fingerprint({**PLAIN, "unicode": unicodedata.unidata_version})
    assert card.tokenizer == "words-bigrams"


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(
    ("name", "text", "due"),
    [
        ("words-bigrams", "Cats of 東京都 ＡＢ", ["cats", "of", "東京", "京都", "ab"]),
        ("snowball-english", "Cats, dogs 東京都", ["cat", "dog", "東京", "京都"]),
        ("jieba", "Cats 北京大学 犬", ["cats", "北京", "大学", "犬", ""]),
        ("fugashi", "Cats 東京都です", ["cats", "東京都", "で", "す"]),
    ],
)
def test_terms_of_each(name: str, text: str, due: list[str]) -> None:
    assert open_tokenizer(name)[0](text) == due


@pytest.mark.usefixtures("stand_ins")
def test_stems_are_found(tmp_path: Path) -> None:
    corpus = ["one cat", "many dogs", "no pets"]
    found = {
        name: load_model(name, cache=tmp_path).search(["cats"], corpus, 3) for name in ("bm25", "bm25-en")
    }
    np.testing.assert_array_equal(found["bm25"][1], np.zeros((1, 3)))
    ids, scores = found["bm25-en"]
    assert (ids[0, 0], scores[0, 0] > 0, scores[0, 1]) == (0, True, 0)


def test_name_and_versions_are_part_of_the_model(stand_ins: Callable[[str], None], tmp_path: Path) -> None:
    names = ("bm25", "bm25-en", "bm25-jieba", "bm25-fugashi")
    cards = [load_model(name, cache=tmp_path).card for name in names]
    assert [card.tokenizer for card in cards] == ["words-bigrams", "snowball-english", "jieba", "fugashi"]
    assert [card.name for card in cards] == [f"harness/{name}" for name in names]
    assert len({card.fingerprint for card in cards}) == 4
    stand_ins("2")
    later = [load_model(name, cache=tmp_path).card for name in names]
    same = [a.fingerprint == b.fingerprint for a, b in zip(cards, later, strict=True)]
    assert same == [True, False, False, False]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(words, "version", absent)
    with pytest.raises(MissingExtraError, match=r"'jieba' needs jieba: pip install 'harness\[zh\]'"):
        load_model("bm25-jieba", cache=tmp_path)
    load_model("bm25", cache=tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean jieba"):
        open_tokenizer("jeiba")


def test_the_real_stemmer() -> None:
    pytest.importorskip("Stemmer")
    assert open_tokenizer("snowball-english")[0]("Running generously") == ["run", "generous"]


@pytest.mark.filterwarnings("ignore")  # of jieba's own
def test_the_real_jieba() -> None:
    pytest.importorskip("jieba")
    assert open_tokenizer("jieba")[0]("我来到北京清华大学") == ["我", "来到", "北京", "清华大学"]


def test_the_real_fugashi() -> None:
    pytest.importorskip("fugashi")
    pytest.importorskip("unidic_lite")
    assert open_tokenizer("fugashi")[0]("東京都の天気") == ["東京", "都", "の", "天気"]
