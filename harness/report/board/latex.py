"""A leaderboard as LaTeX: the table of the Markdown, its footnotes as comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.report.markdown import plain

if TYPE_CHECKING:
    from harness.report.board.leaderboard import Leaderboard

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "—": "---", "§": r"\S{}", "†": r"\dag{}", "‡": r"\ddag{}",
    **{mark: "\\" + mark for mark in "&%$#_{}"},
}  # fmt: skip
_PLACES = {0: r"\textbf{%s}", 1: r"\underline{%s}", None: "%s"}


def escape(text: str) -> str:
    """`text` as LaTeX shows it: nothing in it is a command, a comment or a new column."""
    return re.sub(
        "[" + re.escape("".join(_SPECIAL)) + "]", lambda m: _SPECIAL[m.group()], " ".join(text.split())
    )


def latex(board: Leaderboard) -> str:
    """A `tabular` with booktabs' rules: best bold, second underlined; title and notes are comments."""
    header, rows = board.grid()
    lines = [" & ".join(escape(name) for name in header) + r" \\", r"\midrule"]
    for row in rows:
        cells = [_PLACES[c.place] % escape(plain(c.text) if i == 1 else c.text) for i, c in enumerate(row)]
        lines.append(" & ".join(cells) + r" \\")
    comments = [f"% {' '.join(line.split())}" for line in (board.suite.title, *board.notes)]
    columns = "rl" + "r" * (len(header) - 2)
    return "\n".join(
        [
            *comments,
            "% \\usepackage{booktabs}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )
