"""A suite as a table needs it, and the rows of that table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import ConfigError
from harness.report.addresses import Place
from harness.report.values import lower_is_better
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
