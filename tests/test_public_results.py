"""Public results against what is known of them: complete rows, and means computed from their table."""

from __future__ import annotations

import csv
import gzip
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from harness.report import leaderboard, suite_table
from harness.report.board.aggregate import aggregate
from harness.report.board.rows import SuiteTable, Table
from harness.store import Store
from harness.store.snapshot import snapshot
from harness.suite import load_suite
from tests.test_store import unpacked

# Their files name max_ap as main score, which these two tasks had as main metric for a while; a table shows
# the metric of the suite, max_accuracy, which the files hold too.
OTHER_MAIN = {
    "ByteDance-Seed/Seed1.5-Embedding",
    "HIT-TMG/KaLM-embedding-multilingual-mini-v1",
    "HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1",
    "HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v1.5",
    "HIT-TMG/KaLM-embedding-multilingual-mini-instruct-v2",
    "KaLM-Embedding/KaLM-embedding-multilingual-mini-instruct-v2.5",
}
MAX_AP = ("Cmnli", "Ocnli")
# Almost all of its results are in mteb's format from before 1.11, which the table of main scores leaves out.
OLD_FORMAT = "Alibaba-NLP/gte-Qwen1.5-7B-instruct"


@pytest.fixture(scope="module")
def folder() -> Path:
    path = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[2] / "shared")) / "reference"
    if not (path / "published_results.tar.zst").is_file():
        pytest.skip("published results are not here (set HARNESS_SHARED)")
    return path


@pytest.fixture(scope="module")
def tree(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the tasks of both suites."""
    names = {f"{task.name}.json" for name in ("cmteb-31", "jmteb-v2") for task in load_suite(name).tasks}
    names.add("model_meta.json")
    root = tmp_path_factory.mktemp("published")
    unpacked(folder / "published_results.tar.zst", root, lambda parts: parts[-1] in names)
    return root


@pytest.fixture(scope="module")
def direct(folder: Path) -> dict[tuple[str, str], dict[tuple[str, str, str], float]]:
    """(model, revision) to (task, split, subset) to its main score, of the table of main scores."""
    found: dict[tuple[str, str], dict[tuple[str, str, str], float]] = defaultdict(dict)
    with gzip.open(folder / "published_main_scores.csv.gz", "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["main_score"] not in ("", "nan", "NaN"):
                model = row["model"].replace("__", "/", 1), row["revision"]
                found[model].setdefault(
                    (row["task"], row["split"], row["hf_subset"]), float(row["main_score"])
                )
    return found


def board(suite: SuiteTable, tree: Path, cache: Path, **how: bool) -> Table:
    wanted = {task.name: {subset for _, subset in task.entries} for task in suite.tasks}
    return aggregate(snapshot(tree, wanted, cache).results, suite, **how)


def mean(suite: SuiteTable, own: dict[tuple[str, str, str], float]) -> float | None:
    """Over tasks, of the mean over a task's splits and subsets; None where one is missing."""
    tasks = []
    for task in suite.tasks:
        values = [own.get((task.name, *entry)) for entry in task.entries]
        if None in values:
            return None
        tasks.append(100 * sum(v for v in values if v is not None) / len(values))
    return sum(tasks) / len(tasks)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "complete"), [("cmteb-31", 28), ("jmteb-v2", 21)])
def test_complete_rows_and_their_means(
    name: str, complete: int, tree: Path, direct: Any, shared_cache: Path
) -> None:
    suite = suite_table(load_suite(name))
    table = board(suite, tree, shared_cache)
    found = {(r.model, r.revision or "no_revision_available"): r for r in table.rows if r.complete}
    means = {key: value for key, own in direct.items() if (value := mean(suite, own)) is not None}
    assert found.keys() == means.keys()
    assert len(found) == complete
    for key, row in found.items():
        if key[0] in OTHER_MAIN and name == "cmteb-31":
            assert row.mean_tasks != pytest.approx(means[key], abs=1e-3)
            for task in suite.tasks:
                theirs = 100 * sum(direct[key][task.name, *e] for e in task.entries) / len(task.entries)
                equal = row.scores[task.name] == pytest.approx(theirs, abs=1e-4)
                assert equal == (task.name not in MAX_AP), (key, task.name)
        else:
            assert row.mean_tasks == pytest.approx(means[key], abs=1e-4), key
    partial = [row for row in table.rows if not row.complete]
    assert partial
    assert all(row.rank is None and row.mean_tasks is None and 0 < row.have < row.need for row in partial)


@pytest.mark.slow
def test_wider_rules(tree: Path, direct: Any, shared_cache: Path) -> None:
    suite = suite_table(load_suite("cmteb-31"))
    merged = board(suite, tree, shared_cache, merge_revisions=True)
    complete = {row.model for row in merged.rows if row.complete}
    assert len(complete) == 32
    by_model: dict[str, dict[tuple[str, str, str], float]] = defaultdict(dict)
    for (model, _), own in direct.items():
        by_model[model].update(own)
    assert complete == {model for model, own in by_model.items() if mean(suite, own) is not None}
    wide = board(suite, tree, shared_cache, merge_revisions=True, any_split=True)
    there = {row.model for row in wide.rows if row.complete}
    any_split = {
        model
        for model, own in by_model.items()
        if all(any(task == t.name for task, _, _ in own) for t in suite.tasks)
    }
    assert len(any_split) == 60
    assert there == any_split | {OLD_FORMAT}
    assert {row.model for row in wide.rows if row.complete and row.other_splits} == there - complete


@pytest.mark.slow
def test_the_committed_report_is_fresh(tree: Path, shared_cache: Path) -> None:
    board = leaderboard(Store(tree, repair=False), load_suite("cmteb-31"), cache=shared_cache)
    report = Path(__file__).parents[1] / "reports" / "cmteb-public.md"
    assert report.read_text(encoding="utf-8") == board.to_markdown(), "make leaderboard PUBLIC=FOLDER"
