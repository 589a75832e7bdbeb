"""Our scores beside published ones: equal to the digits that were published, close, or different, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.models.catalog import Row
from harness.report import names
from harness.report.card.groups import TYPES
from harness.report.sides import Side
from harness.report.verify.causes import Case, causes
from harness.report.verify.published import Figure, value_of
from harness.task import Task
from harness.types import Result

CLOSE = 0.1  # points
Verdict = Literal["equal", "close", "different", "absent"]
HEADER = ("task", "metric", "published", "ours", "difference", "answer")

_TYPES = {word for words in TYPES.values() for word in words}
_NOISE = 1e-4  # points that float noise of another machine may move an equal score by


@dataclass(frozen=True)
class Verified:
    """One published score and ours; points.

    Attributes:
        ours: None where there is no score to compare.
        close: up to which difference a score counts as close.
        hints: why it may differ, or why there is nothing to compare.
    """

    figure: Figure
    ours: float | None
    verdict: Verdict
    close: float
    hints: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The task, with its split and subset where the figure is of one."""
        figure = self.figure
        return f"{figure.task} ({figure.split}/{figure.subset})" if figure.split else figure.task


@dataclass(frozen=True)
class Mean:
    """A suite's mean of the published scores and of ours; points.

    Attributes:
        over: what it is the mean of, `tasks` or `types` (of each type's mean); `count` says how many.
    """

    over: Literal["tasks", "types"]
    count: int
    published: float
    ours: float


def verify(
    side: Side, figures: Iterable[Figure], tasks: Sequence[Task] | None, *, model: str, row: Row | None = None
) -> list[Verified]:
    """Compare every published score of a main metric; where none is of it, of the metrics that both have.

    Args:
        tasks: of a suite, which select tasks, entries, metrics and tolerances; None for all that is stored.
        model, row: for the hints: as the user named it, and its catalog row.
    """
    by_name = {task.name: task for task in tasks or ()}
    places: dict[tuple[str, str, str], list[Figure]] = {}
    for figure in figures:
        if tasks is None or _due(figure, by_name):
            places.setdefault((figure.task, figure.split, figure.subset), []).append(figure)
    found = []
    for (name, split, subset), own in places.items():
        task = by_name.get(name)
        entries = _entries(name, split, subset, task, side)
        results = [r for e in entries if (r := side.results.get((name, *e))) is not None]
        close = tolerance(task)
        if not results or len(results) < len(entries):
            scored = sorted({f"{r.split}/{r.subset}" for r in side.results.values() if r.task == name})
            hint = f"ours is of {', '.join(scored)}" if scored else ""
            found.append(Verified(own[0], None, "absent", close, (hint,) if hint else ()))
            continue
        fitting = [f for f in own if _foreign(f, results[0]) is None]
        if not fitting:
            found.append(Verified(own[0], None, "absent", close, (_foreign(own[0], results[0]) or "",)))
            continue
        own = fitting
        wanted = task.shown if task else results[0].main_metric
        ours = results[0].data_revision  # a card may have scores on several revisions of the data
        own = [f for f in own if f.revision == ours] or own
        told = _of_metric(own, wanted, results[0].protocol)
        both = [(figure, value) for figure in told if (value := value_of(figure, results)) is not None]
        found += [_judged(figure, value, close, results, side, model, row) for figure, value in both]
        if not both:
            found.append(Verified(told[0], None, "absent", close, (f"ours has no {told[0].spelled}",)))
    return found


def tolerance(task: Task | None) -> float:
    """Up to how many points a score counts as close."""
    return CLOSE if task is None or task.tolerance is None else task.tolerance


def verdict(figure: Figure, ours: float, close: float) -> Verdict:
    """How far a score of ours is from a published one."""
    apart = abs(ours - figure.value)
    return "equal" if apart <= _same(figure) else "close" if apart <= close else "different"


def exit_code(found: Sequence[Verified]) -> int:
    """0 all equal or close, 1 some different, 2 nothing could be compared."""
    verdicts = {one.verdict for one in found} - {"absent"}
    return 1 if "different" in verdicts else 0 if verdicts else 2


def rows(found: Sequence[Verified]) -> list[list[str]]:
    """One row a comparison, the largest difference first; columns as in `HEADER`."""
    return [
        [
            one.place, one.figure.spelled, f"{one.figure.value:.{max(2, one.figure.digits)}f}",
            f"{one.ours:.{max(2, one.figure.digits)}f}", f"{one.ours - one.figure.value:+.4f}", one.verdict,
        ]
        for one in _ordered(found)
        if one.ours is not None
    ]  # fmt: skip


