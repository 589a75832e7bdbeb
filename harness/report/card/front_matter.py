"""A model card's front matter as text with positions: found, composed, and refused where it is not sound.

Nothing here changes a byte. YAML gives nodes with marks (positions in the text), from which edits are made;
every refusal names file and line.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from harness.errors import DataError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = re.compile(r"\ufeff?(?:[ \t]*\r?\n)*---[ \t]*\r?\n")
_CLOSING = re.compile(r"^---[ \t]*\r?$", re.MULTILINE)
_INDEX_KEY = re.compile(r"^model-index:[ \t]*\r?$", re.MULTILINE)
# what stands inside a model-index and nowhere else
_AT_MARGIN = re.compile(r"^(results:|- task:)[^\r\n]*", re.MULTILINE)
_DEEPEST = 100  # levels

# ("scalar", (tag, text)), ("alias", ("", number)), ("list", [Plain ...]) or ("map", [(Plain, Plain) ...])
Plain = tuple[str, Any]


@dataclass(frozen=True)
class Card:
    """A card's text and where its YAML stands.

    Attributes:
        label: how messages name it.
        text: the whole file.
        start, end: of the YAML, the lines between the two `---`; equal where there is none.
        fenced: whether there is a front matter at all.
        whole: whether the file is nothing but YAML.
        root: of the YAML; None where it is empty.
        newline: as the file's first line ends.
    """

    label: str
    text: str
    start: int
    end: int
    fenced: bool
    whole: bool
    root: yaml.MappingNode | None
    newline: str

    def line(self, at: int) -> int:
        """Line number (from 1) of a position in the text."""
        return bisect_left(self._breaks, at) + 1

    @cached_property
    def _breaks(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def span(self, node: yaml.Node) -> tuple[int, int]:
        """Start and end of a node in the text."""
        return self.start + node.start_mark.index, self.start + node.end_mark.index

    def line_of(self, node: yaml.Node) -> int:
        """Line number of a node's first character."""
        return self.line(self.span(node)[0])

    def fault(self, node: yaml.Node | None, what: str) -> DataError:
        """An error that names file and line."""
        line = self.line(self.start) if node is None else self.line_of(node)
        return DataError(f"{self.label}, line {line}: {what}")

    def content_end(self, node: yaml.Node) -> int:
        """Where the last line of a block node ends, its line break included; comments below are not its."""
        last = max(self.span(leaf)[1] for leaf in _leaves(node))
        if last > self.start and self.text[last - 1] == "\n":  # a block scalar
            return last
        stop = self.text.find("\n", last, self.end)
        return self.end if stop < 0 else stop + 1


def read_card(path: Path) -> Card:
    """The card in a file, or in a folder's README.md. A `.yaml` file is front matter from end to end.

    Raises:
        DataError: no such file, or as in `parse_card`.
    """
    path = path / "README.md" if path.is_dir() else path
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_card(raw, str(path), whole=path.suffix in (".yaml", ".yml"))


