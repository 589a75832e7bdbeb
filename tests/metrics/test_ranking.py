import math

import numpy as np
import pytest

from harness.errors import DataError
from harness.metrics import ranking

K = (1, 3, 5, 10, 20, 100)


def random_case(seed, queries=7, documents=40, tied=True, absent=True):
    """Qrels and a run as pytrec_eval wants them; scores tie when they are small integers."""
    rng = np.random.default_rng(seed)
    ids = [f"d{i}" for i in rng.permutation(documents)]
    judged = ids + [f"absent{i}" for i in range(5)] if absent else ids
    qrels, run = {}, {}
    for q in range(queries):
        chosen = rng.choice(judged, size=rng.integers(1, 25), replace=False)
        qrels[f"q{q}"] = {d: int(g) for d, g in zip(chosen, rng.integers(-1, 4, len(chosen)), strict=True)}
        listed = ids[: rng.integers(0, documents + 1)]
        draws = rng.integers(0, 4, len(listed)) if tied else rng.standard_normal(len(listed))
        run[f"q{q}"] = {d: float(np.float32(s)) for d, s in zip(listed, draws, strict=True)}
    qrels["q0"] = dict.fromkeys(qrels["q0"], 0)
    return qrels, run


def canonical(run):
    return {q: sorted(docs, key=lambda d: (docs[d], d), reverse=True) for q, docs in run.items()}


def arrays(qrels, run, padding=0):
    order = canonical(run)
    width = max(map(len, run.values())) + padding
    grades = np.full((len(run), width), 9 if padding else 0, dtype=np.int32)
    for row, (q, docs) in zip(grades, order.items(), strict=True):
        row[: len(docs)] = [qrels[q].get(d, 0) for d in docs]
    best = [sorted((g for g in qrels[q].values() if g > 0), reverse=True) for q in run]
    ideal = np.zeros((len(run), max(map(len, best))), dtype=np.int32)
    for row, values in zip(ideal, best, strict=True):
        row[: len(values)] = values
    lengths = np.array([len(docs) for docs in run.values()])
    return grades, lengths, ideal, np.array([len(values) for values in best])


def pytrec(qrels, run, k_values=K):
    import pytrec_eval

    names = {
        "ndcg": "ndcg_cut",
        "map": "map_cut",
        "recall": "recall",
        "precision": "P",
        "hit_rate": "success",
    }
    wanted = {f"{name}." + ",".join(map(str, k_values)) for name in names.values()}
    found = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    return {
        f"{ours}_at_{k}": [found[q][f"{theirs}_{k}"] for q in run]
        for ours, theirs in names.items()
        for k in k_values
    }


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_every_bit_of_trec_eval(seed, tied):
    qrels, run = random_case(seed, tied=tied)
    ours = ranking.trec(*arrays(qrels, run), K)
    for name, values in pytrec(qrels, run).items():
        assert ours[name].tolist() == values, name


@pytest.mark.parametrize("seed", range(6))
def test_mrr_is_mtebs(seed):
    from mteb._evaluators.retrieval_metrics import mrr

    qrels, run = random_case(seed)
    ours = ranking.trec(*arrays(qrels, run), K)
    theirs = mrr(qrels, run, K)
    for k in K:
        assert ours[f"mrr_at_{k}"].tolist() == theirs[f"MRR@{k}"]


def test_one_query_one_document():
    out = ranking.trec(np.array([[1]]), np.array([1]), np.array([[1]]), np.array([1]), K)
    assert {name: v.tolist() for name, v in out.items() if not name.startswith("precision")} == {
        f"{m}_at_{k}": [1.0] for m in ("ndcg", "map", "recall", "hit_rate", "mrr") for k in K
    }
    assert [out[f"precision_at_{k}"][0] for k in K] == [1 / k for k in K]


