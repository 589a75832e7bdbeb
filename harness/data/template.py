"""Templates of a document's text, such as "{title} {description}": any column of the corpus, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

Pieces = tuple[tuple[str, str | None], ...]  # literal text, and the column that follows it


def parse_template(template: str) -> Pieces:
    """Split a template into literals and the names of columns.

    A name is taken as it stands: it reaches into no object, and no format is applied.

    Raises:
        ValueError: unbalanced braces, an empty name, a conversion or a format.
    """
    pieces = []
    for literal, name, form, conversion in Formatter().parse(template):
        if name is not None and (not name.strip() or form or conversion):
            raise ValueError("a document template holds names of columns in braces, such as {title}")
        pieces.append((literal, name))
    if not any(name for _, name in pieces):
        raise ValueError("a document template names at least one column in braces, such as {text}")
    return tuple(pieces)


def template_columns(template: str) -> list[str]:
    """The columns that a template names, each once, in order; errors as in `parse_template`."""
    return list(dict.fromkeys(name for _, name in parse_template(template) if name is not None))


def fill(pieces: Pieces, row: Mapping[str, Any]) -> str:
    """The text of one document; a value that is missing or null leaves nothing. Stripped."""
    filled = []
    for literal, name in pieces:
        value = None if name is None else row.get(name)
        filled.append(literal + ("" if value is None else str(value)))
    return "".join(filled).strip()
