"""`.eval_results/*.yaml`: results as entries of benchmarks on the Hub, by a map that the user writes.

The format has no field for the metric: a benchmark's task implies it. So nothing is guessed: the map says
which stored value is which benchmark's, and in which scale.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.definition import Strict
from harness.errors import ConfigError, DataError
from harness.report import names
from harness.types import Result
from harness.yamlfile import load_yaml

FOLDER = ".eval_results"
_ISO = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$"


def _day(value: object) -> object:
    """YAML takes an unquoted date for a date of its own."""
    return value.isoformat() if isinstance(value, date) else value


class Source(Strict):
    """Where a value can be looked up; a name, org or user is only shown with the address."""

    url: str
    name: str | None = None
    org: str | None = None
    user: str | None = None


class Benchmark(Strict):
    """One stored value and the benchmark's task that it answers.

    Attributes:
        task, split, subset: of the stored result; split and subset may be left out where there is one.
        metric: of the stored result; default its main one.
        dataset, task_id: the benchmark's repository and the task within it.
        scale: 1 where the benchmark counts from 0 to 1, 100 where in per cent.
        date: when the evaluation was run, ISO 8601. Stored results hold no time, so that the same run gives
            the same bytes; without a date the Hub takes the commit's.
        framework: `evaluation_framework` of the benchmark's eval.yaml; `mteb` takes results by protocol
            mteb only.
    """

    task: str
    split: str | None = None
    subset: str | None = None
    metric: str | None = None
    dataset: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    task_id: str
    scale: Literal[1, 100]
    revision: str | None = None
    date: Annotated[str, BeforeValidator(_day), Field(pattern=_ISO)] | None = None
    framework: str | None = None
    source: Source | None = None
    notes: str | None = None


class BenchmarkMap(Strict):
    """The file of `--benchmark-map`."""

    benchmarks: list[Benchmark] = Field(min_length=1)


def load_map(path: Path | None) -> list[Benchmark]:
    """The benchmarks of a map.

    Raises:
        ConfigError: no map, or one that is not valid (file and line).
    """
    if path is None:
        raise ConfigError(
            "--format eval-results needs --benchmark-map FILE: which stored value is which benchmark's, "
            "and in which scale"
        )
    return load_yaml(path, BenchmarkMap).benchmarks


def entries(
    results: Sequence[Result], benchmarks: Sequence[Benchmark], digits: int | None = None
) -> dict[str, dict[str, Any]]:
    """File name to entry, one a data set, task and variant, in the order of the map.

    Results that the map does not name are left out; names of the map without a result are errors.

    Raises:
        ConfigError: a map that names no stored result, or several; a framework that did not score them; two
            entries for one file.
        DataError: a metric that the result does not have, or a value that is not finite.
    """
    made: dict[str, dict[str, Any]] = {}
    for benchmark in benchmarks:
        result = _result(results, benchmark)
        name = "/".join((FOLDER, _file_name(benchmark, result)))
        if name in made:
            raise ConfigError(f"the benchmark map has {benchmark.dataset} {benchmark.task_id} twice")
        made[name] = _entry(result, benchmark, digits)
    return made


def _result(results: Sequence[Result], wanted: Benchmark) -> Result:
    found = [
        r
        for r in results
        if r.task == wanted.task and wanted.split in (None, r.split) and wanted.subset in (None, r.subset)
    ]
    places = ", ".join(f"{r.split}/{r.subset}" for r in found or results if r.task == wanted.task)
    if len(found) != 1:
        what = "is stored for several; name split and subset" if found else "has no stored result there"
        raise ConfigError(f"benchmark map: {wanted.task} {what} (stored: {places or 'nothing'})")
    if wanted.framework == "mteb" and found[0].protocol != "mteb":
        raise ConfigError(
            f"benchmark map: {wanted.task} was scored by protocol {found[0].protocol}; "
            f"{wanted.dataset} takes results of mteb"
        )
    return found[0]


def _entry(result: Result, benchmark: Benchmark, digits: int | None) -> dict[str, Any]:
    metric = benchmark.metric or result.main_metric
    spelled = {names.today(name, result.protocol): number for name, number in result.exact.items()}
    value = result.exact.get(metric, spelled.get(names.today(metric, result.protocol)))
    if value is None or not math.isfinite(value):
        raise DataError(f"{result.task} ({result.split}/{result.subset}) has no value for {metric}")
    scaled = float(value) * benchmark.scale
    dataset = {"id": benchmark.dataset, "task_id": benchmark.task_id}
    about = [*([benchmark.notes] if benchmark.notes else []), *result.variant]
    if result.protocol != "mteb":
        about.append(f"protocol {result.protocol}")
    return {
        "dataset": dataset | ({"revision": benchmark.revision} if benchmark.revision else {}),
        "value": scaled if digits is None else round(scaled, digits),
        **({"date": benchmark.date} if benchmark.date else {}),
        **({"source": benchmark.source.model_dump(exclude_none=True)} if benchmark.source else {}),
        **({"notes": ", ".join(about)} if about else {}),
    }


def _file_name(benchmark: Benchmark, result: Result) -> str:
    parts = [benchmark.dataset.replace("/", "__"), benchmark.task_id, *result.variant]
    slugs = [re.sub(r"[^A-Za-z0-9_-]+", "-", part).strip("-") or "x" for part in parts]
    if slugs != parts or benchmark.dataset.count("__"):  # then another id may come to the same letters
        whole = json.dumps([benchmark.dataset, benchmark.task_id, *result.variant])
        slugs.append(hashlib.sha256(whole.encode()).hexdigest()[:8])
    return ".".join(slugs) + ".yaml"
