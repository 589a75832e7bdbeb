"""JMTEB's own rows of queries: relevant documents, or graded candidates, stand beside each query.

Retrieval: `query`, `relevant_docs` (an id or a list of ids, each of grade 1). Reranking: `query`,
`retrieved_docs` and `relevance_scores`, lists of the same length. A query's id is its row, from 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.data.rows import Columns, check_columns
from harness.errors import DataError

_RETRIEVAL = {"query": "a string", "relevant_docs": "an id, or a list of ids"}
_RERANKING = {
    "query": "a string",
    "retrieved_docs": "a list of ids",
    "relevance_scores": "a list of whole numbers",
}


def is_queries(columns: Collection[str]) -> bool:
    """Whether a table of queries has JMTEB's columns."""
    return "query" in columns and ("relevant_docs" in columns or "retrieved_docs" in columns)


def query_parts(kind: str, rows: Iterable[tuple[int, Mapping[str, Any]]], where: str) -> dict[str, Columns]:
    """Numbered rows as the parts `queries`, `qrels` and, for reranking, `candidates`.

    A document that is listed twice takes its first grade. A query without relevant documents is judged all
    the same, and counts.

    Raises:
        DataError: a missing field, a value of the wrong type, lists of unequal length.
    """
    found = check_columns(rows, _RETRIEVAL if kind == "retrieval" else _RERANKING, where=where)
    names = [str(number) for number in range(len(found["query"]))]
    parts: dict[str, Columns] = {"queries": {"id": names, "text": found["query"], "judged": names}}
    graded: list[dict[str, int]] = []
    if kind == "retrieval":
        for docs in found["relevant_docs"]:
            listed = docs if isinstance(docs, list | tuple) else [docs]
            graded.append({str(doc): 1 for doc in listed})
    else:
        for row, (docs, grades) in enumerate(
            zip(found["retrieved_docs"], found["relevance_scores"], strict=True), 1
        ):
            if len(docs) != len(grades):
                raise DataError(f"{where}, row {row}: {len(docs)} documents, but {len(grades)} grades")
            own: dict[str, int] = {}
            for doc, grade in zip(docs, grades, strict=True):
                own.setdefault(str(doc), int(grade))
            graded.append(own)
        parts["candidates"] = {"query_id": names, "corpus_ids": found["retrieved_docs"]}
    parts["qrels"] = {
        "query_id": [name for name, own in zip(names, graded, strict=True) for _ in own],
        "corpus_id": [doc for own in graded for doc in own],
        "score": [grade for own in graded for grade in own.values()],
    }
    return parts
