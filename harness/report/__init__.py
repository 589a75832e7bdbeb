"""Reports: pure functions from stored results to tables, pages and cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.leaderboard import Leaderboard
    from harness.store import Store
    from harness.suite import Suite


def leaderboard(store: Store | Sequence[Store], suite: Suite) -> Leaderboard:
    """Rank every model of one or more stores on a suite.

    Returns:
        A Leaderboard: `.frame` (pandas), `.to_markdown()`, `.to_csv()`, `.to_json()`.
    """
    from harness.report.aggregate import SuiteTable, SuiteTask
    from harness.report.leaderboard import leaderboard as build
    from harness.store import Store

    stores = [store] if isinstance(store, Store) else list(store)
    table = SuiteTable(
        name=suite.name,
        title=suite.title,
        tasks=tuple(SuiteTask(t.name, t.kind, t.type, t.entries, t.main) for t in suite.tasks),
        columns=tuple(suite.aggregate.columns),
        average=suite.aggregate.average,
    )
    return build([result for each in stores for result in each.results()], table)
