"""BM25 through bm25s: the lexical baseline and first stage. No vectors, no weights.

Robertson's BM25 as Lucene counts it (k1 1.5, b 0.75). Words are runs of `\\w` in lower case; runs of Han
and kana, which know no spaces, become character bigrams (a run of one character is itself a term).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.models.base import ModelCard, Options
from harness.models.identity import fingerprint
from harness.models.resolve import Source
from harness.types import Float32, Int64

VERSION = 1
K1, B = 1.5, 0.75
_CJK = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TERMS = re.compile(f"(?P<cjk>[{_CJK}]+)|[^\\W{_CJK}]+")


def load_lexical(source: Source, options: Options) -> Bm25:
    """The BM25 searcher."""
    row = source.row
    settings = {"adapter": f"lexical@{VERSION}", "k1": K1, "b": B, "unicode": unicodedata.unidata_version}
    return Bm25(
        ModelCard(
            name=source.name,
            kind="lexical",
            fingerprint=fingerprint(settings),
            backend="bm25s",
            languages=tuple(row.languages) if row else (),
            licence=row.licence if row else None,
            catalog_row=row.row if row else None,
            adapter=f"lexical@{VERSION}",
            notes=tuple(row.notes) if row else (),
        )
    )


def terms(text: str) -> list[str]:
    """The terms of a text, in order: `terms("Tokyo 東京都")` is `["tokyo", "東京", "京都"]`."""
    found: list[str] = []
    for match in _TERMS.finditer(unicodedata.normalize("NFKC", text).lower()):
        run = match[0]
        if match["cjk"] is None or len(run) == 1:
            found.append(run)
        else:
            found += [run[i : i + 2] for i in range(len(run) - 1)]
    return found


class Bm25:
    """A searcher that keeps the index of the last corpus it was given."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._corpus: list[str] = []
        self._vocabulary: dict[str, int] = {}
        self._index: Any = None

    def search(self, queries: Sequence[str], corpus: Sequence[str], k: int) -> tuple[Int64, Float32]:
        """Positions int64 [q, k] and scores float32 [q, k], best first; see `Searcher`.

        Documents that share no term with a query score 0 and fill what is left of k; beyond the corpus
        positions are -1 and scores minus infinity.
        """
        if self._index is None or self._corpus != list(corpus):
            self._build(list(corpus))
        ids = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        nothing = np.zeros(len(corpus), dtype=np.float32)
        for at, query in enumerate(queries):
            known = [self._vocabulary[t] for t in terms(query) if t in self._vocabulary]
            found = self._index.get_scores_from_ids(known) if known else nothing
            best = _best(found, k)
            ids[at, : len(best)], scores[at, : len(best)] = best, found[best]
        return ids, scores

    def _build(self, corpus: list[str]) -> None:
        import bm25s

        vocabulary: dict[str, int] = {}
        documents = [[vocabulary.setdefault(t, len(vocabulary)) for t in terms(text)] for text in corpus]
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float32", backend="numpy")
        if vocabulary:
            self._index.index((documents, vocabulary), create_empty_token=False, show_progress=False)
        self._corpus, self._vocabulary = corpus, vocabulary


def _best(scores: Float32, k: int) -> Int64:
    """Positions of the k highest scores, best first, equal scores in ascending position."""
    if k < len(scores):
        cut = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > cut)
        tied = np.flatnonzero(scores == cut)[: k - len(above)]
        chosen = np.sort(np.concatenate([above, tied]))
    else:
        chosen = np.arange(len(scores))
    return chosen[np.argsort(-scores[chosen], kind="stable")].astype(np.int64)
