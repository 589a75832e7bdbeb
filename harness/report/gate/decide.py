"""Did the model get worse? Every task, type and mean of a suite against a baseline, with a reason for each.

A drop counts when it exceeds what the rules allow *and* the paired test finds it significant after Holm's
correction over all checks of the gate. Without per-example values (a public baseline) the tolerance alone
decides, and the check says so. Two results that were not made the same way are no comparison at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from harness.errors import DataError, StoreError, UnknownNameError, nearest
from harness.report.apart import differences
from harness.report.gate.means import means
from harness.report.gate.rules import LEVEL, Difference, Gates, Rule
from harness.report.gate.verdict import Check, judged
from harness.report.sides import Side
from harness.report.tested import common_metric, tested
from harness.report.values import lower_is_better, scale
from harness.suite import Suite
from harness.task import Task
from harness.types import Result

NAMED = 5  # tasks that a command names


@dataclass(frozen=True)
class Gate:
    """The whole answer.

    Attributes:
        exact: points that a score may move; None where tolerance and test decide.
        invalid: why the comparison is not valid, a line each; then there is no verdict on the model.
        environment: what else differs (libraries, device), shown apart.
        accepted: differences that the rules accept.
        untested: tasks without per-example values, where the tolerance alone decided.
        absent: tasks that one side or both lack and the rules do not require.
        advice: what would make an invalid comparison a valid one, a line each.
    """

    suite: str
    old: str
    new: str
    level: float
    exact: float | None
    checks: tuple[Check, ...]
    invalid: tuple[str, ...]
    environment: tuple[str, ...]
    accepted: tuple[str, ...]
    untested: tuple[str, ...]
    absent: tuple[str, ...]
    advice: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed, the worst loss first."""
        return tuple(sorted((c for c in self.checks if c.bad), key=lambda c: (c.gain, c.name)))

    @property
    def exit_code(self) -> int:
        """0 good, 1 the model got worse, 2 the comparison is not valid."""
        return 2 if self.invalid else 1 if self.failed else 0


def gate(old: Side, new: Side, suite: Suite, rules: Gates, *, exact: bool = False, seed: int = 0) -> Gate:
    """Compare two sides on a suite.

    Args:
        exact: any change of any metric beyond `rules.exact` fails, up or down; for models that answer the
            same every time.
        seed: of permutations and resamples.
    """
    needed = rules.needed(suite.name)
    absent: list[str] = []
    invalid: list[str] = []
    environment: set[str] = set()
    accepted: set[str] = set()
    untested: list[str] = []
    barred: set[str] = set()
    missing: dict[str, list[str]] = {}
    invalid += _unknown("task", rules.named(suite.name), [task.name for task in suite.tasks], suite)
    invalid += _unknown("type", rules.named_types(suite.name), [task.type for task in suite.tasks], suite)
    found: dict[str, tuple[Task, Check]] = {}
    for task in suite.tasks:
        lacking = _lacking(old, task), _lacking(new, task)
        if any(lacking):
            if task.name in needed if needed is not None else not all(lacking):
                invalid += [*lacking[0], *lacking[1]]
                for side, lines in zip((old, new), lacking, strict=True):
                    if lines:
                        missing.setdefault(side.label if _ours(side) else "", []).append(task.name)
            else:
                absent.append(task.name)
            continue
        pairs = [(old.results[task.name, *e], new.results[task.name, *e]) for e in task.entries]
        wrong = _told(task.name, pairs, rules, environment, accepted, barred)
        invalid += wrong
        if wrong:
            continue
        try:
            check = _task_check(task, pairs, old, new, rules.task(suite.name, task.name), seed)
        except (DataError, StoreError) as error:  # examples that cannot be paired, a damaged file
            invalid.append(str(error) if task.name in str(error) else f"{task.name}: {error}")
            continue
        found[task.name] = (task, check)
        if check.entries is None:
            untested.append(task.name)
    checks = [check for _, check in found.values()]
    if not invalid:
        if not checks:
            invalid.append(f"no task of {suite.name} has results on both sides")
        else:
            checks += means(found, suite, rules)
    limit = rules.exact if exact else None
    level = rules.level_of(suite.name)
    decided = judged(checks, level, exact=limit)
    return Gate(
        suite.name, old.name, new.name, level, limit, tuple(decided), tuple(dict.fromkeys(invalid)),
        tuple(sorted(environment)), tuple(sorted(accepted)), tuple(untested), tuple(absent),
        tuple(_advice(barred, missing)),
    )  # fmt: skip


