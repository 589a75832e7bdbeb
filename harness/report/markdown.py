"""Markdown text: table cells that cannot break out of their cell, and tables."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence


def escape(text: str) -> str:
    """`text` to be read as it is: pipes, markup, HTML and line breaks in it lose their meaning."""
    flat = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*\[\]|~])|(?<!\w)_|_(?!\w)", lambda match: "\\" + match.group(0), flat)


def plain(escaped: str) -> str:
    """The text that `escape` made harmless, its white space as `escape` left it."""
    return html.unescape(re.sub(r"\\([\\`*\[\]|~_])", r"\1", escaped))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """A pipe table; cells are Markdown already. Columns are right-aligned but for the indices in `left`."""
    rule = [":--" if i in left else "--:" for i in range(len(header))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rule, *rows))
