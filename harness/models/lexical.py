"""BM25 through bm25s: the lexical baseline and first stage. No vectors, no weights.

Robertson's BM25 as Lucene counts it (k1 1.5, b 0.75), over the terms of the catalog row's tokenizer
(`harness.models.words`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.models.base import ModelCard, Options
from harness.models.identity import fingerprint
from harness.models.resolve import Source
from harness.models.words import DEFAULT, Terms, open_tokenizer
from harness.types import Float32, Int64

VERSION = 1
K1, B = 1.5, 0.75


def load_lexical(source: Source, options: Options) -> Bm25:
    """The BM25 searcher.

    Raises:
        MissingExtraError: the row's tokenizer needs what is not installed.
    """
    row = source.row
    tokenizer = (row.tokenizer if row else None) or DEFAULT
    terms, versions = open_tokenizer(tokenizer)
    settings: dict[str, Any] = {
        "adapter": f"lexical@{VERSION}",
        "k1": K1,
        "b": B,
        "unicode": unicodedata.unidata_version,
    }
    if tokenizer != DEFAULT:  # what was scored before there were others still stands
        settings |= {"tokenizer": tokenizer, **versions}
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
            tokenizer=tokenizer,
            notes=tuple(row.notes) if row else (),
        ),
        terms,
    )


class Bm25:
    """A searcher that keeps the index of the last corpus it was given."""

    def __init__(self, card: ModelCard, terms: Terms) -> None:
        self.card, self._terms = card, terms
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
            known = [self._vocabulary[t] for t in self._terms(query) if t in self._vocabulary]
            found = self._index.get_scores_from_ids(known) if known else nothing
            best = _best(found, k)
            ids[at, : len(best)], scores[at, : len(best)] = best, found[best]
        return ids, scores

    def _build(self, corpus: list[str]) -> None:
        import bm25s

        vocabulary: dict[str, int] = {}
        documents = [
            [vocabulary.setdefault(t, len(vocabulary)) for t in self._terms(text)] for text in corpus
        ]
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
