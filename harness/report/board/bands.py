"""Rank bands: neighbours in the ranking that a paired test cannot tell apart share one.

Two rows are compared in the suite's own mean by their stored per-example values (`harness.report.paired`),
each with the next one below it that has such values, and p-values are corrected for their number (Holm). So
the ends of a long band may well differ from each other. Public results come without per-example values and
stand in no band. Comparisons are kept in the cache folder, by the hashes of the values they were made from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.errors import DataError, StoreError
from harness.metrics.stats import Spread, holm
from harness.paths import write_atomic
from harness.report.board.rows import Row, SuiteTable, SuiteTask, Table
from harness.report.paired import Paired, paired, pooled
from harness.store import Store
from harness.types import Result

LEVEL = 0.05
MOST = 25  # rows that are compared, best first: each costs seconds to a minute the first time
VERSION = 1  # of the tests whose outcomes are kept


def bands(
    table: Table, stores: Sequence[Store], cache: Path, say: Callable[[str], None] = lambda line: None
) -> tuple[list[str | None], list[str]]:
    """The band of each row, as the ranks it spans ("2-4", "1"), None where there is none; and footnotes.

    Args:
        stores: where the results lie, with their per-example values.
        cache: folder of what was compared before.
        say: is told of each comparison that takes time.
    """
    every = [place for place, row in enumerate(table.rows) if row.rank is not None and _tested(row)]
    places, notes = every[:MOST], []
    told: dict[int, float] = {}
    said: set[str] = set()

    def once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    for old, new in pairwise(places):
        try:
            told[new] = _difference(
                table.rows[old], table.rows[new], table.suite, stores, cache, once
            ).p_value
        except (DataError, StoreError) as error:
            notes.append(f"No rank band across {_pair(table, old, new)}: {str(error).splitlines()[0]}")
    apart = dict(zip(told, holm(list(told.values())), strict=True))
    groups: list[list[int]] = []
    for place in places:
        if groups and apart.get(place, 0.0) >= LEVEL:
            groups[-1].append(place)
        else:
            groups.append([place])
    found: list[str | None] = [None] * len(table.rows)
    for group in groups:
        ranks = [table.rows[place].rank for place in group]
        for place in group:
            found[place] = f"{ranks[0]}" if ranks[0] == ranks[-1] else f"{ranks[0]}-{ranks[-1]}"
    if told:
        notes.insert(
            0,
            "Band: ranks whose neighbours a paired test over the examples of all tasks cannot tell apart "
            f"(two-sided, {LEVEL:.0%}, Holm over {len(told)}).",
        )
    if len(every) > MOST:
        notes.append(f"Bands are of the best {MOST} rows with per-example values; {len(every) - MOST} more.")
    return found if told else [None] * len(table.rows), notes


def _tested(row: Row) -> bool:
    """Whether every task has per-example values; an aggregate has those of its members."""
    return all(r.samples_sha256 or r.kind == "aggregate" for r in row.results.values())


def _pair(table: Table, old: int, new: int) -> str:
    return " and ".join("+".join((row.model, *row.variant)) for row in (table.rows[old], table.rows[new]))


def _difference(
    old: Row, new: Row, suite: SuiteTable, stores: Sequence[Store], cache: Path, say: Callable[[str], None]
) -> Paired:
    """The difference in the suite's mean."""
    parts, weights = [], []
    sizes = {name: sum(task.type == name for task in suite.tasks) for name in suite.types}
    for task in suite.tasks:
        sides = [
            {entry: r for (name, entry), r in row.results.items() if name == task.name} for row in (old, new)
        ]
        if sides[0].keys() != sides[1].keys():
            raise DataError(f"{task.name} was scored on different splits")
        pairs = [(sides[0][entry], sides[1][entry]) for entry in sides[0]]
        parts.append(_task(task, pairs, stores, cache, say))
        weights.append(1 / sizes[task.type] if suite.average == "types" else 1.0)
    return pooled(parts, weights)


def _task(
    task: SuiteTask,
    pairs: Sequence[tuple[Result, Result]],
    stores: Sequence[Store],
    cache: Path,
    say: Callable[[str], None],
) -> Paired:
    if not task.members:
        return pooled([_entry(pair, task.main, stores, cache, say) for pair in pairs])
    means = []
    for member in task.members:
        own = [
            tuple(_stored(replace(r, task=member.name, split=split, subset=subset), stores) for r in pairs[0])
            for split, subset in member.entries
        ]
        means.append(pooled([_entry((a, b), member.main, stores, cache, say) for a, b in own]))
    return pooled(means)


def _entry(
    pair: tuple[Result, Result],
    metric: str,
    stores: Sequence[Store],
    cache: Path,
    say: Callable[[str], None],
) -> Paired:
    """The difference in one entry; from the cache where the same values were compared before."""
    key = json.dumps([VERSION, metric, [[r.samples_sha256, r.kind, r.scorer] for r in pair]])
    path = cache / "paired" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        kept = json.loads(path.read_bytes())
        return Paired(**{**kept, "spread": Spread(**kept["spread"])})
    except (OSError, ValueError, TypeError, KeyError):
        pass  # not compared yet, or damaged: done again
    say(f"rank bands: comparing {pair[0].model} and {pair[1].model} example by example")
    old, new = (_stored(result, stores) for result in pair)
    tables = _samples(old, stores), _samples(new, stores)
    found = replace(paired(old, new, tables, metric), ids=(), own=None)
    content = {name: value for name, value in asdict(found).items() if name not in ("ids", "own")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps(content).encode())
    except OSError:
        pass  # a cache that cannot be written costs time, nothing else
    return found


def _stored(result: Result, stores: Sequence[Store]) -> Result:
    """The whole result at the address of one that was read from an index."""
    for store in stores:
        found = store.get(
            result.model, result.revision, result.variant, result.protocol,
            result.task, result.split, result.subset,
        )  # fmt: skip
        if found is not None and found.samples_sha256:
            return found
    raise StoreError(f"no per-example values of {result.model} on {result.task}")


def _samples(result: Result, stores: Sequence[Store]) -> Any:
    for store in stores[:-1]:
        try:
            return store.samples(result)
        except StoreError:
            continue  # it lies in another one
    return stores[-1].samples(result)
