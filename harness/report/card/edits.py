"""Edits of a card's text: where what goes, laid out as the card is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from harness.report.card.front_matter import Card, child, in_lines
from harness.report.card.index import Index, OldGroup
from harness.report.card.render import Layout, group_text, metric_text, model_index_text, scalar

_DOTS = re.compile(r"^\.\.\.(?=\s|\Z)", re.MULTILINE)

What = Literal["added", "updated", "unchanged", "kept", "conflicting", "pruned"]


@dataclass(frozen=True)
class Change:
    """What happens to one value; `line` and `old` are the card's before the edit, where it has any."""

    what: What
    name: str
    line: int | None = None
    old: str = ""
    new: str = ""


@dataclass(frozen=True)
class Edit:
    """Characters `start` to `end` become `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Plan:
    """Everything that an edit of a card does.

    Attributes:
        edits: in the order of their positions, none overlapping.
        values: (group, metric) in the card's numbering to the text of its new value.
        revisions: group to its new revision.
        metrics: group to the metrics added to it.
        groups: groups added at the end.
        pruned: groups that go.
        name: of the model-index entry, where there is none yet.
    """

    changes: list[Change] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    values: dict[tuple[int, int], str] = field(default_factory=dict)
    revisions: dict[int, str] = field(default_factory=dict)
    metrics: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    pruned: set[int] = field(default_factory=set)
    name: str = ""

    def of(self, what: What) -> list[Change]:
        """The changes of one sort."""
        return [change for change in self.changes if change.what == what]


def insertions(card: Card, index: Index | None, made: Plan) -> Iterator[Edit]:
    """Edits for everything but values, in the order in which they go where they meet."""
    if index is None:
        if made.groups:
            yield _new_index(card, made)
        return
    for number, revision in made.revisions.items():
        yield _revision(card, index.groups[number], revision)
    for number, metrics in made.metrics.items():
        old = index.groups[number]
        if not old.metrics or old.metrics_node is None:
            raise card.fault(old.node, "a result without metrics cannot be added to: delete it")
        column = old.metrics_node.start_mark.column
        gap = old.metrics[-1].node.start_mark.column - column
        text = "".join(metric_text(metric, column, gap, card.newline) for metric in metrics)
        yield _insert(card, card.content_end(old.metrics[-1].node), text)
    for number in sorted(made.pruned):
        start = card.span(index.groups[number].node)[0]
        yield Edit(card.text.rfind("\n", 0, start) + 1, card.content_end(index.groups[number].node), "")
    if made.groups and index.groups:
        text = "".join(group_text(group, _layout(card, index)) for group in made.groups)
        yield _insert(card, card.content_end(index.groups[-1].node), text)
    elif made.groups:
        entry = child(card.root, "model-index")
        assert isinstance(entry, yaml.SequenceNode)
        layout = Layout(dash=entry.value[0].start_mark.column, newline=card.newline)
        text = "".join(group_text(group, layout) for group in made.groups)
        yield Edit(*card.span(index.results), card.newline + text.removesuffix(card.newline))


def _new_index(card: Card, made: Plan) -> Edit:
    text = model_index_text(made.name, made.groups, card.newline)
    if not card.fenced:
        return Edit(card.start, card.start, f"---{card.newline}{text}---{card.newline}")
    block = child(card.root, "model-index")
    if block is None:
        return _insert(card, _yaml_end(card), text)
    body = text.removeprefix(f"model-index:{card.newline}").removesuffix(card.newline)
    return Edit(*card.span(block), card.newline + body)


def _yaml_end(card: Card) -> int:
    """Where the YAML ends: above the `...` that closes it, where there is one."""
    start = card.start if card.root is None else card.content_end(card.root)
    dots = _DOTS.search(card.text, start, card.end)
    return dots.start() if dots else card.end


def _insert(card: Card, at: int, text: str) -> Edit:
    if at > card.start and card.text[at - 1] != "\n":  # the file's last line has no line break
        text = card.newline + text.removesuffix(card.newline)
    return Edit(at, at, text)


def _revision(card: Card, old: OldGroup, revision: str) -> Edit:
    node = child(old.dataset_node, "revision")
    if isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">"):
        start, end = card.span(node)
        return Edit(start, end, scalar(revision) if start < end else f" {scalar(revision)}")
    dataset = old.dataset_node
    if node is not None or dataset is None or not in_lines(dataset):
        raise card.fault(old.node, "no revision can be put into this result safely: write it by hand")
    line = f"{' ' * dataset.start_mark.column}revision: {scalar(revision)}{card.newline}"
    return _insert(card, card.content_end(dataset), line)


def _layout(card: Card, index: Index) -> Layout:
    """As the card's last result is laid out."""
    last = index.groups[-1]
    dash, column = index.results.start_mark.column, last.node.start_mark.column
    metrics, dataset = last.metrics_node, last.dataset_node
    step = dataset.start_mark.column - column if dataset is not None and in_lines(dataset) else 2
    inner = 0 if metrics is None else metrics.start_mark.column - column
    return Layout(dash, column - dash, inner, step, card.newline)
