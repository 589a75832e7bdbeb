"""A leaderboard: one table of numbers, and what it looks like as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.report.board.cells import BAND, FACTS, RATE, Cell, exported, marked, shown_as
from harness.report.board.rows import SuiteTable
from harness.report.markdown import escape, table

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.board.page import Intervals


@dataclass(frozen=True)
class Leaderboard:
    """A suite's table.

    Attributes:
        columns: name to a value a row, best row first, None where there is none: Rank, Model, Revision,
            Variant, Source, Coverage; where a row has them what was merged, tasks on other splits, Band and
            Texts/s; facts about the models, means, types and tasks (x100).
        scores: the columns that hold scores, in order.
        lower: those of them in which the lowest is the best.
        labels: the name of each row as shown, Markdown already.
        notes: footnotes, plain text, a line each.
        models: model name to what is known of it beyond the frame's facts (languages, kind).
    """

    suite: SuiteTable
    columns: Mapping[str, Sequence[Any]]
    scores: tuple[str, ...]
    lower: frozenset[str]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The columns as a DataFrame: whole numbers Int64, scores float64 with NaN where there is none."""
        import pandas as pd

        return pd.DataFrame({name: self._typed(name) for name in self.columns})

    def _typed(self, name: str) -> Any:
        import pandas as pd

        values = self.columns[name]
        if name in self.scores or name == RATE:
            return pd.array([math.nan if value is None else value for value in values], dtype="float64")
        whole = values and all(value is None or type(value) is int for value in values)
        if whole or name == "Rank":
            return pd.array(values, dtype="Int64")
        return [  # a name of a file may hold half a surrogate pair, which a frame cannot
            value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
            for value in values
        ]

    def grid(self) -> tuple[list[str], list[list[Cell]]]:
        """Header and rows as Markdown and LaTeX show them; the second column, the label, is Markdown."""
        facts = [name for name in (BAND, *FACTS.values(), RATE) if name in self.columns]
        header = ["Rank", "Model", *facts, *self.scores, "Coverage"]
        columns = [
            [Cell(shown_as(name, value)) for value in self.columns[name]]
            if name not in self.scores
            else marked(self.columns[name], name in self.lower)
            for name in header
        ]
        columns[1] = [Cell(label) for label in self.labels]
        return header, [list(row) for row in zip(*columns, strict=True)]

    def to_markdown(self) -> str:
        """Title, table, footnotes; in each column the best is bold, the second underlined, and ties share."""
        header, rows = self.grid()
        wraps = {0: "**{}**", 1: "<u>{}</u>", None: "{}"}
        cells = [
            [
                wraps[cell.place].format(cell.text if i == 1 else escape(cell.text))
                for i, cell in enumerate(row)
            ]
            for row in rows
        ]
        body = table([escape(name) for name in header], cells, left=(1,))
        notes = "".join(f"- {escape(note)}\n" for note in self.notes)
        return f"# {escape(self.suite.title)}\n\n{body}" + (f"\n{notes}" if notes else "")

    def to_latex(self) -> str:
        """The table of the Markdown for a LaTeX document (`harness.report.board.latex`)."""
        from harness.report.board.latex import latex

        return latex(self)

    def to_csv(self) -> str:
        """The columns as CSV, scores with four decimals, missing values empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        for row in zip(*self.columns.values(), strict=True):
            cells = zip(self.columns, row, strict=True)
            writer.writerow([exported(value, name in self.scores) for name, value in cells])
        return text.getvalue()

    def to_json(self) -> str:
        """Suite, rows (column to value, null where missing, scores with four decimals) and notes."""
        rows = [
            {
                name: exported(value, name in self.scores)
                for name, value in zip(self.columns, row, strict=True)
            }
            for row in zip(*self.columns.values(), strict=True)
        ]
        content = {
            "suite": self.suite.name,
            "title": self.suite.title,
            "protocol": self.suite.protocol,
            "average": self.suite.average,
            "scores": list(self.scores),
            "rows": rows,
            "notes": list(self.notes),
        }
        return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2) + "\n"

    def to_html(self, intervals: Intervals | None = None) -> str:
        """One self-contained page (`harness.report.board.page`); `intervals` of scores where known."""
        from harness.report.board.page import to_html

        return to_html(self, intervals)
