"""A results tree as it stands now, through its index: results as tables need them, models, failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.store.files import FAILED, META, Place, place_of
from harness.store.index import indexed
from harness.store.results import Failure
from harness.store.scan import plain
from harness.types import Result

Rows = npt.NDArray[np.int64]
PLAIN = ("file", "values")  # columns that hold no words


@dataclass(frozen=True)
class Snapshot:
    """What a results tree holds for some tasks.

    Attributes:
        root: of the tree.
        results: in the order of their paths. `metrics` are all there; `exact` are the same, rounded as
            stored; details and languages are left out, and of the provenance what no table shows.
        models: model name to what its `model_meta.json` files say, the first to say it counts.
        failures: those of the tasks.
        problems: what could not be read or counted, of the whole tree, a line each.
    """

    root: Path
    results: list[Result]
    models: dict[str, dict[str, Any]]
    failures: list[Failure]
    problems: list[str]


def snapshot(
    root: Path,
    tasks: Mapping[str, Collection[str]],
    cache: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Snapshot:
    """What a tree holds of these tasks and subsets; brings its index up to date.

    Args:
        tasks: task to the subsets that are wanted.
        cache: the cache folder, where the index lies.
        say: is told of very many files that are about to be read.

    Raises:
        StoreError: the root is no folder, or cannot be read.
    """
    found = indexed(root, tasks, cache, say)
    models: dict[str, dict[str, Any]] = {}
    failures = []
    for number, content in found.contents:
        *folder, name = found.paths[number].split("/")
        place = place_of(folder)
        if name == META:
            models[place.model] = {**content, **models.get(place.model, {})}
        elif (task := name.removesuffix(FAILED)) in tasks:
            failures += [
                Failure(*place, task=task, split=split, subset=subset, error=error)
                for split, subsets in content.items()
                for subset, error in subsets.items()
            ]
    problems = [f"{root / found.paths[number]} {line}" for number, line in found.problems]
    return Snapshot(root, list(_results(found.paths, found.entries, tasks)), models, failures, problems)


class _Metrics(Mapping[str, float]):
    """Metric to value, over a row of the index: 100,000 rows are not worth as many dicts."""

    __slots__ = ("_places", "_start", "_values")

    def __init__(self, places: Mapping[str, int], values: memoryview, start: int) -> None:
        self._places, self._values, self._start = places, values, start

    def __getitem__(self, name: str) -> float:
        value: float = self._values[self._start + self._places[name]]
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _results(paths: list[str], entries: pa.Table, tasks: Mapping[str, Collection[str]]) -> Iterator[Result]:
    if not len(entries):
        return
    entries = entries.unify_dictionaries().combine_chunks()
    rows = _chosen(entries, tasks)
    column = {name: _words(entries, name, rows) for name in entries.column_names if name not in PLAIN}
    lists = entries.column("values").combine_chunks()
    starts = plain(lists.offsets)[rows].tolist()
    values: memoryview = plain(lists.values).data
    files = plain(entries.column("file"))[rows].tolist()
    places = {names: {n: i for i, n in enumerate(json.loads(names))} for names in set(column["names"])}
    provenances = {text: json.loads(text) for text in set(column["provenance"])}
    folders: dict[str, Place] = {}
    for row, number in enumerate(files):
        folder = paths[number].rpartition("/")[0]
        place = folders.get(folder)
        if place is None:
            place = folders[folder] = place_of(folder.split("/"))
        metrics = _Metrics(places[column["names"][row]], values, starts[row])
        yield Result(
            model=place.model,
            revision=place.revision,
            variant=place.variant,
            task=column["task"][row],
            kind=column["kind"][row],
            protocol=place.protocol,
            scorer=column["scorer"][row],
            split=column["split"][row],
            subset=column["subset"][row],
            languages=(),
            data_revision=column["data_revision"][row],
            data_fingerprint=column["data_fingerprint"][row],
            main_metric=column["main_metric"][row],
            metrics=metrics,
            exact=metrics,
            undefined={},
            details={},
            provenance=provenances[column["provenance"][row]],
            samples_sha256=column["samples"][row] or None,
        )


def _chosen(entries: pa.Table, tasks: Mapping[str, Collection[str]]) -> Rows:
    """The numbers of the rows of the tasks and subsets, by file."""
    sides = [entries.column(name).combine_chunks() for name in ("task", "subset")]
    of_task, of_subset = ({word: i for i, word in enumerate(side.dictionary.to_pylist())} for side in sides)
    wanted = [
        of_task[task] * len(of_subset) + of_subset[subset]
        for task, subsets in tasks.items()
        for subset in subsets
        if task in of_task and subset in of_subset
    ]
    pairs = plain(sides[0].indices).astype(np.int64) * len(of_subset) + plain(sides[1].indices)
    rows = np.flatnonzero(np.isin(pairs, np.asarray(wanted, dtype=np.int64)))
    return rows[np.argsort(plain(entries.column("file"))[rows], kind="stable")]


def _words(entries: pa.Table, name: str, rows: Rows) -> list[str]:
    column = entries.column(name).combine_chunks()
    words = column.dictionary.to_pylist()
    return [words[code] for code in plain(column.indices)[rows].tolist()]
