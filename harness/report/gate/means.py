"""The checks of a gate above its tasks: the mean of each type that a rule names, and of the whole suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.report.gate.rules import Gates, Rule
from harness.report.gate.verdict import Check, whole
from harness.report.paired import pooled
from harness.suite import Suite
from harness.task import Task


def means(found: Mapping[str, tuple[Task, Check]], suite: Suite, rules: Gates) -> list[Check]:
    """Checks of every type with a rule, and of the whole suite."""
    checks = []
    for name in dict.fromkeys(task.type for task, _ in found.values()):
        rule = rules.type(suite.name, name)
        if rule is not None:
            checks.append(
                _mean("type", name, [pair for pair in found.values() if pair[0].type == name], rule)
            )
    if len(found) > 1 and any(check.rule.weight for _, check in found.values()):
        checks.append(_mean("suite", suite.name, [*found.values()], rules.whole(suite.name)))
    return checks


def _mean(
    level: Literal["type", "suite"], name: str, found: Sequence[tuple[Task, Check]], rule: Rule
) -> Check:
    members = [check for _, check in found]
    weights = [check.rule.weight or 0.0 for check in members]
    if not sum(weights):
        weights = [1.0] * len(members)
    # Where lower is better a score counts with a minus, so that a drop is a drop.
    old = sum(w * c.better * c.old for w, c in zip(weights, members, strict=True)) / sum(weights)
    gain = sum(w * c.gain for w, c in zip(weights, members, strict=True)) / sum(weights)
    parts = [part for member in members if (part := whole(member)) is not None]
    tested = len(parts) == len(members)
    check = Check(level, name, "mean", old, old + gain, 1, rule.allowed(old, tested=tested), rule)
    if not tested:
        return check
    return replace(check, entries={("", ""): pooled(parts, _shares(found, weights))})


def _shares(found: Sequence[tuple[Task, Check]], weights: Sequence[float]) -> list[float]:
    """The weights with those of aggregates handed to their members, where these are all in the same mean.

    An aggregate varies as its members do; by itself it would count as further evidence of the same.
    """
    shares = [*weights]
    metrics = {task.name: check.metric for task, check in found}
    places = {task.name: place for place, (task, _) in enumerate(found)}
    for place, (task, check) in enumerate(found):
        if task.members and all(metrics.get(member.name) == check.metric for member in task.members):
            for member in task.members:
                shares[places[member.name]] += shares[place] / len(task.members)
            shares[place] = 0.0
    return shares
