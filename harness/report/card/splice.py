"""Carrying out a plan on a card: text in, text out, everything that must hold afterwards checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import DataError
from harness.report.card.edits import Edit, Plan
from harness.report.card.front_matter import Card, Plain, compose, parse_card, plain
from harness.report.card.groups import Group
from harness.report.card.plan import Rules, plan
from harness.report.card.render import Layout, group_text, model_index_text, scalar


def spliced(card: Card, made: Plan, groups: Sequence[Group], rules: Rules) -> bytes:
    """The card's bytes after the edits of a plan, which were made for these groups under these rules.

    Raises:
        DataError: the text afterwards is not what it must be. Then nothing may be written.
    """
    text = apply(card.text, made.edits)
    if not made.edits:
        return text.encode("utf-8")
    label = f"{card.label} (as edited)"
    after = parse_card(text.encode("utf-8"), label, whole=card.whole)
    if plain(after.root) != expected(card, made):
        raise DataError(f"{card.label}: the edit would change more than it may; nothing is written")
    again = plan(after, groups, made.name, rules)
    if apply(after.text, again.edits) != text:
        raise DataError(f"{card.label}: a second run would change the card again; nothing is written")
    return text.encode("utf-8")


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with the edits, which come in order and do not overlap; all else stays as it is."""
    parts, at = [], 0
    for edit in edits:
        if edit.start < at:
            raise DataError("two edits of the card meet; nothing is written")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def expected(card: Card, made: Plan) -> Plain:
    """What the YAML must say after the plan: the card's own data with the plan's changes."""
    root = plain(card.root)
    new = [_plain_of(group_text(group, Layout(dash=0)))[1][0] for group in made.groups]
    if made.name:
        if not made.groups:
            return root
        block = _plain_of(model_index_text(made.name, made.groups))[1][0]
        kept = [pair for pair in root[1] if pair[0] != block[0]]
        where = next((i for i, pair in enumerate(root[1]) if pair[0] == block[0]), len(root[1]))
        return "map", [*kept[:where], block, *kept[where:]]
    entry = _get(root, "model-index")[1][0]
    results = _get(entry, "results")
    groups = list(results[1]) if results[0] == "list" else []
    for (number, place), text in made.values.items():
        metric = _get(groups[number], "metrics")[1][place]
        _set(metric, "value", _plain_of(text))
    for number, revision in made.revisions.items():
        _set(_get(groups[number], "dataset"), "revision", _plain_of(scalar(revision)))
    for number, metrics in made.metrics.items():
        _get(groups[number], "metrics")[1].extend(
            ("map", [(_plain_of(key), _plain_of(scalar(value))) for key, value in metric.items()])
            for metric in metrics
        )
    left = [group for number, group in enumerate(groups) if number not in made.pruned]
    if results[0] == "list" or new:
        _set(entry, "results", ("list", [*left, *new]))
    return root


def _plain_of(text: str) -> Any:
    return plain(compose(text, "rendered"))


def _get(mapping: Plain, key: str) -> Any:
    return next(value for name, value in mapping[1] if _is(name, key))


def _set(mapping: Plain, key: str, value: Any) -> None:
    """Put a value in its place, or behind the others."""
    for i, (name, _) in enumerate(mapping[1]):
        if _is(name, key):
            mapping[1][i] = (name, value)
            return
    mapping[1].append((("scalar", ("tag:yaml.org,2002:str", key)), value))


def _is(name: Plain, key: str) -> bool:
    """Whether a key of a mapping is this word; YAML takes lists and mappings for keys too."""
    return name[0] == "scalar" and name[1][1] == key
