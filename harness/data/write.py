"""Examples as files of the layout (`harness.data.layout`), such that reading them back gives the same ones.

Rows are Parquet, in row groups of a few thousand, so that a corpus of millions is never copied whole. What
is already rendered stays so: a query's text holds its instruction, a document's text its title (the title
column is empty), whatever template joined them; the manifest's `rendered` says so, and the reader then uses
neither template nor column names of a suite's. A column that Parquet would have to convert (labels or grades
of more than one type) is written as JSON lines, which the layout reads as well.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from harness.data.examples import (
    BitextExamples,
    CandidateExamples,
    ClusterExamples,
    Examples,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
)
from harness.data.packed import Packed
from harness.errors import DataError
from harness.paths import fsync_folder

ROWS = 8192  # in a row group


@dataclass(frozen=True)
class Column:
    """Values of one field, `depth` lists deep (0: scalars)."""

    values: Sequence[Any]
    depth: int = 0


Table = Mapping[str, Column]


def tables(examples: Examples, *, sets: bool = False) -> dict[str, Table]:
    """The rows of the layout, by part: "rows" (and "train"), or "corpus", "queries", "qrels", "candidates".

    Args:
        sets: write clusterings of a single set as a row of lists too.

    Raises:
        DataError: a bitext task whose translations are not row by row, which the layout cannot say.
    """
    if isinstance(examples, RankingExamples):
        return _ranking(examples)
    if isinstance(examples, LabelledExamples):
        depth = int(any(isinstance(label, list | tuple) for label in examples.labels))
        return {
            "rows": {"text": Column(examples.texts), "label": Column(examples.labels, depth)},
            "train": {"text": Column(examples.train_texts), "label": Column(examples.train_labels, depth)},
        }
    return {"rows": _rows(examples, sets)}


def write_table(folder: Path, stem: str, table: Table) -> str:
    """Write `<stem>.parquet` (or `.jsonl`) whole or not at all; the file's name.

    Raises:
        DataError: the disk refuses.
    """
    types = {name: _arrow_type(column) for name, column in table.items()}
    name = f"{stem}.parquet" if all(types.values()) else f"{stem}.jsonl"
    try:
        with _replacing(folder / name) as file:
            if all(types.values()):
                _parquet(file, table, types)
            else:
                for row in _as_rows(table):
                    file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise DataError(f"{folder / name} cannot be written: {error.strerror or error}") from error
    return name


def _rows(examples: Examples, sets: bool) -> Table:
    if isinstance(examples, PairExamples):
        gold = "score" if examples.gold.dtype.kind == "f" else "label"
        return {**_pair(examples), gold: Column(examples.gold.tolist())}
    if isinstance(examples, ClusterExamples):
        return _clusters(examples, sets)
    if isinstance(examples, SummaryExamples):
        return {
            "text": Column(examples.texts),
            "machine_summaries": Column(examples.machine, 1),
            "human_summaries": Column(examples.human, 1),
            "relevance": Column(examples.relevance, 1),
        }
    if isinstance(examples, BitextExamples):
        if examples.gold.tolist() != list(range(len(examples.sentence1))) or len(examples.sentence2) != len(
            examples.sentence1
        ):
            raise DataError(
                "its translations are not row by row, which files of sentence1 and sentence2 cannot say; "
                "it can be scored from the hub's cache only"
            )
        return _pair(examples)
    if isinstance(examples, CandidateExamples):
        return _candidates(examples)
    assert isinstance(examples, TripletExamples)
    return {name: Column(getattr(examples, name)) for name in ("anchor", "entailment", "negative")}


def _pair(examples: PairExamples | BitextExamples) -> dict[str, Column]:
    return {"sentence1": Column(examples.sentence1), "sentence2": Column(examples.sentence2)}


def _candidates(examples: CandidateExamples) -> dict[str, Column]:
    """Rows with negatives or documents; nulls, where some rows have the one and some the other."""
    found = {"query": Column(examples.queries), "positive": Column(examples.positives, 1)}
    for name, column in (("negative", examples.negatives), ("documents", examples.documents)):
        if any(row is not None for row in column):
            found[name] = Column(column, int(all(row is not None for row in column)))
    return found


def _clusters(examples: ClusterExamples, sets: bool) -> Table:
    """A row a text, or a row a set; labels as lists only where some text has more than one level."""
    flat = all(len(levels) == 1 for levels in examples.labels)
    labels = [levels[0] if flat else list(levels) for levels in examples.labels]
    own = 0 if flat else 1
    if not sets and len(examples.offsets) == 2:
        return {"sentences": Column(examples.texts), "labels": Column(labels, own)}
    ends = examples.offsets.tolist()
    spans = list(pairwise(ends))
    return {
        "sentences": Column([list(examples.texts[start:end]) for start, end in spans], 1),
        "labels": Column([labels[start:end] for start, end in spans], 1 + own),
    }


def _ranking(examples: RankingExamples) -> dict[str, Table]:
    triples = [
        (name, doc, grade) for name in examples.query_ids for doc, grade in examples.qrels[name].items()
    ]
    found: dict[str, Table] = {
        "corpus": {
            "id": Column(examples.doc_ids),
            "title": Column([""] * len(examples.doc_ids)),
            "text": Column(examples.documents),
        },
        "queries": {"id": Column(examples.query_ids), "text": Column(examples.queries)},
        "qrels": {
            "query_id": Column([query for query, _, _ in triples]),
            "corpus_id": Column([doc for _, doc, _ in triples]),
            "score": Column([grade for _, _, grade in triples]),
        },
    }
    if examples.candidates is not None:
        listed = {name: list(docs) for name, docs in examples.candidates.items()}
        found["candidates"] = {
            "query_id": Column(list(listed)),
            "corpus_ids": Column(list(listed.values()), 1),
        }
    return found


def _leaves(values: Iterable[Any], depth: int) -> Iterator[Any]:
    for value in values:
        if depth:
            yield from _leaves(value, depth - 1)
        else:
            yield value


def _arrow_type(column: Column) -> Any:
    """The Arrow type that keeps every value as it is; None where there is none."""
    import pyarrow as pa

    packed = isinstance(column.values, Packed)
    kinds = {str} if packed else {type(leaf) for leaf in _leaves(column.values, column.depth)}
    leaf = {frozenset({str}): pa.string(), frozenset({float}): pa.float64()}.get(frozenset(kinds))
    if kinds == {int} and all(-(2**63) <= leaf < 2**63 for leaf in _leaves(column.values, column.depth)):
        leaf = pa.int64()
    leaf = leaf if kinds else pa.string()
    for _ in range(column.depth):
        leaf = leaf and pa.list_(leaf)
    return leaf


def _parquet(file: IO[bytes], table: Table, types: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(list(types.items()))
    length = len(next(iter(table.values())).values)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, length, ROWS):
            arrays = [
                pa.array(column.values[start : start + ROWS], types[name]) for name, column in table.items()
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _as_rows(table: Table) -> Iterator[dict[str, Any]]:
    for values in zip(*(column.values for column in table.values()), strict=True):
        yield dict(zip(table, values, strict=True))


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place once it is written and on the disk."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)
