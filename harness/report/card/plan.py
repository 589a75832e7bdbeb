"""What writing results into a card would change: each value added, updated, unchanged or conflicting.

Pure: a plan says where which text goes and what the YAML must say afterwards. `splice` carries it out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import DataError
from harness.report.card.edits import Change, Edit, Plan, What, insertions
from harness.report.card.front_matter import Card
from harness.report.card.groups import Group, known_revision
from harness.report.card.index import OldGroup, OldMetric, index_of
from harness.report.card.match import equal, hundredfold, is_same, shared_homes, today
from harness.report.card.render import scalar

OnConflict = Literal["fail", "update", "keep"]
Revisions = Literal["fail", "replace", "both"]


@dataclass(frozen=True)
class Rules:
    """What may be done to values that stand on the card.

    Attributes:
        on_conflict: a value differs: fail (the edit is planned, to be shown, but must not be written),
            update it, or keep the card's.
        revisions: two different real revisions of a data set: fail, replace the card's, or both side by side.
        digits: two values equal when rounded to these are one.
        shared: dataset types that several tasks have; there the display name tells tasks apart.
        prune: which groups outside this run may go.
    """

    on_conflict: OnConflict = "fail"
    revisions: Revisions = "fail"
    digits: int | None = None
    shared: Collection[str] = ()
    prune: Callable[[OldGroup], bool] | None = None


DEFAULT = Rules()


def plan(card: Card, groups: Sequence[Group], name: str, rules: Rules = DEFAULT) -> Plan:
    """What it takes to have these groups on the card.

    Args:
        groups: of one run, in the order in which new ones are written.
        name: of the entry, should the card have no model-index yet.

    Raises:
        DataError: a card that cannot be edited safely, a value that stands twice or that the Hub has
            verified, or old and new values that are about a hundredfold of each other.
    """
    index = index_of(card)
    made = Plan(name=name if index is None else "")
    taken = shared_homes(groups) | set(rules.shared)
    touched: set[int] = set()
    for group in groups:
        same = [old for old in index.groups if is_same(old, group, taken)] if index else []
        touched |= {old.number for old in same}
        _plan_group(card, made, group, same, rules)
    for old in index.groups if index and rules.prune else ():
        if old.number not in touched and rules.prune and rules.prune(old):
            made.pruned.add(old.number)
            made.changes.extend(
                [
                    Change("pruned", f"{old.name} {metric.type}", card.line_of(metric.node))
                    for metric in old.metrics
                ]
            )
    made.edits.extend(insertions(card, index, made))
    made.edits.sort(key=lambda edit: edit.start)
    return made


def _plan_group(card: Card, made: Plan, group: Group, same: Sequence[OldGroup], rules: Rules) -> None:
    revision = known_revision(group.data["dataset"].get("revision"))
    homes = [old for old in same if old.revision == revision]
    homes = homes or [old for old in same if revision is None or old.revision is None]
    if same and not homes and rules.revisions == "replace":
        if len(same) > 1:
            lines = ", ".join(str(card.line_of(old.node)) for old in same)
            raise card.fault(same[0].node, f"{group.label} stands on several revisions (lines {lines})")
        homes = list(same)
    if homes:
        _plan_values(card, made, group, homes, rules)
        if rules.revisions == "replace" and revision and homes[0].revision != revision:
            made.revisions[homes[0].number] = revision
            made.changes.append(
                Change(
                    "updated",
                    f"{group.label} revision",
                    card.line_of(homes[0].node),
                    homes[0].revision or "unknown",
                    revision,
                )
            )
    elif not same or rules.revisions == "both":
        made.groups.append(dict(group.data))
        made.changes.extend(
            [
                Change("added", f"{group.label} {metric['type']}", new=scalar(metric["value"]))
                for metric in group.data["metrics"]
            ]
        )
    else:
        what: What = "kept" if rules.on_conflict == "keep" else "conflicting"
        line = card.line_of(same[0].node)
        old_revision = same[0].revision or ""
        made.changes.append(Change(what, f"{group.label} revision", line, old_revision, revision or ""))


def _plan_values(card: Card, made: Plan, group: Group, homes: Sequence[OldGroup], rules: Rules) -> None:
    wanted = [(metric, metric["value"], True) for metric in group.data["metrics"]]
    wanted.append(({"type": "main_score"}, group.main, False))  # where a card has it, it goes with the main
    pairs: list[tuple[OldMetric, float]] = []
    for metric, value, add in wanted:
        found = [
            (home, place, old)
            for home in homes
            for place, old in enumerate(home.metrics)
            if today(old.type, group) == today(metric["type"], group)
        ]
        label = f"{group.label} {metric['type']}"
        if len(found) > 1:
            lines = ", ".join(str(card.line_of(old.node)) for _, _, old in found)
            raise card.fault(found[0][2].node, f"{label} stands {len(found)} times (lines {lines}); keep one")
        if found:
            home, place, old = found[0]
            pairs += _plan_value(card, made, label, (home, place, old), value, group.scale, rules)
        elif add:
            made.metrics.setdefault(homes[0].number, []).append(metric)
            made.changes.append(Change("added", label, new=scalar(value)))
    _guard_scale(card, group, pairs)


def _plan_value(
    card: Card,
    made: Plan,
    label: str,
    found: tuple[OldGroup, int, OldMetric],
    value: float,
    scale: int,
    rules: Rules,
) -> list[tuple[OldMetric, float]]:
    """Plan one value that the card has; returns it with ours where the two differ."""
    home, place, old = found
    line, text = card.line_of(old.node if old.value is None else old.value), scalar(value)
    if equal(old, value, scale, rules.digits):
        made.changes.append(Change("unchanged", label, line))
        return []
    if old.value is None:
        raise card.fault(old.node, f"{label} has no `value` on one line to put {text} in the place of")
    written = old.value.value
    if rules.on_conflict == "keep":
        made.changes.append(Change("kept", label, line, written, text))
        return [(old, value)]
    if old.verified:
        raise card.fault(old.node, f"the Hub has verified {label} = {written}, which would become {text}")
    what: What = "updated" if rules.on_conflict == "update" else "conflicting"
    made.changes.append(Change(what, label, line, written, text))
    made.values[home.number, place] = text
    start, end = card.span(old.value)
    made.edits.append(Edit(start, end, text if start < end else f" {text}"))
    return [(old, value)]


def _guard_scale(card: Card, group: Group, pairs: Sequence[tuple[OldMetric, float]]) -> None:
    """Stop where at least half of the values that differ are about a hundredfold."""
    odd = [(old, new) for old, new in pairs if hundredfold(old.number, new)]
    if odd and 2 * len(odd) >= len(pairs):
        old, new = odd[0]
        shown = old.value.value if old.value else ""
        raise DataError(
            f"{card.label}, line {card.line_of(old.node)}: {group.label} {old.type} is {shown} on the card "
            f"and {scalar(new)} here, about a hundredfold: one is a share, the other a percentage\n"
            "choose the card's scale (--profile mteb writes x100, generic 0 to 1), or correct the card"
        )
