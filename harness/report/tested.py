"""The paired differences of a whole task between two sides: of its entries; of an aggregate, its members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.errors import DataError
from harness.report.paired import Paired, paired, pooled
from harness.report.sides import Side
from harness.types import Result

Entry = tuple[str, str]  # split, subset


class Scored(Protocol):
    """What a comparison needs to know of a task; `harness.task.Task` is one."""

    @property
    def name(self) -> str:
        """As results name it."""

    @property
    def kind(self) -> str:
        """Of task."""

    @property
    def column(self) -> str:
        """Of a table that it counts in."""

    @property
    def shown(self) -> str:
        """The metric to show."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What it is scored on."""

    @property
    def members(self) -> Sequence[Scored]:
        """The tasks whose mean an aggregate is."""


def common_metric(task: Scored, pairs: Sequence[tuple[Result, ...]]) -> str:
    """The metric that the suite shows, where all sides have it; else the main one of all.

    Raises:
        DataError: the sides have no metric in common.
    """
    if all(task.shown in r.exact for pair in pairs for r in pair):
        return task.shown
    mains = {r.main_metric for pair in pairs for r in pair}
    if len(mains) > 1:
        raise DataError(f"{task.name}: the two sides have no metric in common ({', '.join(sorted(mains))})")
    return mains.pop()


def tested(
    task: Scored, pairs: Sequence[tuple[Result, Result]], old: Side, new: Side, metric: str, seed: int
) -> dict[Entry, Paired] | None:
    """The paired difference of every entry; None where one has no per-example values.

    Args:
        pairs: the results of both sides, an entry each.
        seed: of permutations and resamples.

    Raises:
        DataError, StoreError: examples that cannot be paired, or a damaged file of them.
    """
    if task.kind == "aggregate":
        return _of_members(task, old, new, seed)
    found = {}
    for before, after in pairs:
        tables = old.samples(before), new.samples(after)
        if tables[0] is None or tables[1] is None:
            return None
        found[before.split, before.subset] = paired(before, after, (tables[0], tables[1]), metric, seed=seed)
    return found


def _of_members(task: Scored, old: Side, new: Side, seed: int) -> dict[Entry, Paired] | None:
    means = []
    for member in task.members:
        places = [(member.name, *entry) for entry in member.entries]
        if any(place not in side.results for place in places for side in (old, new)):
            return None
        pairs = [(old.results[place], new.results[place]) for place in places]
        parts = tested(member, pairs, old, new, common_metric(member, pairs), seed)
        if parts is None:
            return None
        means.append(pooled(list(parts.values())))
    return {task.entries[0]: pooled(means)} if means else None
