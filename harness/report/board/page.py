"""A leaderboard as one HTML file: a plain table for everybody, and a script that sorts, filters and draws.

Nothing is loaded from anywhere: style and script stand in the page, and its policy (CSP) allows only these
two, by their hashes. What is written depends on the leaderboard alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from harness.report.board.cells import BAND, MERGED, PARTIAL, RATE, marked, shown_as
from harness.report.markdown import plain
from harness.report.values import lower_is_better

if TYPE_CHECKING:
    from jinja2 import Environment

    from harness.report.board.leaderboard import Leaderboard

Interval = tuple[float, float]
Intervals = Mapping[str, Mapping[int, Interval]]

DIGITS = 4  # of the ends of intervals; scores stand as they are, so that means of them round alike
# of the frame, not facts about models
_NAMES = ("Rank", "Model", "Revision", "Variant", "Source", "Coverage", MERGED, PARTIAL)
_KINDS = {"dense": "bi-encoder", "sparse": "lexical"}  # mteb's words to ours
# where a long name may go on below: after a sign, and between words written together
_SIGN = re.compile(r"(?<=[/_@+-])(?=\w)|(?<=\.)(?=[^\W\d])")
_CAMEL = re.compile(_SIGN.pattern + r"|(?<=[a-z0-9])(?=[A-Z])")
_MARKS = frozenset("§†‡")  # each stands at the head of the note that explains it
_HINTS = {  # what a pointer over a header, or a screen reader, is told; of a task its type and metric
    "Rank": "By Borda count over the tasks, 1 is best; ties share",
    "Mean (Task)": "Mean over the tasks",
    "Mean (TaskType)": "Mean over the means of the types",
    "Kind": "What the model is, where its metadata say so",
    BAND: "Ranks whose neighbours a paired test cannot tell apart",
    RATE: "Texts encoded a second; depends on the device",
    "Coverage": "Results it has, of those that the suite needs",
}


def to_html(board: Leaderboard, intervals: Intervals | None = None) -> str:
    """The page.

    Args:
        intervals: task column to row number to a confidence interval in the score's own scale, as
            `harness.report.board.intervals` finds them; rows and tasks may be missing.
    """
    from markupsafe import Markup

    data = page_data(board, intervals or {})
    style, script = _asset("leaderboard.css"), _asset("leaderboard.js")
    return _environment().get_template("leaderboard.html.j2").render(
        title=data["title"],
        protocol=data["protocol"],
        lower=data["lower"],
        task_count=len(board.suite.tasks),
        model_count=len(set(board.columns["Model"])),
        columns=[{**column, "hint": _hint(column)} for column in data["columns"]],
        models=data["models"],
        rows=list(_rows(data)),
        notes=data["notes"],
        marks={note[0]: note[2:] for note in data["notes"] if note[:1] in _MARKS},
        data=Markup(_script_data(data)),  # noqa: S704
        style=Markup(style), style_hash=_hash(style),  # noqa: S704
        script=Markup(script), script_hash=_hash(script),  # noqa: S704
    )  # fmt: skip


def page_data(board: Leaderboard, intervals: Intervals) -> dict[str, Any]:
    """What the script knows, JSON-ready.

    Returns:
        `columns`: name and kind of each (rank, mean, band, number, word, coverage, type, task; tasks with
        their task, type, metric and direction); `counted`: what a row is; `models`, best
        first: name, marks, languages and `values` in the order of the columns, null where there is none,
        scores x100 unrounded; `intervals`: column number to row number to [low, high].
    """
    frame, suite = board.frame, board.suite
    means, tasks = board.scores[:2], board.scores[2 + len(suite.types) :]
    worse = suite.lower_is_better
    known = [board.models.get(model, {}) for model in frame["Model"]]
    kinds = [_kind(meta) for meta in known]
    named: list[dict[str, Any]] = [
        {"name": "Rank", "kind": "rank"},
        *({"name": name, "kind": "mean", "lower": worse} for name in means),
        *(
            _fact(name, frame[name].tolist())
            for name in map(str, frame)
            if name not in (*_NAMES, *board.scores)
        ),
        {"name": "Coverage", "kind": "coverage"},
        *({"name": name, "kind": "type", "lower": worse} for name in suite.types),
        *_task_columns(board, tasks),
    ]
    values = [[_plain(value) for value in frame[column["name"]].tolist()] for column in named]
    if any(kinds):  # no column of the frame, and a task may have the same name
        named.insert(3, {"name": "Kind", "kind": "word"})
        values.insert(3, kinds)
    place = {column["name"]: i for i, column in enumerate(named) if column["kind"] == "task"}
    return {
        "suite": suite.name,
        "title": suite.title,
        "protocol": suite.protocol,
        "average": suite.average,
        "lower": worse,
        "counted": "row" if len(set(frame["Model"])) < len(frame) else "model",
        "columns": named,
        "models": [
            {
                **_label(board.labels[row]),
                "languages": _words(meta.get("languages")),
                "values": [column[row] for column in values],
            }
            for row, meta in enumerate(known)
        ],
        "intervals": {
            str(place[name]): {
                str(row): [round(low, DIGITS), round(high, DIGITS)] for row, (low, high) in rows.items()
            }
            for name, rows in intervals.items()
        },
        "notes": list(board.notes),
    }


def _task_columns(board: Leaderboard, names: Sequence[str]) -> list[dict[str, Any]]:
    shown = [(task, metric) for task in board.suite.tasks for metric in (task.main, *task.also)]
    return [
        {
            "name": name,
            "kind": "task",
            "task": task.name,
            "type": task.type,
            "metric": metric,
            "lower": lower_is_better(metric),
            "counts": metric == task.main,
        }
        for name, (task, metric) in zip(names, shown, strict=True)
    ]


def _hint(column: Mapping[str, Any]) -> str | None:
    if column["kind"] == "task":
        return f"{column['type']}, {column['metric']}{', lower is better' if column['lower'] else ''}"
    if column["kind"] == "type":
        return f"Mean over the tasks of type {column['name']}"
    return _HINTS.get(column["name"])


def _fact(name: str, values: Sequence[Any]) -> dict[str, Any]:
    if name == BAND:
        return {"name": name, "kind": "band"}
    known = [value for value in (_plain(value) for value in values) if value is not None]
    if not all(isinstance(value, int | float) for value in known):
        return {"name": name, "kind": "word"}
    # of a size less is better, of what a model can take or do more
    return {"name": name, "kind": "number", "more": "tokens" in name.lower() or "/s" in name}


def _rows(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each model's cells as text, with the class each one has."""
    columns = data["columns"]
    places = {0: "best", 1: "second", None: ""}
    classes = [
        [places[cell.place] for cell in marked([m["values"][i] for m in data["models"]], column["lower"])]
        if "lower" in column
        else ["word" if column["kind"] == "word" else ""] * len(data["models"])
        for i, column in enumerate(columns)
    ]
    for row, model in enumerate(data["models"]):
        cells = [
            (_shown(column, value), classes[i][row])
            for i, (column, value) in enumerate(zip(columns, model["values"], strict=True))
        ]
        yield {"name": model["name"], "marks": model["marks"], "cells": cells}


def _shown(column: Mapping[str, Any], value: Any) -> str:
    return f"{value:.2f}" if "lower" in column and value is not None else shown_as(column["name"], value)


def _label(label: str) -> dict[str, str]:
    """A label of the board (Markdown) as name and marks."""
    name, _, marks = label.rpartition(" ")
    if not name or not set(marks) <= _MARKS:
        name, marks = label, ""
    return {"name": plain(name), "marks": marks}


def _kind(meta: Mapping[str, Any]) -> str | None:
    found = _words(meta.get("model_type"))
    return _KINDS.get(found[0], found[0]) if found else None


def _words(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    return [word for word in values if isinstance(word, str)]


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if pd.isna(value) or (isinstance(value, float) and math.isinf(value)) else value


def _script_data(data: Mapping[str, Any]) -> str:
    """JSON for a script element, which no `<` in a name can end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (files("harness.report.board") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(name: str, camel: bool = True) -> Any:
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in (_CAMEL if camel else _SIGN).split(name))
