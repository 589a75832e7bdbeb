"""When a result on a card and one of ours are about the same thing, and when their values are the same."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

from harness.report import names
from harness.report.card.groups import Group
from harness.report.card.index import OldGroup, OldMetric

ABOUT_100 = (50.0, 200.0)
FLOOR = {100: 6, 1: 8}  # decimals that count whatever a value is written with, by scale: 34.9 is not 34.944


def is_same(old: OldGroup, group: Group, shared: Collection[str] = ()) -> bool:
    """Whether a group of the card is about the same task type, data set, config and split."""
    data = group.data["dataset"]
    alike = (old.task_type, old.config, old.split) == (
        group.data["task"]["type"],
        data.get("config", "default"),
        data.get("split", ""),
    )
    if not alike:
        return False
    if old.dataset in shared:
        return old.dataset in group.homes and title(old.name) in (title(data["name"]), group.task)
    return old.dataset in group.homes or names.task_of(old.dataset) == group.task


def equal(old: OldMetric, new: float, scale: int, digits: int | None = None) -> bool:
    """Whether a value on the card is ours: rounded to `digits`, or as far as it is written out in full."""
    if old.number is None:
        return False
    if digits is not None and round(old.number, digits) == round(new, digits):
        return True
    half = 0.5 * 10.0 ** -max(old.decimals, FLOOR[scale])
    return math.isclose(old.number, new, rel_tol=1e-12) or abs(old.number - new) <= half * (1 + 1e-9)


def hundredfold(old: float | None, new: float) -> bool:
    """Whether one value is about a hundred times the other: then one is a share, the other a percentage."""
    low, high = ABOUT_100
    ratio = new / old if old else 0.0
    return low <= ratio <= high or (ratio > 0 and low <= 1 / ratio <= high)


def holds(group: Group, old: OldGroup, shared: Collection[str] = ()) -> bool:
    """Whether a group of the card says nothing but what these results say: then it was written from them.

    What the Hub has verified was not.
    """
    ours = {today(m["type"], group): m["value"] for m in group.data["metrics"]} | {"main_score": group.main}
    return (
        is_same(old, group, shared)
        and bool(old.metrics)
        and all(
            not metric.verified
            and (value := ours.get(today(metric.type, group))) is not None
            and equal(metric, value, group.scale)
            for metric in old.metrics
        )
    )


def shared_homes(groups: Sequence[Group]) -> set[str]:
    """Dataset types by which two groups of the run cannot be told apart."""
    seen: dict[tuple[str, ...], str] = {}
    found = set()
    for group in groups:
        data = group.data["dataset"]
        where = (group.data["task"]["type"], data.get("config", ""), data.get("split", ""))
        for home in group.homes:
            if seen.setdefault((home, *where), group.task) != group.task:
                found.add(home)
    return found


def today(metric: str, group: Group) -> str:
    """Today's name of a metric, as the group was scored."""
    return names.today(metric, group.protocol)


def title(name: str) -> str:
    """A display name without `MTEB ` and the subset behind it."""
    return re.sub(r" \([^()]*\)$", "", name.removeprefix("MTEB "))
