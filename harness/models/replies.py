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
    rows = _rows(reply, "data", "embedding", count, name)
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
    scores = _rows(reply, "results", "relevance_score", count, name)
    return _floats([[score] for score in scores], name)[:, 0] if scores else np.empty(0, dtype=np.float32)


def _rows(reply: Any, table: str, field: str, count: int, name: str) -> list[Any]:
    """`field` of each of the reply's rows, by index."""
    rows = reply.get(table) if isinstance(reply, dict) else None
    if not isinstance(rows, list):
        raise ModelError(f"{name}: the service's answer has no list {table!r}")
    if len(rows) != count:
        raise ModelError(f"{name}: the service answered {len(rows)} rows for {count} inputs")
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
