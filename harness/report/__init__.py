"""Reports: pure functions from stored results to tables, pages and cards."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

# imported here and not below: importing a submodule later would put the module in the function's place
from harness.paths import cache_folder
from harness.report.board.build import leaderboard as build
from harness.report.board.leaderboard import Leaderboard
from harness.report.board.rows import SuiteTable, SuiteTask, Table
from harness.store import Store
from harness.store.snapshot import snapshot
from harness.streams import after

if TYPE_CHECKING:
    from harness.suite import Suite
    from harness.task import Task


def leaderboard(
    store: Store | Sequence[Store],
    suite: Suite,
    *,
    merge_revisions: bool = False,
    any_split: bool = False,
    cache: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Leaderboard:
    """Rank every model of one or more stores on a suite.

    The stores are read through an index in the cache folder (`harness.store.index`), nothing in them is
    changed, and what cannot be read in them is added to their `problems`.

    Args:
        merge_revisions: let a model's revisions complete each other.
        any_split: where a task lacks a required entry, take another split that has its subsets.
        cache: the cache folder.
        say: is told of what takes time: very many files to read, comparisons for the rank bands.

    Returns:
        A Leaderboard: `.frame` (pandas), `.to_markdown()`, `.to_html()`, `.to_csv()`, `.to_json()`,
        `.to_latex()`.
    """
    stores = [store] if isinstance(store, Store) else list(store)
    home = cache_folder(cache)
    table = suite_table(suite)
    wanted = {task.name: {subset for _, subset in task.entries} for task in table.tasks}
    with _uncollected():
        found = [snapshot(each.root, wanted, home, say) for each in stores]
    for each, own in zip(stores, found, strict=True):
        known = set(each.problems)
        each.problems += [line for line in own.problems if line not in known]

    def banded(table: Table) -> tuple[Sequence[str | None], Sequence[str]]:
        if not any(result.samples_sha256 for row in table.rows for result in row.results.values()):
            return [None] * len(table.rows), ()
        from harness.report.board.bands import bands

        return bands(table, [Store(each.root, repair=False) for each in stores], home, say)

    with _uncollected():
        return build(
            [result for own in found for result in own.results],
            table,
            models={model: meta for own in reversed(found) for model, meta in own.models.items()},
            failures=[failure for own in found for failure in own.failures],
            merge_revisions=merge_revisions,
            any_split=any_split,
            banded=banded,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage: among 100,000 results that all stay it takes longer than all the rest."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def suite_table(suite: Suite) -> SuiteTable:
    """What a table needs to know of a suite."""
    return SuiteTable(
        name=suite.name,
        title=suite.title,
        tasks=tuple(_suite_task(task) for task in suite.tasks),
        columns=tuple(suite.aggregate.columns),
        average=suite.aggregate.average,
        protocol=suite.tasks[0].protocol if suite.tasks else "mteb",
    )


def _suite_task(task: Task) -> SuiteTask:
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
        members=tuple(_suite_task(member) for member in task.members),
    )
