"""A user's own table (CSV, TSV, JSON lines, a JSON array, Parquet) as numbered rows, each value as it stands.

Text stays text: "NA", "null", "007" and "1e5" are strings, and what a cell means is decided by the field it
is read for (`harness.data.cells`). A CSV record may hold line breaks inside quotes; it is named by its row
(the header not counted) and by the line of the file it begins on.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness.data.rows import Complain, Rows, json_lines, parquet_rows, refuse
from harness.errors import DataError

# How a file's name ends, and the format it has unless the source says another.
SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".qrels": "trec",
    ".trec": "trec",
    ".run": "trec",
    ".txt": "trec",
}
_WRITTEN = ("csv", "tsv", "tsv-unquoted", "json or parquet")
_DELIMITERS = {"csv": ",", "tsv": "\t", "tsv-unquoted": "\t"}
_FIELD_LIMIT = 2**27  # characters of one cell; more is a quote that never ends
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Table:
    """A file opened for reading.

    Attributes:
        columns: those of the header, of the schema, or of the first row of JSON.
        rows: where a row stands and its values; read once.
        typed: whether values have types (JSON, Parquet) or all are text (CSV, TSV, TREC).
        closed: whether `columns` are all there are (a later row of JSON may have more).
        unit: "line" or "row".
    """

    columns: Sequence[str]
    rows: Rows
    typed: bool
    closed: bool
    unit: str


def format_of(path: Path) -> str:
    """The format that a file's name says, `.gz` left aside.

    Raises:
        DataError: a name that says none.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if not suffixes or suffixes[-1] not in SUFFIXES:
        raise DataError(
            f"{path}: the name does not say what it holds; let it end in .csv, .tsv, .jsonl, .json or "
            f".parquet (.gz may follow), or write format: {', '.join(_WRITTEN)} beside files"
        )
    return SUFFIXES[suffixes[-1]]


def open_table(path: Path, form: str | None = None, complain: Complain = refuse) -> Table:
    """Open a table.

    Args:
        form: csv, tsv, tsv-unquoted, json, parquet or trec; None goes by the file's name.
        complain: called with what is wrong with a row, which is then left out.

    Raises:
        DataError: no such file, not UTF-8, no header, a column twice, broken quotes, JSON or Parquet; now or
            while the rows are read.
    """
    form = form or format_of(path)
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder, not a file' if path.is_dir() else 'no such file'}")
    if form == "parquet":
        if path.suffix == ".gz":
            raise DataError(f"{path}: Parquet is compressed already; unpack it")
        return _parquet(path)
    lines = _lines(path)
    first = next(lines, b"")
    if first.startswith(_UTF16):
        raise DataError(f"{path}: is UTF-16; save it as UTF-8")
    lines = chain([first.removeprefix(codecs.BOM_UTF8)], lines)
    if form == "json":
        return _json(path, lines, complain)
    if form == "trec":
        return Table((), _words(path, lines), typed=False, closed=True, unit="line")
    return _delimited(path, lines, form, complain)


def peek(path: Path) -> list[str]:
    """The words of a file's first line that is not empty; no words where there is none. Raises DataError."""
    line = next((line for line in _lines(path) if line.strip()), b"")
    return _decoded(path, line.removeprefix(codecs.BOM_UTF8), 1).split()


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with _opened(path) as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{path}: cannot be read ({said})") from error


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _decoded(path: Path, line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not UTF-8 (byte {error.start + 1} of the line is "
            f"0x{line[error.start]:02x}); save the file as UTF-8"
        ) from error


def _text(path: Path, lines: Iterable[bytes]) -> Iterator[str]:
    return (_decoded(path, line, number) for number, line in enumerate(lines, 1))


def _words(path: Path, lines: Iterable[bytes]) -> Rows:
    """Headerless lines of words, as trec_eval reads them: columns "0", "1" ..."""
    for number, line in enumerate(_text(path, lines), 1):
        words = line.split()
        if words:
            yield number, {str(place): word for place, word in enumerate(words)}


def _delimited(path: Path, lines: Iterable[bytes], form: str, complain: Complain) -> Table:
    csv.field_size_limit(_FIELD_LIMIT)
    reader = csv.reader(
        _text(path, lines),
        delimiter=_DELIMITERS[form],
        quoting=csv.QUOTE_NONE if form == "tsv-unquoted" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    records = _records(path, reader, form)
    _, header = next(records, (0, []))
    if not any(header):
        raise DataError(f"{path}: has no header; its first line names the columns")
    if len(header) == 1 and form == "csv" and (split := next((c for c in ";\t" if c in header[0]), None)):
        raise DataError(
            f"{path}: its columns seem to be separated by {split!r}; .csv means commas, .tsv tabs"
        )
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands twice in the header")
    return Table(header, _named(path, header, records, complain), typed=False, closed=True, unit="row")


def _records(path: Path, reader: Any, form: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the number of the line each begins on; empty lines are passed over."""
    begins = 1
    try:
        for record in reader:
            if record:
                yield begins, record
            begins = reader.line_num + 1
    except csv.Error as error:
        way_out = "" if form == "csv" else ", or write format: tsv-unquoted beside files"
        raise DataError(
            f"{path}, line {begins}: the row that begins here cannot be read ({error})\n"
            f"a quote inside a quoted field is written twice{way_out}"
        ) from error


def _named(
    path: Path, header: Sequence[str], records: Iterable[tuple[int, list[str]]], complain: Complain
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for number, (line, record) in enumerate(records, 1):
        place = f"{number} (line {line})"
        if len(record) == len(header):
            yield place, dict(zip(header, record, strict=True))
        else:
            complain(DataError(f"{path}, row {place}: {len(record)} values for {len(header)} columns"))


def _json(path: Path, lines: Iterable[bytes], complain: Complain) -> Table:
    lines = iter(lines)
    head: list[bytes] = []
    while not (head and head[-1].strip()) and (line := next(lines, b"")):
        head.append(line)
    if not head or not head[-1].lstrip().startswith(b"["):
        rest = iter(json_lines(chain(head, lines), str(path), complain))
        row = next(rest, None)
        rows: Rows = rest if row is None else chain([row], rest)
        return Table(list(row[1]) if row else [], rows, typed=True, closed=False, unit="line")
    try:
        items = msgspec.json.decode(b"".join([*head, *lines]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    columns = list(items[0]) if items and isinstance(items[0], dict) else []
    return Table(columns, _objects(path, items, complain), typed=True, closed=False, unit="row")


def _objects(path: Path, items: Sequence[Any], complain: Complain) -> Rows:
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield number, item
        else:
            complain(DataError(f"{path}, row {number}: a JSON object is due, not {type(item).__name__}"))


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_schema(path).names
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error
    return Table(columns, parquet_rows(path), typed=True, closed=True, unit="row")
