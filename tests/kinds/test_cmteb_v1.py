"""Pairs and reranking as old C-MTEB cards have them, against a naive rewriting of what they computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from harness.data.examples import PairExamples, RankingExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import pair_classification_v1 as pairs_kind
from harness.kinds import reranking_v1 as lists_kind
from harness.run import evaluate
from harness.scorers import PROTOCOLS, scorer
from harness.store import Store
from harness.suite import load_task
from harness.types import Vectors
from tests.kinds.oracle_pairs import matrices
from tests.kinds.oracle_ranking import hashed
from tests.toys import Toy, ToyCross, retrieval_files, sts_rows, write_task


def sweep(scores: list[float], labels: list[int], closest_first: bool) -> dict[str, float]:
    """A threshold after each row but the last, rows sorted by score alone; every cut counted anew."""
    rows = sorted(zip(scores, labels, strict=True), key=lambda row: row[0], reverse=closest_first)
    best = {"accuracy": 0.0, "f1": 0.0, "precision": 0.0, "recall": 0.0}
    for cut in range(1, len(rows)):
        above, below = [label for _, label in rows[:cut]], [label for _, label in rows[cut:]]
        best["accuracy"] = max(best["accuracy"], (sum(above) + below.count(0)) / len(rows))
        if sum(above):
            precision, recall = sum(above) / cut, sum(above) / sum(labels)
            f1 = 2 * precision * recall / (precision + recall)
            if f1 > best["f1"]:
                best.update(f1=f1, precision=precision, recall=recall)
    signed = np.asarray(scores) * (1 if closest_first else -1)
    return best | {"ap": float(average_precision_score(labels, signed))}


def old_pairs(a: np.ndarray, b: np.ndarray, labels: list[int]) -> dict[str, float]:
    unit_a, unit_b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (a, b))
    sets = {
        "cosine": (1 - ((unit_a - unit_b) ** 2).sum(1) / 2, True),
        "manhattan": (abs(a - b).sum(1), False),
        "euclidean": (np.sqrt(((a - b) ** 2).sum(1)), False),
        "dot": ((a * b).sum(1), True),
    }
    out = {}
    for name, (scores, closest_first) in sets.items():
        found = sweep(scores.tolist(), labels, closest_first)
        out |= {f"{name}_{metric}": value for metric, value in found.items()}
    for metric in ("accuracy", "f1", "ap"):
        out[f"max_{metric}"] = max(out[f"{name}_{metric}"] for name in sets)
    return out


def examples_of(labels: list[int]) -> PairExamples:
    n = len(labels)
    return PairExamples([f"l{i}" for i in range(n)], [f"r{i}" for i in range(n)], np.array(labels))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_equal_the_old_evaluator(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    # Sixteenths, and vectors of length 1 where there are ties: float32 and the naive sums agree bit for bit.
    if ties:
        a = np.eye(6, dtype=np.float32)[rng.integers(0, 6, 60)]
        b = np.eye(6, dtype=np.float32)[rng.integers(0, 6, 60)] * rng.choice([-1.0, 1.0], (60, 1))
        b = b.astype(np.float32)
    else:
        a, b = matrices("random", n=60, seed=seed)
    labels = [int(x) for x in rng.integers(0, 2, 60)]
    found = pairs_kind.score(
        examples_of(labels), {"sentence1": Vectors.of(a), "sentence2": Vectors.of(b)}, {"similarity": "dot"}
    )
    expected = old_pairs(a.astype(np.float64), b.astype(np.float64), labels)
    assert set(found.metrics) == set(expected)
    assert len(expected) == 23
    for name, value in expected.items():
        assert found.exact[name] == pytest.approx(value, abs=1e-9), name
    assert found.main == "cosine_ap"
    assert pairs_kind.metrics_from(found.samples, {}) == (found.exact, {})


def test_ties_are_parted_in_the_order_of_the_rows() -> None:
    """All scores equal: today there is no cut; the old sweep cuts after the two positives that come first."""
    same = np.ones((4, 2), dtype=np.float32)
    vectors = {"sentence1": Vectors.of(same), "sentence2": Vectors.of(same)}
    found = pairs_kind.score(examples_of([1, 1, 0, 0]), vectors, {})
    assert found.exact["cosine_accuracy"] == found.exact["max_f1"] == 1.0
    assert found.exact["cosine_ap"] == 0.5
    backwards = pairs_kind.score(examples_of([0, 0, 1, 1]), vectors, {})
    assert backwards.exact["cosine_accuracy"] == 0.25


def test_pairs_of_a_cross_encoder_and_what_is_refused() -> None:
    found = pairs_kind.score_pairs(
        examples_of([1, 0, 1]), np.array([3, 2, 1], np.float32), {"main": "max_ap"}
    )
    assert found.main == "ap"
    assert found.exact["ap"] == pytest.approx((1 + 2 / 3) / 2)
    same = {side: Vectors.of(np.ones((2, 2), np.float32)) for side in ("sentence1", "sentence2")}
    with pytest.raises(UnknownNameError):  # of today's protocol
        pairs_kind.score(examples_of([1, 0]), same, {"main": "similarity_ap"})
    with pytest.raises(DataError, match="none"):
        pairs_kind.score(examples_of([0, 0]), same, {})


def lists_of(samples: list[tuple[str | list[str], list[str], list[str]]]) -> RankingExamples:
    """Old samples (query or queries, positives, negatives) as mteb stores them today."""
    query_ids, queries, qrels, candidates = [], [], {}, {}
    doc_ids, documents = [], []
    for i, (query, good, bad) in enumerate(samples):
        ids = [f"apositive_q{i}_{n:05}" for n in range(len(good))]
        ids += [f"negative_q{i}_{n:05}" for n in range(len(bad))]
        doc_ids += ids
        documents += [*good, *bad]
        for part, text in enumerate([query] if isinstance(query, str) else query):
            name = f"q{i}" if isinstance(query, str) else f"q{i}_{part}"
            query_ids.append(name)
            queries.append(text)
            qrels[name] = {doc: int(doc.startswith("apositive")) for doc in ids} or {"gone": 1}
            candidates[name] = ids
    return RankingExamples(query_ids, queries, doc_ids, documents, qrels, candidates)


def old_lists(
    samples: list[tuple[str | list[str], list[str], list[str]]], table: dict[str, np.ndarray]
) -> dict[str, float]:
    """Mean average precision and MRR@10 over the samples with positives and negatives, one at a time."""
    precisions, ranks = [], []
    for query, good, bad in samples:
        if not good or not bad:
            continue
        asked = np.stack([table[text] for text in ([query] if isinstance(query, str) else query)])
        docs = np.stack([table[text] for text in good + bad])
        cosines = asked @ docs.T / np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(docs, axis=1))
        scores = np.round(cosines.max(0), 6).tolist()
        relevant = [True] * len(good) + [False] * len(bad)
        precisions.append(average_precision_score(relevant, scores))
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        first = next(rank for rank, i in enumerate(order) if relevant[i])
        ranks.append(1 / (first + 1) if first < 10 else 0)
    return {"map": float(np.mean(precisions)), "mrr": float(np.mean(ranks))}


def random_lists(seed: int, several: bool) -> list[tuple[Any, list[str], list[str]]]:
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(30):
        texts = [f"t{n}" for n in rng.integers(0, 25, rng.integers(1, 40))]  # the same text again and again
        cut = int(rng.integers(0, 4))
        query = [f"query {i} {n}" for n in range(rng.integers(1, 4))] if several else f"query {i}"
        samples.append((query, texts[:cut], texts[cut:]))
    return samples


def embedded(
    examples: RankingExamples, settings: dict[str, Any]
) -> tuple[dict[str, Vectors], dict[str, Any]]:
    needed = lists_kind.needs(examples, settings)
    table = {text: 3 * hashed(text) for side in needed.values() for text in side.items}
    return {
        name: Vectors.of(np.stack([table[text] for text in side.items])) for name, side in needed.items()
    }, table


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_reranking_equals_the_old_evaluator(seed: int, several: bool) -> None:
    samples = random_lists(seed, several)
    examples, settings = lists_of(samples), {"subqueries": several, "similarity": "dot"}
    vectors, table = embedded(examples, settings)
    found = lists_kind.score(examples, vectors, settings)
    for name, value in old_lists(samples, table).items():
        assert found.exact[name] == pytest.approx(value, abs=1e-9), name
    assert found.main == "map"
    assert lists_kind.metrics_from(found.samples, settings) == (found.exact, {})
    lame = sum(not good or not bad for _, good, bad in samples)
    assert 0 < lame < 30
    if not several:
        assert lists_kind.remarks(examples, settings) == [
            f"{lame} queries lack a relevant or an irrelevant candidate; they are left out"
        ]


def test_reranking_by_hand_beyond_the_tenth_place() -> None:
    """The only relevant candidate stands 13th: MRR@10 is 0, average precision 1/13."""
    examples = lists_of([("q", ["good"], [f"bad {i}" for i in range(20)]), ("none", [], ["bad"])])
    scores = np.array([9.5, *range(21, 1, -1), 0.0], dtype=np.float32)
    found = lists_kind.score_pairs(examples, scores, {})
    assert found.exact == {"map": pytest.approx(1 / 13), "mrr": 0.0}
    equal = lists_kind.score_pairs(examples, np.ones(22, np.float32), {})
    assert equal.exact == {"map": pytest.approx(1 / 21), "mrr": 1.0}  # the relevant first, its data's order


def test_reranking_refuses() -> None:
    examples = lists_of([("q", ["good"], ["bad"])])
    with pytest.raises(NonFiniteError, match="apositive_q0_00000"):
        lists_kind.score_pairs(examples, np.array([np.nan, 1], np.float32), {})
    with pytest.raises(ModelError):
        lists_kind.score_pairs(examples, np.ones(3, np.float32), {})
    with pytest.raises(UnknownNameError):
        lists_kind.score_pairs(examples, np.ones(2, np.float32), {"main": "map_at_1000"})
    with pytest.raises(DataError, match="both a relevant and an irrelevant"):
        lists_kind.score_pairs(lists_of([("q", ["good"], [])]), np.ones(1, np.float32), {})


def test_the_protocol_scores_all_else_as_mteb() -> None:
    assert scorer("reranking", None, "cmteb-v1").main == "map"
    assert scorer("pair_classification", None, "cmteb-v1").main == "cosine_ap"
    for kind in ("sts", "classification", "clustering", "retrieval"):
        assert scorer(kind, None, "cmteb-v1") == scorer(kind)
    assert "cmteb-v1" in PROTOCOLS


def test_results_have_a_folder_of_their_own(tmp_path: Path, shared_cache: Path) -> None:
    files = retrieval_files()
    listed = [
        {"query_id": q["id"], "corpus_ids": [d["id"] for d in files["test__corpus"]]}
        for q in files["test__queries"]
    ]
    root = write_task(tmp_path, "Listed", "reranking", "map_at_1000", **files, test__candidates=listed)
    rows = [{**row, "label": i % 2} for i, row in enumerate(sts_rows())]
    write_task(root, "Pairs", "pair_classification", "max_ap", test=rows)
    write_task(root, "One", "sts", "cosine_spearman", test=sts_rows())
    store = Store(tmp_path / "results")
    mains = {}
    for protocol in ("cmteb-v1", "mteb"):
        suite = load_task("Listed", "Pairs", "One", protocol=protocol, data=[root])
        for result in evaluate(Toy(), suite, store=store, cache=shared_cache):
            mains[result.protocol, result.task] = result.main_metric
    home = tmp_path / "results" / "test__toy" / "1"
    assert {p.name for p in (home / "cmteb-v1").glob("*.json")} == {"Listed.json", "Pairs.json", "One.json"}
    assert mains == {
        ("cmteb-v1", "Listed"): "map", ("mteb", "Listed"): "map_at_1000",
        ("cmteb-v1", "Pairs"): "cosine_ap", ("mteb", "Pairs"): "max_ap",
        ("cmteb-v1", "One"): "cosine_spearman", ("mteb", "One"): "cosine_spearman",
    }  # fmt: skip
    suite = load_task("Listed", "Pairs", protocol="cmteb-v1", data=[root])
    assert len(list(evaluate(ToyCross(), suite, store=store, cache=shared_cache))) == 2
