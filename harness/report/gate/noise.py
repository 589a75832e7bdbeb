"""How far a model's scores move when nothing about the model changes, and the tolerances that follow.

Two sorts of noise are measured. Float noise: everything is encoded again, with the tasks in another order,
other batches and another number of threads. The luck of the draw: where a protocol draws at random (few-shot
experiments, k-means), it is scored again from the same vectors with other seeds.
"""

from __future__ import annotations

import math
import os
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from harness.kinds.evidence import evidence
from harness.report.values import metric_value, scale
from harness.run import evaluate
from harness.suite import Suite
from harness.task import Task
from harness.types import Result

MOVES = 3.0  # a tolerance is so many times the largest move of a repeat ...
DRAWS = 2 * math.sqrt(2)  # ... and twice the spread over seeds, of a difference of two scores
LEAST = 0.01  # points
BATCHES = (4096, 16384, 65536)  # tokens a batch; a CPU in bfloat16 takes no fewer than the first

Load = Callable[[int | None], Any]


@dataclass(frozen=True)
class Noise:
    """Of one task, or of the mean over all; scores in points.

    Attributes:
        score: as a plain run gives it.
        repeats: of every repeat.
        seeds: of every other seed; empty where nothing is drawn.
        repeated: whether all that is drawn is drawn several times, in experiments that a gate compares.
    """

    name: str
    metric: str
    score: float
    repeats: tuple[float, ...]
    seeds: tuple[float, ...] = ()
    repeated: bool = False

    @property
    def moved(self) -> float:
        """The largest move of a repeat."""
        return max((abs(value - self.score) for value in self.repeats), default=0.0)

    @property
    def drawn(self) -> float | None:
        """Standard deviation over the seeds; None where nothing is drawn."""
        return statistics.stdev((self.score, *self.seeds)) if self.seeds else None

    @property
    def tolerance(self) -> float:
        """The suggested `max_drop`: without the spread over seeds where a test knows it from experiments."""
        return _suggested(self.moved, 0.0 if self.repeated else self.drawn or 0.0)

    @property
    def untested(self) -> float | None:
        """The suggested `max_drop_untested`, with that spread; None where it is no other."""
        return _suggested(self.moved, self.drawn) if self.repeated and self.drawn is not None else None


def noise(
    load: Load,
    suite: Suite,
    *,
    repeats: int = 3,
    seeds: int = 4,
    seed: int = 0,
    cache: Any = None,
    offline: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Noise, list[Noise]]:
    """Measure the mean over the suite's tasks, and every task; no result is stored.

    Args:
        load: a model that makes batches of so many tokens; None leaves that to it.
        repeats: runs that encode everything anew.
        seeds: other seeds for what is drawn; those runs reuse vectors of the cache.
        seed: of the orders of tasks.
        say: told of every run, one line each.

    Raises what `evaluate` raises.
    """
    model = load(None)
    options = {"cache": cache, "offline": offline}
    say("a plain run")
    results = list(evaluate(model, suite, **options))
    plain, repeated = _scores(results, suite), _repeated(results, suite)
    shuffled = random.Random(seed)  # noqa: S311 - an order, no secret
    moved: list[Mapping[str, float]] = []
    for number in range(repeats):
        tasks = list(suite.tasks)
        shuffled.shuffle(tasks)
        batch = BATCHES[number % len(BATCHES)] if _batched(model) else None
        threads = 1 if number % 2 == 0 else max(2, os.cpu_count() or 1)
        how = f"{threads} thread{'s' * (threads > 1)}" + (f", batches of {batch} tokens" if batch else "")
        say(f"repeat {number + 1} of {repeats}: {how}, tasks in another order")
        with _threads(threads, _batched(model)):
            again = evaluate(load(batch), replace(suite, tasks=tuple(tasks)), no_cache=True, **options)
            moved.append(_scores(again, suite))
    drawn: list[Mapping[str, float]] = []
    for number in range(1, seeds + 1):
        able = tuple(
            other for task in suite.tasks if (other := _reseeded(task, number)) and task.name in plain
        )
        if able:
            say(f"seed {number} of {seeds}: {len(able)} tasks that draw")
            drawn.append(_scores(evaluate(model, replace(suite, tasks=able), **options), suite))
    metrics = {task.name: task.shown for task in suite.tasks}
    tasks_found = [
        Noise(
            name, metrics[name], score, tuple(run[name] for run in moved),
            tuple(run[name] for run in drawn if name in run), name in repeated,
        )
        for name, score in plain.items()
    ]  # fmt: skip
    whole = _whole(suite.name, plain, moved, drawn)
    return replace(whole, repeated=all(one.repeated for one in tasks_found if one.seeds)), tasks_found


def _suggested(moved: float, drawn: float) -> float:
    """Rounded up to a hundredth of a point."""
    return max(LEAST, math.ceil(100 * (MOVES * moved + DRAWS * drawn) - 1e-6) / 100)


def _whole(
    suite: str,
    plain: Mapping[str, float],
    moved: Sequence[Mapping[str, float]],
    drawn: Sequence[Mapping[str, float]],
) -> Noise:
    """The mean over the tasks; a task that draws nothing keeps its score under another seed."""

    def mean(run: Mapping[str, float]) -> float:
        return statistics.fmean({**plain, **run}.values())

    return Noise(suite, "mean", mean({}), tuple(map(mean, moved)), tuple(map(mean, drawn)))


def _repeated(results: Iterable[Result], suite: Suite) -> set[str]:
    """The tasks whose per-example values hold several experiments, on every entry."""
    single: set[str] = set()
    several: set[str] = set()
    for result in results:
        settings = result.provenance.get("settings") or {}
        if result.samples is not None and isinstance(settings.get("seed"), int):
            scorer = result.scorer.partition("@")[0]
            parts = evidence(result.kind, scorer, settings, result.samples, result.main_metric).whole
            (several if len(parts) > 1 else single).add(result.task)
    found = several - single
    return found | {t.name for t in suite.tasks if t.members and {m.name for m in t.members} <= found}


def _scores(results: Iterable[Result], suite: Suite) -> dict[str, float]:
    """Each task's score in points: the mean over its entries of the metric that the suite shows."""
    shown = {task.name: task.shown for task in suite.tasks}
    values: dict[str, list[float]] = {}
    for result in results:
        if result.task in shown:  # members of an aggregate are scored, too
            metric = shown[result.task]
            value = result.exact.get(metric, metric_value(result, metric))
            if value is not None:
                values.setdefault(result.task, []).append(scale(metric) * float(value))
    return {name: statistics.fmean(values[name]) for name in shown if name in values}


def _reseeded(task: Task, by: int) -> Task | None:
    """The task with another seed; None where nothing of it is drawn."""
    members = tuple(_reseeded(member, by) or member for member in task.members)
    if members != task.members:
        return replace(task, members=members)
    if not isinstance(task.settings.get("seed"), int):
        return None
    return replace(task, settings={**task.settings, "seed": task.settings["seed"] + by})


def _batched(model: Any) -> bool:
    """Whether the size of its batches is the caller's choice."""
    return bool(model.card.framework == "PyTorch")


@contextmanager
def _threads(number: int, torch_too: bool) -> Iterator[None]:
    """So many threads for what computes here, for as long as the block lasts."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(number):
        if not torch_too:
            yield
            return
        import torch

        before = torch.get_num_threads()
        torch.set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before)
