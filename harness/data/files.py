"""A task's data in files of the user's own: which file holds what, and their rows as examples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data.build import FIELDS, LABELLED, RANKING, build
from harness.data.cells import typed_rows, with_labels
from harness.data.examples import Examples
from harness.data.judged import ASKED, ROWS
from harness.data.naming import PARTS, fields_of, renames
from harness.data.rows import Columns, Complain, Rows, check_columns, refuse
from harness.data.tables import Table, format_of, open_table, peek
from harness.errors import (
    ConfigError,
    DataError,
    HarnessError,
    MissingSplitError,
    UnknownNameError,
    nearest,
    together,
)

Entry = tuple[str, str]  # split, subset
Files = Mapping[Entry, Mapping[str, str]]  # to the path of each part: ROWS, or those of a ranking kind
_TREC = {  # part to field to the place of its word in a line
    "qrels": {"query_id": "0", "corpus_id": "2", "score": "3"},
    "candidates": {"query_id": "0", "corpus_ids": "2"},
}
_TREC_WORDS = {"qrels": 4, "candidates": 6}  # words a line


@dataclass(frozen=True)
class Part:
    """One file that was read.

    Attributes:
        places: where each row stands ("row 3 (line 4)").
        renames: field to column, where the file calls it otherwise.
        whole: whether no row was left out.
    """

    columns: Columns
    where: str
    places: list[str] = field(default_factory=list)
    renames: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


def files_of(task: str, kind: str, files: Mapping[str, Any]) -> dict[Entry, dict[str, str]]:
    """What `files:` of a source says: (split, subset) to part to path.

    A split has a file, or files by subset. In ranking kinds it has files by part (corpus, queries, qrels,
    candidates), perhaps by subset, or, if documents are listed, one file of rows with texts.

    Raises:
        ConfigError: the kind cannot be made of these parts.
    """
    found: dict[Entry, dict[str, str]] = {}
    for split, said in files.items():
        by_subset = said if isinstance(said, dict) and not _names_parts(kind, said) else {"default": said}
        for subset, parts in by_subset.items():
            place = f"task {task}, files of {split}" + ("" if subset == "default" else f"/{subset}")
            found[split, subset] = _parts(place, kind, parts)
    return found


def _names_parts(kind: str, said: Mapping[str, Any]) -> bool:
    return kind in RANKING and any(name in (*PARTS, ROWS) for name in said)


def _parts(place: str, kind: str, said: Any) -> dict[str, str]:
    if isinstance(said, str):
        if kind == "retrieval":
            raise ConfigError(f"{place}: retrieval needs files by part: {{corpus: …, queries: …, qrels: …}}")
        return {ROWS: said}
    if kind not in RANKING or not all(isinstance(path, str) for path in said.values()):
        raise ConfigError(f"{place}: kind {kind} takes one file a split, or one a subset")
    for name in said:
        if name not in (*PARTS, ROWS):
            raise UnknownNameError(f"part ({place})", name, PARTS, f"there is: {', '.join(PARTS)}")
    if ROWS in said:
        return _parts(place, kind, said[ROWS]) if len(said) == 1 else _mixed(place)
    lacking = [name for name in ("corpus", "queries") if name not in said]
    if "qrels" in said and kind != "retrieval" and "candidates" not in said:
        lacking.append("candidates (kind retrieval searches the corpus without)")
    if lacking:
        raise ConfigError(f"{place}: lacks {' and '.join(lacking)}, which kind {kind} needs")
    if "qrels" in said:
        return dict(said)
    return {ASKED if name == "queries" else name: path for name, path in said.items()}


def _mixed(place: str) -> dict[str, str]:
    raise ConfigError(f"{place}: rows hold queries and texts by themselves; no other part goes with them")


def revision(files: Files) -> str:
    """`local:` and 12 hex digits over the content of all files and what each is.

    Raises:
        DataError: files that cannot be read, all of them.
    """
    digest = hashlib.sha256()
    problems: list[HarnessError] = []
    for (split, subset), parts in sorted(files.items()):
        for part, path in sorted(parts.items()):
            try:
                with Path(path).open("rb") as file:
                    own = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                problems.append(DataError(f"{path}: cannot be read ({error.strerror})"))
                continue
            digest.update(f"{split}\n{subset}\n{part}\n{own}\n".encode())
    if problems:
        raise together(problems)
    return f"local:{digest.hexdigest()[:12]}"


def wanted(files: Files, kind: str, entry: Entry, train_split: str) -> dict[str, str]:
    """The paths of the parts that one split and subset needs, its training rows among them.

    Raises:
        MissingSplitError: the files do not name the split and subset.
    """
    if entry not in files:
        there = ", ".join("/".join(own) for own in files)
        raise MissingSplitError(f"files name no {'/'.join(entry)} (there is: {there})")
    parts = dict(files[entry])
    if kind in LABELLED:
        parts["train"] = files[train_split, entry[1]][ROWS]
    return parts


def load(
    kind: str,
    paths: Mapping[str, str | Path],
    *,
    form: str | None = None,
    columns: Mapping[str, str] | None = None,
    document: str | None = None,
) -> Examples:
    """Examples of one split and subset from the files of its parts.

    Args:
        form: format of every file; None goes by their names.

    Raises:
        DataError: a file is missing or holds a bad row (file, row and column).
    """
    parts = read_parts(kind, paths, form=form, columns=columns, document=document)
    return built(kind, parts, document)


def built(kind: str, parts: Mapping[str, Part], document: str | None = None) -> Examples:
    """Examples of parts that were read. Raises DataError for rows that contradict each other."""
    tables = {name: part.columns for name, part in parts.items()}
    return build(kind, tables, {name: part.where for name, part in parts.items()}, document)


def read_parts(
    kind: str,
    paths: Mapping[str, str | Path],
    *,
    form: str | None = None,
    columns: Mapping[str, str] | None = None,
    document: str | None = None,
    complain: Complain = refuse,
) -> dict[str, Part]:
    """The checked columns of each part's file; a part that cannot be read at all is left out.

    Args:
        complain: called with everything that is wrong; by default the first thing ends the reading.
    """
    columns = columns or {}
    parts: dict[str, Part] = {}
    tables: dict[str, Table] = {}
    said: list[DataError] = []

    def tell(error: DataError) -> None:
        said.append(error)
        complain(error)

    own = tell if complain is not refuse else refuse
    for name, path in paths.items():
        said.clear()
        try:
            tables[name] = _opened(name, Path(path), form, own)
            part = _read(kind, name, Path(path), tables[name], columns, document, own)
            parts[name] = replace(part, whole=not said)
        except DataError as error:
            complain(error)
    there = {column for table in tables.values() for column in table.columns}
    used = there | {column for part in parts.values() for column in part.renames.values()}
    for key, column in columns.items():
        if "." not in key and column not in used and 1 < len(paths) == len(parts):
            near = nearest(column, there, 2)
            meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            complain(DataError(f"columns: no file has a column {column!r} for {key}{meant}"))
    rows = [part.columns for part in parts.values()]
    if kind not in RANKING and not all(table.typed for table in tables.values()):
        with_labels(rows, FIELDS[kind])
    return parts


def _opened(part: str, path: Path, form: str | None, complain: Complain) -> Table:
    form = form or format_of(path)
    if path.is_file() and part in _TREC and form in ("csv", "tsv", "trec") and _is_trec(part, path):
        return open_table(path, "trec", complain)
    if form == "trec":
        shape = f"{_TREC_WORDS[part]} words a line, as trec_eval reads" if part in _TREC else "a known format"
        raise DataError(f"{path}: is not {shape}; let the name end in .csv, .tsv, .jsonl or .parquet")
    return open_table(path, form, complain)


def _is_trec(part: str, path: Path) -> bool:
    """Whether a file has trec_eval's lines: `qid 0 docid grade`, `qid Q0 docid rank score tag`."""
    words = peek(path)
    return len(words) == _TREC_WORDS[part] and words[3].lstrip("-").isdigit()


