"""Ranking data in fewer tables than corpus, queries, qrels and candidates, turned into those four.

`asked` is a queries table whose rows name their positive and negative documents by id; `rows` are queries
with the texts of their documents, as mteb's reranking sets were before its version 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.rows import Columns

ASKED, ROWS = "asked", "rows"


def four_tables(
    kind: str, parts: Mapping[str, Columns], where: Mapping[str, str]
) -> tuple[dict[str, Columns], dict[str, str]]:
    """The parts "corpus", "queries", "qrels" and, unless a corpus is searched, "candidates".

    Positives have grade 1, negatives 0; together they are the candidates of reranking kinds. Queries
    without an id are called by their row, counted from 1. Documents given as texts belong to their query
    alone, and stand in mteb's order where scores tie: a positive after a negative.

    Args:
        where: part to the name of its file, for messages; the made parts take that of what made them.
    """
    for source in (ASKED, ROWS):
        if source in parts:
            others = {name: part for name, part in parts.items() if name != source}
            made = _by_id(parts[source]) if source == ASKED else _by_text(parts[source])
            if kind == "retrieval":
                del made["candidates"]
            return others | made, {**dict.fromkeys(made, where[source]), **where}
    return dict(parts), dict(where)


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as an empty one, anything else alone in one."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _by_id(asked: Columns) -> dict[str, Columns]:
    count = len(asked["text"])
    ids = asked.get("id") or [None] * count
    names = [str(number) if name is None else str(name) for number, name in enumerate(ids, 1)]
    positives, negatives = asked["positive"], asked.get("negative") or [None] * count
    queries = {**{name: part for name, part in asked.items() if name == "instruction"}}
    return _tables(
        {**queries, "id": names, "text": asked["text"]},
        [[str(doc) for doc in listed(value)] for value in positives],
        [[str(doc) for doc in listed(value)] for value in negatives],
    )


def _by_text(rows: Columns) -> dict[str, Columns]:
    names = [str(number) for number in range(1, len(rows["query"]) + 1)]
    texts: dict[str, str] = {}
    ids: dict[str, list[list[str]]] = {"hit": [], "other": []}
    empty = [None] * len(names)
    for side, values in (("hit", rows["positive"]), ("other", rows.get("negative") or empty)):
        for name, value in zip(names, values, strict=True):
            own = {f"{name}-{side}-{place:05}": text for place, text in enumerate(listed(value))}
            texts |= own
            ids[side].append(list(own))
    tables = _tables({"id": names, "text": rows["query"]}, ids["hit"], ids["other"])
    return {**tables, "corpus": {"id": list(texts), "text": list(texts.values())}}


def _tables(queries: Columns, positives: list[list[str]], negatives: list[list[str]]) -> dict[str, Columns]:
    grades = [
        {**dict.fromkeys(no, 0), **dict.fromkeys(yes, 1)}
        for yes, no in zip(positives, negatives, strict=True)
    ]
    named = list(zip(queries["id"], grades, strict=True))
    return {
        "queries": queries,
        "qrels": {
            "query_id": [name for name, own in named for _ in own],
            "corpus_id": [doc for _, own in named for doc in own],
            "score": [grade for _, own in named for grade in own.values()],
        },
        "candidates": {"query_id": list(queries["id"]), "corpus_ids": [list(own) for own in grades]},
    }