def test_by_hand():
    # Ranked: not relevant, grade 2, not relevant, grade 1; a third relevant document (grade 3) is not there.
    grades, ideal = np.array([[0, 2, 0, 1]]), np.array([[3, 2, 1]])
    out = {n: v[0] for n, v in ranking.trec(grades, np.array([4]), ideal, np.array([3]), (1, 3, 10)).items()}
    log = math.log2
    assert out["ndcg_at_10"] == pytest.approx(
        (2 / log(3) + 1 / log(5)) / (3 + 2 / log(3) + 1 / log(4)), abs=1e-15
    )
    assert out["ndcg_at_1"] == 0
    assert out["map_at_10"] == pytest.approx((1 / 2 + 2 / 4) / 3, abs=1e-15)
    assert out["recall_at_3"] == pytest.approx(1 / 3)
    assert out["precision_at_10"] == pytest.approx(2 / 10)
    assert (out["hit_rate_at_1"], out["hit_rate_at_3"]) == (0, 1)
    assert (out["mrr_at_1"], out["mrr_at_3"]) == (0, 0.5)


def test_ideal_is_cut_at_k():
    grades = np.ones((1, 16), dtype=np.int64)
    out = ranking.trec(grades, np.array([10]), grades, np.array([16]), (10,))
    assert out["ndcg_at_10"][0] == 1.0


def test_nothing_ranked_and_nothing_relevant_score_zero():
    empty = ranking.trec(np.zeros((2, 0), int), np.zeros(2, int), np.array([[1], [0]]), np.array([1, 0]), K)
    none = ranking.trec(np.zeros((1, 5), int), np.array([5]), np.zeros((1, 0), int), np.array([0]), K)
    assert all(value == 0 for out in (empty, none) for values in out.values() for value in values)


def test_what_stands_beyond_the_list_is_not_read():
    qrels, run = random_case(3)
    tight, padded = ranking.trec(*arrays(qrels, run), K), ranking.trec(*arrays(qrels, run, padding=4), K)
    assert all(np.array_equal(tight[name], padded[name]) for name in tight)


def test_queries_do_not_touch_each_other():
    qrels, run = random_case(5, queries=11)
    parts = arrays(qrels, run)
    whole = ranking.trec(*parts, K)
    for row in range(11):
        alone = ranking.trec(*(part[row : row + 1] for part in parts), K)
        assert all(alone[name][0] == whole[name][row] for name in whole)


def lists_of(seed, lengths):
    rng = np.random.default_rng(seed)
    lists = [np.sort(rng.standard_normal(n).astype(np.float32))[::-1] for n in lengths]
    return lists, np.concatenate([[0], np.cumsum(lengths)])


@pytest.mark.parametrize("rows", [1, 2048])
def test_confidence_is_mtebs(monkeypatch, rows):
    from mteb._evaluators.retrieval_metrics import confidence_scores

    monkeypatch.setattr(ranking, "_ROWS", rows)
    lists, offsets = lists_of(0, [0, 1, 2, 130, 7, 130, 1000, 0])
    ours = ranking.confidence(np.concatenate(lists), offsets)
    theirs = [confidence_scores(values.tolist()) for values in lists]
    assert {name: values.tolist() for name, values in ours.items()} == {
        name: [t[name] for t in theirs] for name in ours
    }


def nauc_cases():
    rng = np.random.default_rng(1)
    yield "free", rng.standard_normal(50), rng.random(50)
    yield "tied confidence", rng.integers(0, 3, 50).astype(float), rng.random(50)
    yield "tied both", rng.integers(0, 3, 33).astype(float), rng.integers(0, 2, 33).astype(float)
    yield "one query", np.array([0.3]), np.array([0.7])
    yield "two queries", np.array([0.3, 0.1]), np.array([0.7, 0.2])
    yield "all alike", rng.random(20), np.full(20, 0.3)
    yield "all right", rng.random(20), np.ones(20)
    yield "all wrong", rng.random(20), np.zeros(20)
    yield "one confidence", np.ones(20), rng.random(20)


