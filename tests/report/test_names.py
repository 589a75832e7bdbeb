"""Every figure of the jina-embeddings-v2-base-zh card finds its place among today's results, and back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.data.mteb_catalog import TaskInfo, catalog
from harness.errors import UnknownNameError
from harness.metrics import family
from harness.report import names
from harness.scorers import scorer
from harness.task import TYPES

# What mteb's results of a type hold today, by the reading of their evaluators and not of the table tested.
DEPTHS = (1, 3, 5, 10, 100, 1000)
TODAY = {
    "STS": {f"{s}_{m}" for s in ("cosine", "euclidean", "manhattan") for m in ("pearson", "spearman")},
    "PairClassification": {
        f"{s}_{m}"
        for s in ("cosine", "dot", "euclidean", "manhattan", "max")
        for m in ("accuracy", "ap", "f1", "precision", "recall")
    },
    "Retrieval": {f"{m}_at_{k}" for m in ("map", "mrr", "ndcg", "precision", "recall") for k in DEPTHS},
    "Classification": {"accuracy", "f1", "ap"},
    "Clustering": {"v_measure"},
}
RERANKING = {"mteb": {"map_at_1000", "mrr_at_10"}, "cmteb-v1": {"map", "mrr"}}


@pytest.fixture(scope="module")
def groups(shared: Path) -> list[dict[str, Any]]:
    path = shared / "reference" / "jina-embeddings-v2-base-zh.front-matter.yaml"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["model-index"][0]["results"])


@pytest.fixture(scope="module")
def known(shared_cache: Path) -> dict[str, TaskInfo]:
    return dict(catalog(shared_cache))


@pytest.mark.parametrize("protocol", ["mteb", "cmteb-v1"])
def test_every_figure_of_the_card(
    protocol: str, groups: list[dict[str, Any]], known: dict[str, TaskInfo]
) -> None:
    seen: Counter[Any] = Counter()
    for group in groups:
        type_, dataset = group["task"]["type"], group["dataset"]
        for figure in group["metrics"]:
            task, metric = names.task_of(dataset["type"]), names.today(figure["type"], protocol)
            split, subset = dataset["split"], dataset["config"]
            assert task is not None
            seen[task, split, subset, metric] += 1
            info = known[task]
            assert info.type == type_
            assert split in info.splits
            assert subset in info.subsets
            assert metric in (RERANKING[protocol] if type_ == "Reranking" else TODAY[type_])
            assert names.old_name(metric, type_, protocol) == figure["type"]
            family(metric)
        assert names.CARD_TYPES[task] == dataset["type"]
        suffix = "" if subset == "default" else f" ({subset})"
        assert names.CARD_NAMES.get(task, f"MTEB {task}") + suffix == dataset["name"]
    assert len(seen) == sum(seen.values()) == 367
    assert len({task for task, *_ in seen}) == 35


def test_the_names_are_those_of_the_card(groups: list[dict[str, Any]]) -> None:
    """Nothing is missing and nothing was made up: the table lists what the card has, type by type."""
    there: dict[str, set[str]] = {}
    for group in groups:
        there.setdefault(group["task"]["type"], set()).update(m["type"] for m in group["metrics"])
    for type_, metrics in there.items():
        assert set(names.V1_METRICS[type_]) == metrics


def test_each_name_comes_back() -> None:
    for protocol in ("mteb", "cmteb-v1"):
        for type_, old in names.V1_METRICS.items():
            assert type_ in TYPES.values()
            found = [names.today(name, protocol) for name in old]
            assert len(set(found)) == len(found) == len(set(old))
            assert [names.old_name(name, type_, protocol) for name in found] == list(old)
    assert names.old_name("nauc_map_at_10_max", "Retrieval") is None
    assert names.old_name("map_at_1000", "Reranking", "cmteb-v1") is None


def test_reranking_names_depend_on_the_protocol() -> None:
    assert names.today("mrr") == "mrr_at_10"
    assert names.today("map") == "map_at_1000"
    assert (names.today("map", "cmteb-v1"), names.today("mrr", "sbert")) == ("map", "mrr")
    assert names.today("ndcg@10", "jmteb") == "ndcg_at_10"
    assert names.today("cos_sim_ap", "cmteb-v1") == "cosine_ap"
    assert scorer("reranking", None, "cmteb-v1").main == names.today("map", "cmteb-v1")


def test_the_metrics_of_an_old_card_from_a_result() -> None:
    sets = {"cosine": 0.4, "dot": 0.7, "euclidean": 0.5, "manhattan": 0.6, "similarity": 0.9, "max": 0.9}
    result = {
        f"{own}_{m}": v for own, v in sets.items() for m in ("accuracy", "ap", "f1", "precision", "recall")
    }
    found = names.v1_metrics(result, "PairClassification")
    assert len(found) == 23
    assert (found["cos_sim_ap"], found["max_ap"]) == (0.4, 0.7)  # not 0.9: there were four similarities
    del result["dot_f1"]
    assert {"max_f1", "dot_f1"}.isdisjoint(names.v1_metrics(result, "PairClassification"))
    assert names.v1_metrics({"map_at_1000": 0.1, "mrr_at_10": 0.2, "ndcg_at_10": 0.3}, "Reranking") == {
        "map": 0.1, "mrr": 0.2,
    }  # fmt: skip
    assert names.v1_metrics({"map": 0.1, "mrr": 0.2}, "Reranking", "cmteb-v1") == {"map": 0.1, "mrr": 0.2}
    assert names.v1_metrics({"accuracy": 0.5, "f1": 0.4}, "Classification") == {"accuracy": 0.5, "f1": 0.4}
    with pytest.raises(UnknownNameError):
        names.v1_metrics({}, "Triplet")


@pytest.mark.parametrize(
    ("dataset", "task"),
    [
        ("C-MTEB/TNews-classification", "TNews"),
        ("C-MTEB/waimai-classification", "Waimai"),
        ("C-MTEB/CMNLI", "Cmnli"),
        ("C-MTEB/Mmarco-reranking", "MMarcoReranking"),
        ("C-MTEB/CMedQAv2-reranking", "CMedQAv2-reranking"),
        ("C-MTEB/T2Retrieval", "T2Retrieval"),
        ("mteb/amazon_reviews_multi", "AmazonReviewsClassification"),
        ("mteb/banking77", "Banking77Classification"),
        ("affiliation-val", None),
    ],
)
def test_data_sets_that_moved(dataset: str, task: str | None) -> None:
    assert names.task_of(dataset, {"mteb/banking77": "Banking77Classification"}) == task
