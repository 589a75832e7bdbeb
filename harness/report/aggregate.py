"""Results and a suite to one table of scores, means and ranks. Pure; nothing here reads or writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.errors import ConfigError
from harness.report.addresses import Found, Key, Place, Score, joined, unmoved
from harness.report.comparable import alike, published
from harness.report.ranks import mean, name_of, ranked, with_means
from harness.report.values import is_possible, lower_is_better, metric_value, scale
from harness.streams import stream_of
from harness.types import Result

Entry = tuple[str, str]  # split, subset


@dataclass(frozen=True)
class SuiteTask:
    """A task as a table needs it.

    Attributes:
        type: the column it counts in, as a rule mteb's word for the kind; scores are also averaged by it.
        entries: the (split, subset) pairs that a row must have, at least one.
        main: the metric to show; any one that the results hold.
        also: metrics to show beside it, which count in no mean and no rank.
        revision, scorer: of the data, and `name@version`, as the suite has them now; empty where unknown.
        protocol: results of any other one are left out; empty for the suite's.
        drawn: of entries that share one random stream, the digest of those in front (`harness.streams`).
        members: the tasks whose mean an aggregate is.
    """

    name: str
    kind: str
    type: str
    entries: tuple[Entry, ...]
    main: str
    also: tuple[str, ...] = ()
    revision: str = ""
    scorer: str = ""
    protocol: str = ""
    drawn: Mapping[Entry, str] = field(default_factory=dict)
    members: tuple[SuiteTask, ...] = ()

    def __post_init__(self) -> None:
        if not self.entries:
            raise ConfigError(f"task {self.name} has no split and subset to report")

    def score_name(self, metric: str) -> str:
        """Under which name a row's scores hold a metric: the task's for the main one."""
        return self.name if metric == self.main else f"{self.name} {metric}"


@dataclass(frozen=True)
class SuiteTable:
    """A suite as a table needs it.

    Attributes:
        columns: task types in the order to show them; types left out follow in the order of the tasks.
        average: which mean stands first and orders rows of equal rank: that over "types", else over tasks
            ("tasks" or "datasets").
        protocol: results of any other one are left out.
    """

    name: str
    title: str
    tasks: tuple[SuiteTask, ...]
    columns: tuple[str, ...] = ()
    average: str = "tasks"
    protocol: str = "mteb"

    def __post_init__(self) -> None:
        worse = [task.name for task in self.tasks if lower_is_better(task.main)]
        if worse and len(worse) < len(self.tasks):
            raise ConfigError(
                f"suite {self.name}: a lower {worse[0]} is better, of other tasks a higher score; "
                "no mean can hold both"
            )

    @property
    def lower_is_better(self) -> bool:
        """Whether the best row is the lowest, as of error rates."""
        return bool(self.tasks) and lower_is_better(self.tasks[0].main)

    @property
    def types(self) -> tuple[str, ...]:
        """The task types that have a task, in the order to show them."""
        present = tuple(dict.fromkeys(task.type for task in self.tasks))
        return tuple(t for t in dict.fromkeys((*self.columns, *present)) if t in present)


@dataclass(frozen=True)
class Row:
    """One model in the table; all scores x100 (error rates are percent already).

    Attributes:
        revision: None also where several revisions were merged (`merged` is then True).
        source: "mteb" for results that were published by mteb, "" for ours; never mixed in a row.
        scores: task to score, for tasks with all of their entries; metrics shown beside the main one under
            `SuiteTask.score_name`.
        types, mean_tasks, mean_types, rank: empty or None unless the row has every entry of the suite.
        have, need: entries it has and entries the suite requires.
        other_splits: tasks scored on another split than the suite's (`any_split`).
        results: what the scores are of, by task and (split, subset).
    """

    model: str
    revision: str | None
    variant: tuple[str, ...]
    source: str
    scores: Mapping[str, float]
    have: int
    need: int
    merged: bool = False
    other_splits: tuple[str, ...] = ()
    types: Mapping[str, float] | None = None
    mean_tasks: float | None = None
    mean_types: float | None = None
    rank: int | None = None
    results: Mapping[Place, Result] = field(default_factory=dict, compare=False, repr=False)

    @property
    def complete(self) -> bool:
        """Whether the row has every task, split and subset of the suite."""
        return self.have == self.need


@dataclass(frozen=True)
class Table:
    """Rows, best first, complete ones before partial ones; `notes` say what was left out."""

    suite: SuiteTable
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


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
