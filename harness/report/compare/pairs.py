"""Models beside each other, two at a time: every task's difference, whether it is chance, and who wins.

Each task that both have is tested two-sided on its per-example values; Holm's correction covers the tasks of
one pair of models. What was not scored the same way is listed with the reason and enters no mean. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Literal

from harness.errors import DataError, StoreError
from harness.metrics.stats import holm
from harness.report.apart import barring, differences
from harness.report.paired import Paired, pooled, scaled
from harness.report.sides import Side
from harness.report.tested import Scored, tested
from harness.report.values import lower_is_better, metric_value, scale
from harness.types import Result

LEVEL = 0.05
Winner = Literal["first", "second", "tie", "untested"]
Interval = tuple[float, float]
_EQUAL = 1e-9  # points


@dataclass(frozen=True)
class Duel:
    """One task, or a mean, of two models; scores and differences as the suite shows them (points).

    Attributes:
        metric: "mean" of a mean.
        column: of the suite's table that the task counts in; empty where unknown.
        better: 1 where higher is better, -1 where lower is.
        first, second: the scores; of a mean, None where some metrics are better higher and others lower.
        gain: how much better the second is.
        p, p_holm: two-sided, as it is and corrected; None where one side has no per-example values. A mean
            is not corrected.
        interval: of second minus first at 95 % (of a mean: of the gain); None likewise.
        test: what was tested, over how many of what.
        won: by significance; "untested" where there is no p-value.
    """

    task: str
    metric: str
    column: str
    better: int
    first: float | None
    second: float | None
    gain: float
    whole: Paired | None
    p: float | None = None
    p_holm: float | None = None
    interval: Interval | None = None
    test: str = ""
    won: Winner = "untested"

    @property
    def difference(self) -> float:
        """Second minus first; of a mean the gain."""
        return self.better * self.gain

    @property
    def sign(self) -> Winner:
        """Who has the better score, by however little."""
        return "tie" if abs(self.gain) <= _EQUAL else "second" if self.gain > 0 else "first"


@dataclass(frozen=True)
class Match:
    """Two models.

    Attributes:
        first, second: places in the comparison's list of models.
        duels: of every task that can be compared, in the suite's order.
        mean: over those tasks; None where there are none.
        columns: means by the suite's columns, of those that have several tasks but not all.
        environment: what differs in how they were made, and in which tasks; the most common first.
        barred: task to why it cannot be compared.
    """

    first: int
    second: int
    duels: tuple[Duel, ...]
    mean: Duel | None
    columns: tuple[Duel, ...]
    environment: tuple[tuple[str, tuple[str, ...]], ...]
    barred: Mapping[str, str]

    def tasks(self, won: Winner, *, by_sign: bool = False) -> list[str]:
        """The tasks with this outcome, by significance or by sign."""
        return [d.task for d in self.duels if (d.sign if by_sign else d.won) == won]


@dataclass(frozen=True)
class Comparison:
    """The whole answer.

    Attributes:
        title: of the suite, or what stands for it.
        models: how the sides are named.
        scores: task to a score a model, None where it cannot be compared with the others.
        matches: every two models.
        level: of significance.
        absent: tasks of the suite that no model has.
    """

    title: str
    models: tuple[str, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    matches: tuple[Match, ...]
    level: float = LEVEL
    absent: tuple[str, ...] = ()

    @property
    def means(self) -> tuple[float | None, ...]:
        """Each model's mean over the tasks in which all can be compared; None where directions are mixed."""
        full = [name for name, row in self.scores.items() if None not in row]
        better = {d.better for m in self.matches for d in m.duels if d.task in full}
        if len(better) != 1:
            return (None,) * len(self.models)
        return tuple(fmean(self.scores[name][i] or 0.0 for name in full) for i in range(len(self.models)))


def compare(sides: Sequence[Side], tasks: Sequence[Scored], *, title: str, seed: int = 0) -> Comparison:
    """Compare every two sides on the tasks.

    A task that no side has is named in `absent`; one that some lack is barred for the pairs that it is
    missing from.

    Args:
        seed: of permutations and resamples; equal arguments give equal answers.
    """
    there = [task for task in tasks if any(_has(side, task) for side in sides)]
    matches = tuple(_match(sides, pair, there, seed) for pair in combinations(range(len(sides)), 2))
    scores: dict[str, tuple[float | None, ...]] = {}
    for task in there:
        own: dict[int, float | None] = {}
        for match in matches:
            for duel in match.duels:
                if duel.task == task.name:
                    own |= {match.first: duel.first, match.second: duel.second}
        scores[task.name] = tuple(own.get(i) for i in range(len(sides)))
    absent = tuple(task.name for task in tasks if task.name not in {own.name for own in there})
    return Comparison(title, tuple(side.label for side in sides), scores, matches, absent=absent)


