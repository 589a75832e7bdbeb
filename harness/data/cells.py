"""What the text in a cell of a CSV or TSV means, by the type of the field it is read for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.data.rows import Columns, Rows

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")  # as a program writes it: "007" and "+1" are names
_NUMBERS = ("a number", "a whole number", "an integer", "0 or 1")
_LABELS = ("an integer or a string", "a list of integers or strings", "a label, or a list of them")


def typed_rows(rows: Rows, types: Mapping[str, str]) -> Rows:
    """Rows with the cells of some columns turned into what their field holds.

    Args:
        types: column to a key of `harness.data.rows.CHECKS`. A number that cannot be read stays text, which
            the check of its type then names. A list is written as a JSON array. A cell that may be null and
            is empty is null. Other columns stay text.
    """
    for place, row in rows:
        yield place, {name: _value(text, types.get(name, "a string")) for name, text in row.items()}


def with_labels(parts: Sequence[Columns], types: Mapping[str, str]) -> None:
    """Turn labels that are text into integers where all of them, in every part, are written as such.

    Training and test rows are looked at together, so that a class has one type. Changes the parts.

    Args:
        types: field to the type of its values.
    """
    for field in (name for name, kind in types.items() if kind in _LABELS):
        columns = [part[field] for part in parts if field in part]
        if all(_is_whole(value) for column in columns for value in column):
            for part in parts:
                part[field] = [_as_int(value) for value in part[field]]


def _value(text: str, kind: str) -> Any:
    if kind.endswith("null") and not text:
        return None
    if kind in _NUMBERS:
        return _number(text.strip())
    if "list" in kind and text.lstrip().startswith("["):
        try:
            decoded = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
        strings = all(isinstance(item, str) for item in decoded)
        return decoded if strings or not kind.startswith("a string") else text  # a text may begin with [
    return text


def _number(text: str) -> int | float | str:
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _is_whole(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_whole(item) for item in value)
    if isinstance(value, int):
        return True
    return isinstance(value, str) and _WHOLE.fullmatch(value) is not None and len(value) < 19


def _as_int(value: Any) -> Any:
    return [_as_int(item) for item in value] if isinstance(value, list) else int(value)
