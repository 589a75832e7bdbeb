"""The files of `.eval_results/` as they would be: values are replaced in place, what else is there stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from harness.errors import DataError
from harness.report.card.edits import Change, Edit
from harness.report.card.files import File
from harness.report.card.front_matter import Card, Plain, anchors, child, compose, plain, refuse_duplicates
from harness.report.card.index import number_of
from harness.report.card.match import hundredfold
from harness.report.card.plan import OnConflict
from harness.report.card.render import scalar
from harness.report.card.splice import apply


def eval_files(
    wanted: Mapping[str, dict[str, Any]],
    read: Callable[[str], bytes | None],
    *,
    on_conflict: OnConflict = "fail",
    digits: int | None = None,
) -> list[File]:
    """The files with these entries: values are replaced in place, what else stands there stays.

    Args:
        wanted: file name to entry.
        read: a file's bytes by its name; None where there is none.

    Raises:
        DataError: a file that is not a list of entries or cannot be edited safely (anchors, aliases, flow
            style, an entry or a key that stands twice), a value that is about a hundredfold of ours or that
            the Hub has verified; with the line.
    """
    return [_file(name, read(name), entry, on_conflict, digits) for name, entry in wanted.items()]


def entry_text(entry: Mapping[str, Any], newline: str = "\n", column: int = 0) -> str:
    """One entry as YAML, with its dash in this column."""
    lines = []
    for key, value in entry.items():
        if isinstance(value, dict):
            lines += [f"  {key}:", *(f"    {k}: {scalar(v)}" for k, v in value.items())]
        else:
            lines.append(f"  {key}: {scalar(value)}")
    return "".join(" " * column + line + newline for line in ["-" + lines[0][1:], *lines[1:]])


def _file(name: str, raw: bytes | None, entry: dict[str, Any], rule: OnConflict, digits: int | None) -> File:
    label = f"{entry['dataset']['id']} {entry['dataset']['task_id']}"
    new = scalar(entry["value"])
    if raw is None:
        return File(name, None, entry_text(entry).encode("utf-8"), (Change("added", label, new=new),))
    card, root = _read(name, raw)
    about = [i for i, item in enumerate(root.value) if _is_about(item, entry)] if root else []
    if len(about) > 1:
        lines = ", ".join(str(card.line_of(root.value[i])) for i in about) if root else ""
        raise DataError(f"{name}: {label} stands {len(about)} times (lines {lines}); keep one")
    if root is None or not about:
        column = root.start_mark.column if root else 0
        at = card.content_end(root) if root and root.value else len(card.text)
        gap = card.newline if at > card.start and card.text[at - 1] != "\n" else ""
        text = apply(card.text, [Edit(at, at, gap + entry_text(entry, card.newline, column))])
        items = [*(plain(root)[1] if root else []), *_plain(entry_text(entry))[1]]
        return File(name, raw, _checked(card, text, items), (Change("added", label, new=new),))
    old = root.value[about[0]]
    node = child(old, "value")
    line = card.line_of(old if node is None else node)
    if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
        raise DataError(f"{name}, line {line}: no `value` on one line")
    number = number_of(node.value)
    if number is not None and _equal(number, entry["value"], digits):
        return File(name, raw, raw, (Change("unchanged", label, line),))
    if hundredfold(number, entry["value"]):
        raise DataError(
            f"{name}, line {line}: {label} is {node.value} there and {new} here, about a hundredfold\n"
            "correct the map's `scale` (1 or 100, as the benchmark counts), or the file"
        )
    if rule == "keep":
        return File(name, raw, raw, (Change("kept", label, line, node.value, new),))
    if child(old, "verifyToken") is not None:
        raise DataError(f"{name}, line {line}: the Hub has verified {node.value}, which would become {new}")
    day = child(old, "date")
    if day is not None and not (isinstance(day, yaml.ScalarNode) and "date" in entry):
        raise DataError(
            f"{name}, line {card.line_of(day)}: the date there is the old value's; give the map a "
            "`date`, or delete the line"
        )
    texts = {"value": new} if day is None else {"value": new, "date": scalar(entry["date"])}
    edits = []
    for found, text in ((node, new), (day, texts.get("date", ""))):
        if found is not None:
            start, end = card.span(found)
            edits.append(Edit(start, end, text if start < end else f" {text}"))
    edits.sort(key=lambda edit: edit.start)
    items = plain(root)[1]
    items[about[0]] = _with(items[about[0]], texts)
    change = Change("updated" if rule == "update" else "conflicting", label, line, node.value, new)
    return File(name, raw, _checked(card, apply(card.text, edits), items), (change,))


def _read(name: str, raw: bytes) -> tuple[Card, yaml.SequenceNode | None]:
    """A file's text, and its list; None where it is empty."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 (byte {error.start})") from error
    start = int(text.startswith("\ufeff"))
    card = Card(name, text, start, len(text), True, True, None, "\r\n" if "\r\n" in text else "\n")
    root = compose(text[start:], name)
    if root is None:
        return card, None
    if not isinstance(root, yaml.SequenceNode) or root.flow_style:
        raise card.fault(root, "not a list of results with a `-` each")
    refuse_duplicates(card, root)
    if marked := anchors(card, root):
        raise DataError(
            f"{name}, line {marked[0]}: anchors and aliases cannot be edited: write the values out"
        )
    return card, root


def _checked(card: Card, text: str, items: list[Plain]) -> bytes:
    """The bytes of an edited file that says this and nothing else."""
    after = compose(text[card.start :], f"{card.label} (as edited)")
    if plain(after) != ("list", items):
        raise DataError(f"{card.label}: the edit would change more than it may; nothing is written")
    return text.encode("utf-8")


def _with(item: Plain, texts: Mapping[str, str]) -> Plain:
    """An entry in which these keys have other values."""
    return "map", [
        (key, _plain(texts[key[1][1]]) if key[0] == "scalar" and key[1][1] in texts else value)
        for key, value in item[1]
    ]


def _plain(text: str) -> Plain:
    return plain(compose(text, "rendered"))


def _equal(old: float, new: float, digits: int | None) -> bool:
    if digits is not None and round(old, digits) == round(new, digits):
        return True
    return math.isclose(old, new, rel_tol=1e-12)


def _is_about(node: yaml.Node, entry: Mapping[str, Any]) -> bool:
    dataset = child(node, "dataset")
    return all(
        isinstance(value := child(dataset, key), yaml.ScalarNode) and value.value == entry["dataset"][key]
        for key in ("id", "task_id")
    )
