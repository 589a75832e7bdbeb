"""Rows with their own candidates, against sentence-transformers' own evaluator."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.data import layout, presence
from harness.data.build import FIELDS, build
from harness.data.examples import CandidateExamples
from harness.data.rows import check_columns
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.jobs import Event
from harness.kinds import reranking_sbert as kind
from harness.metrics import reranking as measures
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_suite, load_task
from tests.kinds.oracle_ranking import hashed
from tests.toys import Toy, ToyCross, write_task


def scores_of(left: list[str], right: list[str], levels: int) -> np.ndarray:
    """Scores that depend on the texts alone; few `levels` make many ties."""
    raw = np.array([float(hashed(a + "|" + b)[0]) for a, b in zip(left, right, strict=True)])
    return np.asarray(np.round(raw * levels) / levels, dtype=np.float32)


def upstream(samples: list[dict[str, Any]], levels: int, **options: Any) -> dict[str, float]:
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    model = SimpleNamespace(
        predict=lambda pairs, **_: scores_of([p[0] for p in pairs], [p[1] for p in pairs], levels),
        model_card_data=SimpleNamespace(set_evaluation_metrics=lambda *_, **__: None),
    )
    found = CrossEncoderRerankingEvaluator(samples, write_csv=False, **options)(model)
    return {name.replace("@", "_at_"): float(value) for name, value in found.items()}


def examples_of(samples: list[dict[str, Any]]) -> CandidateExamples:
    rows = check_columns(
        enumerate(samples, 1), FIELDS["cross_encoder_reranking"], where="test.jsonl", unit="line"
    )
    found = build("cross_encoder_reranking", {"rows": rows}, {"rows": "test.jsonl"})
    assert isinstance(found, CandidateExamples)
    return found


def ours(samples: list[dict[str, Any]], levels: int, **settings: Any) -> Any:
    examples = examples_of(samples)
    asked = kind.pairs(examples, settings)
    return kind.score_pairs(examples, scores_of(list(asked.left), list(asked.right), levels), settings)


def random_samples(seed: int, documents: bool, count: int = 25) -> list[dict[str, Any]]:
    """Lists of 2 to 40 candidates, with repeated texts, single positives as strings, and none at all."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        texts = [f"text {n}" for n in rng.integers(0, 60, rng.integers(2, 40))]
        good = [str(text) for text in rng.permutation(texts)[: rng.integers(0, 5)]]
        positive: Any = good[0] if len(good) == 1 and i % 2 else good
        if documents:
            listed = texts if i % 3 else [text for text in texts if text not in good] or ["other"]
            if len(listed) + len(good) < 3:
                listed = [*listed, "another", "one more"]
            samples.append({"query": f"query {i}", "positive": positive, "documents": listed})
        else:
            bad = [text for text in texts if text not in good] + ["another", "another"]
            samples.append({"query": f"query {i}", "positive": positive, "negative": bad[: 3 + i]})
    return samples


@pytest.mark.parametrize("at_k", [1, 3, 10])
@pytest.mark.parametrize("levels", [2, 1000])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", ["negative", "documents", "documents as they stand", "mixed"])
def test_equals_sentence_transformers(shape: str, seed: int, levels: int, at_k: int) -> None:
    samples = random_samples(seed, shape.startswith("documents"))
    if shape == "mixed":
        samples += random_samples(seed + 50, True)
    options = {"at_k": at_k, "always_rerank_positives": not shape.endswith("stand")}
    expected = upstream(samples, levels, **options)
    found = ours(samples, levels, **options)
    based = shape != "negative"
    assert len(expected) == (6 if based else 3)
    for name, value in expected.items():
        assert found.exact[name] == pytest.approx(value, abs=1e-12), name
    for name in ("map", f"mrr_at_{at_k}", f"ndcg_at_{at_k}"):
        if based:
            gain = expected[name] - expected[f"base_{name}"]
            assert found.exact[f"delta_{name}"] == pytest.approx(gain, abs=1e-12)
        else:
            assert f"delta_{name}" in found.undefined
    assert found.main == f"ndcg_at_{at_k}"
    assert kind.metrics_from(found.samples, options) == (found.exact, found.undefined)


