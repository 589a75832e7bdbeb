"""Cards for tests: the reference cards, and the results that carry their values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.report import names
from harness.types import Result
from tests.report.make import result

JINA = "jinaai/jina-embeddings-v2-base-zh"
KINDS = {
    "STS": ("sts", "cosine_spearman"),
    "Classification": ("classification", "accuracy"),
    "Clustering": ("clustering", "v_measure"),
    "Retrieval": ("retrieval", "ndcg_at_10"),
    "Reranking": ("reranking", "map_at_1000"),
    "PairClassification": ("pair_classification", "max_ap"),
}


def reference(shared: Path, name: str) -> str:
    """The text of a front matter of the reference folder."""
    path = shared / "reference" / f"{name}.front-matter.yaml"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path.read_text(encoding="utf-8")


def readme(front: str) -> str:
    """A card with this front matter and something below."""
    return f"---\n{front.rstrip()}\n---\n\n# A model  \n\n---\nmodel-index: of nothing\n---\n"


def hundredth(value: float) -> float:
    """A float that is `value` when multiplied by 100."""
    guess = value / 100
    for candidate in (guess, math.nextafter(guess, 1), math.nextafter(guess, 0)):
        if 100 * candidate == value:
            return candidate
    raise AssertionError(f"no float times 100 is {value}")


def jina_results(front: str) -> list[Result]:
    """Results under protocol mteb, by today's names, that carry every value of the jina card."""
    found = []
    for group in yaml.safe_load(front)["model-index"][0]["results"]:
        dataset, type_ = group["dataset"], group["task"]["type"]
        task = names.task_of(dataset["type"])
        assert task is not None
        kind, main = KINDS[type_]
        scores = {}
        for metric in group["metrics"]:
            scores[names.today(metric["type"])] = hundredth(float(metric["value"]))
        changes: dict[str, Any] = {"kind": kind, "main": main, "metrics": scores, "exact": scores}
        found.append(
            result(
                JINA,
                task,
                0.0,
                **changes,
                split=dataset["split"],
                subset=dataset["config"],
                data_revision=str(dataset["revision"]),
                revision="c1ff9086a89a1123d7b5eff58055a665db4fb4b9",
            )
        )
    return found


def affiliation_results() -> list[Result]:
    """A result of the sentence-transformers protocol with the values of the affiliation card."""
    scores = {
        "map": 0.92938,
        "mrr_at_10": 0.9294,
        "ndcg_at_10": 0.95643,
        "base_map": 1.0,
        "delta_map": -0.0706,
    }
    return [
        result(
            "cometadata/jina-reranker-v2-multilingual-affiliations",
            "affiliation-val",
            0.0,
            kind="reranking",
            protocol="sbert",
            scorer="cross_encoder_reranking@1",
            main="ndcg_at_10",
            metrics=scores,
            exact=scores,
            data_revision="local:0123456789ab",
        )
    ]
