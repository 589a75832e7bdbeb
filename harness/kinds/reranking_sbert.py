"""Reranking of rows {query, positive, negative or documents}, scorer `cross_encoder_reranking`.

Parity: sentence-transformers 6.2 (CrossEncoderRerankingEvaluator). `map` looks at the whole list, `mrr` and
`ndcg` at the best `at_k`; a query without a relevant candidate scores 0 and counts. Rows with `documents`,
which stand in the order of a first stage, also have the metrics of that order (`base_*`) and what reranking
gains over it (`delta_*`). Among equal scores MRR takes the order of numpy's sort, reversed: of up to 16
candidates the later first, as upstream.

For cross-encoders: what sentence-transformers has for bi-encoders leaves out queries without negatives,
knows no `documents` and breaks ties otherwise, so it is another evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harness.data.examples import CandidateExamples, RankingExamples
from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import check_pair_scores, column, conclude, main_metric
from harness.metrics.reranking import average_precision, ndcg, reciprocal_rank
from harness.types import Float32, Pairs, Scores

__all__ = ["metrics_from", "pairs", "remarks", "score_pairs"]

Settings = Mapping[str, Any]
Row = tuple[str, list[str], list[bool]]  # query, candidates, which of them are relevant

_MEASURES = ("average_precision", "reciprocal_rank", "ndcg")


def pairs(examples: CandidateExamples | RankingExamples, settings: Settings) -> Pairs:
    """(query, candidate) pairs of the queries that have a relevant candidate, row by row.

    Raises:
        DataError: a list of one candidate (its nDCG would say nothing), or no relevant candidate at all.
    """
    rows = list(_asked(examples, settings))
    if not rows:
        raise DataError("no query has a relevant candidate: there is nothing to rank")
    left = [query for query, candidates, _ in rows for _ in candidates]
    return Pairs(left, [text for _, candidates, _ in rows for text in candidates])


def score_pairs(examples: CandidateExamples | RankingExamples, scores: Float32, settings: Settings) -> Scores:
    """MAP, MRR and nDCG of a cross-encoder's scores, float32 [len(pairs)], and of the first stage's order.

    Raises:
        DataError: as `pairs`.
        ModelError: not as many scores as pairs.
        NonFiniteError: a score is NaN or infinite (names the pair).
        UnknownNameError: a main metric that does not exist.
    """
    at_k = int(_setting(settings, "at_k"))
    known = (*_names(at_k), *(prefix + name for prefix in ("base_", "delta_") for name in _names(at_k)))
    main = main_metric(settings.get("main") or f"ndcg_at_{at_k}", known)
    asked = pairs(examples, settings)
    answered = check_pair_scores(asked.left, asked.right, scores)
    start = 0
    table: dict[str, list[Any]] = {
        "query": [],
        **{name: [] for name in _MEASURES},
        **{f"base_{name}": [] for name in _MEASURES},
        "num_relevant": [],
        "num_candidates": [],
    }
    for (query, candidates, relevant), base in zip(
        _lists(examples, settings), _baselines(examples, at_k), strict=True
    ):
        found = (0.0, 0.0, 0.0)
        if any(relevant):
            found = _measured(relevant, answered[start : start + len(candidates)], at_k)
            start += len(candidates)
        table["query"].append(query)
        for name, own, before in zip(_MEASURES, found, base or (None, None, None), strict=True):
            table[name].append(own)
            table[f"base_{name}"].append(before)
        table["num_relevant"].append(sum(relevant))
        table["num_candidates"].append(len(candidates))
    types = {name: pa.float64() for name in table if name.endswith(_MEASURES)}
    samples = pa.table({name: pa.array(values, types.get(name)) for name, values in table.items()})
    return conclude(main, samples, metrics_from(samples, settings), DataError)


def metrics_from(samples: pa.Table, settings: Settings) -> tuple[dict[str, float], dict[str, str]]:
    """Every metric of the stored samples: unrounded means; `base_*` over the rows with `documents`."""
    names = _names(int(_setting(settings, "at_k")))
    exact = {name: float(np.mean(column(samples, own))) for name, own in zip(names, _MEASURES, strict=True)}
    base = {f"base_{own}": samples[f"base_{own}"].drop_null() for own in _MEASURES}
    if all(len(values) for values in base.values()):
        for name, values in zip(names, base.values(), strict=True):
            exact[f"base_{name}"] = float(np.mean(values.to_numpy()))
        exact |= {f"delta_{name}": exact[name] - exact[f"base_{name}"] for name in names}
        return exact, {}
    reason = "no row has documents in the order of a first stage"
    return exact, {prefix + name: reason for prefix in ("base_", "delta_") for name in names}


def remarks(examples: CandidateExamples | RankingExamples, settings: Settings) -> list[str]:
    """Queries that score 0 whatever the model, and a first stage that cannot be bettered."""
    empty = sum(not any(relevant) for _, _, relevant in _lists(examples, settings))
    lines = [f"{empty} queries have no relevant candidate; they score 0 and count"] if empty else []
    base = [row for row in _baselines(examples, int(_setting(settings, "at_k"))) if row is not None]
    if base and all(value == 1.0 for row in base for value in row):
        lines.append(
            "the order of documents is perfect as it stands (base_map 1.0): the positives were listed first, "
            "so the base_ and delta_ metrics say nothing about a first stage"
        )
    return lines


def _names(at_k: int) -> tuple[str, str, str]:
    return "map", f"mrr_at_{at_k}", f"ndcg_at_{at_k}"


def _setting(settings: Settings, name: str) -> Any:
    return settings.get(name, scorer("reranking", "cross_encoder_reranking").defaults[name])


def _lists(examples: CandidateExamples | RankingExamples, settings: Settings) -> Iterator[Row]:
    """What is reranked, row by row."""
    keep = bool(_setting(settings, "always_rerank_positives"))
    for query, positive, negative, documents in _rows(examples):
        if documents is None:
            yield query, [*positive, *negative], [True] * len(positive) + [False] * len(negative)
            continue
        known = set(positive)
        if keep:
            others = [text for text in documents if text not in known]
            yield query, [*positive, *others], [True] * len(positive) + [False] * len(others)
        else:
            yield query, list(documents), [text in known for text in documents]


def _asked(examples: CandidateExamples | RankingExamples, settings: Settings) -> Iterator[Row]:
    for number, row in enumerate(_lists(examples, settings), 1):
        if any(row[2]):
            if len(row[1]) == 1:
                raise DataError(
                    f"row {number}: one candidate is no ranking; give it a negative or leave it out"
                )
            yield row


def _baselines(
    examples: CandidateExamples | RankingExamples, at_k: int
) -> Iterator[tuple[float, float, float] | None]:
    """Measures of each row's `documents` as they stand, None without; 0 where no positive is among them.

    Positives that are missing stand at the end.
    """
    for number, (_, positive, _, documents) in enumerate(_rows(examples), 1):
        if documents is None:
            yield None
            continue
        known = set(positive)
        relevant = [text in known for text in documents]
        if not any(relevant):
            yield 0.0, 0.0, 0.0
            continue
        relevant += [True] * (len(positive) - sum(relevant))
        if len(relevant) == 1:
            raise DataError(f"row {number}: one document is no ranking; give it another or leave it out")
        yield _measured(relevant, np.arange(len(relevant), 0, -1), at_k)


def _measured(relevant: Sequence[bool], scores: Any, at_k: int) -> tuple[float, float, float]:
    mask = np.array(relevant, dtype=np.bool_)
    rank = reciprocal_rank(mask, np.argsort(scores)[::-1], at_k)  # upstream's very call: ties go its way
    return average_precision(mask, scores), rank, ndcg(mask, scores, at_k)


def _rows(
    examples: CandidateExamples | RankingExamples,
) -> Iterator[tuple[str, Sequence[str], Sequence[str], Sequence[str] | None]]:
    """Query, positives, negatives, documents (None without); of a task with qrels the graded candidates."""
    if isinstance(examples, CandidateExamples):
        yield from zip(
            examples.queries,
            examples.positives,
            (row or () for row in examples.negatives),
            examples.documents,
            strict=True,
        )
        return
    if examples.candidates is None:
        raise DataError("reranking needs candidate lists, and there are none")
    text = dict(zip(examples.doc_ids, examples.documents, strict=True))
    for name, query in zip(examples.query_ids, examples.queries, strict=True):
        listed = list(dict.fromkeys(examples.candidates.get(name, ())))
        good = [doc for doc in listed if examples.qrels[name].get(doc, 0) > 0]
        rest = [doc for doc in listed if examples.qrels[name].get(doc, 0) <= 0]
        yield query, [text[doc] for doc in good], [text[doc] for doc in rest], None
