"""Which results may stand in one column: the same task, scored the same way on the same data.

What that takes is said by `harness.report.apart`, for a pair of results as for a column. Results that mteb
published on several revisions of a data set are merged, as mteb's leaderboard does, and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from harness.report.apart import TRAITS, Trait
from harness.types import Result

UNKNOWN = ("", "none", "null", "main", "no_revision_available", "external")
NAMED = 4  # models or tasks that a line names


def alike(results: Sequence[Result], own: Mapping[str, Sequence[str]]) -> tuple[list[Result], list[str]]:
    """The results that may share columns, and what was left out for which reason, a line each.

    What most results of a task have in common stays; of equally many, what the suite has now, else what
    comes first.

    Args:
        results: of one protocol.
        own: task to what the suite has now: revision of the data, scorer.
    """
    kept = list(results)
    lines: list[str] = []
    for trait in TRAITS:
        columns: dict[tuple[str, ...], list[Result]] = defaultdict(list)
        for result in kept:
            if trait.of(result) is not None:
                place = () if trait.wide else (result.split, result.subset)
                columns[result.task, *place].append(result)
        out: set[int] = set()
        odd: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
        for (task, *_), column in columns.items():
            first = _usual(trait, column, own.get(task, ()))
            for result in column:
                if trait.of(result) != trait.of(first):
                    out.add(id(result))
                    odd[task, _told(trait, result, first), _told(trait, first, result)].append(result)
        lines += [_line(trait, *key, found) for key, found in odd.items()]
        kept = [result for result in kept if id(result) not in out]
    return kept, lines


def published(results: Iterable[Result]) -> list[str]:
    """What to know of published results that do not stand on one revision of the data: a line, or none."""
    revisions: dict[str, set[str]] = defaultdict(set)
    foreign: set[str] = set()
    for result in results:
        if _known(result.data_revision):
            revisions[result.task].add(result.data_revision)
        if not result.data_fingerprint:
            foreign.add(result.task)
    several = [task for task, found in revisions.items() if len(found) > 1 and task in foreign]
    if not several:
        return []
    return [f"with published ones on other revisions of the data, merged as mteb does: {_some(several)}"]


def _usual(trait: Trait, column: Sequence[Result], own: Sequence[str]) -> Result:
    counts = Counter(trait.of(result) for result in column)
    most = max(counts.values())
    usual = [result for result in column if counts[trait.of(result)] == most]
    return next((result for result in usual if trait.shown(result) in own), usual[0])


def _told(trait: Trait, result: Result, other: Result) -> str:
    """The value as shown, with what tells the two apart where that does not."""
    shown = trait.shown(result)
    if shown != trait.shown(other):
        return shown
    return f"{shown} (fingerprint {(trait.of(result) or '')[:8]})"


def _line(trait: Trait, task: str, theirs: str, usual: str, found: Sequence[Result]) -> str:
    places = dict.fromkeys(f"{result.split}/{result.subset}" for result in found)
    models = dict.fromkeys("+".join((result.model, *result.variant)) for result in found)
    return (
        f"{len(found)} of {task} ({_some(list(places))}) left out, of {_some(list(models))}: "
        f"{trait.words} {theirs} where the others have {usual}"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _known(revision: str) -> bool:
    """Whether it is a revision of a hub data set."""
    return not revision.startswith("local:") and revision.lower() not in UNKNOWN and " " not in revision