def refused(suite: str, old: str, new: str, why: str) -> Gate:
    """The answer where the comparison could not even be made, so that every report says so."""
    return Gate(suite, old, new, LEVEL, None, (), (why,), (), (), (), ())


def _advice(barred: Collection[str], missing: Mapping[str, Sequence[str]]) -> Iterator[str]:
    acceptable = [what for what in get_args(Difference) if what in barred]
    if acceptable:
        yield (
            "score both sides alike, or declare the difference acceptable in the file of --config: "
            f"accept: [{', '.join(acceptable)}]"
        )
    for label, tasks in missing.items():
        if label:
            more = " ..." if len(tasks) > NAMED else ""
            yield f"make it with: harness eval {label} --task {' --task '.join(tasks[:NAMED])}{more}"
    if missing:
        yield "or name the tasks that both must have in the file of --config: required: [TASK, ...]"


def _ours(side: Side) -> bool:
    """Whether this program made its results, and can make more."""
    return any(result.data_fingerprint for result in side.results.values())


def _unknown(what: str, named: Iterable[str], known: Sequence[str], suite: Suite) -> list[str]:
    """A line for each name in the rules that the suite does not have."""
    lines = []
    for name in sorted({*named} - {*known}):
        near = nearest(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "rules for another suite stand under suites: NAME:"
        lines.append(f"the rules name {name}, which is no {what} of {suite.name}; {hint}")
    return lines


def _lacking(side: Side, task: Task) -> list[str]:
    missing = [
        f"{split}/{subset}"
        for split, subset in task.entries
        if (task.name, split, subset) not in side.results
    ]
    if not missing:
        return []
    which = (
        f" ({', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''})" if len(task.entries) > 1 else ""
    )
    return [f"{side.name} has no result for {task.name}{which}"]


def _told(
    name: str,
    pairs: Iterable[tuple[Result, Result]],
    rules: Gates,
    environment: set[str],
    accepted: set[str],
    barred: set[str],
) -> list[str]:
    """Differences that make the task's comparison invalid; the others go where they are shown."""
    wrong: dict[str, None] = {}
    for pair in pairs:
        for difference in differences(*pair):
            if difference.what in rules.accept:
                accepted.add(difference.text)
            elif difference.invalid:
                wrong[f"{name}: {difference.text}"] = None
                barred.add(difference.what)
            else:
                environment.add(difference.text)
    return list(wrong)


def _task_check(
    task: Task, pairs: Sequence[tuple[Result, Result]], old: Side, new: Side, rule: Rule, seed: int
) -> Check:
    metric = common_metric(task, pairs)
    points = scale(metric)
    values = [[points * r.exact[metric] for r in side] for side in zip(*pairs, strict=True)]
    for label, side in zip((old.name, new.name), values, strict=True):
        if not all(map(math.isfinite, side)):
            raise DataError(f"{task.name}: {metric} of {label} is not a number")
    before, after = (sum(side) / len(side) for side in values)
    better = -1 if lower_is_better(metric) else 1
    entries = tested(task, pairs, old, new, metric, seed)
    return Check(
        "task", task.name, metric, before, after, better,
        rule.allowed(before, tested=entries is not None), rule, entries=entries,
        furthest=_furthest(task, pairs),
    )  # fmt: skip


def _furthest(task: Task, pairs: Sequence[tuple[Result, Result]]) -> tuple[str, float, float] | None:
    """The metric that moved most on any entry, with both values in points; NaN for one that a side lacks."""
    moves = []
    for old, new in pairs:
        place = f" on {old.split}/{old.subset}" if len(task.entries) > 1 else ""
        for name in sorted(old.exact.keys() | new.exact.keys()):
            points = _points(name)
            one, other = (points * side.exact.get(name, math.nan) for side in (old, new))
            moves.append((name + place, one, other))
    return max(moves, key=lambda move: _distance(*move[1:]), default=None)


def _points(metric: str) -> float:
    try:
        return scale(metric)
    except UnknownNameError:  # of a scorer that registers none of its metrics: fractions, as most are
        return 100.0


def _distance(one: float, other: float) -> float:
    return math.inf if math.isnan(other - one) else abs(other - one)
