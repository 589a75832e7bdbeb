"""The committed reference results: a fresh run gives them again, and the committed report shows them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from harness.errors import ModelError
from harness.models import load_model
from harness.report import leaderboard
from harness.report.references import keep
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_suite
from tests.report import make

ROOT = Path(__file__).parent.parent
CHANCE = {
    "SmokeTopics": 1 / 6,
    "SmokeIntentJa": 1 / 5,
    "SmokeReviewsZh": 0.5,
    "SmokePairs": 0.45,
    "SmokeNegation": 0.5,
}


@pytest.mark.parametrize(
    ("model", "tolerance"), [("bm25", 1e-9), ("char-ngram", 1e-6), ("all-MiniLM-L6-v2", 1e-3)]
)
def test_a_fresh_run_gives_the_references(model: str, tolerance: float, tmp_path: Path) -> None:
    try:
        scorer = load_model(model, device="cpu", offline=True)
    except ModelError as error:
        pytest.skip(f"no weights: {error}")
    references = Store(ROOT / "results" / "reference", repair=False)
    count = 0
    for result in evaluate(scorer, load_suite("smoke"), cache=tmp_path):
        kept = references.get(
            result.model, result.revision, result.variant, "mteb", result.task, result.split, result.subset
        )
        assert kept is not None, result.task
        assert kept.data_fingerprint == result.data_fingerprint, f"{result.task}: make references"
        assert kept.main_metric == result.main_metric
        assert result.exact[result.main_metric] == pytest.approx(kept.exact[kept.main_metric], abs=tolerance)
        count += 1
    assert count == (6 if model == "bm25" else 21)


def test_the_committed_report_is_fresh() -> None:
    board = leaderboard(Store(ROOT / "results" / "reference", repair=False), load_suite("smoke"))
    assert (ROOT / "reports" / "smoke.md").read_text(encoding="utf-8") == board.to_markdown()


def test_the_suite_tells_models_apart() -> None:
    """Everything above chance, nothing saturated, the encoder above n-grams in English."""
    results = list(Store(ROOT / "results" / "reference", repair=False).results())
    scores = {(r.model.rpartition("/")[2], r.task, r.subset): r.main_score for r in results}
    english = {
        "SmokeSTS", "SmokePairs", "SmokeTopics", "SmokeAspects", "SmokeClusters", "SmokeClusterSets",
        "SmokeRetrieval", "SmokeReranking", "SmokeInstructions", "SmokeSummaries", "SmokeNegation",
    }  # fmt: skip
    for (_, task, _), score in scores.items():
        assert CHANCE.get(task, 0.0) < score < 0.97, task
    for task in english:
        assert scores["all-MiniLM-L6-v2", task, "default"] > scores["char-ngram", task, "default"] + 0.05, (
            task
        )


def test_references_say_what_the_models_are() -> None:
    board = leaderboard(Store(ROOT / "results" / "reference", repair=False), load_suite("smoke"))
    assert board.frame["Parameters"].iloc[0] == 22_713_216
    assert set(board.frame["Licence"]) == {"apache-2.0"}
    assert {kind for meta in board.models.values() for kind in meta["model_type"]} == {"dense", "sparse"}


def test_kept_references_have_their_models(tmp_path: Path) -> None:
    ran = Store(tmp_path / "ran")
    samples = pa.table({"group": [""], "query_id": ["q"], "ndcg_at_10": [0.5]})
    ran.put(make.result("org/a", "T", 0.5, provenance={"seconds": 2.0, "backend": "numpy"}, samples=samples))
    ran.write_model_meta({"name": "org/a", "revision": "r1", "n_parameters": 7})
    assert keep(ran.root, tmp_path / "kept") == 1
    kept = Store(tmp_path / "kept", repair=False)
    assert [r.provenance for r in kept.results()] == [{"backend": "numpy"}]
    assert kept.model_metas() == ran.model_metas()


def test_references_hold_nothing_that_varies_by_run() -> None:
    for result in Store(ROOT / "results" / "reference", repair=False).results():
        assert not {"seconds", "device", "texts_encoded"} & set(result.provenance)
