"""Results and a suite to one table of scores, means and ranks. Pure; nothing here reads or writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from harness.report.addresses import Found, Key, Place, Score, joined, unmoved
from harness.report.board.ranks import mean, name_of, ranked, with_means
from harness.report.board.rows import Entry, Row, SuiteTable, SuiteTask, Table
from harness.report.comparable import alike, published
from harness.report.values import is_possible, metric_value, scale
from harness.streams import stream_of
from harness.types import Result


def aggregate(
    results: Iterable[Result], suite: SuiteTable, *, merge_revisions: bool = False, any_split: bool = False
) -> Table:
    """The table of a suite.

    A task's score is the flat mean of its main metric over its required splits and subsets, as in mteb's
    `TaskResult.get_score`. Only rows with every entry have means and a rank: the Borda count over the
    tasks (ties share the average; equal counts share the better rank), as on mteb's leaderboard.
    A variant's row includes the results that stand without its token (`harness.report.addresses`).

    Args:
        results: any results; those of other tasks and subsets are ignored, those of another protocol,
            without a possible value of the task's main metric, or scored otherwise or on other data than
            most (see `comparable`) are left out and counted in the notes.
        merge_revisions: let a model's revisions complete each other; the fullest one is preferred.
        any_split: where a task lacks a required entry, take another split that has its subsets.
    """
    notes: Counter[str] = Counter()
    eligible = _eligible(results, suite, notes)
    now = {task.name: (task.revision, task.scorer) for task in suite.tasks}
    found, told = alike([result for result, _ in eligible.values()], now)
    values = _values([eligible[id(result)] for result in found], suite, notes)
    if merge_revisions:
        values = _merged(values, suite)
    rows = [_row(key, found, suite, any_split) for key, found in joined(values).items()]
    complete = ranked([with_means(row, suite) for row in rows if row.complete], suite)
    partial = sorted((r for r in rows if r.have and not r.complete), key=lambda r: (-r.have, name_of(r)))
    lines = [f"{count} {what}" for what, count in sorted(notes.items())]
    return Table(suite, (*complete, *partial), (*lines, *told, *published(found)))


def _eligible(
    results: Iterable[Result], suite: SuiteTable, notes: Counter[str]
) -> dict[int, tuple[Result, float]]:
    """The results of the suite's tasks and protocol, with their scores; by the results' ids, in order."""
    tasks = {task.name: task for task in suite.tasks}
    subsets = {task.name: {subset for _, subset in task.entries} for task in suite.tasks}
    found: dict[int, tuple[Result, float]] = {}
    for result in results:
        if result.subset not in subsets.get(result.task, ()):
            continue
        task = tasks[result.task]
        protocol = task.protocol or suite.protocol
        if result.protocol != protocol:
            notes[f"of protocol {result.protocol}, not {protocol}: left out"] += 1
        elif (value := metric_value(result, task.main)) is None:
            notes[f"of {result.task} without its metric {task.main}: left out"] += 1
        elif not is_possible(task.main, value):
            notes[f"of {result.task} with a {task.main} that none can have: left out"] += 1
        else:
            found[id(result)] = (result, value)
    return found


def _values(
    scored: Iterable[tuple[Result, float]], suite: SuiteTable, notes: Counter[str]
) -> dict[Key, Found]:
    tasks = {task.name: task for task in suite.tasks}
    values: dict[Key, Found] = {}
    for result, value in scored:
        task = tasks[result.task]
        source = str(result.provenance.get("source", ""))
        entry = (result.task, (result.split, result.subset))
        if not source and stream_of(result) != task.drawn.get(entry[1], ""):
            notes[f"of {result.task} drawn by another choice of rng: left out"] += 1
            continue
        row = values.setdefault((result.model, result.variant, source, result.revision), {})
        if entry in row:
            notes["given twice: the first one counts"] += 1
            continue
        if task.main == "map_at_1000" and task.main not in result.metrics:
            notes[f"of {result.task} published by mteb 1 as map, which breaks ties otherwise"] += 1
        row[entry] = Score(value, result.revision, unmoved(result), result)
        for metric in task.also:
            more = metric_value(result, metric)
            if more is not None:
                row[task.score_name(metric), entry[1]] = row[entry]._replace(value=more)
    return values


def _merged(values: Mapping[Key, Found], suite: SuiteTable) -> dict[Key, Found]:
    required = {(task.name, entry) for task in suite.tasks for entry in task.entries}
    merged: dict[Key, Found] = {}
    for key in sorted(values, key=lambda key: (-len(required & values[key].keys()), str(key))):
        model, variant, source, _ = key
        row = merged.setdefault((model, variant, source, None), {})
        for entry, value in values[key].items():
            row.setdefault(entry, value)
    return merged


def _row(key: Key, found: Found, suite: SuiteTable, any_split: bool) -> Row:
    model, variant, source, _ = key
    scores: dict[str, float] = {}
    other: list[str] = []
    revisions: set[str | None] = set()
    results: dict[Place, Result] = {}
    have = 0
    for task in suite.tasks:
        entries = task.entries
        lacks = any_split and not all((task.name, entry) in found for entry in entries)
        if lacks and (elsewhere := _other_split(task, found)):
            entries = tuple(elsewhere)
            other.append(task.name)
            have += len(task.entries) - len(elsewhere)
        here = {entry: found[task.name, entry] for entry in entries if (task.name, entry) in found}
        have += len(here)
        revisions |= {score.revision for score in here.values()}
        results |= {(task.name, entry): score.result for entry, score in here.items()}
        for metric in (task.main, *task.also):
            name = task.score_name(metric)
            values = [found[name, entry].value for entry in entries if (name, entry) in found]
            if len(values) == len(entries):
                scores[name] = scale(metric) * mean(values)
    return Row(
        model=model,
        revision=next(iter(revisions)) if len(revisions) == 1 else None,
        variant=variant,
        source=source,
        scores=scores,
        have=have,
        need=sum(len(task.entries) for task in suite.tasks),
        merged=len(revisions) > 1,
        other_splits=tuple(other),
        results=results,
    )


def _other_split(task: SuiteTask, found: Found) -> list[Entry]:
    """The task's subsets in one split: a required one where that is whole, else the first by name."""
    subsets = list(dict.fromkeys(subset for _, subset in task.entries))
    required = list(dict.fromkeys(split for split, _ in task.entries))
    present = sorted({split for name, (split, _) in found if name == task.name})
    for split in (*(s for s in required if s in present), *present):
        entries = [(split, subset) for subset in subsets]
        if all((task.name, entry) in found for entry in entries):
            return entries
    return []
