"""Replies of services, checked: every row once, at its place, of the right length and finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.errors import ModelError, NonFiniteError
from harness.types import Float32

_LARGEST = float(np.finfo(np.float32).max)


def vectors_of(reply: Any, count: int, dim: int | None, name: str) -> Float32:
    """Vectors float32 [count, dim] of an embeddings reply, put in order by `index`.

    Args:
        dim: the length due; None: that of the first vector.

    Raises:
        ModelError: rows are missing, doubled or of another length.
        NonFiniteError: a vector holds null, NaN or infinity.
    """
    return _vectors(_rows(_listed(reply, "data", name), "embedding", count, name), dim, name)


def plain_vectors_of(reply: Any, count: int, dim: int | None, name: str) -> Float32:
    """Vectors float32 [count, dim] of a reply that holds them in order, `embeddings` by type (Cohere).

    Raises as `vectors_of`.
    """
    rows = _listed(reply.get("embeddings") if isinstance(reply, dict) else None, "float", name)
    _refuse_count(rows, count, name)
    return _vectors(rows, dim, name)


def _vectors(rows: list[Any], dim: int | None, name: str) -> Float32:
    width = dim if dim is not None else len(rows[0]) if isinstance(rows[0], list) else 0
    for index, row in enumerate(rows):
        if not isinstance(row, list) or not row:
            raise ModelError(f"{name}: the service answered no list of floats as embedding {index}")
        if len(row) != width:
            raise ModelError(
                f"{name}: the service answered {len(row)} numbers as embedding {index} where {width} were due"
            )
    return _floats(rows, name)


def scores_of(reply: Any, count: int, name: str) -> Float32:
    """Scores float32 [count] of a rerank reply, put in order by `index`.

    Raises:
        ModelError: scores are missing or doubled.
        NonFiniteError: a score is null, NaN or infinity.
    """
    return _scores(_rows(_listed(reply, "results", name), "relevance_score", count, name), name)


def bare_scores_of(reply: Any, count: int, name: str) -> Float32:
    """The same of a reply that is itself the list, with `score` in its rows (TEI)."""
    if not isinstance(reply, list):
        raise ModelError(f"{name}: the service's answer is no list")
    return _scores(_rows(reply, "score", count, name), name)


def model_of(reply: Any) -> str | None:
    """The name of the model that answered, where a reply says it."""
    said = reply.get("model") if isinstance(reply, dict) else None
    return said if isinstance(said, str) and said else None


def _scores(scores: list[Any], name: str) -> Float32:
    return _floats([[score] for score in scores], name)[:, 0] if scores else np.empty(0, dtype=np.float32)


def _listed(reply: Any, table: str, name: str) -> list[Any]:
    rows = reply.get(table) if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise ModelError(f"{name}: the service's answer has no list {table!r}")
    return rows


def _refuse_count(rows: list[Any], count: int, name: str) -> None:
    if len(rows) != count:
        raise ModelError(f"{name}: the service answered {len(rows)} rows for {count} inputs")


def _rows(rows: list[Any], field: str, count: int, name: str) -> list[Any]:
    """`field` of each of a reply's rows, by index."""
    _refuse_count(rows, count, name)
    found: dict[int, Any] = {}
    for row in rows:
        if not isinstance(row, dict) or field not in row:
            raise ModelError(f"{name}: the service answered a row without {field!r}")
        index = row.get("index")
        if type(index) is not int or not 0 <= index < count:
            raise ModelError(f"{name}: the service answered a row with index {index!r} for {count} inputs")
        if index in found:
            raise ModelError(f"{name}: the service answered index {index} twice")
        found[index] = row[field]
    return [found[index] for index in range(count)]


def _floats(rows: list[list[Any]], name: str) -> Float32:
    """Equally long lists of numbers as float32."""
    for index, values in enumerate(rows):
        sorts = set(map(type, values))
        if not sorts <= {float, int, type(None)}:
            raise ModelError(f"{name}: the service answered something that is no number in row {index}")
        if type(None) in sorts or not all(map(_LARGEST.__ge__, map(abs, values))):
            raise NonFiniteError(f"{name}: the service answered null, NaN or infinity in row {index}")
    return np.array(rows, dtype=np.float32)
