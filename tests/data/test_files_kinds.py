"""Every kind of task from files of one's own is the same data as from a task folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from harness.check import check_file
from harness.data.examples import fingerprint
from harness.data.load import load_examples
from harness.paths import tasks_folder
from harness.scorers import KINDS
from harness.suite import load_suite

SMOKE = {task.name: task for task in load_suite("smoke").tasks if task.kind != "aggregate"}


def convert(source: Path, target: Path) -> None:
    """The rows of a JSONL file in another format: CSV and TSV hold lists as JSON, and null as nothing."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    if target.suffix == ".json":
        target.write_text(json.dumps(rows), encoding="utf-8")
    elif target.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), target)
    else:
        names = list(dict.fromkeys(name for row in rows for name in row))
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t" if target.suffix == ".tsv" else ",")
            writer.writerow(names)
            for row in rows:
                values = [row.get(name) for name in names]
                writer.writerow([json.dumps(v) if isinstance(v, list) else v for v in values])


def test_every_kind_is_there() -> None:
    assert {task.kind for task in SMOKE.values()} == set(KINDS) - {"aggregate"}


@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
@pytest.mark.parametrize("name", SMOKE)
def test_the_same_as_a_folder(name: str, suffix: str, tmp_path: Path) -> None:
    task = SMOKE[name]
    assert task.folder is not None
    files: dict[str, object] = {}
    for file in task.folder.names:
        split, *part = file.removesuffix(".jsonl").split(".")
        target = tmp_path / f"{split}{'-'.join(part)}.{suffix}"
        if suffix == "jsonl":
            target.write_bytes((task.folder.path / file).read_bytes())
        else:
            convert(task.folder.path / file, target)
        if part:
            files.setdefault(split, {})[part[0]] = target.name  # type: ignore[index]
        else:
            files[split] = target.name
    own = {"name": name, "kind": task.kind, "source": {"files": files}}
    path = tmp_path / "mine.yaml"
    suite = {"suite": "mine", "title": "Mine", "protocol": "custom", "tasks": [own]}
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    (mine,) = load_suite(str(path)).tasks
    assert (mine.scorer.name, set(mine.entries)) == (task.scorer.name, set(task.entries))
    for split, subset in task.entries:
        expected = load_examples(task, split, subset, {}, offline=True)
        found = load_examples(mine, split, subset, {}, offline=True)
        assert fingerprint(found) == fingerprint(expected)
    report = check_file(str(path))
    assert report.all_problems == []
    assert all(entry.rows for entry in report.tasks[0].entries)


def test_the_examples_ship() -> None:
    assert (tasks_folder() / "examples" / "handbook" / "corpus.tsv").is_file()
