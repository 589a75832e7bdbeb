"""python -m benchmarks.gate_errors [--quick]: how often the gate cries wolf, and how often it sees one.

Pairs of synthetic models answer one task of each of four sorts: nDCG@10 of queries, Spearman of pairs,
accuracy of few-shot experiments, V-measure of repeated clusterings. Everything that varies in reality is
drawn anew for each pair: the texts, what each model makes of them, and what each experiment or clustering
does to each model. The answers go through `paired` and `judged`, as `harness gate` calls them.

Without a true difference whatever fires is a false alarm. Then one task at a time gets a true drop of the
size that its check states as detectable (the mean of what it states), and what fires is a find. Beside it
stands what the tolerance alone, 0.5 points, would have said of the same numbers.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from harness.report.gate.rules import BUILT_IN, Rule
from harness.report.gate.verdict import Check, judged
from harness.report.paired import paired
from harness.types import Result

LEVEL = 0.05
GRID = 9  # sizes of a shift at which the true drop is measured
CLASSES = 6
PARTS = 8  # that the pairs without a difference are counted in
WAYS = ("one", "tolerant one", "family", "tolerant family", "alone")
NONE = Rule(max_drop=0.0)  # any significant drop fails: what the level alone promises

Random = np.random.Generator
Draw = Callable[[Random, float], tuple[Any, Any]]


@dataclass(frozen=True)
class Sort:
    """A sort of task.

    Attributes:
        draw: generator and shift of the second model to both models' tables.
        value: a table to its metric.
        widest: the shift at which a drop is certain to be seen.
    """

    name: str
    kind: str
    scorer: str
    metric: str
    draw: Draw
    value: Callable[[Any], float]
    widest: float


def queries(random: Random, shift: float, n: int = 200) -> tuple[pa.Table, pa.Table]:
    """nDCG@10 of n queries: one relevant document each, at a rank that query and model decide."""
    hard = random.normal(0, 1, n)
    sides = []
    for own in (0.0, shift):
        rank = np.floor(np.exp(1 + own + hard + random.normal(0, 0.8, n))).astype(int) + 1
        values = np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0)
        names = [str(i) for i in range(n)]
        sides.append(pa.table({"group": [""] * n, "query_id": names, "ndcg_at_10": values}))
    return sides[0], sides[1]


def pairs(random: Random, shift: float, n: int = 300) -> tuple[pa.Table, pa.Table]:
    """Similarities of n pairs: gold with noise, some of which both models share."""
    gold = np.round(random.uniform(0, 5, n) * 5) / 5  # human scores have ties
    shared = random.normal(0, 1, n)
    sides = []
    for own in (0.0, shift):
        scores = gold + shared + (1 + own) * random.standard_t(5, n)
        sides.append(pa.table({"gold": gold, "similarity": scores, "cosine": scores}))
    return sides[0], sides[1]


def experiments(random: Random, shift: float, n: int = 300, repeats: int = 10) -> tuple[pa.Table, pa.Table]:
    """Few-shot predictions: texts are hard, draws of training texts unlucky, both in part for one model."""
    hard, luck = random.normal(0, 1, n), random.normal(0, 0.2, repeats)
    gold = random.integers(0, CLASSES, n)
    sides = []
    for own in (0.0, shift):
        ease = 1 - own - hard - random.normal(0, 0.7, n)
        ease = ease[None] + (luck + random.normal(0, 0.15, repeats))[:, None]
        right = random.random((repeats, n)) < 1 / (1 + np.exp(-1.5 * ease))
        wrong = (gold + random.integers(1, CLASSES, (repeats, n))) % CLASSES
        sides.append(_repeated(gold, np.where(right, gold, wrong), "prediction"))
    return sides[0], sides[1]


def clusterings(random: Random, shift: float, n: int = 150, repeats: int = 10) -> tuple[pa.Table, pa.Table]:
    """Clusterings of the same texts: texts that stray, and clusters that a bad start lets fall together."""
    hard = random.normal(0, 1, n)
    gold = random.integers(0, CLASSES, n)
    sides = []
    for own in (0.0, shift):
        stray = 1 / (1 + np.exp(1.2 - own - hard - random.normal(0, 0.5, n)))
        away = random.integers(0, CLASSES, n)  # where a text goes when it strays, mostly the same place
        found = np.empty((repeats, n), dtype=np.int64)
        for repeat in range(repeats):
            found[repeat] = np.where(random.random(n) < stray, away, gold)
            if random.random() < 0.4:
                one, other = random.choice(CLASSES, 2, replace=False)
                found[repeat][found[repeat] == one] = other
        sides.append(_repeated(gold, found, "cluster", level=0))
    return sides[0], sides[1]


def _repeated(gold: Any, found: Any, column: str, **more: int) -> pa.Table:
    repeats, n = found.shape
    return pa.table(
        {
            "experiment": np.repeat(np.arange(repeats), n),
            **{name: np.full(repeats * n, value) for name, value in more.items()},
            "row": np.tile(np.arange(n), repeats),
            "gold": np.tile(gold, repeats),
            column: found.ravel(),
        }
    )


def _value(sort_kind: str, scorer: str, metric: str) -> Callable[[Any], float]:
    from harness.kinds.evidence import evidence

    return lambda table: evidence(sort_kind, scorer, {}, table, metric).value


def _sort(name: str, kind: str, scorer: str, metric: str, draw: Draw, widest: float) -> Sort:
    return Sort(name, kind, scorer, metric, draw, _value(kind, scorer, metric), widest)


SORTS = (
    _sort("nDCG@10", "retrieval", "trec", "ndcg_at_10", queries, 0.6),
    _sort("Spearman", "sts", "correlation", "cosine_spearman", pairs, 1.0),
    _sort("accuracy", "classification", "few_shot", "accuracy", experiments, 0.8),
    _sort("V-measure", "clustering", "bootstrap_kmeans", "v_measure", clusterings, 1.2),
)


def result(sort: Sort, model: str, value: float) -> Result:
    """What a store would hold of one model on one task."""
    return Result(
        model, "1", (), sort.name, sort.kind, "mteb", f"{sort.scorer}@1", "test", "default", (), "r", "f",
        sort.metric, {sort.metric: value}, {sort.metric: value}, {}, {}, {},
    )  # fmt: skip


def check(sort: Sort, random: Random, shift: float, seed: int) -> Check:
    """One task of a gate, as `harness.report.gate.decide` makes it, without a tolerance."""
    tables = sort.draw(random, shift)
    old, new = (
        result(sort, name, sort.value(table)) for name, table in zip(("old", "new"), tables, strict=True)
    )
    found = paired(old, new, tables, sort.metric, seed=seed)
    scores = 100 * found.old, 100 * found.new
    entries = {("test", "default"): found}
    return Check("task", sort.name, sort.metric, *scores, 1, 0.0, NONE, entries=entries)


def tolerant(one: Check) -> Check:
    """The same under the built-in tolerance."""
    return replace(one, rule=BUILT_IN, allowed=BUILT_IN.allowed(one.old))


def untested(one: Check) -> Check:
    """The same without per-example values: the tolerance alone decides."""
    return replace(tolerant(one), entries=None)


def fired(checks: Sequence[Check]) -> list[bool]:
    """Which checks of one gate fail."""
    return [c.bad for c in judged(checks, LEVEL)]


def true_drops(sort: Sort, random: Random, draws: int) -> tuple[Any, Any]:
    """Shifts, and the mean drop in points that each of them causes."""
    shifts = np.linspace(0, sort.widest, GRID)
    drops = []
    for shift in shifts:
        tables = [sort.draw(random, float(shift)) for _ in range(draws)]
        drops.append(100 * np.mean([sort.value(a) - sort.value(b) for a, b in tables]))
    drops[0] = 0.0
    return shifts, np.maximum.accumulate(drops)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and print; 1 where a promise is not kept."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.gate_errors", description=(__doc__ or "").partition("\n")[0]
    )
    made.add_argument("--pairs", type=int, default=2000, help="without a true difference (2,000)")
    made.add_argument("--drops", type=int, default=400, help="with a true drop, of each sort (400)")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--quick", action="store_true", help="a tenth of each: seconds, and no proof")
    made.add_argument("--jobs", type=int, default=2, help="processes (2); the figures do not depend on them")
    args = made.parse_args(arguments)
    count, power = (args.pairs // 10, args.drops // 10) if args.quick else (args.pairs, args.drops)
    started = time.perf_counter()
    with ProcessPoolExecutor(args.jobs) as pool:
        drops = [pool.submit(_finds, at, args.seed, power, quick=args.quick) for at in range(len(SORTS))]
        parts = [pool.submit(_alarms, args.seed, part, count // PARTS) for part in range(PARTS)]
        finds = [each.result() for each in drops]
        counted = [each.result() for each in parts]
    count = count // PARTS * PARTS
    alarms = {way: sum(part[way] for part in counted) / count for way in WAYS}
    head = [
        "task", "false alarms, one task", "with tolerance 0.5", "tolerance alone", "detectable drop", "found",
        "half of it: found", "half of it: found by tolerance alone",
    ]  # fmt: skip
    about = (
        f"{count:,} pairs of models without a true difference; of each task {power} with a true drop of "
        f"the size that is stated as detectable, and as many with half of it.\n"
        f"Level {100 * LEVEL:g} %, seed {args.seed}, {time.perf_counter() - started:.0f} s.\n"
    )
    lines = [
        about,
        f"| {' | '.join(head)} |",
        "|---" + "|---:" * (len(head) - 1) + "|",
    ]
    for at, sort in enumerate(SORTS):
        rates = [f"{100 * alarms[way][at]:.1f} %" for way in ("one", "tolerant one", "alone")]
        size, *found = finds[at]
        rates += [f"{size:.2f}", *(f"{100 * rate:.0f} %" for rate in found)]
        lines.append(f"| {sort.name} | {' | '.join(rates)} |")
    whole = [f"{100 * alarms[way][-1]:.1f} %" for way in ("family", "tolerant family", "alone")]
    lines.append(f"| any of the four (Holm) | {' | '.join(whole)} |" + " |" * 4)
    worst = max([*alarms["one"][:-1], alarms["family"][-1]])
    kept = worst <= 0.06 and min(found for _, found, *_ in finds) >= 0.8
    lines.append(
        f"\nWorst rate of false alarms {100 * worst:.1f} % (promised: {100 * LEVEL:g} %, at most 6 % here): "
        f"{'promises kept' if kept else 'too few pairs to tell' if args.quick else 'PROMISES NOT KEPT'}."
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if kept or args.quick else 1


def _alarms(seed: int, part: int, count: int) -> dict[str, Any]:
    """False alarms of each sort alone, and last of any of them, by the way of deciding."""
    random = np.random.default_rng([seed, 0, part])
    hits = {way: np.zeros(len(SORTS) + 1) for way in WAYS}
    for number in range(count):
        checks = [check(sort, random, 0.0, number) for sort in SORTS]
        lenient = [tolerant(one) for one in checks]
        said = {
            "one": [fired([one])[0] for one in checks],
            "tolerant one": [fired([one])[0] for one in lenient],
            "family": fired(checks),
            "tolerant family": fired(lenient),
            "alone": fired([untested(one) for one in checks]),
        }
        for way, which in said.items():
            hits[way] += [*which, any(which)]
    sys.stderr.write(f"part {part + 1} of {PARTS}: {count} pairs without a difference, {hits}\n")
    return hits


def _finds(at: int, seed: int, count: int, *, quick: bool) -> tuple[float, float, float, float]:
    """The detectable drop of one sort among four tasks, how often it is found, and the same of half of it."""
    sort, random = SORTS[at], np.random.default_rng([seed, 1, at])
    shifts, drops = true_drops(sort, random, 200 if quick else 1000)
    size = 0.0
    for _ in range(2):  # what is stated depends a little on the drop itself
        shift = float(np.interp(size, drops, shifts))
        size = float(np.mean([_stated(sort, random, shift, n) for n in range(20 if quick else 60)]))
    if size > drops[-1]:
        raise SystemExit(f"{sort.name}: {size:.2f} points are beyond the largest drop ({drops[-1]:.2f})")
    shift, half = (float(np.interp(part, drops, shifts)) for part in (size, size / 2))
    found = np.zeros(3)
    for number in range(count):
        others = [check(other, random, 0.0, number) for other in SORTS if other is not sort]
        whole, smaller = (check(sort, random, own, number) for own in (shift, half))
        found += [
            fired([whole, *others])[0], fired([smaller, *others])[0], fired([untested(smaller)])[0]
        ]  # fmt: skip
    sys.stderr.write(f"{sort.name}: {found} of {count} drops of {size:.2f} points and of half found\n")
    return size, *(found / count).tolist()


def _stated(sort: Sort, random: Random, shift: float, seed: int) -> float:
    """The detectable drop of a task in a gate of as many tasks as there are sorts."""
    one = check(sort, random, shift, seed)
    stated = judged([one] * len(SORTS), LEVEL)[0].detectable
    assert stated is not None
    return stated


if __name__ == "__main__":
    sys.exit(main())