def test_by_hand() -> None:
    """Two of four are relevant, found at ranks 2 and 3; the first stage had them at 1 and 4."""
    samples = [{"query": "q", "positive": ["a", "b"], "documents": ["a", "c", "d", "b"]}]
    examples = examples_of(samples)
    assert list(kind.pairs(examples, {}).right) == ["a", "b", "c", "d"]
    found = kind.score_pairs(examples, np.array([3, 2, 4, 1], dtype=np.float32), {})
    ideal = 1 + 1 / np.log2(3)
    assert found.exact["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found.exact["mrr_at_10"] == 1 / 2
    assert found.exact["ndcg_at_10"] == pytest.approx((1 / np.log2(3) + 1 / 2) / ideal)
    assert found.exact["base_map"] == pytest.approx((1 + 2 / 4) / 2)
    assert found.exact["base_mrr_at_10"] == 1
    assert found.exact["base_ndcg_at_10"] == pytest.approx((1 + 1 / np.log2(5)) / ideal)
    assert found.exact["delta_mrr_at_10"] == -1 / 2


def test_measures_equal_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, ndcg_score

    rng = np.random.default_rng(0)
    for n in (2, 5, 17, 60):
        for levels in (1, 3, 100):
            scores = rng.integers(0, levels, n).astype(np.float32)
            relevant = rng.integers(0, 2, n).astype(bool)
            relevant[0] = True
            for k in (1, 10, 100):
                assert measures.ndcg(relevant, scores, k) == pytest.approx(
                    ndcg_score([relevant], [scores], k=k), abs=1e-12
                )
            assert measures.average_precision(relevant, scores) == pytest.approx(
                average_precision_score(relevant, scores), abs=1e-12
            )
    assert measures.ndcg(np.zeros(3, bool), np.arange(3), 10) == 0.0
    with pytest.raises(ValueError, match="without a relevant"):
        measures.average_precision(np.zeros(3, bool), np.arange(3))


def test_bad_rows_name_their_number() -> None:
    good = {"query": "q", "positive": "a", "negative": ["b"]}
    for bad, words in (
        ({"query": "q", "positive": "a"}, "row 2: exactly one of 'negative' and 'documents'"),
        ({**good, "documents": ["a"]}, "row 2: exactly one"),
        ({"query": "q", "positive": "a", "documents": []}, "row 2: 'documents' is empty"),
        ({"query": "q", "positive": "a", "negative": []}, "row 2: one document in all"),
        ({"query": "q", "positive": ["a"], "documents": ["a", "a"]}, "row 2: one document in all"),
        (
            {"query": "q", "positive": None, "negative": ["b"]},
            "line 2: 'positive' must be a string or a list",
        ),
        ({"query": "q", "negative": ["b"]}, "line 2: no field 'positive'"),
        ({"query": "q", "positive": ["a", 1], "negative": ["b"]}, "line 2: 'positive' must be"),
        ({"query": "q", "positive": "a", "documents": "b"}, "line 2: 'documents' must be a list"),
    ):
        with pytest.raises(DataError, match=words.replace("(", r"\(")):
            examples_of([good, bad])


def test_empty_keys_of_tables_and_single_strings_are_read() -> None:
    samples = [
        {"query": "q", "positive": "a", "negative": "b", "documents": None},
        {"query": "r", "positive": ["a"], "negative": None, "documents": ["b", "a"]},
    ]
    plain = [
        {"query": "q", "positive": ["a"], "negative": ["b"]},
        {"query": "r", "positive": ["a"], "documents": ["b", "a"]},
    ]
    assert examples_of(samples) == examples_of(plain)


def test_one_candidate_left_by_the_setting_is_refused() -> None:
    samples = [{"query": "q", "positive": ["a", "b"], "documents": ["a"]}]
    assert ours(samples, 10).exact["map"] == 1
    with pytest.raises(DataError, match="row 1: one candidate is no ranking"):
        ours(samples, 10, always_rerank_positives=False)


def test_wrong_scores_are_refused() -> None:
    examples = examples_of([{"query": "q", "positive": "a", "negative": ["b"]}])
    with pytest.raises(ModelError):
        kind.score_pairs(examples, np.zeros(3, np.float32), {})
    with pytest.raises(NonFiniteError, match="pair 1"):
        kind.score_pairs(examples, np.array([1, np.nan], np.float32), {})
    with pytest.raises(UnknownNameError):
        kind.score_pairs(examples, np.zeros(2, np.float32), {"main": "ndcg_at_5"})
    with pytest.raises(DataError, match="nothing to rank"):
        kind.pairs(examples_of([{"query": "q", "positive": [], "negative": ["b"]}]), {})


ROWS = [
    {"query": "abc", "positive": ["abd"], "documents": ["xyz", "abd", "abx"]},
    {"query": "klm", "positive": "klo", "documents": ["klo", "pqr"]},
    {"query": "uvw", "positive": [], "documents": ["uvx", "st"]},
]


def said(model: Any, suite: Any, store: Store, cache: Path) -> tuple[list[Any], list[Event]]:
    heard: list[Event] = []
    return list(evaluate(model, suite, store=store, cache=cache, listen=heard.append)), heard


@pytest.mark.parametrize("manifest", ["cross_encoder_reranking", "reranking"])
def test_a_folder_of_rows_runs_without_a_word_more(manifest: str, tmp_path: Path, shared_cache: Path) -> None:
    root = write_task(tmp_path / "data", "mine", manifest, "map", test=ROWS)
    suite = load_task("mine", data=[root])
    task = suite.tasks[0]
    assert (task.kind, task.scorer.name, task.protocol, task.main) == (
        "reranking", "cross_encoder_reranking", "sbert", "map",
    )  # fmt: skip
    store = Store(tmp_path / "results")
    (result,), heard = said(ToyCross(), suite, store, shared_cache)
    expected = ours(ROWS, 10)  # its scores are others, its first stage is the same
    for name in ("base_map", "base_mrr_at_10", "base_ndcg_at_10"):
        assert result.exact[name] == expected.exact[name]
    assert result.kind == "reranking"
    assert result.protocol == "sbert"
    assert [e.text for e in heard if "score 0 and count" in e.text]
    path = tmp_path / "results" / "test__cross" / "1" / "sbert" / "mine.json"
    assert "base_map" in json.loads(path.read_text())["scores"]["test"][0]
    again, _ = said(ToyCross(), suite, store, shared_cache)
    assert again[0].reused
    assert kind.metrics_from(store.samples(result), task.settings)[0] == result.exact
    with pytest.raises(ModelError, match="cross-encoder"):
        said(Toy(), suite, store, shared_cache)


def test_a_suite_names_columns_depth_and_main(tmp_path: Path, shared_cache: Path) -> None:
    rows = [{"q": r["query"], "good": r["positive"], "documents": r["documents"]} for r in ROWS[:2]]
    root = write_task(tmp_path / "data", "mine", "reranking", "ndcg_at_10", test=rows)
    (root / "mine" / "manifest.json").unlink()
    file = tmp_path / "mine.yaml"
    file.write_text(
        "suite: mine\ntitle: Mine\nprotocol: sbert\ntasks:\n"
        "  - {name: mine, kind: reranking, scorer: cross_encoder_reranking, main: ndcg@3,\n"
        "     columns: {query: q, positive: good}, settings: {at_k: 3}}\n"
    )
    suite = load_suite(str(file), data=[root])
    (result,), _ = said(ToyCross(), suite, Store(tmp_path / "results"), shared_cache)
    assert result.main_metric == "ndcg_at_3"
    assert "mrr_at_3" in result.metrics


def test_a_perfect_first_stage_is_said(tmp_path: Path, shared_cache: Path) -> None:
    rows = [{"query": "abc", "positive": ["x", "y"], "documents": ["x", "y", "z"]}]
    root = write_task(tmp_path / "data", "mine", "cross_encoder_reranking", "map", test=rows)
    (result,), heard = said(ToyCross(), load_task("mine", data=[root]), Store(tmp_path), shared_cache)
    assert result.metrics["base_map"] == 1.0
    assert [e.text for e in heard if "positives were listed first" in e.text]
    assert not kind.remarks(examples_of(ROWS[:2]), {})


def test_qrels_with_candidates_are_rows_too(tmp_path: Path, shared_cache: Path) -> None:
    root = write_task(
        tmp_path / "data", "listed", "reranking", "map_at_1000",
        test__corpus=[{"id": f"d{i}", "text": text} for i, text in enumerate(["abd", "xyz", "abx"])],
        test__queries=[{"id": "q", "text": "abc"}],
        test__qrels=[{"query_id": "q", "corpus_id": "d0", "score": 2}],
        test__candidates=[{"query_id": "q", "corpus_ids": ["d2", "d0", "d1"]}],
    )  # fmt: skip
    suite = load_task("listed", data=[root], protocol="sbert")
    (result,), _ = said(ToyCross(), suite, Store(tmp_path / "results"), shared_cache)
    model = ToyCross()
    found = ours_of_rows(model, [{"query": "abc", "positive": ["abd"], "negative": ["abx", "xyz"]}])
    assert result.exact == found.exact
    assert load_task("listed", data=[root]).tasks[0].scorer.name == "trec"


def ours_of_rows(model: ToyCross, samples: list[dict[str, Any]]) -> Any:
    examples = examples_of(samples)
    return kind.score_pairs(examples, model.score(kind.pairs(examples, {})), {})


def test_the_scorer_is_told_what_it_cannot_read(tmp_path: Path) -> None:
    root = write_task(tmp_path, "mine", "cross_encoder_reranking", "map", test=ROWS)
    file = tmp_path / "mine.yaml"
    file.write_text("suite: mine\ntitle: Mine\ntasks:\n  - {name: mine, scorer: trec}\n")
    with pytest.raises(DataError, match="scorer trec cannot read"):
        load_suite(str(file), data=[root])
    with pytest.raises(DataError, match="protocol cmteb-v1 has no scorer for its rows"):
        load_task("mine", data=[root], protocol="cmteb-v1")
    folder = layout.open_folder(root / "mine")
    assert layout.entries(folder, "cross_encoder_reranking") == [("test", "default")]


def test_rows_of_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: Path) -> None:
    """A table has every column in every row, null where the row said nothing."""
    import datasets

    rows = [
        {"query": "abc", "good": ["abd"], "bad": ["x", "y"], "documents": None},
        {"query": "klm", "good": ["klo"], "bad": None, "documents": ["p", "klo"]},
    ]
    asked = []

    def load_dataset(hub: str, config: str | None, revision: str) -> datasets.DatasetDict:
        asked.append((hub, config, revision))
        return datasets.DatasetDict({"validation": datasets.Dataset.from_list(rows)})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(presence, "why_offline", lambda asked: "")
    file = tmp_path / "mine.yaml"
    file.write_text(
        "suite: mine\ntitle: Mine\nprotocol: sbert\ntasks:\n  - name: mine\n    kind: reranking\n"
        "    source: {hub: org/sets, config: c, revision: abc123}\n    splits: [validation]\n"
        "    columns: {positive: good, negative: bad}\n"
    )
    suite = load_suite(str(file))
    (result,), _ = said(ToyCross(), suite, Store(tmp_path / "results"), shared_cache)
    assert asked == [("org/sets", "c", "abc123")]
    plain = [{"query": "abc", "positive": ["abd"], "negative": ["x", "y"]},
             {"query": "klm", "positive": ["klo"], "documents": ["p", "klo"]}]  # fmt: skip
    assert result.exact == ours_of_rows(ToyCross(), plain).exact
    assert (result.data_revision, result.split, result.protocol) == ("abc123", "validation", "sbert")


def test_the_documented_rows_and_suite_are_read(tmp_path: Path) -> None:
    """The example of the documentation, word for word."""
    from harness.suite_file import read_suite

    text = (Path(__file__).parents[2] / "docs" / "protocols-cards.md").read_text(encoding="utf-8")
    rows, suite = (text.split(f"```{mark}\n")[1].split("```")[0] for mark in ("json", "yml"))
    assert ours([json.loads(line) for line in rows.splitlines()], 10).metrics["base_map"] == 0.5
    (tmp_path / "own.yaml").write_text(suite)
    (task,) = load_suite(str(tmp_path / "own.yaml")).tasks
    assert (task.rows, task.shown, read_suite(str(tmp_path / "own.yaml")).protocol) == (
        "cross_encoder_reranking", "ndcg_at_10", "sbert",
    )  # fmt: skip
