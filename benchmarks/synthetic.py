"""The six tasks with random words for texts, for machines without the real ones: their sizes and lengths."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.inputs import Rows, write_task

LABELS = 77
LISTED = 20  # candidates of a query


def synthetic(words: Sequence[str], target: Path, scale: float = 1.0, seed: int = 0) -> Path:
    """Task folders under the six names in `target`. Lengths are log-normal, for SciFact with its own moments.

    A query repeats words of its document, a pair as many words as its score says, and the texts of a label
    share words: so scores mean something even where a model's weights are random.

    Args:
        words: a vocabulary; the n-th is drawn in proportion to 1 / n.
        scale: documents, queries and rows as a multiple of the real tasks'.
    """
    draw = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(words))]

    def drawn(mean: float, sigma: float) -> list[str]:
        """Words of one text; `mean` and `sigma` are of the logarithm of their number."""
        return draw.choices(words, weights, k=max(4, round(draw.lognormvariate(mean, sigma))))

    def texts(count: int, mean: float, sigma: float) -> list[str]:
        return [" ".join(drawn(mean, sigma)) for _ in range(max(1, round(count * scale)))]

    def ranking(split: str, documents: list[str], count: int, listed: bool) -> dict[str, Rows]:
        asked = range(max(1, round(count * scale)))
        right = [i % len(documents) for i in asked]
        queries = [" ".join(draw.sample(own := documents[d].split(), min(20, len(own)))) for d in right]
        parts = {
            "corpus": [{"id": f"d{i}", "title": "", "text": text} for i, text in enumerate(documents)],
            "queries": [{"id": f"q{i}", "text": queries[i]} for i in asked],
            "qrels": [{"query_id": f"q{i}", "corpus_id": f"d{right[i]}", "score": 1} for i in asked],
        }
        if listed:
            size = min(LISTED - 1, len(documents))
            lists = [{right[i], *draw.sample(range(len(documents)), size)} for i in asked]
            parts["candidates"] = [
                {"query_id": f"q{i}", "corpus_ids": [f"d{d}" for d in sorted(lists[i])]} for i in asked
            ]
        return {f"{split}.{part}": rows for part, rows in parts.items()}

    def labelled(count: int) -> Rows:
        kept = texts(count, 2.2, 0.4)
        own = [words[i % LABELS * 3 : i % LABELS * 3 + 3] for i in range(len(kept))]
        return [{"text": " ".join([text, *own[i]]), "label": i % LABELS} for i, text in enumerate(kept)]

    def pair() -> dict[str, object]:
        left, other, share = drawn(3.0, 0.3), drawn(3.0, 0.3), draw.random()
        right = [a if draw.random() < share else draw.choice(other) for a in left]
        return {"sentence1": " ".join(left), "sentence2": " ".join(right), "score": 5 * share}

    documents, paragraphs = texts(5183, 5.74, 0.4), texts(240, 5.2, 0.4)
    few = documents[: max(1, round(3547 * scale))]
    pairs = [pair() for _ in range(max(2, round(1457 * scale)))]
    banking = {"train": labelled(10003), "test": labelled(3080)}
    write_task(target / "JSTS", "sts", "cosine_spearman", {"validation": pairs})
    write_task(target / "Banking77Classification", "classification", "accuracy", banking)
    for task, split, corpus, queries in (
        ("SciFact", "test", documents, 300),
        ("XQuADRetrieval", "validation.zh", paragraphs, 1181),
    ):
        write_task(target / task, "retrieval", "ndcg_at_10", ranking(split, corpus, queries, False))
    for task, corpus in (("SciFactReranking", few), ("XQuADReranking", paragraphs)):
        write_task(target / task, "reranking", "map_at_1000", ranking("test", corpus, 300, True))
    return target
