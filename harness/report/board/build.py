"""From results to the leaderboard of a suite: its columns, labels and footnotes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.errors import ConfigError
from harness.report.board.aggregate import aggregate
from harness.report.board.cells import BAND, FACTS, MERGED, PARTIAL, RATE
from harness.report.board.leaderboard import Leaderboard
from harness.report.board.rows import Row, SuiteTable, Table
from harness.report.markdown import escape
from harness.report.values import lower_is_better
from harness.store import Failure
from harness.types import Result

MEAN_TASKS, MEAN_TYPES = "Mean (Task)", "Mean (TaskType)"
SECONDS = "encode_seconds"  # of a result's provenance
_TOO_LARGE = 1 << 63  # for a column of whole numbers
MARKS = {  # in the order in which they follow a model's name
    "source": (
        "§",
        "From files that mteb wrote (published, or in a run of your own), not computed by this harness.",
    ),
    "merged": ("†", "Put together from several revisions of the model."),
    "other_splits": ("‡", "Partial: some tasks were scored on another split than the suite's."),
}


_OWN = {  # columns that are of no task and no type
    "Rank", "Model", "Revision", "Variant", "Source", "Coverage", MERGED, PARTIAL, BAND, RATE,
    MEAN_TASKS, MEAN_TYPES, *FACTS.values(),
}  # fmt: skip

Banded = Callable[[Table], tuple[Sequence[str | None], Sequence[str]]]


def leaderboard(
    results: Iterable[Result],
    suite: SuiteTable,
    *,
    models: Mapping[str, Mapping[str, Any]] | None = None,
    failures: Sequence[Failure] = (),
    merge_revisions: bool = False,
    any_split: bool = False,
    banded: Banded | None = None,
) -> Leaderboard:
    """The leaderboard of a suite over results from any number of stores.

    Args:
        models: model name to what is known of it (`n_parameters`, `embed_dim`, `max_tokens`, `license`).
        failures: what could not be scored; those of the suite's tasks become footnotes.
        merge_revisions, any_split: as in `aggregate`; rows they widened are marked.
        banded: finds each row's rank band, and notes (`harness.report.board.bands`).

    Raises:
        ConfigError: the suite lets tasks count in a column that the leaderboard needs for itself.
    """
    if clash := next((name for name in suite.types if name in _OWN), None):
        raise ConfigError(
            f"suite {suite.name}: tasks count in the column {clash}, which every leaderboard has for itself\n"
            "give them another one (column:)"
        )
    found = aggregate(results, suite, merge_revisions=merge_revisions, any_split=any_split)
    tasks, lower = _task_columns(suite)
    scores = (*_means(suite), *suite.types, *tasks.values())
    bands, told = banded(found) if banded else ([None] * len(found.rows), ())
    columns: dict[str, Sequence[Any]] = {
        "Rank": [row.rank for row in found.rows],
        "Model": [row.model for row in found.rows],
        "Revision": [row.revision for row in found.rows],
        "Variant": ["+".join(row.variant) for row in found.rows],
        "Source": [row.source for row in found.rows],
        "Coverage": [f"{row.have}/{row.need}" for row in found.rows],
        **_known({MERGED: [_revisions(row) for row in found.rows]}),
        **_known({PARTIAL: [", ".join(row.other_splits) or None for row in found.rows]}),
        **_known({BAND: bands}),
        **_known(_facts(found.rows, models or {})),
        **_known({RATE: [_rate(row) for row in found.rows]}),
        MEAN_TASKS: [row.mean_tasks for row in found.rows],
        MEAN_TYPES: [row.mean_types for row in found.rows],
        **{name: [(row.types or {}).get(name) for row in found.rows] for name in suite.types},
        **{column: [row.scores.get(name) for row in found.rows] for name, column in tasks.items()},
    }
    order = [name for name in columns if name not in scores] + list(scores)
    if suite.lower_is_better:
        lower |= {*_means(suite), *suite.types}
    notes = (*_notes(found, failures), *told)
    shown = {name: columns[name] for name in order}
    return Leaderboard(suite, shown, scores, frozenset(lower), _labels(found.rows), notes, models or {})


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
    return f"{name} (task)" if name in {*_OWN, *suite.types} else name


def _facts(rows: Sequence[Row], models: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {
        name: [_fact(key, models.get(row.model, {}).get(key)) for row in rows] for key, name in FACTS.items()
    }


def _known(columns: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """The columns that have a value."""
    return {name: values for name, values in columns.items() if any(value is not None for value in values)}


def _revisions(row: Row) -> str | None:
    """Those that a merged row was put together from."""
    names = {result.revision or "none" for result in row.results.values()}
    return ", ".join(sorted(names)) if row.merged else None


def _rate(row: Row) -> float | None:
    """Texts a second that the row's model encoded, over all tasks whose encoding was timed."""
    timed = [
        (texts, seconds)
        for result in row.results.values()
        if (texts := result.provenance.get("texts_encoded")) and (seconds := result.provenance.get(SECONDS))
    ]
    return round(sum(t for t, _ in timed) / sum(s for _, s in timed), 1) if timed else None


def _fact(key: str, value: Any) -> str | int | None:
    """A licence in words, of all else a whole number; None for whatever else somebody's file says."""
    if key == "license":
        return value if value and isinstance(value, str) else None
    values = value if isinstance(value, list | tuple) else [value]  # mteb lists dimensions to cut a model to
    # mteb writes 512.0 tokens, and infinity; a bool is no number
    whole = [int(v) for v in values if type(v) is int or (type(v) is float and v.is_integer())]
    return max((v for v in whole if 0 < v < _TOO_LARGE), default=None)


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
