"""Reports: pure functions from stored results to tables, pages and cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

# imported here and not below: importing a submodule later would put the module in the function's place
from harness.report.aggregate import SuiteTable, SuiteTask
from harness.report.leaderboard import Leaderboard
from harness.report.leaderboard import leaderboard as build
from harness.store import Store
from harness.streams import after

if TYPE_CHECKING:
    from harness.suite import Suite
    from harness.task import Task


def leaderboard(store: Store | Sequence[Store], suite: Suite) -> Leaderboard:
    """Rank every model of one or more stores on a suite.

    Returns:
        A Leaderboard: `.frame` (pandas), `.to_markdown()`, `.to_html()`, `.to_csv()`, `.to_json()`.
    """
    stores = [store] if isinstance(store, Store) else list(store)
    names = {task.name for task in suite.tasks}
    return build(
        [result for each in stores for result in each.results(tasks=names)],
        suite_table(suite),
        models={model: meta for each in reversed(stores) for model, meta in each.model_metas().items()},
        failures=[failure for each in stores for failure in each.failures()],
    )


def suite_table(suite: Suite) -> SuiteTable:
    """What a table needs to know of a suite."""
    return SuiteTable(
        name=suite.name,
        title=suite.title,
        tasks=tuple(_task(task) for task in suite.tasks),
        columns=tuple(suite.aggregate.columns),
        average=suite.aggregate.average,
        protocol=suite.tasks[0].protocol if suite.tasks else "mteb",
    )


def _task(task: Task) -> SuiteTask:
    drawn = {entry: after(task, entry) for entry in task.sequence}
    return SuiteTask(
        task.name,
        task.kind,
        task.column,
        task.entries,
        task.shown,
        task.also,
        revision=task.revision,
        scorer=f"{task.scorer.name}@{task.scorer.version}",
        protocol=task.protocol,
        drawn=drawn,
    )
