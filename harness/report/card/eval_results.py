"""`.eval_results/*.yaml`: results as entries of benchmarks on the Hub, by a map that the user writes.

The format has no field for the metric: a benchmark's task implies it. So nothing is guessed: the map says
which stored value is which benchmark's, and in which scale.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

from harness.definition import Strict
from harness.errors import ConfigError, DataError
from harness.report import names
from harness.report.card.edits import Change, Edit
from harness.report.card.files import File
from harness.report.card.front_matter import child, compose
from harness.report.card.index import number_of
from harness.report.card.match import hundredfold
from harness.report.card.plan import OnConflict
from harness.report.card.render import scalar
from harness.report.card.splice import apply
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


def eval_files(
    wanted: dict[str, dict[str, Any]],
    read: Callable[[str], bytes | None],
    *,
    on_conflict: OnConflict = "fail",
    digits: int | None = None,
) -> list[File]:
    """The files with these entries: values are replaced in place, what else stands there stays.

    Args:
        read: a file's bytes by its name; None where there is none.

    Raises:
        DataError: a file that is not a list of entries, or a value that the Hub has verified; with the line.
    """
    return [_file(name, read(name), entry, on_conflict, digits) for name, entry in wanted.items()]


def entry_text(entry: dict[str, Any], newline: str = "\n") -> str:
    """One entry as YAML."""
    lines = []
    for key, value in entry.items():
        if isinstance(value, dict):
            lines += [f"  {key}:", *(f"    {k}: {scalar(v)}" for k, v in value.items())]
        else:
            lines.append(f"  {key}: {scalar(value)}")
    return "".join(line + newline for line in ["-" + lines[0][1:], *lines[1:]])


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


def _file(name: str, raw: bytes | None, entry: dict[str, Any], rule: OnConflict, digits: int | None) -> File:
    label = f"{entry['dataset']['id']} {entry['dataset']['task_id']}"
    new = scalar(entry["value"])
    if raw is None:
        return File(name, None, entry_text(entry).encode("utf-8"), (Change("added", label, new=new),))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 (byte {error.start})") from error
    root = compose(text, name)
    if root is not None and (not isinstance(root, yaml.SequenceNode) or root.flow_style):
        raise DataError(f"{name}, line 1: not a list of results with a `-` each")
    old = next((item for item in root.value if _is_about(item, entry)), None) if root else None
    if old is None:
        newline = "\r\n" if "\r\n" in text else "\n"
        gap = newline if text and not text.endswith("\n") else ""
        after = text + gap + entry_text(entry, newline)
        return File(name, raw, after.encode("utf-8"), (Change("added", label, new=new),))
    node = child(old, "value")
    line = (old.start_mark.line if node is None else node.start_mark.line) + 1
    if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
        raise DataError(f"{name}, line {line}: no `value` on one line")
    number = number_of(node.value)
    if number is not None and _equal(number, entry["value"], digits):
        return File(name, raw, raw, (Change("unchanged", label, line),))
    if hundredfold(number, entry["value"]):
        raise DataError(
            f"{name}, line {line}: {label} is {node.value} there and {new} here, about a hundredfold\n"
            "correct the map's `scale` (1 or 100, as the benchmark counts), or the file"
        )
    if rule == "keep":
        return File(name, raw, raw, (Change("kept", label, line, node.value, new),))
    if child(old, "verifyToken") is not None:
        raise DataError(f"{name}, line {line}: the Hub has verified {node.value}, which would become {new}")
    edits = [Edit(node.start_mark.index, node.end_mark.index, new)]
    day = child(old, "date")
    if isinstance(day, yaml.ScalarNode) and "date" in entry:
        edits.append(Edit(day.start_mark.index, day.end_mark.index, scalar(entry["date"])))
    elif day is not None:
        raise DataError(
            f"{name}, line {day.start_mark.line + 1}: the date there is the old value's; give the map a "
            "`date`, or delete the line"
        )
    change = Change("updated" if rule == "update" else "conflicting", label, line, node.value, new)
    edits.sort(key=lambda edit: edit.start)
    return File(name, raw, apply(text, edits).encode("utf-8"), (change,))


def _equal(old: float, new: float, digits: int | None) -> bool:
    if digits is not None and round(old, digits) == round(new, digits):
        return True
    return math.isclose(old, new, rel_tol=1e-12)


def _is_about(node: yaml.Node, entry: dict[str, Any]) -> bool:
    dataset = child(node, "dataset")
    return all(
        isinstance(value := child(dataset, key), yaml.ScalarNode) and value.value == entry["dataset"][key]
        for key in ("id", "task_id")
    )
