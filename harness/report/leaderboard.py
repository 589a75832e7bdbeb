"""The leaderboard of a suite: one frame of numbers, and what it looks like as Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.report.aggregate import Row, SuiteTable, Table, aggregate
from harness.report.markdown import escape, table
from harness.report.values import lower_is_better
from harness.store import Failure
from harness.types import Result

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.page import Intervals

MEAN_TASKS, MEAN_TYPES = "Mean (Task)", "Mean (TaskType)"
FACTS = {  # of model_meta.json, shown where at least one model has them
    "n_parameters": "Parameters",
    "embed_dim": "Dimension",
    "max_tokens": "Max tokens",
    "license": "Licence",
}
MARKS = {  # in the order in which they follow a model's name
    "source": ("§", "Published by mteb, not computed here."),
    "merged": ("†", "Put together from several revisions of the model."),
    "other_splits": ("‡", "Some tasks were scored on another split than the suite's."),
}
DIGITS = 4  # of scores x100 in CSV and JSON


@dataclass(frozen=True)
class Leaderboard:
    """A suite's table.

    Attributes:
        frame: a row a model, best first: Rank (Int64, missing for partial rows), Model, Revision, Variant,
            Source, Coverage, facts about the models, means, types and tasks (float64, x100, NaN where
            there is none).
        scores: the frame's columns that hold scores, in order.
        lower: those of them in which the lowest is the best.
        labels: the name of each row as shown, Markdown already.
        notes: footnotes, plain text, a line each.
        models: model name to what is known of it beyond the frame's facts (languages, kind).
    """

    suite: SuiteTable
    frame: pd.DataFrame
    scores: tuple[str, ...]
    lower: frozenset[str]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """Title, table, footnotes; in each column the best is bold, the second underlined, and ties share."""
        facts = [name for name in FACTS.values() if name in self.frame]
        header = ["Rank", "Model", *facts, *self.scores, "Coverage"]
        columns = [
            ["—" if _missing(rank) else str(int(rank)) for rank in self.frame["Rank"]],
            list(self.labels),
            *([_shown(name, value) for value in self.frame[name]] for name in facts),
            *(_marked([float(v) for v in self.frame[name]], name in self.lower) for name in self.scores),
            [str(value) for value in self.frame["Coverage"]],
        ]
        body = table([escape(name) for name in header], list(zip(*columns, strict=True)), left=(1,))
        notes = "".join(f"- {escape(note)}\n" for note in self.notes)
        return f"# {escape(self.suite.title)}\n\n{body}" + (f"\n{notes}" if notes else "")

    def to_csv(self) -> str:
        """The frame as CSV, scores with four decimals, missing values empty."""
        return str(
            self.frame.round(dict.fromkeys(self.scores, DIGITS)).to_csv(index=False, lineterminator="\n")
        )

    def to_json(self) -> str:
        """Suite, rows (column to value, null where missing, scores with four decimals) and notes."""
        rows = [
            {str(name): _plain(value, name in self.scores) for name, value in record.items()}
            for record in self.frame.to_dict(orient="records")
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
        """One self-contained page (`harness.report.page`); `intervals` of the scores where they are known."""
        from harness.report.page import to_html

        return to_html(self, intervals)


def leaderboard(
    results: Iterable[Result],
    suite: SuiteTable,
    *,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    failures: Sequence[Failure] = (),
    merge_revisions: bool = False,
    any_split: bool = False,
) -> Leaderboard:
    """The leaderboard of a suite over results from any number of stores.

    Args:
        models: model name to what is known of it (`n_parameters`, `embed_dim`, `max_tokens`, `license`).
        failures: what could not be scored; those of the suite's tasks become footnotes.
        merge_revisions, any_split: as in `aggregate`; rows they widened are marked.
    """
    import pandas as pd

    found = aggregate(results, suite, merge_revisions=merge_revisions, any_split=any_split)
    tasks, lower = _task_columns(suite)
    scores = (*_means(suite), *suite.types, *tasks.values())
    columns = {
        "Rank": pd.array([row.rank for row in found.rows], dtype="Int64"),
        "Model": [row.model for row in found.rows],
        "Revision": [row.revision for row in found.rows],
        "Variant": ["+".join(row.variant) for row in found.rows],
        "Source": [row.source for row in found.rows],
        "Coverage": [f"{row.have}/{row.need}" for row in found.rows],
        **_facts(found.rows, models or {}),
        MEAN_TASKS: _column(row.mean_tasks for row in found.rows),
        MEAN_TYPES: _column(row.mean_types for row in found.rows),
        **{name: _column((row.types or {}).get(name) for row in found.rows) for name in suite.types},
        **{column: _column(row.scores.get(name) for row in found.rows) for name, column in tasks.items()},
    }
    order = [name for name in columns if name not in scores] + list(scores)
    frame = pd.DataFrame(columns)[order]
    if suite.lower_is_better:
        lower |= {*_means(suite), *suite.types}
    return Leaderboard(
        suite, frame, scores, frozenset(lower), _labels(found.rows), _notes(found, failures), models or {}
    )


def _means(suite: SuiteTable) -> tuple[str, str]:
    return (MEAN_TYPES, MEAN_TASKS) if suite.average == "types" else (MEAN_TASKS, MEAN_TYPES)


def _task_columns(suite: SuiteTable) -> tuple[dict[str, str], set[str]]:
    """Name of a score to its column; and those columns in which lower is better."""
    columns, lower = {}, set()
    for task in suite.tasks:
        for metric in (task.main, *task.also):
            bare = f"{task.name} {metric}" if task.also else task.name  # two readings of a task: both said
            columns[task.score_name(metric)] = column = _task_column(bare, suite)
            if lower_is_better(metric):
                lower.add(column)
    return columns, lower


def _task_column(name: str, suite: SuiteTable) -> str:
    taken = {"Rank", "Model", "Revision", "Variant", "Source", "Coverage", MEAN_TASKS, MEAN_TYPES}
    return f"{name} (task)" if name in {*taken, *FACTS.values(), *suite.types} else name


def _facts(rows: Sequence[Row], models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    import pandas as pd

    columns: dict[str, Any] = {}
    for key, name in FACTS.items():
        values = [_fact(models.get(row.model, {}).get(key)) for row in rows]
        if all(value is None for value in values):
            continue
        whole = all(value is None or isinstance(value, int) for value in values)
        columns[name] = pd.array(values, dtype="Int64") if whole else values
    return columns


def _fact(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return max(value, default=None)  # mteb lists the dimensions a model can be cut to
    if isinstance(value, float):
        return int(value) if value.is_integer() else None  # mteb writes 512.0 tokens, and infinity
    return value


def _column(values: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """`name[@revision][+variant]` and marks; the revision only where it tells two rows apart."""
    twins = Counter((row.model, row.variant, row.source) for row in rows)
    labels = []
    for row in rows:
        revision = (
            f"@{(row.revision or 'none')[:12]}" if twins[row.model, row.variant, row.source] > 1 else ""
        )
        marks = "".join(mark for name, (mark, _) in MARKS.items() if getattr(row, name))
        labels.append(escape("+".join((row.model + revision, *row.variant))) + (f" {marks}" if marks else ""))
    return tuple(labels)


def _notes(found: Table, failures: Sequence[Failure]) -> tuple[str, ...]:
    marks = [
        f"{mark} {why}" for name, (mark, why) in MARKS.items() if any(getattr(r, name) for r in found.rows)
    ]
    partial = sum(not row.complete for row in found.rows)
    coverage = f"{partial} without every result of the suite (see Coverage): no mean and no rank."
    left_out = [f"Results: {note}." for note in found.notes]
    tasks = {task.name for task in found.suite.tasks}
    failed = [_failure(f) for f in failures if f.task in tasks and f.protocol == found.suite.protocol]
    return (*marks, *([coverage] if partial else []), *left_out, *sorted(failed))


def _failure(failure: Failure) -> str:
    name, at = (
        "+".join((failure.model, *failure.variant)),
        f"{failure.task} ({failure.split}/{failure.subset})",
    )
    first = next((line.strip() for line in failure.error.splitlines() if line.strip()), "no error text")
    return f"Failed: {name} on {at}: {first}"


def _marked(values: Sequence[float], lower: bool) -> list[str]:
    """Cells of a column; compared as shown, so that equal figures look equal."""
    cells = ["—" if math.isnan(value) else f"{value:.2f}" for value in values]
    shown = sorted({float(cell) for cell in cells if cell != "—"}, reverse=not lower)
    if sum(cell != "—" for cell in cells) < 2:
        return cells
    wraps = dict(zip(shown, ("**{}**", "<u>{}</u>"), strict=False))
    return [cell if cell == "—" else wraps.get(float(cell), "{}").format(cell) for cell in cells]


def _shown(name: str, value: Any) -> str:
    if _missing(value):
        return "—"
    if name == FACTS["n_parameters"]:
        return f"{value / 1e9:.1f}B" if value >= 1e9 else f"{value / 1e6:.1f}M"
    return escape(str(value))


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _plain(value: Any, score: bool) -> Any:
    if _missing(value):
        return None
    return round(float(value), DIGITS) if score else value
