"""One model at several lengths: scores by task and length, as table and as plot. Pure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.entries import Entry
from harness.report.markdown import escape, table
from harness.report.plots.charts import Line, lines
from harness.report.plots.drawing import Drawing
from harness.types import Result

DIGITS = 4  # of scores x100 in CSV and JSON


@dataclass(frozen=True)
class SweptTask:
    """A task of a sweep: what it must have been scored on, and the metric shown."""

    name: str
    entries: tuple[Entry, ...]
    metric: str


@dataclass(frozen=True)
class Sweep:
    """The scores of one model, by length.

    Attributes:
        model: as shown: name, revision and variant without its length.
        lengths: in tokens, rising.
        scores: task to length to score x100, the flat mean over the task's splits and subsets; None where
            one of them has no score.
        seconds: length to the seconds that encoding and scoring took when they were done.
        results: length to what was scored, for the record.
    """

    model: str
    protocol: str
    lengths: tuple[int, ...]
    tasks: tuple[SweptTask, ...]
    scores: Mapping[str, Mapping[int, float | None]]
    seconds: Mapping[int, float]
    results: Mapping[int, Sequence[Result]]

    @property
    def means(self) -> dict[int, float | None]:
        """Length to the mean over the tasks; None where a task has no score."""
        return {length: _mean([self.scores[t.name][length] for t in self.tasks]) for length in self.lengths}

    @property
    def plottable(self) -> bool:
        """Whether there is any score."""
        return any(s is not None for by_length in self.scores.values() for s in by_length.values())

    def to_markdown(self) -> str:
        """A row a task, a column a length; the best of each row is bold."""
        rows = [[escape(t.name), escape(t.metric), *self._cells(self.scores[t.name])] for t in self.tasks]
        if len(self.tasks) > 1:
            rows.append(["mean", "", *self._cells(self.means)])
        header = ["Task", "Metric", *(str(length) for length in self.lengths)]
        notes = "".join(f"- {escape(note)}\n" for note in self.notes())
        body = table(header, rows, left=(0, 1))
        return f"# {escape(self.model)} by max length\n\n{body}" + (f"\n{notes}" if notes else "")

    def to_csv(self) -> str:
        """A line a task and length, missing scores empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["model", "task", "metric", "max_length", "score"])
        for task in self.tasks:
            for length in self.lengths:
                score = self.scores[task.name][length]
                shown = "" if score is None else f"{score:.{DIGITS}f}"
                writer.writerow([self.model, task.name, task.metric, length, shown])
        return out.getvalue()

    def as_json(self) -> dict[str, Any]:
        """The same for machines, with every split and subset."""
        return {
            "model": self.model,
            "protocol": self.protocol,
            "lengths": list(self.lengths),
            "tasks": [
                {"task": t.name, "metric": t.metric, "scores": _by_length(self.scores[t.name])}
                for t in self.tasks
            ],
            "mean": _by_length(self.means),
            "seconds": {str(length): round(value, 3) for length, value in self.seconds.items()},
            "entries": [
                {
                    "max_length": length,
                    "revision": result.revision,
                    "variant": list(result.variant),
                    "task": result.task,
                    "split": result.split,
                    "subset": result.subset,
                    "main_metric": result.main_metric,
                    "main_score": round(result.main_score, 6),
                    "reused": result.reused,
                }
                for length in self.lengths
                for result in self.results.get(length, ())
            ],
            "notes": self.notes(),
        }

    def to_json(self) -> str:
        """`as_json` as text."""
        return json.dumps(self.as_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"

    def to_drawing(self) -> Drawing:
        """Score by length, a line a task. Raises ConfigError where no task has a score."""
        metrics = list(dict.fromkeys(task.metric for task in self.tasks))
        shared = metrics[0] if len(metrics) == 1 else "main score"
        names = {t.name: t.name if len(metrics) == 1 else f"{t.name} ({t.metric})" for t in self.tasks}
        data = [Line(names[t.name], list(self.scores[t.name].items())) for t in self.tasks]
        return lines(self.model, data, x_label="max length (tokens)", y_label=f"{shared} x100")

    def notes(self) -> list[str]:
        """What a reader should know of the numbers."""
        found = []
        for shorter, longer in zip(self.lengths, self.lengths[1:], strict=False):
            pairs = [(self.scores[t.name][shorter], self.scores[t.name][longer], t.name) for t in self.tasks]
            same = [name for a, b, name in pairs if a is not None and a == b]
            if same:
                named = ", ".join(same[:4]) + (f" and {len(same) - 4} more" if len(same) > 4 else "")
                found.append(f"{named}: the same score at {shorter} and {longer}; no text may be that long")
        lacking = [
            f"{t.name} at {', '.join(str(n) for n in self.lengths if self.scores[t.name][n] is None)}"
            for t in self.tasks
            if None in self.scores[t.name].values()
        ]
        return [*found, *(f"without a score: {name}" for name in lacking)]

    def _cells(self, scores: Mapping[int, float | None]) -> list[str]:
        best = max((f"{s:.2f}" for s in scores.values() if s is not None), key=float, default="")
        shown = ["—" if scores[n] is None else f"{scores[n]:.2f}" for n in self.lengths]
        several = len({text for text in shown if text != "—"}) > 1
        return [f"**{text}**" if several and text == best else text for text in shown]


def sweep(
    model: str, protocol: str, tasks: Sequence[SweptTask], results: Mapping[int, Sequence[Result]]
) -> Sweep:
    """Put the results of a model at several lengths together.

    Args:
        results: length to results; those of other tasks (members of an aggregate) are left out.
    """
    lengths = tuple(sorted(results))
    scores = {task.name: {length: _score(task, results[length]) for length in lengths} for task in tasks}
    names = {task.name for task in tasks}
    kept = {length: [r for r in results[length] if r.task in names] for length in lengths}
    seconds = {
        length: math.fsum(float(r.provenance.get("seconds") or 0.0) for r in results[length])
        for length in lengths
    }
    return Sweep(model, protocol, lengths, tuple(tasks), scores, seconds, kept)


def _score(task: SweptTask, results: Sequence[Result]) -> float | None:
    # six decimals, as stored: a fresh result and the same one read back give the same table
    found = {(r.split, r.subset): round(r.main_score, 6) for r in results if r.task == task.name}
    return _mean([100 * found[entry] if entry in found else None for entry in task.entries])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _by_length(scores: Mapping[int, float | None]) -> dict[str, float | None]:
    return {str(n): None if score is None else round(score, DIGITS) for n, score in scores.items()}
