"""Which of a file's columns holds which of our fields: what `columns:` says, then the names others use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.data.build import FIELDS, RANKING
from harness.data.judged import ASKED, ROWS
from harness.data.template import template_columns
from harness.errors import DataError, UnknownNameError, nearest

PARTS = ("corpus", "queries", "qrels", "candidates")

# What BEIR, mteb's copies on the hub and trec_eval's users call our fields.
_OTHERS: dict[str, dict[str, tuple[str, ...]]] = {
    "corpus": {"id": ("_id", "doc_id", "docid")},
    "queries": {"id": ("_id", "query_id", "qid"), "text": ("query",)},
    ASKED: {"id": ("_id", "query_id", "qid"), "text": ("query",), "negative": ("negatives",)},
    "qrels": {
        "query_id": ("query-id", "qid"),
        "corpus_id": ("corpus-id", "doc_id", "docid"),
        "score": ("relevance",),
    },
    "candidates": {"query_id": ("query-id", "qid"), "corpus_ids": ("corpus-ids",)},
}


def part_of(kind: str, part: str) -> str:
    """The key of FIELDS for a part of a task's data."""
    return part if part in (*PARTS, ASKED) else "texts" if kind in RANKING else kind


def fields_of(kind: str, part: str, document: str | None = None) -> dict[str, str]:
    """Our fields of one part and their types; of a corpus, with the columns that a template names."""
    fields = dict(FIELDS[part_of(kind, part)])
    if part != "corpus" or document is None:
        return fields
    named = template_columns(document)
    types = {**dict.fromkeys(named, "a string, a number or null"), "id": fields["id"]}
    if "title" in named:  # a title may be absent, as it may be null
        types["title?"] = types.pop("title")
    return types


def known_fields(kind: str, document: str | None = None) -> set[str]:
    """Every key that `columns:` may have for a kind: fields, and for ranking kinds `part.field` too."""
    if kind not in RANKING:
        return {name.rstrip("?") for name in FIELDS.get(kind, ())}
    known = {name.rstrip("?") for part in (ROWS, ASKED) for name in fields_of(kind, part)}
    for part in PARTS:
        own = {name.rstrip("?") for name in fields_of(kind, part, document)}
        known |= own | {f"{part}.{name}" for name in own}
    return known


def check_keys(name: str, kind: str, columns: Iterable[str], document: str | None) -> None:
    """Refuse keys of `columns:` that are no field of the kind. Raises UnknownNameError."""
    known = known_fields(kind, document)
    for key in columns:
        if key not in known:
            fields = ", ".join(sorted(k for k in known if "." not in k))
            raise UnknownNameError(f"field in columns of {name}", key, known, f"{kind} has: {fields}")


def renames(
    kind: str,
    part: str,
    columns: Mapping[str, str],
    there: Sequence[str],
    *,
    where: str,
    document: str | None = None,
    closed: bool = True,
) -> dict[str, str]:
    """Field to column, where a file's column is called otherwise.

    Args:
        columns: what the task says: field, or `part.field`, to column.
        there: the file's columns.
        closed: whether those are all; else a later row may have the named one.

    Raises:
        DataError: the file lacks a column that the task names for it; with the nearest.
    """
    found: dict[str, str] = {}
    spoken = "queries" if part == ASKED else part
    for field in (name.rstrip("?") for name in fields_of(kind, part, document)):
        said = columns.get(f"{spoken}.{field}")
        flat = columns.get(field)
        if flat is None and field == "text" and spoken == "queries":
            flat = columns.get("query")
        if said is None and flat is not None and (flat in there or not _elsewhere(kind, field, spoken)):
            said = flat
        if said is not None and said not in there and closed:
            near = nearest(said, there, 2)
            meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise DataError(f"{where}: no column {said!r} for {field}{meant} (there is: {', '.join(there)})")
        if said is None and field not in there:
            said = next((other for other in _OTHERS.get(part, {}).get(field, ()) if other in there), None)
        if said is not None and said != field:
            found[field] = said
    if (
        part_of(kind, part) == "texts"
        and "documents" in there
        and found.get("negative", "negative") not in there
    ):
        raise DataError(
            f"{where}: column 'documents' is not read, and nothing else is irrelevant: every score "
            f"would be perfect\nwrite scorer: cross_encoder_reranking, or columns: {{negative: …}}"
        )
    return found


def _elsewhere(kind: str, field: str, part: str) -> bool:
    """Whether another part of a ranking kind has a field of this name, so that a key may mean that one."""
    if part not in PARTS:
        return False
    return any(field in {n.rstrip("?") for n in fields_of(kind, p)} for p in PARTS if p != part)
