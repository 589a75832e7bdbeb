"""Rows of a file or table, checked: every field present, every value of its type, else file and line."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.data.packed import Packed, Packer
from harness.errors import DataError, nearest

Columns = dict[str, Sequence[Any]]
Rows = Iterable[tuple[object, Mapping[str, Any]]]  # where a row stands ("3", "3 (line 5)"), and the row
Complain = Callable[[DataError], None]


def _is_str(value: Any) -> bool:
    return isinstance(value, str)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_whole(value: Any) -> bool:
    return _is_number(value) and abs(value) < 2**31 and value == int(value)


def _is_label(value: Any) -> bool:
    return _is_int(value) or _is_str(value)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(check(item) for item in value)


# Type name, as messages spell it, to its check.
CHECKS: dict[str, Callable[[Any], bool]] = {
    "a string": _is_str,
    "a string or null": lambda value: value is None or _is_str(value),
    "an integer": _is_int,
    "0 or 1": lambda value: _is_int(value) and value in (0, 1),
    "a number": _is_number,
    "a whole number": _is_whole,
    "an integer or a string": _is_label,
    "an id (a string or an integer)": _is_label,
    "a list of integers or strings": _list_of(_is_label),
    "a list of strings": _list_of(_is_str),
    "a string, a number or null": lambda value: value is None or _is_str(value) or _is_number(value),
    "a list of ids": _list_of(_is_label),
    "an id, or a list of ids": lambda value: _is_label(value) or _list_of(_is_label)(value),
    "a list of numbers": _list_of(_is_number),
    "a list of whole numbers": _list_of(_is_whole),
    "a string or a list of strings": lambda value: _is_str(value) or _list_of(_is_str)(value),
    "a query (a string, or the turns of a conversation)": lambda value: _is_str(value) or _is_turns(value),
    "a label, or a list of them": lambda value: (
        _is_label(value) or _list_of(lambda v: _is_label(v) or _list_of(_is_label)(v))(value)
    ),
}


def _is_turns(value: Any) -> bool:
    return bool(value) and (
        _list_of(_is_str)(value) or _list_of(lambda turn: isinstance(turn, dict) and "content" in turn)(value)
    )


def read_columns(
    path: Path, fields: Mapping[str, str], renames: Mapping[str, str] | None = None, *, packed: bool = False
) -> Columns:
    """Read a `.jsonl` or `.parquet` file into checked columns.

    Args:
        fields: field name to a key of CHECKS; a field whose name ends in "?" may be absent.
        renames: field name to the file's own column name, where they differ.
        packed: as in `check_columns`.

    Raises:
        DataError: unreadable file, no rows, a missing field or a value of the wrong type (file and line).
    """
    unit = "line" if path.suffix == ".jsonl" else "row"
    rows = _jsonl(path) if path.suffix == ".jsonl" else parquet_rows(path)
    return check_columns(rows, fields, renames, where=str(path), unit=unit, packed=packed)


def refuse(error: DataError) -> None:
    """The answer to a bad row that ends the reading: raises it."""
    raise error


def check_columns(
    rows: Rows,
    fields: Mapping[str, str],
    renames: Mapping[str, str] | None = None,
    *,
    where: str,
    unit: str = "row",
    packed: bool = False,
    complain: Complain = refuse,
    places: list[str] | None = None,
) -> Columns:
    """Turn numbered rows into columns, checking each value.

    Args:
        where: names the source in messages.
        packed: keep the columns as `Packed` strings, null as an empty one: for rows by the million.
        complain: called with what is wrong with a row, which is then left out.
        places: filled with where each row that is kept stands.

    Raises:
        DataError: no rows, a missing field or a value of the wrong type.
    """
    renames = renames or {}
    wanted = [
        (f.rstrip("?"), renames.get(f.rstrip("?"), f.rstrip("?")), t, f.endswith("?"))
        for f, t in fields.items()
    ]
    columns: dict[str, list[Any] | Packer] = {name: Packer() if packed else [] for name, *_ in wanted}
    present: set[str] = set()
    count = 0
    for number, row in rows:
        count += 1
        values = []
        for name, source, kind, optional in wanted:
            value = row.get(source)
            if value is None and source not in row and not optional:
                there = ", ".join(sorted(row)) or "nothing"
                near = nearest(source, row, 1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                said = f"no field {source!r}{meant} (there is: {there})"
                complain(DataError(f"{where}, {unit} {number}: {said}"))
            elif not (value is None and optional) and not CHECKS[kind](value):
                shown = repr(value) if len(repr(value)) < 60 else repr(value)[:57] + "..."
                complain(DataError(f"{where}, {unit} {number}: {source!r} must be {kind}, not {shown}"))
            else:
                values.append((name, value))
        if len(values) < len(wanted):
            continue
        for name, value in values:
            if value is not None:
                present.add(name)
            columns[name].append(value)
        if places is not None:
            places.append(f"{unit} {number}")
    if not count:
        raise DataError(f"{where}: no rows; an empty split cannot be scored")
    kept = {name: columns[name] for name, _, _, optional in wanted if name in present or not optional}
    return {name: part.packed() if isinstance(part, Packer) else part for name, part in kept.items()}


def unique_ids(ids: Sequence[Any], where: str, unit: str = "row") -> Sequence[str]:
    """Ids as strings; a duplicate is an error that names both places."""
    if isinstance(ids, Packed):
        marks = np.sort(np.fromiter(map(hash, ids.raw()), np.int64, len(ids)))
        if (marks[1:] != marks[:-1]).all():
            return ids
    seen: dict[str, int] = {}
    for number, raw in enumerate(ids, 1):
        name = str(raw)
        if name in seen:
            raise DataError(f"{where}, {unit} {number}: id {name!r} stands already in {unit} {seen[name]}")
        seen[name] = number
    return list(seen)


def _jsonl(path: Path) -> Rows:
    try:
        with path.open("rb") as file:
            yield from json_lines(file, str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def json_lines(file: Iterable[bytes], where: str, complain: Complain = refuse) -> Rows:
    """Rows of a file of one JSON object a line, with line numbers; empty lines are passed over.

    Raises:
        DataError: a line that is no JSON object, unless `complain` goes on.
    """
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            complain(DataError(f"{where}, line {number}: not JSON ({error})"))
            continue
        if not isinstance(row, dict):
            complain(DataError(f"{where}, line {number}: a JSON object is due, not {type(row).__name__}"))
            continue
        yield number, row


def parquet_rows(path: Path) -> Rows:
    """Rows of a Parquet file, counted from 1. Raises DataError for a file that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A page at a time: a reader left to itself holds the whole file.
        file = pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
        number = 0
        for batch in file.iter_batches(batch_size=4096, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield number, row
        pa.default_memory_pool().release_unused()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error
