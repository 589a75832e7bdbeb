"""Which results may stand in one column: the same task, scored the same way on the same data.

Ours say by what they were scored and on what, and are compared by that. Results that mteb published say no
more than a revision of the data set: repositories have moved and been converted without their rows changing,
most tasks have been published under two or three revisions, and mteb's leaderboard merges them. So do we,
and count them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.streams import AFTER, RNG, STATE
from harness.types import Result

UNKNOWN = ("", "none", "null", "main", "no_revision_available", "external")
NAMED = 4  # models or tasks that a line names


@dataclass(frozen=True)
class Trait:
    """Something that must be equal within a column.

    Attributes:
        words: what a line calls it.
        of: its value; None where the result does not say.
        shown: its value as a person knows it.
        wide: whether all entries of a task must agree in it, not only those of one split and subset.
    """

    words: str
    of: Callable[[Result], str | None]
    shown: Callable[[Result], str]
    wide: bool


def _settings(result: Result) -> str | None:
    settings = result.provenance.get("settings")
    if settings is None:
        return None
    # What was drawn before an entry differs between entries of one task; a table checks it by itself.
    return json.dumps({k: v for k, v in settings.items() if k not in (RNG, AFTER, STATE)}, sort_keys=True)


TRAITS = (
    Trait("data", lambda r: r.data_fingerprint or None, lambda r: r.data_revision, False),
    Trait("scorer", lambda r: r.scorer if r.data_fingerprint else None, lambda r: r.scorer, True),
    Trait(
        "settings", lambda r: _settings(r) if r.data_fingerprint else None, lambda r: _settings(r) or "", True
    ),
)


def differences(a: Result, b: Result) -> list[str]:
    """Why two results must not be compared, a line each; empty where they may be.

    What one of the two does not say is not held against it.
    """
    same = ("protocol", "task", "split", "subset")
    lines = [
        f"{word} {getattr(a, word)} against {getattr(b, word)}"
        for word in same
        if getattr(a, word) != getattr(b, word)
    ]
    for trait in TRAITS:
        mine, other = trait.of(a), trait.of(b)
        if None not in (mine, other) and mine != other:
            lines.append(f"{trait.words} {_told(trait, a, b)} against {_told(trait, b, a)}")
    return lines


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