def lacking(side: Side, tasks: Sequence[Scored]) -> list[str]:
    """The tasks of which a side lacks an entry."""
    return [task.name for task in tasks if not _has(side, task)]


def _has(side: Side, task: Scored) -> bool:
    return all((task.name, *entry) in side.results for entry in task.entries)


def _match(sides: Sequence[Side], pair: tuple[int, int], tasks: Sequence[Scored], seed: int) -> Match:
    old, new = sides[pair[0]], sides[pair[1]]
    duels: list[Duel] = []
    barred: dict[str, str] = {}
    environment: dict[str, list[str]] = {}
    for task in tasks:
        missing = [side.label for side in (old, new) if not _has(side, task)]
        if missing:
            barred[task.name] = f"no result of {' and '.join(missing)}"
            continue
        pairs = [(old.results[task.name, *e], new.results[task.name, *e]) for e in task.entries]
        apart = [one for results in pairs for one in differences(*results)]
        wrong = list(dict.fromkeys(one.text for one in barring(apart)))
        if not wrong:
            try:
                duels.append(_duel(task, pairs, old, new, seed))
            except (DataError, StoreError) as error:  # examples that cannot be paired, a damaged file
                wrong = [str(error)]
        if wrong:
            barred[task.name] = "; ".join(wrong)
        else:
            for text in dict.fromkeys(one.text for one in apart):
                environment.setdefault(text, []).append(task.name)
    decided = _judged(duels)
    names = dict.fromkeys(duel.column for duel in decided)
    groups = {name: [d for d in decided if d.column == name] for name in names if name}
    wide = {name: group for name, group in groups.items() if 1 < len(group) < len(decided)}
    common = sorted(environment.items(), key=lambda item: (-len(item[1]), item[0]))
    return Match(
        *pair, tuple(decided), _mean("mean", decided) if decided else None,
        tuple(_mean(name, group) for name, group in wide.items()),
        tuple((text, tuple(own)) for text, own in common), barred,
    )  # fmt: skip


def _duel(task: Scored, pairs: Sequence[tuple[Result, Result]], old: Side, new: Side, seed: int) -> Duel:
    metric = _metric(task, pairs)
    points = scale(metric)
    first, second = (fmean(points * _value(r, metric) for r in side) for side in zip(*pairs, strict=True))
    better = -1 if lower_is_better(metric) else 1
    exact = all(metric in r.exact for results in pairs for r in results)
    entries = tested(task, pairs, old, new, metric, seed) if exact else None
    whole = None if entries is None else scaled(pooled(list(entries.values())), points)
    return _told(
        Duel(task.name, metric, task.column, better, first, second, better * (second - first), whole)
    )


def _metric(task: Scored, pairs: Sequence[tuple[Result, Result]]) -> str:
    """The metric to show, else the main one of either side, whichever all results hold in some spelling."""
    results = [r for pair in pairs for r in pair]
    candidates = dict.fromkeys((task.shown, *(r.main_metric for r in results)))
    for metric in candidates:
        if all(metric_value(r, metric) is not None for r in results):
            return metric
    raise DataError(f"no metric in common ({', '.join(dict.fromkeys(r.main_metric for r in results))})")


def _value(result: Result, metric: str) -> float:
    return result.exact.get(metric, metric_value(result, metric) or 0.0)


def _told(duel: Duel) -> Duel:
    """With what the test says."""
    whole = duel.whole
    if whole is None:
        return duel
    low, high = whole.interval()
    interval = (low, high) if duel.better > 0 else (-high, -low)
    return replace(
        duel, p=whole.p_value, interval=interval if math.isfinite(high - low) else None,
        test=f"{whole.method}, {whole.n} {whole.unit}",
    )  # fmt: skip


def _judged(duels: Sequence[Duel]) -> list[Duel]:
    places = [i for i, duel in enumerate(duels) if duel.p is not None]
    adjusted = dict(zip(places, holm([duels[i].p or 0.0 for i in places]), strict=True))
    return [
        replace(duel, p_holm=adjusted[i], won=_winner(duel, adjusted[i])) if i in adjusted else duel
        for i, duel in enumerate(duels)
    ]


def _winner(duel: Duel, p: float) -> Winner:
    return duel.sign if p < LEVEL else "tie"


def _mean(name: str, duels: Sequence[Duel]) -> Duel:
    """Over tasks; the errors of the tasks are independent."""
    plain = len({duel.better for duel in duels}) == 1
    first, second = (
        fmean(value or 0.0 for value in values) if plain else None
        for values in ([d.first for d in duels], [d.second for d in duels])
    )
    better = duels[0].better if plain else 1
    gain = fmean(duel.gain for duel in duels)
    parts = [duel.whole for duel in duels if duel.whole is not None]
    whole = pooled(parts) if len(parts) == len(duels) else None
    told = _told(Duel(name, "mean", "", better, first, second, gain, whole))
    return told if told.p is None else replace(told, won=_winner(told, told.p))