def parse_card(raw: bytes, label: str, *, whole: bool = False) -> Card:
    """The card in a file's bytes.

    Raises:
        DataError: not UTF-8, a front matter without end, not YAML, no mapping, a key that stands twice;
            with the line.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(f"{label}, line {line}: not UTF-8 (byte {error.start})") from error
    start, end, fenced = _found(text, label, whole=whole)
    newline = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    card = Card(label, text, start, end, fenced, whole, None, newline)
    _refuse_lost_indentation(card)
    root = compose(text[start:end], label, card.line(start))
    if root is None:
        return card
    if not isinstance(root, yaml.MappingNode):
        raise card.fault(root, "the front matter is not a mapping with a key a line")
    refuse_duplicates(card, root)
    return Card(label, text, start, end, fenced, whole, root, newline)


def compose(text: str, label: str, first_line: int = 1) -> yaml.Node | None:
    """The nodes of a YAML text.

    Raises:
        DataError: not YAML, or nested too deeply; with the line.
    """
    try:
        _refuse_deep(text, label, first_line)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # not the mark's own line: YAML 1.1 begins one at U+0085 and U+2028, as no editor does
        line = first_line + (text.count("\n", 0, mark.index) if mark else 0)
        why = " ".join(part for part in (error.context, error.problem) if part)
        raise DataError(f"{label}, line {line}: not YAML ({why})") from error
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        at = at if isinstance(at, int) else 0
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{label}, line {first_line + text.count(chr(10), 0, at)}: not YAML ({reason})"
        ) from error
    return node


def child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """The value of a key of a mapping node; None where there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def in_lines(node: yaml.Node) -> bool:
    """Whether it is a collection in block style, a line a key or item."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style


def plain(node: yaml.Node | None) -> Plain:
    """A node as tuples and lists that compare equal where YAML says the same, order of keys included.

    An alias is a number and not what it stands for: a few lines of aliases can stand for gigabytes.
    """
    return ("map", []) if node is None else _plain(node, set(), {})


def _plain(node: yaml.Node, seen: set[int], aliases: dict[int, int]) -> Plain:
    if id(node) in seen:
        return "alias", ("", aliases.setdefault(id(node), len(aliases)))
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        return "map", [
            (_plain(key, seen, aliases), _plain(value, seen, aliases)) for key, value in node.value
        ]
    if isinstance(node, yaml.SequenceNode):
        return "list", [_plain(item, seen, aliases) for item in node.value]
    return "scalar", (node.tag, node.value)


def anchors(card: Card, node: yaml.Node) -> list[int]:
    """Lines on which anchors or aliases stand within a node."""
    start, end = card.span(node)
    found = []
    for event in yaml.parse(card.text[card.start : card.end], Loader=_Loader):
        at = card.start + (event.start_mark.index if event.start_mark else 0)
        if start <= at < end and getattr(event, "anchor", None) is not None:
            found.append(card.line(at))
    return found


def merges(node: yaml.Node) -> yaml.Node | None:
    """The first key `<<` within a node, which adds another mapping's keys; None where there is none."""
    for each in _nodes(node, set()):
        if isinstance(each, yaml.ScalarNode) and each.tag == "tag:yaml.org,2002:merge":
            return each
    return None


def _refuse_deep(text: str, label: str, first_line: int) -> None:
    """Composing calls itself once a level: a hundred thousand brackets would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            at = event.start_mark.index if event.start_mark else 0
            line = first_line + text.count("\n", 0, at)
            raise DataError(f"{label}, line {line}: nested more than {_DEEPEST} levels deep")


def _found(text: str, label: str, *, whole: bool) -> tuple[int, int, bool]:
    """Start and end of the YAML, and whether there is any."""
    bom = 1 if text.startswith("\ufeff") else 0
    if whole:
        return bom, len(text), True
    opening = _OPENING.match(text)
    if opening is None:
        if re.match(r"---[ \t]*\r", text[bom:]):
            raise DataError(f"{label}, line 1: lines that end in CR alone: save the file with LF or CR LF")
        return bom, bom, False
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        line = text.count("\n", 0, opening.end() - 1) + 1
        raise DataError(f"{label}, line {line}: the front matter that begins here has no closing ---")
    return opening.end(), closing.start(), True


def _refuse_lost_indentation(card: Card) -> None:
    index = _INDEX_KEY.search(card.text, card.start, card.end)
    margin = _AT_MARGIN.search(card.text, index.end(), card.end) if index else None
    if margin:
        line, above = card.line(margin.start()), card.line(index.start() if index else 0)
        key = margin.group().strip()
        raise DataError(
            f"{card.label}, line {line}: the front matter has lost its indentation: {key!r}\n"
            f"stands at the margin, but belongs into the model-index of line {above}\n"
            "restore the block from the card's history, or delete it"
        )


def refuse_duplicates(card: Card, root: yaml.Node) -> None:
    """Raise DataError where a key stands twice in one mapping."""
    for node in _nodes(root, set()):
        seen: dict[tuple[str, str], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name = (key.tag, str(key.value))
            if name in seen:
                raise card.fault(key, f"key {key.value!r} stands already in line {seen[name]}")
            seen[name] = card.line_of(key)


def _nodes(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(key, seen)
            yield from _nodes(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item, seen)


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    """Nodes whose end is the end of their text: scalars and flow collections."""
    for each in _nodes(node, set()):
        if not in_lines(each):
            yield each
