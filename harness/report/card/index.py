"""A card's model-index as groups with positions: to read, and, where splicing is safe, to edit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from harness.report.card.front_matter import Card, anchors, child, merges
from harness.report.card.groups import known_revision


@dataclass(frozen=True)
class OldMetric:
    """One metric of a group.

    Attributes:
        type: as written.
        value: the node of its value; None where it has none on one line, so that nothing can take its place.
        verified: whether the Hub vouches for the value, or the card says so.
    """

    type: str
    node: yaml.MappingNode
    value: yaml.ScalarNode | None
    verified: bool

    @property
    def number(self) -> float | None:
        """The value as a number; None where it is none (`20.0 ± 1.2`)."""
        return None if self.value is None else number_of(self.value.value)

    @property
    def decimals(self) -> int:
        """How many decimals the value is written with; 20 where it has an exponent."""
        found = re.fullmatch(r"[-+]?[\d_]*(?:\.(\d*))?", self.value.value if self.value else "")
        return len(found[1] or "") if found else 20


@dataclass(frozen=True)
class OldGroup:
    """One result on a card.

    Attributes:
        number: its place in the list of results.
        config: absent is `default`.
        split: absent is "".
        revision: None where unknown (absent, null or `'None'`).
    """

    number: int
    node: yaml.MappingNode
    dataset_node: yaml.Node | None
    metrics_node: yaml.Node | None
    task_type: str
    dataset: str
    name: str
    config: str
    split: str
    revision: str | None
    metrics: tuple[OldMetric, ...]


@dataclass(frozen=True)
class Index:
    """The one entry of a model-index.

    Attributes:
        name: the model's.
        results: the node of its list of results; a scalar or an empty flow list where there is none yet.
    """

    name: str
    results: yaml.Node
    groups: tuple[OldGroup, ...]


def index_of(card: Card) -> Index | None:
    """The model-index of a card that is to be edited; None where the card has none, or an empty one.

    Raises:
        DataError: as `read_index`; anchors, aliases or flow style, where text cannot be spliced safely; with
            the lines.
    """
    if card.root is not None and card.root.flow_style:
        raise card.fault(
            card.root, "the front matter is one {...}, which cannot be edited: give each key a line"
        )
    index = read_index(card)
    block = child(card.root, "model-index")
    if index is None or not isinstance(block, yaml.SequenceNode):
        return None
    marked = anchors(card, block)
    if marked:
        lines = f"line{'s' if len(marked) > 1 else ''} {_some(marked)}"
        raise card.fault(block, f"anchors or aliases in the model-index ({lines}): write the values out")
    nodes = [block, block.value[0], *(() if _is_empty(index.results) else (index.results,))]
    for group in index.groups:
        nodes += [group.node, *((group.metrics_node,) if group.metrics_node else ())]
        nodes += [metric.node for metric in group.metrics]
    for node in nodes:
        if node.flow_style:
            raise card.fault(node, _FLOW)
    return index


def read_index(card: Card) -> Index | None:
    """The model-index of a card in whichever style; None where the card has none, or an empty one.

    Raises:
        DataError: several entries, merged mappings, or a shape that no model-index has; with the lines.
    """
    block = child(card.root, "model-index")
    if block is None or _is_empty(block):
        return None
    entries = _sequence(card, block, "model-index is not a list")
    if len(entries) > 1:
        lines = " and ".join(str(card.line_of(entry)) for entry in entries)
        raise card.fault(block, f"model-index has {len(entries)} entries (lines {lines}); keep one")
    merged = merges(block)
    if merged is not None:
        raise card.fault(merged, "a mapping merged by `<<` in the model-index: write its keys out")
    entry = _mapping(card, entries[0], "the entry of the model-index is not a mapping")
    results = child(entry, "results")
    if results is None:
        raise card.fault(entry, "the entry of the model-index has no `results`")
    name = child(entry, "name")
    groups = () if _is_empty(results) else _sequence(card, results, "`results` is not a list")
    return Index(
        str(name.value) if isinstance(name, yaml.ScalarNode) else "",
        results,
        tuple(_group(card, number, node) for number, node in enumerate(groups)),
    )


def number_of(text: str) -> float | None:
    """A scalar's text as a number; None where it is none."""
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return None


def _group(card: Card, number: int, node: yaml.Node) -> OldGroup:
    group = _mapping(card, node, "a result is not a mapping")
    dataset, metrics = child(group, "dataset"), child(group, "metrics")
    return OldGroup(
        number,
        group,
        dataset,
        metrics,
        _text(child(group, "task"), "type"),
        _text(dataset, "type"),
        _text(dataset, "name"),
        _text(dataset, "config") or "default",
        _text(dataset, "split"),
        known_revision(_text(dataset, "revision") or None),
        () if metrics is None else tuple(_metrics(card, metrics)),
    )


def _metrics(card: Card, block: yaml.Node) -> Iterator[OldMetric]:
    for item in _sequence(card, block, "`metrics` is not a list"):
        metric = _mapping(card, item, "a metric is not a mapping")
        value = child(metric, "value")
        editable = isinstance(value, yaml.ScalarNode) and value.style not in ("|", ">")
        yield OldMetric(
            _text(metric, "type"),
            metric,
            value if editable and isinstance(value, yaml.ScalarNode) else None,
            child(metric, "verifyToken") is not None or _text(metric, "verified").lower() == "true",
        )


def _text(node: yaml.Node | None, key: str) -> str:
    """A scalar's text as written; "" where there is none, or null."""
    value = child(node, key)
    if not isinstance(value, yaml.ScalarNode) or value.tag == "tag:yaml.org,2002:null":
        return ""
    return str(value.value)


def _is_empty(node: yaml.Node) -> bool:
    return node.value in ("", "null", "~", [])


def _sequence(card: Card, node: yaml.Node, otherwise: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise card.fault(node, otherwise)
    return list(node.value)


def _mapping(card: Card, node: yaml.Node, otherwise: str) -> yaml.MappingNode:
    if not isinstance(node, yaml.MappingNode):
        raise card.fault(node, otherwise)
    return node


_FLOW = "flow style ([...] or {...}) in the model-index cannot be edited safely: write it as indented lines"


def _some(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:5]))
    return f"{shown} and {len(lines) - 5} more" if len(lines) > 5 else shown
