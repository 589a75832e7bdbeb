"""Real data: all-MiniLM-L6-v2 gives the figures that mteb gives, and those that were published."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.models import load_model
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from harness.types import Result

# Metrics of near-identical pairs move with float noise, and so do their maxima; V-measures of the
# published SIB200ClusteringS2S are of an unseeded k-means and are not marked equal in meta.json.
NOISY = re.compile(r"(max|manhattan|euclidean|dot|similarity)_|std")

TASKS = [
    "JSTS", "Tatoeba", "XQuADRetrieval", "XQuADReranking", "PawsXPairClassification", "SIB200ClusteringS2S",
    "SIB200Classification", "Banking77Classification", "SciFact", "SciFactReranking",
]  # fmt: skip

# The two largest take minutes of forward passes on two cores.
LARGE = {"SciFact", "SciFactReranking"}


def index(shared: Path) -> dict[tuple[str, str, str], set[float]]:
    """(task, split, subset) to the figures of INDEX.md: mteb's, and the published where they agree.

    The two differ where float noise turns one of thousands of few-shot predictions; either is right.
    """
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in (shared / "data" / "INDEX.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    return {
        (r[0], r[2], r[3]): {float(r[6]), *({float(r[5])} if r[7].startswith("yes (") else ())}
        for r in rows[2:]
    }


@pytest.fixture(scope="module")
def minilm() -> Any:
    try:
        return load_model("all-MiniLM-L6-v2", device="cpu", offline=True)
    except ModelError as error:
        pytest.skip(f"no weights of all-MiniLM-L6-v2: {error}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
def test_figures(task: str, minilm: Any, shared: Path, shared_cache: Path, tmp_path: Path) -> None:
    if task in LARGE and not os.environ.get("HARNESS_LARGE"):
        pytest.skip("forward passes of several minutes: set HARNESS_LARGE=1")
    wanted = {key: value for key, value in index(shared).items() if key[0] == task}
    store = Store(tmp_path)
    suite = load_task(task, data=[shared / "data"])
    results = {
        (r.task, r.split, r.subset): r for r in evaluate(minilm, suite, store=store, cache=shared_cache)
    }
    assert set(results) == set(wanted)
    for key, values in wanted.items():
        if task != "PawsXPairClassification":
            found = 100 * results[key].main_score
            assert any(found == pytest.approx(value, abs=1e-4) for value in values), key
        else:  # its main score, a maximum over five sets, moves with float noise on near-identical pairs;
            # this one by a few ranks of neighbours
            published = dict(_every_published(shared / "data" / task / "meta.json"))[key[1:]]
            assert results[key].metrics["cosine_ap"] == pytest.approx(published["cosine_ap"], abs=1e-5), key
    for key, published in _published(shared / "data" / task / "meta.json"):
        _same(task, results[task, *key], published)


def _every_published(path: Path) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    meta = json.loads(path.read_text(encoding="utf-8"))
    return [((entry["split"], entry["subset"]), entry["published_all_metrics"]) for entry in meta["results"]]


def _published(path: Path) -> list[tuple[tuple[str, str], dict[str, Any]]]:
    meta = json.loads(path.read_text(encoding="utf-8"))
    return [
        ((entry["split"], entry["subset"]), entry["published_all_metrics"])
        for entry in meta["results"]
        if entry.get("published_all_metrics") and str(entry.get("equal", "")).startswith("yes (exact")
    ]


def _same(task: str, result: Result, published: dict[str, Any]) -> None:
    # Float noise turns one few-shot prediction in thousands, from one wrong class to another: F1 shows it.
    close = 1e-4 if task == "SIB200Classification" else 1e-5
    compared = 0
    for name, value in published.items():
        if isinstance(value, float) and name in result.metrics and not NOISY.match(name):
            assert result.metrics[name] == pytest.approx(value, abs=close), (task, result.subset, name)
            compared += 1
    assert compared >= 2, f"{task}: nothing published was compared"