def notes(found: Sequence[Verified]) -> list[str]:
    """The hints of every difference, and what was published and not scored, a line each."""
    lines = []
    for one in _ordered(found):
        if one.verdict == "different":
            lines += [f"{one.place}:", *(f"  - {hint}" for hint in one.hints)]
    gone = [one for one in found if one.verdict == "absent"]
    places: dict[tuple[str, str], list[str]] = {}
    for one in gone:
        if one.hints:
            places.setdefault((one.figure.task, one.hints[0]), []).append(one.place)
    for (_, hint), own in places.items():
        more = f" and {len(own) - 1} more of it" if len(own) > 1 else ""
        lines.append(f"{own[0]}{more}: published, not compared; {hint}")
    bare = list(dict.fromkeys(one.figure.task for one in gone if not one.hints))
    if bare:
        more = f" and {len(bare) - 6} more" if len(bare) > 6 else ""
        lines.append(f"published, not scored here: {', '.join(bare[:6])}{more}")
    return lines


def headline(found: Sequence[Verified], model: str, source: str) -> str:
    """The answer in one line."""
    counts = [f"{n} {v}" for v in ("equal", "close", "different") if (n := _count(found, v))]
    return f"{model} against {source}: {', '.join(counts) or 'nothing to compare'}"


def to_json(
    found: Sequence[Verified], model: str, source: str, averages: Sequence[Mean] = ()
) -> dict[str, Any]:
    """Everything, JSON-ready."""
    counts: Mapping[str, int] = {v: _count(found, v) for v in ("equal", "close", "different", "absent")}
    return {
        "model": model,
        "source": source,
        "exit_code": exit_code(found),
        "counts": dict(counts),
        "means": [
            {
                "over": one.over,
                "count": one.count,
                "published": one.published,
                "ours": one.ours,
                "difference": one.ours - one.published,
            }
            for one in averages
        ],
        "scores": [
            {
                "task": one.figure.task,
                "split": one.figure.split or None,
                "subset": one.figure.subset or None,
                "metric": one.figure.metric,
                "published_as": one.figure.spelled,
                "published": one.figure.value,
                "digits": one.figure.digits,
                "ours": one.ours,
                "difference": None if one.ours is None else one.ours - one.figure.value,
                "close": one.close,
                "answer": one.verdict,
                "hints": list(one.hints),
            }
            for one in found
        ],
    }


def _entries(name: str, split: str, subset: str, task: Task | None, side: Side) -> list[tuple[str, str]]:
    """The splits and subsets that a figure is of; one that names no split is of all that have its subset."""
    if split:
        return [(split, subset)]
    there = task.entries if task else [(r.split, r.subset) for r in side.results.values() if r.task == name]
    return [entry for entry in there if subset in ("", entry[1])]


def _due(figure: Figure, tasks: Mapping[str, Task]) -> bool:
    task = tasks.get(figure.task)
    return task is not None and (not figure.split or (figure.split, figure.subset) in task.entries)


def _foreign(figure: Figure, ours: Result) -> str | None:
    """Why a figure of a card is of something else that has the same name; None where it may be of ours."""
    if figure.shape == "sbert" and ours.protocol != "sbert":
        return f"the card's is sentence-transformers' own, ours {ours.protocol}: see --protocol sbert"
    if figure.shape == "custom" and ours.protocol != "sbert" and ours.kind in TYPES:
        due = TYPES[ours.kind]
        if figure.type in _TYPES and figure.type not in due:
            return f"the card's is of type {figure.type}, ours of {due[1]}"
    return None


def _of_metric(figures: Sequence[Figure], wanted: str, protocol: str) -> Sequence[Figure]:
    """The figure of this metric as it is spelled, else under another spelling; all where none is of it."""
    exact = [f for f in figures if f.spelled == wanted] or [f for f in figures if f.metric == wanted]
    return (exact or [f for f in figures if f.metric == names.today(wanted, protocol)])[:1] or figures


def _judged(
    figure: Figure,
    ours: float,
    close: float,
    results: Sequence[Result],
    side: Side,
    model: str,
    row: Row | None,
) -> Verified:
    found = verdict(figure, ours, close)
    if found != "different":
        return Verified(figure, ours, found, close)
    others = [r for r in side.results.values() if r.task == figure.task and r not in results]
    hints = causes(Case(figure, results, ours, max(_same(figure), 0.01), others, row, model))
    return Verified(figure, ours, found, close, tuple(hints))


def _same(figure: Figure) -> float:
    """Half of the last digit that was published, and float noise."""
    return 0.5 * 10.0**-figure.digits + _NOISE


def _ordered(found: Sequence[Verified]) -> list[Verified]:
    def apart(one: Verified) -> float:
        return 0.0 if one.ours is None else abs(one.ours - one.figure.value)

    return sorted(found, key=lambda one: -apart(one))


def _count(found: Sequence[Verified], verdict: str) -> int:
    return sum(one.verdict == verdict for one in found)
