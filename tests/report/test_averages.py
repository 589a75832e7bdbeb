"""Averages that were published, computed again from their parts by the suites' own aggregation."""

from __future__ import annotations

import csv
import gzip
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.report import suite_table
from harness.report.board.aggregate import aggregate
from harness.suite import load_suite
from harness.types import Result
from tests.report.make import result

# Names that a card of mteb 1 gives data sets, where they are not "MTEB <task>".
OLD_NAMES = {"CMedQAv1": "CMedQAv1-reranking", "CMedQAv2": "CMedQAv2-reranking"}
# Type means of the poster, in its order; the suite's columns stand in the same.
POSTER = [12, 11, 3, 4, 15, 10, 1]


def published(name: str) -> Path:
    path = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[3] / "shared")) / "reference" / name
    if not path.is_file():
        pytest.skip(f"{name} is not here (set HARNESS_SHARED)")
    return path


def card() -> list[Result]:
    """The seed card's results, each metric under the name it has there."""
    text = published("jina-embeddings-v2-base-zh.front-matter.yaml").read_text(encoding="utf-8")
    (index,) = yaml.safe_load(text)["model-index"]
    found = []
    for entry in index["results"]:
        dataset = entry["dataset"]
        task = dataset["name"].removeprefix("MTEB ").partition(" (")[0]
        metrics = {m["type"]: m["value"] / 100 for m in entry["metrics"]}
        one = result(index["name"], OLD_NAMES.get(task, task), 0.0)
        fields = {
            "split": dataset["split"],
            "subset": dataset["config"],
            "metrics": metrics,
            "main_metric": "",
        }
        found.append(Result(**{**vars(one), **fields}))
    return found


def test_the_card_of_35_tasks() -> None:
    suite = load_suite("cmteb")
    (row,) = aggregate(card(), suite_table(suite)).rows
    assert row.complete
    assert row.mean_tasks == pytest.approx(63.79, abs=0.005)
    assert row.mean_types == pytest.approx(64.95, abs=0.005)
    assert row.types == pytest.approx(
        {
            "Retrieval": 69.40,
            "STS": 59.39,
            "PairClassification": 82.94,
            "Classification": 64.94,
            "Reranking": 66.57,
            "Clustering": 46.47,
        },
        abs=0.005,
    )
    for task in suite.tasks:  # the values to verify by are the card's
        expected = task.expect["jinaai/jina-embeddings-v2-base-zh"]
        assert expected == pytest.approx(row.scores[task.name] / 100, abs=5.1e-5)


def test_the_posters_56_tasks() -> None:
    table = yaml.safe_load(published("jina-poster-tables.yaml").read_text(encoding="utf-8"))["mteb"]
    suite = suite_table(load_suite("mteb-en"))
    counts = [sum(task.type == name for task in suite.tasks) for name in suite.types]
    assert counts == POSTER
    rows = spread(suite, {model: means[:-1] for model, means in table.items()})
    assert len(rows) == len(table) > 5
    for row in rows:
        *means, average = table[row.model]
        assert row.mean_tasks == pytest.approx(average, abs=0.0101), row.model
        assert list((row.types or {}).values()) == pytest.approx(means)


def test_jmtebs_average_is_over_16_data_sets() -> None:
    table = yaml.safe_load(published("glucose-v2-tables.yaml").read_text(encoding="utf-8"))["jmteb"]
    suite = suite_table(load_suite("jmteb"))
    assert suite.types == (
        "Retrieval",
        "STS",
        "Classification",
        "Reranking",
        "Clustering",
        "PairClassification",
    )
    rows = spread(suite, {model: means for model, (_, *means) in table.items()})
    assert len(rows) == len(table) > 5
    for row in rows:
        average, *means = table[row.model]
        assert row.mean_tasks == pytest.approx(average, abs=0.0101), row.model
        assert row.mean_types == pytest.approx(sum(means) / 6)
    (glucose,) = (row for row in rows if row.model == "pkshatech/GLuCoSE-base-ja-v2")
    assert glucose.mean_tasks == pytest.approx(72.225, abs=0.0005)


def test_published_figures_of_single_data_sets_stand_in_the_suite() -> None:
    table = yaml.safe_load(published("glucose-v2-tables.yaml").read_text(encoding="utf-8"))
    tasks = {task.name: task for task in (*load_suite("jmteb").tasks, *load_suite("ja-retrieval").tasks)}
    for model, (*_, reranking, _, pairs) in table["jmteb"].items():
        name = model.replace("OpenAI/", "openai/")
        assert tasks["esci"].expect[name] == pytest.approx(reranking / 100)
        assert tasks["paws_x_ja"].expect[name] == pytest.approx(pairs / 100)
    for model, row in table["retrieval"].items():
        assert tasks["JQaRAReranking"].expect[model] == pytest.approx(row["jqara_ndcg_at_10"] / 100)
        assert tasks["MultiLongDocRetrieval"].expect[model] == pytest.approx(row["mldr_ja_ndcg_at_10"] / 100)


def spread(suite: Any, means: dict[str, list[float]]) -> Any:
    """Rows of models whose tasks all have the mean of their type, given in the order of the suite's types."""
    found = [
        result(
            model,
            task.name,
            dict(zip(suite.types, own, strict=True))[task.type] / 100,
            main=task.main,
            protocol=suite.protocol,
        )
        for model, own in means.items()
        for task in suite.tasks
    ]
    entries = {task.name: task.entries for task in suite.tasks}
    return aggregate(
        [
            Result(**{**vars(one), "split": split, "subset": subset})
            for one in found
            for split, subset in entries[one.task]
        ],
        suite,
    ).rows


@pytest.fixture(scope="module")
def main_scores() -> dict[tuple[str, str], dict[tuple[str, str, str], float]]:
    """(model, revision) to (task, split, subset) to its published main score."""
    found: dict[tuple[str, str], dict[tuple[str, str, str], float]] = defaultdict(dict)
    with gzip.open(published("published_main_scores.csv.gz"), "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["main_score"] and math.isfinite(float(row["main_score"])):
                place = (row["task"], row["split"], row["hf_subset"])
                found[row["model"], row["revision"]].setdefault(place, float(row["main_score"]))
    return found


@pytest.mark.parametrize("name", ["cmteb-31", "jmteb-v2"])
def test_published_models_complete_on_a_suite(name: str, main_scores: Any) -> None:
    """Means of three models against sums written out: subsets and splits first, then tasks, then types."""
    suite = load_suite(name)
    complete = {
        model: own
        for model, own in main_scores.items()
        if all((task.name, *entry) in own for task in suite.tasks for entry in task.entries)
    }
    assert len(complete) >= 3
    for (model, revision), own in sorted(complete.items())[:3]:
        stored = [
            result(
                model,
                task.name,
                own[task.name, *at],
                main=task.main,
                revision=revision,
                split=at[0],
                subset=at[1],
            )
            for task in suite.tasks
            for at in task.entries
        ]
        (row,) = aggregate(stored, suite_table(suite)).rows
        tasks, types = [], defaultdict(list)
        for task in suite.tasks:
            values = [100 * own[task.name, *at] for at in task.entries]
            tasks.append(sum(values) / len(values))
            types[task.type].append(tasks[-1])
        assert row.mean_tasks == pytest.approx(sum(tasks) / len(tasks), abs=1e-4)
        each = [sum(values) / len(values) for values in types.values()]
        assert row.mean_types == pytest.approx(sum(each) / len(each), abs=1e-4)