@pytest.mark.parametrize(
    ("name", "confidence", "metric"), list(nauc_cases()), ids=lambda x: x if isinstance(x, str) else ""
)
def test_nauc_is_mtebs(name, confidence, metric):
    from mteb._evaluators.retrieval_metrics import nauc

    theirs = nauc(confidence, metric)
    ours = ranking.nauc(confidence, metric)
    assert (math.isnan(theirs) and ours is None) or ours == theirs


def test_nauc_by_hand():
    metric = np.arange(10.0)
    assert ranking.nauc(metric, metric) == pytest.approx(1.0)
    assert ranking.nauc(np.zeros(10), metric) == pytest.approx(0.0)
    assert ranking.nauc(-metric, metric) < 0
    assert ranking.nauc(metric, np.zeros(10)) is None


def test_nauc_ignores_the_order_of_tied_queries():
    rng = np.random.default_rng(2)
    confidence, metric = rng.integers(0, 4, 40).astype(float), rng.random(40)
    shuffled = rng.permutation(40)
    assert ranking.nauc(confidence, metric) == pytest.approx(
        ranking.nauc(confidence[shuffled], metric[shuffled]), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(4))
def test_recall_cap_is_mtebs(seed):
    from mteb._evaluators.retrieval_metrics import recall_cap

    qrels, run = random_case(seed)
    grades, lengths, ideal, relevant = arrays(qrels, run)
    trec = ranking.trec(grades, lengths, ideal, relevant, K)
    theirs = recall_cap(qrels, run, K)
    for k in K:
        ours = ranking.recall_cap(np.rint(trec[f"precision_at_{k}"] * k), relevant, k)
        assert [None if math.isnan(v) else v for v in ours.tolist()] == theirs[f"R_cap_at_{k}"]


def test_rank_score():
    from mteb._evaluators.retrieval_metrics import rank_score

    og, new = np.array([1, 1, 4, 2, 7, 1000]), np.array([1, 4, 1, 1001, 7, 1])
    ours = ranking.rank_score(og, new)
    theirs = [
        rank_score({"og_rank": a, "new_rank": b}) for a, b in zip(og.tolist(), new.tolist(), strict=True)
    ]
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert ours[:3].tolist() == [0, 0.75, -0.75]


def test_paired_accuracy():
    from mteb._evaluators.retrieval_metrics import paired_accuracy

    ids = ["7_q1", "7_q2", "8_q1", "8_q2", "9_q2", "9_q1"]
    recall = np.array([1, 1, 1, 0, 0.5, 1.0])
    theirs = paired_accuracy(
        dict.fromkeys(ids), {}, {q: {"recall_1": r} for q, r in zip(ids, recall, strict=True)}
    )
    assert ranking.paired_accuracy(ids, recall) == theirs == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="8_q2"):
        ranking.paired_accuracy(["8_q1"], np.ones(1))


def test_robustness():
    from mteb._evaluators.retrieval_metrics import robustness_at_10

    ids, ndcg = ["a_1", "a_2", "b_1", "a_3", "c"], np.array([0.5, 0.25, 1.0, 0.75, 0.0])
    theirs = robustness_at_10(
        dict.fromkeys(ids), {}, {q: {"ndcg_cut_10": v} for q, v in zip(ids, ndcg, strict=True)}
    )
    assert ranking.robustness_at_10(ids, ndcg) == theirs == pytest.approx((0.25 + 1.0 + 0.0) / 3)


def test_level_scores():
    ids, ndcg = ["q_v1_1", "q_v2_1", "q_v3_1", "r_v1_1", "plain"], np.array([0.5, 0.25, 1.0, 0.75, 0.1])
    assert ranking.level_scores(ids, ndcg) == {"level_1": 0.625, "level_2": 0.25, "level_3": 1.0}
    with pytest.raises(DataError, match="level_3"):
        ranking.level_scores(ids[:2], ndcg[:2])
