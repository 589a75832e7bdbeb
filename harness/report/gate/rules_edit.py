"""A number put into a `gates.yaml` that somebody wrote: nothing else of the file changes, comments least."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from harness.errors import DataError
from harness.report.card.front_matter import Card, anchors, child, in_lines, parse_card

_MEASURED = re.compile(r" *# [^#\r\n]*: moved [0-9.]+ in [0-9]+ repeats?[^\r\n]*")  # what is put here


def put(
    text: str, label: str, path: Sequence[str], value: str, comment: str, *, force: bool = False
) -> tuple[str, str | None]:
    """The text with a number at a path of keys, and a comment at the end of its line if that has none.

    Args:
        label: how messages name the file.
        path: of keys; what is missing of it is made.
        force: whether a number that is there is replaced.

    Returns:
        The new text, and the number that was there and stays; None where there was none, or it was replaced.

    Raises:
        DataError: not YAML, no mapping, or it cannot be added to without rewriting what is there.
    """
    card = _parsed(text, label)
    if card.root is None:
        return f"{_ended(text, card)}{_lines(path, value, comment, 0, card)}", None
    if lines := anchors(card, card.root):
        raise DataError(f"{label}, line {lines[0]}: a file with anchors is not added to: name another one")
    node: yaml.Node = card.root
    for depth, key in enumerate(path):
        found = child(node, key)
        if found is None:
            new = _added(card, node, path[depth:], value, comment)
            break
        node = found
    else:
        start, end = card.span(node)
        if not force:
            return text, text[start:end]
        new = _commented(f"{text[:start]}{value}{text[end:]}", start, comment)
    if yaml.safe_load(new) != _with(yaml.safe_load(text), path, yaml.safe_load(value)):
        raise DataError(
            f"{label}: {'.'.join(path)} cannot be put in safely: write it by hand, or name another file"
        )
    return new, None


def newline(text: str) -> str:
    """As the file's first line ends."""
    return "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"


def _parsed(text: str, label: str) -> Card:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        root = None  # what is wrong with it is said below
    if root is not None and not (isinstance(root, yaml.MappingNode) and in_lines(root)):
        raise DataError(f"{label}: not a mapping with a key a line: write it so, or name another file")
    return parse_card(text.encode(), label, whole=True)


def scalar(name: str) -> str:
    """A string as YAML writes it in one line."""
    return str(yaml.safe_dump(name, width=1000, allow_unicode=True)).splitlines()[0]


def _added(card: Card, node: yaml.Node, path: Sequence[str], value: str, comment: str) -> str:
    """The text with a path of new keys in a mapping: a line below its last one, or first within braces."""
    if not isinstance(node, yaml.MappingNode):
        raise card.fault(node, f"{path[0]} cannot be put into what is no mapping")
    if in_lines(node):
        at = card.content_end(node)
        lines = _lines(path, value, comment, node.start_mark.column, card)
        return f"{_ended(card.text[:at], card)}{lines}{card.text[at:]}"
    at = card.span(node)[0] + 1
    inner = value
    for key in reversed(path[1:]):
        inner = f"{{{scalar(key)}: {inner}}}"
    inner = f"{scalar(path[0])}: {inner}{', ' if node.value else ''}"
    return _commented(f"{card.text[:at]}{inner}{card.text[at:]}", at, comment)


def _lines(path: Sequence[str], value: str, comment: str, indent: int, card: Card) -> str:
    """Nested keys, the last two in one line."""
    *above, last = path
    said = f"{last}: {value}"
    if above:
        said = f"{scalar(above.pop())}: {{{said}}}"
    lines = [f"{scalar(key)}:" for key in above] + [f"{said}  # {comment}"]
    return "".join(f"{' ' * (indent + 2 * at)}{line}{card.newline}" for at, line in enumerate(lines))


def _commented(text: str, at: int, comment: str) -> str:
    """The comment behind the line of a position: in place of an older measurement's, never of another one."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end - (text[end - 1] == "\r")
    line = text[at:end]
    if _MEASURED.search(line):
        line = _MEASURED.sub("", line)
    elif "#" in line:
        return text
    return f"{text[:at]}{line.rstrip()}  # {comment}{text[end:]}"


def _ended(text: str, card: Card) -> str:
    return text if not text or text.endswith("\n") else f"{text}{card.newline}"


def _with(data: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """What the new text must mean."""
    key, *rest = path
    old = data.get(key)
    return {**data, key: _with(old if rest and isinstance(old, dict) else {}, rest, value) if rest else value}