def _read(
    kind: str,
    name: str,
    path: Path,
    table: Table,
    columns: Mapping[str, str],
    document: str | None,
    complain: Complain,
) -> Part:
    part = name if name in (*PARTS, ASKED) else ROWS
    fields = fields_of(kind, part, document)
    trec = part in _TREC and not table.columns
    rows = table.rows
    if trec:
        called: dict[str, str] = {}
        rows = _fields_of_lines(rows, part, path, complain)
        rows = _grouped(rows) if part == "candidates" else rows
    else:
        there, closed = table.columns, table.closed
        called = renames(kind, part, columns, there, where=str(path), document=document, closed=closed)
        if closed:
            _all_there(fields, called, table.columns, path)
    if not table.typed and not (trec and part == "candidates"):
        types = {called.get(own.rstrip("?"), own.rstrip("?")): kind_ for own, kind_ in fields.items()}
        rows = typed_rows(rows, types)
    places: list[str] = []
    kept = None if complain is refuse else places  # nobody asks after them where the first error ends it
    options: dict[str, Any] = {"packed": part == "corpus", "complain": complain, "places": kept}
    found = check_columns(rows, fields, called, where=str(path), unit=table.unit, **options)
    if not table.closed:
        for own, column in called.items():
            if own not in found:
                complain(DataError(f"{path}: no row has a column {column!r} for {own}"))
    return Part(found, str(path), places, called)


def _all_there(fields: Mapping[str, str], called: Mapping[str, str], there: Any, path: Path) -> None:
    for own in fields:
        column = called.get(own, own)
        if not own.endswith("?") and column not in there:
            near = nearest(column, there, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(
                f"{path}: no column {column!r} (there is: {', '.join(there)})\n"
                f"{meant}name the file's own under columns: {{{own}: {near[0] if near else '…'}}}"
            )


def _fields_of_lines(rows: Rows, part: str, path: Path, complain: Complain) -> Rows:
    due = _TREC_WORDS[part]
    for place, row in rows:
        if len(row) == due:
            yield place, {own: row[at] for own, at in _TREC[part].items()}
        else:
            complain(DataError(f"{path}, line {place}: {len(row)} words; {due} are due"))


def _grouped(rows: Rows) -> Rows:
    """The lines of a run as one row a query: its documents in the order of the lines."""
    lists: dict[str, tuple[object, list[str]]] = {}
    for place, row in rows:
        lists.setdefault(row["query_id"], (place, []))[1].append(row["corpus_ids"])
    for query, (place, docs) in lists.items():
        yield place, {"query_id": query, "corpus_ids": docs}


def holds_sets(task: str, files: Mapping[str, Any], form: str | None, columns: Mapping[str, str]) -> bool:
    """Whether the first good row of a clustering task's files is a whole set of sentences."""
    first = next(iter(files_of(task, "clustering", files).values()))
    wrong: list[DataError] = []  # is said when the rows are read to be scored
    parts = read_parts("clustering", first, form=form, columns=columns, complain=wrong.append)
    sentences = parts[ROWS].columns["sentences"] if ROWS in parts else ()
    return bool(sentences) and not isinstance(sentences[0], str)
