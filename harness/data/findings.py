"""What a person should know of a task's data before a model sees them: all of it, with file and row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from harness.data.build import LABELLED, RANKING
from harness.data.files import Part
from harness.data.judged import ASKED, ROWS, listed

_HOPELESS = "no positive; the query scores 0 and counts"
SHOWN = 20  # of a kind of finding in one file; the others are counted


@dataclass
class Findings:
    """What was found.

    Attributes:
        problems: why the data cannot be scored.
        warnings: what scores, but hardly as meant.
        counts: what the data hold, JSON-ready.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)


def inspect(kind: str, parts: Mapping[str, Part], settings: Mapping[str, Any]) -> Findings:
    """Look through the parts of one split and subset.

    Args:
        parts: as `harness.data.files.read_parts` read them, with places.
        settings: of the scorer.
    """
    found = Findings()
    for name, part in parts.items():
        found.counts[name] = len(part.places)
        found.warnings += _some(_empty_texts(part))
    if kind in RANKING:
        _ranking(parts, found)
    else:
        for name, part in parts.items():
            found.warnings += _some(_repeated_rows(part, "" if name == ROWS else f" of the {name} split"))
    if kind in LABELLED:
        _labelled(kind, parts, settings, found)
    if kind == "pair_classification" and ROWS in parts:
        found.counts["labels"] = _ordered(Counter(parts[ROWS].columns["label"]))
        if len(found.counts["labels"]) < 2 and parts[ROWS].whole:
            only = next(iter(found.counts["labels"]))
            found.problems.append(f"{parts[ROWS].where}: every label is {only}; nothing is told apart")
    scores = parts[ROWS].columns["score"] if kind == "sts" and ROWS in parts else ()
    if len(set(scores)) == 1 and parts[ROWS].whole:
        found.problems.append(f"{parts[ROWS].where}: every score is the same; nothing correlates with it")
    if kind == "clustering" and ROWS in parts:
        labels = [str(label) for value in parts[ROWS].columns["labels"] for label in listed(value)]
        found.counts["labels"] = _ordered(Counter(labels))
    return found


