"""How BM25 makes terms of a text: one table of tokenizers, by the languages they are meant for.

All begin alike: NFKC, lower case, runs of `\\w`. What differs is what becomes of a run of Han and kana, which
knows no spaces, and of a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from harness.errors import MissingExtraError, UnknownNameError

Terms = Callable[[str], list[str]]

_CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS = re.compile(f"(?P<cjk>[{_CJK}]+)|[^\\W{_CJK}]+")


@dataclass(frozen=True)
class Tokenizer:
    """One way to make terms.

    Attributes:
        languages: what it is meant for; ISO 639-3.
        build: makes the function from a text to its terms; imports what `requires` names.
        requires: distributions whose version changes the terms.
        extra: of this package, which installs them.
    """

    languages: tuple[str, ...]
    build: Callable[[], Terms]
    requires: tuple[str, ...] = ()
    extra: str = ""


def bigrams(run: str) -> list[str]:
    """The pairs of neighbouring characters of a run; a run of one character is itself a term."""
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]


def terms(
    text: str,
    segment: Callable[[str], Iterable[str]] = bigrams,
    stem: Callable[[str], str] | None = None,
) -> list[str]:
    """The terms of a text, in order: `terms("Tokyo 東京都")` is `["tokyo", "東京", "京都"]`.

    Args:
        segment: parts of a run of Han and kana.
        stem: what a word of any other script is counted as; None: itself.
    """
    found: list[str] = []
    for match in _RUNS.finditer(unicodedata.normalize("NFKC", text).lower()):
        if match["cjk"] is not None:
            found.extend(segment(match[0]))
        else:
            found.append(match[0] if stem is None else stem(match[0]))
    return found


def _english() -> Terms:
    """Words by the English Snowball stemmer (Porter's second)."""
    import Stemmer

    stem = Stemmer.Stemmer("english").stemWord
    return lambda text: terms(text, stem=stem)


def _jieba() -> Terms:
    """Runs of Han as jieba's words, its dictionary and its model for unknown ones as they come."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return lambda text: terms(text, jieba.lcut)


def _fugashi() -> Terms:
    """Runs of Han and kana as MeCab's words, with the small UniDic."""
    import fugashi
    import unidic_lite

    # Tagger would take the large UniDic where it is installed, and count other words.
    home = unidic_lite.DICDIR
    tagger = fugashi.GenericTagger(f'-Owakati -r "{home}/mecabrc" -d "{home}"')
    return lambda text: terms(text, lambda run: tagger.parse(run).split())


DEFAULT = "words-bigrams"
TOKENIZERS: dict[str, Tokenizer] = {
    DEFAULT: Tokenizer(("mul", "zho", "jpn"), lambda: terms),
    "snowball-english": Tokenizer(("eng",), _english, ("PyStemmer",), "en"),
    "jieba": Tokenizer(("zho",), _jieba, ("jieba",), "zh"),
    "fugashi": Tokenizer(("jpn",), _fugashi, ("fugashi", "unidic-lite"), "ja"),
}


def open_tokenizer(name: str) -> tuple[Terms, dict[str, str]]:
    """A tokenizer of the table, and the versions of what it rests on.

    Raises:
        UnknownNameError: the table has no such name.
        MissingExtraError: what it needs is not installed.
    """
    if name not in TOKENIZERS:
        raise UnknownNameError("tokenizer of BM25", name, TOKENIZERS)
    chosen = TOKENIZERS[name]
    versions: dict[str, str] = {}
    for distribution in chosen.requires:
        try:
            versions[distribution] = version(distribution)
        except PackageNotFoundError as error:
            raise MissingExtraError(
                f"BM25's tokenizer {name!r} needs {distribution}: pip install 'harness[{chosen.extra}]'"
            ) from error
    return chosen.build(), versions
