"""Task kinds: which texts a task needs, and what their vectors mean. Pure; nothing here calls a model.

A kind's module offers, for its examples and settings (plain mappings, `similarity` among them):

    needs(examples, settings) -> dict[str, Texts]                       what a bi-encoder must embed
    score(examples, vectors, settings) -> Scores                        vectors: the same keys as needs()
    pairs(examples, settings) -> Pairs                                  what a cross-encoder must score
    score_pairs(examples, scores, settings) -> Scores                   scores: float32 [len(pairs)]
    score_search(examples, search, settings) -> Scores                  lexical; search(queries, documents, k)
    drawn(examples, settings) -> state                                  where the scorer has a `stream`
    metrics_from(samples, settings) -> (exact, undefined)               every metric from the stored samples
    remarks(examples, settings) -> [line]                               what to know of the data (optional)

`score*` first make the per-example samples and then call `metrics_from` on them, so that what is stored
is enough to compute every metric again, by construction.
"""

from harness.scorers import KINDS, REFUSED, SCORERS, Scorer, scorer

__all__ = ["KINDS", "REFUSED", "SCORERS", "Scorer", "scorer"]