def _some(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    every = list(lines)
    more = len(every) - SHOWN
    return every[:SHOWN] + ([f"... and {more} more like the last"] if more > 0 else [])


def _place(part: Part, row: int, field_name: str | None = None) -> str:
    column = "" if field_name is None else f", {part.renames.get(field_name, field_name)!r}"
    return f"{part.where}, {part.places[row]}{column}"


def _empty_texts(part: Part) -> Iterable[str]:
    optional = ("id", "title", "instruction", "query_id", "corpus_id", "label", "labels")
    for name, column in part.columns.items():
        if name in optional:
            continue
        for row, value in enumerate(column):
            texts = [text for text in listed(value) if isinstance(text, str)]
            if any(not text.strip() for text in texts):
                yield f"{_place(part, row, name)}: an empty text"


def _repeated_rows(part: Part, which: str) -> Iterable[str]:
    seen: dict[str, int] = {}
    for row, values in enumerate(zip(*part.columns.values(), strict=True)):
        first = seen.setdefault(repr(values), row)
        if first != row:
            yield f"{_place(part, row)}: the same as {part.places[first]}{which}"


def _ordered(counter: Counter[Any]) -> dict[str, int]:
    return {str(label): count for label, count in counter.most_common()}


def _labelled(kind: str, parts: Mapping[str, Part], settings: Mapping[str, Any], found: Findings) -> None:
    counters = {
        name: Counter(chain.from_iterable(listed(value) for value in part.columns["label"]))
        for name, part in parts.items()
    }
    found.counts["labels"] = {name: _ordered(counter) for name, counter in counters.items()}
    if not {ROWS, "train"} <= set(parts):
        return
    train, test = counters["train"], counters[ROWS]
    for label in sorted(set(test) - set(train), key=str):
        row = next(n for n, value in enumerate(parts[ROWS].columns["label"]) if label in listed(value))
        place = _place(parts[ROWS], row, "label")
        found.warnings.append(f"{place}: label {label!r} has no training row; it is never predicted")
    if len(train) < 2 and parts["train"].whole:
        found.problems.append(f"{parts['train'].where}: fewer than two different labels to learn")
    wanted = settings.get("samples_per_label", 0)
    for label, count in train.items():
        if kind == "classification" and count < wanted:
            found.warnings.append(
                f"{parts['train'].where}: {count} rows of label {label!r}, {wanted} are drawn for each"
            )
    known = {text: row for row, text in enumerate(parts["train"].columns["text"])}
    leaks = (
        f"{_place(parts[ROWS], row, 'text')}: stands in the training rows too "
        f"({parts['train'].places[known[text]]})"
        for row, text in enumerate(parts[ROWS].columns["text"])
        if text in known
    )
    if parts[ROWS].where != parts["train"].where:
        found.warnings += _some(leaks)


def _ranking(parts: Mapping[str, Part], found: Findings) -> None:
    for name, column in (("corpus", "id"), ("queries", "id"), (ASKED, "id"), ("candidates", "query_id")):
        if name in parts and column in parts[name].columns:
            found.problems += _some(_repeated_ids(parts[name], column))
    if ROWS in parts:
        found.warnings += _some(_own_texts(parts[ROWS]))
        return
    corpus = _whole_ids(parts.get("corpus"))
    if ASKED in parts:
        rows = parts[ASKED].columns
        for side in ("positive", "negative"):
            absent = _outside(parts[ASKED], side, rows.get(side, ()), corpus, "document", "corpus")
            found.problems += _some(absent)
        if not any(parts[ASKED].columns.get("positive", ())):
            found.problems.append(f"{parts[ASKED].where}: no query has a positive")
        else:
            found.warnings += _some(_none(parts[ASKED], "positive", _HOPELESS))
        return
    queries = _whole_ids(parts.get("queries"))
    if "candidates" in parts:
        lists = parts["candidates"].columns["corpus_ids"]
        found.problems += _some(
            _outside(parts["candidates"], "corpus_ids", lists, corpus, "candidate", "corpus")
        )
    if "qrels" in parts:
        part = parts["qrels"]
        found.problems += _some(_two_grades(part))
        asked, docs = part.columns["query_id"], part.columns["corpus_id"]
        found.warnings += _some(_outside(part, "query_id", asked, queries, "query", "queries"))
        found.warnings += _some(_outside(part, "corpus_id", docs, corpus, "document", "corpus"))
        graded = {str(query) for query in asked}
        if "queries" in parts:
            unjudged = (
                f"{_place(parts['queries'], row)}: query {name!r} has no qrels and is left out"
                for row, name in enumerate(map(str, parts["queries"].columns["id"]))
                if name not in graded
            )
            found.warnings += _some(unjudged)


def _whole_ids(part: Part | None) -> set[str] | None:
    """The ids of a part; None where a row was left out of it, so that nothing is said to be missing."""
    return {str(name) for name in part.columns["id"]} if part is not None and part.whole else None


def _repeated_ids(part: Part, column: str) -> Iterable[str]:
    seen: dict[str, int] = {}
    for row, name in enumerate(part.columns[column]):
        if name is not None and (first := seen.setdefault(str(name), row)) != row:
            yield f"{_place(part, row, column)}: id {name!r} stands already in {part.places[first]}"


def _outside(
    part: Part, column: str, values: Sequence[Any], known: set[str] | None, what: str, where: str
) -> Iterable[str]:
    for row, value in enumerate(values if known is not None else ()):
        for name in listed(value):
            if known is not None and str(name) not in known:
                yield f"{_place(part, row, column)}: {what} {name!r} is not in the {where}"


def _two_grades(part: Part) -> Iterable[str]:
    seen: dict[tuple[str, str], tuple[Any, int]] = {}
    columns = (part.columns[name] for name in ("query_id", "corpus_id", "score"))
    for row, (query, doc, grade) in enumerate(zip(*columns, strict=True)):
        before, first = seen.setdefault((str(query), str(doc)), (grade, row))
        if before != grade:
            yield (
                f"{_place(part, row, 'score')}: grade {grade} of document {doc!r} for query {query!r}; "
                f"{part.places[first]} says {before}"
            )


def _none(part: Part, column: str, said: str) -> Iterable[str]:
    return (
        f"{_place(part, row, column)}: {said}"
        for row, value in enumerate(part.columns[column])
        if not listed(value)
    )


def _own_texts(part: Part) -> Iterable[str]:
    yield from _none(part, "positive", _HOPELESS)
    negatives: Sequence[Any] = part.columns.get("negative") or [None] * len(part.places)
    for row, (yes, no) in enumerate(zip(part.columns["positive"], negatives, strict=True)):
        both = set(listed(yes)) & set(listed(no))
        if both:
            yield f"{_place(part, row, 'negative')}: {min(both)!r} is a positive too"
        elif not listed(no):
            yield f"{_place(part, row)}: no negative; there is nothing to rank"
