"""A suite's means over its tasks, its types and within a type: published ones beside ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from harness.errors import ConfigError
from harness.report import names
from harness.report.sides import Side
from harness.report.values import lower_is_better, scale
from harness.report.verify.judge import Mean, Verified, tolerance, verdict
from harness.report.verify.published import Figure, decimals, precise, score_of
from harness.task import Task

TASKS, TYPES = "tasks", "types"


def expected_means(
    expect: Mapping[str, Mapping[str, float]], tasks: Sequence[Task], spellings: Iterable[str], source: str
) -> list[Figure]:
    """The means that a suite states (`aggregate: {expect: ...}`) for a model under any of its names.

    A mean is of `tasks`, of `types`, or of the tasks of one column, by its name. Values are from 0 to 1; one
    above 1 is points.

    Raises:
        ConfigError: a mean of something that the suite does not have.
    """
    wanted = {name.lower() for name in spellings}
    known = {TASKS, TYPES, *(task.column for task in tasks)}
    found = []
    for model, stated in expect.items():
        for over, value in stated.items() if model.lower() in wanted else ():
            if over not in known:
                raise ConfigError(
                    f"{source}: aggregate.expect has a mean of {over!r}; there are {', '.join(sorted(known))}"
                )
            times = scale(tasks[0].shown) if abs(value) <= 1 else 1.0
            name = f"mean over {over}" if over in (TASKS, TYPES) else f"mean of {over}"
            digits = decimals(value, times)
            found.append(Figure(name, "", "", over, "mean", times * value, digits, source))
    return precise(found)


def our_means(side: Side, tasks: Sequence[Task]) -> dict[str, float]:
    """Our means by what they are over, in points: `tasks`, `types`, columns; only those of whole tasks."""
    columns: dict[str, list[float | None]] = defaultdict(list)
    for task in tasks:
        results = [r for e in task.entries if (r := side.results.get((task.name, *e))) is not None]
        whole = len(results) == len(task.entries)
        columns[task.column].append(score_of(task.shown, results) if whole else None)
    scores = {name: [s for s in own if s is not None] for name, own in columns.items()}
    found = {name: fmean(own) for name, own in scores.items() if len(own) == len(columns[name])}
    if columns and len(found) == len(columns):
        every = [score for own in scores.values() for score in own]
        found |= {TYPES: fmean(found.values()), TASKS: fmean(every)}
    return found


def verify_means(side: Side, figures: Iterable[Figure], tasks: Sequence[Task]) -> list[Verified]:
    """Compare means that a suite states with ours."""
    ours = our_means(side, tasks)
    found = []
    for figure in figures:
        over = figure.metric
        own = [task for task in tasks if over in (TASKS, TYPES, task.column)]
        close = fmean(tolerance(task) for task in own)
        value = ours.get(over)
        if value is None:
            found.append(Verified(figure, None, "absent", close, ("not every task of it is scored here",)))
            continue
        answer = verdict(figure, value, close)
        hints: tuple[str, ...] = ()
        if answer == "different":
            same = [name for name in (TASKS, TYPES) if name != over and name in ours]
            same = [name for name in same if verdict(figure, ours[name], 0.0) == "equal"]
            hints = (
                f"average: our mean over {same[0]} is the published one"
                if over in (TASKS, TYPES) and same
                else "average: see its tasks, one by one",
            )
        found.append(Verified(figure, value, answer, close, hints))
    return found


def means(found: Sequence[Verified], tasks: Sequence[Task] | None) -> list[Mean]:
    """The means over tasks and over types; none unless every task of a suite was compared on all of it."""
    types: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for task in tasks or ():
        own = [one for one in found if one.figure.task == task.name]
        pairs = [(one.figure.value, one.ours) for one in own if one.ours is not None]
        whole = len(own) == len(pairs) == (len(task.entries) if all(one.figure.split for one in own) else 1)
        shown = {task.shown, names.today(task.shown, task.protocol)}
        if not whole or not {one.figure.metric for one in own} <= shown:
            return []
        published, ours = zip(*pairs, strict=True)
        types[task.column].append((fmean(published), fmean(ours)))
    lower = {lower_is_better(task.shown) for task in tasks or ()}
    every = [pair for own in types.values() for pair in own]
    if len(every) < 2 or len(lower) > 1:  # a mean of accuracies and error rates says nothing
        return []
    of_types = [(fmean(p for p, _ in own), fmean(o for _, o in own)) for own in types.values()]
    levels: list[tuple[Literal["tasks", "types"], list[tuple[float, float]]]] = [
        ("tasks", every),
        ("types", of_types),
    ]
    return [
        Mean(over, len(pairs), fmean(p for p, _ in pairs), fmean(o for _, o in pairs))
        for over, pairs in levels
        if len(pairs) > 1
    ]


def mean_lines(found: Sequence[Mean]) -> list[str]:
    """A line a mean."""
    return [
        f"mean over {one.count} {one.over}: published {one.published:.2f}, ours {one.ours:.2f} "
        f"({one.ours - one.published:+.4f})"
        for one in found
    ]
