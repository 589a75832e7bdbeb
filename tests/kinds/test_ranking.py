import dataclasses
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.examples import RankingExamples, fingerprint
from harness.data.packed import Packed
from harness.errors import ConfigError, DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import _ranking_samples, ranking, scorer
from harness.types import Vectors
from tests.kinds.oracle_ranking import Encoder, PairScorer, assert_same, evaluate, task_of

SIMILARITIES = ("cosine", "dot", "euclidean")
RERANKING_MOCKS = ("MockRerankingTask", "MockMultilingualRerankingTask", "MockInstructionReranking")
MOCKS = (
    *RERANKING_MOCKS,
    "MockRetrievalTask",
    "MockMultilingualRetrievalTask",
    "MockInstructionRetrieval",
    "MockMultilingualInstructionReranking",
    "MockRetrievalDialogTask",
)


def settings(kind="retrieval", **more):
    return {**scorer(kind).defaults, "similarity": "cosine", "main": "ndcg_at_10", **more}


def examples_of(seed, queries=12, documents=64, candidates=None, grades=(0, 4)):
    """Random data: documents whose texts repeat, judgements of absent documents, one query all zero."""
    rng = np.random.default_rng(seed)
    ids = [f"d{i}" for i in rng.permutation(documents * 3)[:documents]]
    texts = [f"text {i}" for i in rng.integers(0, max(1, documents * 2 // 3), documents)]
    names = [f"q{i}" for i in range(queries)]
    qrels = {}
    for name in names:
        chosen = rng.choice(ids, size=min(documents, int(rng.integers(1, 9))), replace=False).tolist()
        qrels[name] = dict(zip(chosen, rng.integers(*grades, len(chosen)).tolist(), strict=True))
        qrels[name][f"absent {name}"] = 1
    if queries > 1:
        qrels[names[1]] = dict.fromkeys(qrels[names[1]], 0)
    lists = None
    if candidates is not None:
        lists = {n: rng.permutation(ids)[: rng.choice(candidates)].tolist() for n in names}
    return RankingExamples(names, [f"query {n}" for n in names], ids, texts, qrels, lists)


def tied_table(examples, similarity):
    """Vectors whose similarities are exact in float32, so that many documents tie in both programs."""
    rng = np.random.default_rng(11)
    texts = [*examples.queries, *dict.fromkeys(examples.documents)]
    values = rng.integers(-2, 3, (len(texts), 16))
    if similarity == "cosine":
        values = np.where(values > 0, 1, -1)
    return dict(zip(texts, values.astype(np.float32), strict=True))


def ours(examples, encoder, **more):
    chosen = settings(**{"similarity": encoder.name, **more})
    return ranking.score(examples, encoder.vectors(ranking.needs(examples, chosen)), chosen)


def ours_of_pairs(examples, model, **more):
    chosen = settings(**more)
    asked = ranking.pairs(examples, chosen)
    return ranking.score_pairs(examples, model.scores(asked.left, asked.right), chosen)


# --- against mteb's own evaluation -------------------------------------------------------------------


def mock(name):
    from mteb.mocks import mock_tasks

    task = getattr(mock_tasks, name)()
    task.load_data()
    return task


def of_mock(task, split, subset):
    from mteb._create_dataloaders import _retrieval_texts
    from mteb.types import PromptType

    data = task.dataset[subset][split]
    return RankingExamples(
        list(data["queries"]["id"]),
        _retrieval_texts(data["queries"], PromptType.query),
        list(data["corpus"]["id"]),
        _retrieval_texts(data["corpus"], PromptType.document),
        data["relevant_docs"],
        data["top_ranked"],
    )


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("name", MOCKS)
def test_mock_tasks(name, similarity):
    encoder = Encoder(similarity)
    for subset, theirs in evaluate(mock(name), encoder).items():
        assert_same(ours(of_mock(mock(name), "test", subset), encoder), theirs)


@pytest.mark.parametrize("name", RERANKING_MOCKS)
def test_mock_tasks_by_cross_encoder(name):
    for subset, theirs in evaluate(mock(name), PairScorer()).items():
        assert_same(ours_of_pairs(of_mock(mock(name), "test", subset), PairScorer()), theirs)


def test_mock_of_multiple_choice(monkeypatch):
    """Its documents are images; their names stand in for them, in both programs."""
    from mteb.mocks.mock_tasks import retrieval

    images = ["image 0", "image 1"]
    monkeypatch.setattr(retrieval, "create_mock_images", lambda rng: images)
    data = mock("MockMultiChoiceTask").dataset["default"]["test"]
    names, ids = list(data["queries"]["id"]), list(data["corpus"]["id"])
    queries = [f"{text} {image}" for text, image in zip(data["queries"]["text"], images, strict=True)]
    examples = RankingExamples(names, queries, ids, images, data["relevant_docs"], data["top_ranked"])

    class ByName(Encoder):
        def encode(self, inputs, **kwargs):
            named = [(batch.get("text"), batch["image"]) for batch in inputs]
            return self.matrix(
                [
                    f"{text[i]} {image[i]}" if text else image[i]
                    for text, image in named
                    for i in range(len(image))
                ]
            )

    theirs = evaluate(mock("MockMultiChoiceTask"), ByName())["default"]
    found = ours(examples, Encoder(), main="accuracy")
    assert_same(found, theirs)
    assert (found.main, found.metrics["accuracy"]) == ("accuracy", theirs["accuracy"])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_retrieval(seed, tied, similarity):
    examples = examples_of(seed, grades=(-1, 4))
    encoder = Encoder(
        similarity, tied_table(examples, similarity) if tied and similarity != "euclidean" else None
    )
    theirs = evaluate(task_of(examples), encoder)["default"]
    assert_same(ours(examples, encoder), theirs)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_reranking(seed, tied, similarity):
    # Lengths that are powers of two keep mteb's standard deviations free of the order of its heap.
    examples = examples_of(seed, candidates=(0, 1, 2, 4, 8, 32))
    encoder = Encoder(
        similarity, tied_table(examples, similarity) if tied and similarity != "euclidean" else None
    )
    theirs = evaluate(task_of(examples), encoder)["default"]
    assert_same(ours(examples, encoder), theirs)


@pytest.mark.parametrize("levels", [0, 3])
@pytest.mark.parametrize("seed", range(2))
def test_reranking_by_cross_encoder(seed, levels):
    examples = examples_of(seed, candidates=(1, 2, 4, 8, 32))
    model = PairScorer(levels)
    theirs = evaluate(task_of(examples), model)["default"]
    assert_same(ours_of_pairs(examples, model), theirs, but=("nauc",) if levels else ())


@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("documents", [1, 3, 200])
def test_few_queries_and_few_documents(queries, documents):
    examples = examples_of(4, queries, documents)
    assert_same(ours(examples, Encoder()), evaluate(task_of(examples), Encoder())["default"])


@pytest.mark.parametrize("candidates", [None, (16,)])
def test_lists_are_cut_at_top_k(candidates):
    examples = examples_of(5, documents=80, candidates=candidates)
    examples = dataclasses.replace(examples, documents=[f"text {i}" for i in range(80)])  # no ties at the cut
    theirs = evaluate(task_of(examples, k_values=(1, 3, 10)), Encoder())["default"]
    assert_same(ours(examples, Encoder(), k_values=(1, 3, 10), top_k=10), theirs)


def test_a_cross_encoders_list_is_not_cut():
    examples = examples_of(6, candidates=(16, 32))
    theirs = evaluate(task_of(examples, k_values=(1, 3, 10)), PairScorer())["default"]
    assert_same(ours_of_pairs(examples, PairScorer(), k_values=(1, 3, 10), top_k=10), theirs)


@pytest.mark.parametrize("candidates", [None, (0, 4, 8)])
@pytest.mark.parametrize("option", ["ignore_identical_ids", "skip_first_result"])
def test_dropped_documents(option, candidates):
    examples = examples_of(7, candidates=candidates)
    examples = dataclasses.replace(examples, documents=[f"text {i}" for i in range(64)])
    own = dict(zip(examples.doc_ids[:6], examples.query_ids[:6], strict=True))
    swap = {d: own.get(d, d) for d in examples.doc_ids}
    examples = dataclasses.replace(
        examples,
        doc_ids=list(swap.values()),
        qrels={q: {swap.get(d, d): g for d, g in docs.items()} for q, docs in examples.qrels.items()},
        candidates=candidates and {q: [swap[d] for d in docs] for q, docs in examples.candidates.items()},
    )
    theirs = evaluate(task_of(examples, **{option: True}), Encoder())["default"]
    found = ours(examples, Encoder(), **{option: True})
    assert_same(found, theirs)
    assert found.exact != ours(examples, Encoder()).exact


def test_ids_are_removed_after_the_cut():
    examples = examples_of(8)
    found = ours(dataclasses.replace(examples, doc_ids=["q0", *examples.doc_ids[1:]]), Encoder(), top_k=64)
    kept = ours(
        dataclasses.replace(examples, doc_ids=["q0", *examples.doc_ids[1:]]),
        Encoder(),
        top_k=64,
        ignore_identical_ids=True,
    )
    assert found.samples["num_retrieved"].to_pylist() == [64] * 12
    assert kept.samples["num_retrieved"].to_pylist() == [63] + [64] * 11


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ignore_identical_ids": True},
        {"skip_first_result": True},
        {"extra": ("max_over_subqueries", "p_mrr", "recall_cap")},
    ],
    ids=str,
)
def test_lists_may_come_some_at_a_time(more, monkeypatch):
    examples = examples_of(13, grades=(-1, 4))
    names = ["a-og", "a-changed", "b-og", "b-changed", "q4", "q5", "s_1", "s_2", "t_1", "t_2", "q10", "q11"]
    examples = dataclasses.replace(
        examples,
        query_ids=names,
        doc_ids=[names[5], *examples.doc_ids[1:]],
        qrels=dict(zip(names, examples.qrels.values(), strict=True)),
    )
    whole = ours(examples, Encoder(), **more)
    search = ranking.search

    def in_pieces(*args):
        for index, scores in search(*args):
            yield from ((index[at : at + 5], scores[at : at + 5]) for at in range(0, len(index), 5))

    monkeypatch.setattr(ranking, "search", in_pieces)
    monkeypatch.setattr(_ranking_samples, "_AT_ONCE", 3)
    parts = ours(examples, Encoder(), **more)
    assert parts.samples.equals(whole.samples)
    assert (parts.exact, parts.undefined) == (whole.exact, whole.undefined)


def test_memory_moves_no_figure_and_too_little_is_said():
    examples = examples_of(14, queries=400, documents=300)
    whole = ours(examples, Encoder())
    assert ours(examples, Encoder(), memory=2 * 10**7).samples.equals(whole.samples)
    with pytest.raises(ConfigError, match="are allowed; allow more memory"):
        ours(examples, Encoder(), memory=10**6)


@pytest.mark.parametrize("candidates", [None, (0, 4, 8)])
def test_packed_texts_and_ids_score_alike(candidates):
    examples = examples_of(15, candidates=candidates)
    packed = dataclasses.replace(
        examples, doc_ids=Packed(examples.doc_ids), documents=Packed(examples.documents)
    )
    assert ours(packed, Encoder()).samples.equals(ours(examples, Encoder()).samples)
    assert fingerprint(packed) == fingerprint(examples)


@pytest.mark.parametrize("model", [Encoder(), PairScorer()], ids=["bi", "cross"])
def test_candidates_missing_empty_repeated(model):
    examples = examples_of(9, candidates=(8,))
    lists = dict(examples.candidates)
    lists["q3"] = []
    lists["q4"] = [*lists["q4"], *lists["q4"][:5]]
    del lists["q5"]
    lists["not a query"] = ["nowhere"]
    examples = dataclasses.replace(examples, candidates=lists)
    theirs = evaluate(task_of(examples), model)["default"]
    found = (ours if isinstance(model, Encoder) else ours_of_pairs)(examples, model)
    assert_same(found, theirs)
    rows = {row["query_id"]: row for row in found.samples.to_pylist()}
    for name in ("q3", "q5"):
        assert (rows[name]["num_retrieved"], rows[name]["ndcg_at_10"], rows[name]["confidence_max"]) == (
            0,
            0,
            0,
        )
    assert rows["q4"]["num_retrieved"] == 8


# --- extras ------------------------------------------------------------------------------------------


def subquery_examples(seed):
    examples = examples_of(seed, candidates=(4, 8, 16))
    ids = [f"user {i // 3}_{i}" for i in range(12)]
    old = dict(zip(examples.query_ids, ids, strict=True))
    return dataclasses.replace(
        examples,
        query_ids=ids,
        qrels={old[q]: docs for q, docs in reversed(examples.qrels.items())},
        candidates={old[q]: docs for q, docs in examples.candidates.items()},
    )


@pytest.mark.parametrize("seed", range(2))
def test_max_over_subqueries(seed):
    from mteb._evaluators.retrieval_metrics import max_over_subqueries

    examples = subquery_examples(seed)
    encoder = Encoder("dot", tied_table(examples, "dot") if seed else None)
    task = task_of(
        examples, lambda task, s, qrels, results: max_over_subqueries(qrels, results, task.k_values)
    )
    found = ours(examples, encoder, extra=("max_over_subqueries",), main="max_over_subqueries_map_at_1000")
    # Merged lists have any length: with ties, mteb's standard deviations hang on the order of addition.
    tied = tuple(f"max_over_subqueries_nauc_{m}" for m in ("ndcg", "map", "recall", "precision", "mrr"))
    assert_same(found, evaluate(task, encoder)["default"], but=tied if seed else ())
    assert found.main == "max_over_subqueries_map_at_1000"


def followir_examples(seed, changed=None):
    examples = examples_of(seed, candidates=(16, 32))
    ids = [f"{i // 2}{('-og', '-changed')[i % 2]}" for i in range(12)]
    old = dict(zip(examples.query_ids, ids, strict=True))
    lists = {old[q]: docs for q, docs in examples.candidates.items()}
    qrels = {}
    for q, docs in lists.items():
        relevant = docs[:3] if q.endswith("-og") else docs[3:5]
        qrels[q] = {**dict.fromkeys(docs[:8], 0), **dict.fromkeys(relevant, 1)}
    for i in range(6):
        if i != 4:
            qrels[f"{i}-changed"].update(dict.fromkeys(lists[f"{i}-og"][:2], 0))
        else:
            qrels["4-changed"].update(dict.fromkeys(lists["4-og"][:3], 1))
    return dataclasses.replace(examples, query_ids=ids, qrels=qrels, candidates=lists, changed=changed)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("given", [True, False])
def test_p_mrr(given, seed, tied):
    from mteb._evaluators.retrieval_metrics import evaluate_p_mrr_change

    examples = followir_examples(seed)
    removed = {
        f"{i}": [
            d for d, g in examples.qrels[f"{i}-og"].items() if g and not examples.qrels[f"{i}-changed"].get(d)
        ]
        for i in range(6)
    }
    assert removed["4"] == []
    if given:
        removed = {
            "9": ["d1"],
            **{base: [*docs, "not in the corpus"] for base, docs in removed.items() if docs},
        }
        examples = dataclasses.replace(examples, changed=removed)
    encoder = Encoder("dot", tied_table(examples, "dot") if tied else None)
    task = task_of(
        examples, lambda task, s, qrels, found: evaluate_p_mrr_change(qrels, found, removed, task.k_values)
    )
    found = ours(examples, encoder, extra=("p_mrr",), main="p-MRR")
    assert_same(found, evaluate(task, encoder)["default"])
    assert found.metrics["p-MRR"] != 0


def test_p_mrr_by_hand():
    qrels = {"a-og": {"x": 1, "y": 0}, "a-changed": {"y": 1, "x": 0}}
    examples = RankingExamples(
        ["a-og", "a-changed"], ["og", "new"], ["x", "y"], ["x", "y"], qrels, {q: ["x", "y"] for q in qrels}
    )
    chosen = settings("instruction_reranking", main="p-MRR")
    fell = ranking.score_pairs(examples, np.array([2, 1, 1, 2], np.float32), chosen)
    assert fell.metrics["p-MRR"] == 0.5
    rose = ranking.score_pairs(examples, np.array([1, 2, 2, 1], np.float32), chosen)
    assert rose.metrics["p-MRR"] == -0.5
    assert rose.details["og"]["ndcg_at_1"] == 0
    assert fell.details["og"]["nauc_ndcg_at_1_max"] is None


def test_p_mrr_without_changed_documents_is_undefined():
    examples = followir_examples(0, changed={})
    found = ours(examples, Encoder(), extra=("p_mrr",))
    assert "p-MRR" in found.undefined
    with pytest.raises(DataError, match="p-MRR is undefined"):
        ours(examples, Encoder(), extra=("p_mrr",), main="p-MRR")


def renamed(examples, ids):
    old = dict(zip(examples.query_ids, ids, strict=True))
    lists = examples.candidates
    return dataclasses.replace(
        examples,
        query_ids=ids,
        qrels={old[q]: docs for q, docs in examples.qrels.items()},
        candidates=lists and {old[q]: docs for q, docs in lists.items()},
    )


def test_single_numbers_and_levels():
    from mteb._evaluators import retrieval_metrics as m

    def ifir(task, scores, qrels, results):
        levels = {
            f"level_{i}": [v["ndcg_cut_20"] for k, v in scores.items() if f"v{i}" in k] for i in (1, 2, 3)
        }
        return {"level_scores": {name: sum(v) / len(v) for name, v in levels.items()}}

    cases = {
        "paired_accuracy": (
            [f"{i // 2}_q{i % 2 + 1}" for i in range(12)],
            lambda task, scores, qrels, results: {
                "paired_accuracy": m.paired_accuracy(qrels, results, scores)
            },
        ),
        "robustness_at_10": (
            [f"{i % 5}_{i}" for i in range(12)],
            lambda task, scores, qrels, results: {
                "robustness_at_10": m.robustness_at_10(qrels, results, scores)
            },
        ),
        "level_scores": ([f"a_v{i % 3 + 1}_{i}" for i in range(12)], ifir),
    }
    for extra, (ids, theirs) in cases.items():
        examples = renamed(examples_of(3, candidates=(2,), grades=(0, 3)), ids)
        assert_same(
            ours(examples, Encoder(), extra=(extra,)),
            evaluate(task_of(examples, theirs), Encoder())["default"],
        )


def test_paired_accuracy_counts_pairs():
    ids = ["a_q1", "a_q2", "b_q1", "b_q2"]
    qrels = {q: {("x" if q.endswith("1") else "y"): 1} for q in ids}
    examples = RankingExamples(ids, ids, ["x", "y"], ["x", "y"], qrels, {q: ["x", "y"] for q in ids})
    # a: both right; b: always x, right once.
    scores = np.array([2, 1, 1, 2, 2, 1, 2, 1], np.float32)
    found = ranking.score_pairs(
        examples, scores, settings(extra=("paired_accuracy",), main="paired_accuracy")
    )
    assert found.metrics["paired_accuracy"] == 0.5
    assert found.metrics["accuracy"] == 0.75


@pytest.mark.parametrize("seed", range(2))
def test_recall_cap_of_lmeb(seed):
    from mteb.tasks.retrieval.eng.lmeb_retrieval import EPBench

    k_values = (1, 3, 5, 10, 20, 25, 50, 100, 1000)
    examples = examples_of(seed)
    task = task_of(
        examples,
        lambda task, s, qrels, results: EPBench.task_specific_scores(
            task, s, qrels, results, "test", "default"
        ),
        k_values=k_values,
    )
    found = ours(examples, Encoder(), extra=("recall_cap",), k_values=k_values)
    assert_same(found, evaluate(task, Encoder())["default"])


def test_recall_cap_with_nothing_relevant_is_zero():
    examples = RankingExamples(["q"], ["q"], ["d"], ["d"], {"q": {"d": 0}})
    assert ours(examples, Encoder(), extra=("recall_cap",)).metrics["R_cap_at_10"] == 0


# --- searchers ---------------------------------------------------------------------------------------


def overlap_search(queries, documents, k):
    """Counts equal letters; leaves out what has none, as an inverted index does."""
    table = np.array([[sum(c in q for c in d) for d in documents] for q in queries], dtype=np.float32)
    k = min(k, len(documents))
    ids = np.argsort(-table, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(table, ids, axis=1)
    return np.where(scores > 0, ids, -1), scores


def search_examples(candidates=None):
    examples = examples_of(2, candidates=candidates)
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("abcdefgh"), 4)) for _ in range(76)]
    return dataclasses.replace(examples, queries=words[:12], documents=words[12:])


@pytest.mark.parametrize("candidates", [None, (0, 2, 4, 16)])
def test_lexical_search(candidates, monkeypatch):
    from mteb._evaluators.retrieval_metrics import calculate_retrieval_scores, make_score_dict

    examples = search_examples(candidates)
    found, scores = overlap_search(examples.queries, examples.documents, 1000)
    results = {}
    for row, name in enumerate(examples.query_ids):
        hits = {examples.doc_ids[i]: float(s) for i, s in zip(found[row], scores[row], strict=True) if i >= 0}
        if candidates is not None:
            hits = {d: hits.get(d, 0.0) for d in examples.candidates[name]}
        # In our order, so that equal lists have equal standard deviations there too.
        results[name] = dict(sorted(hits.items(), key=lambda x: (x[1], x[0]), reverse=True))
    theirs = calculate_retrieval_scores(results, examples.qrels, settings()["k_values"])
    expected = make_score_dict(
        ndcg=theirs.ndcg, _map=theirs.map, recall=theirs.recall, precision=theirs.precision, mrr=theirs.mrr,
        naucs=theirs.naucs, naucs_mrr=theirs.naucs_mrr, hit_rate=theirs.hit_rate, task_scores={},
    )  # fmt: skip
    whole = ranking.score_search(examples, overlap_search, settings())
    assert_same(whole, expected)
    monkeypatch.setattr(ranking, "_SEARCH_CELLS", 64 * 5)
    assert ranking.score_search(examples, overlap_search, settings()).exact == whole.exact


def test_a_searcher_gets_the_whole_corpus():
    examples = search_examples((2,))
    asked = []

    def search(queries, documents, k):
        asked.append((len(queries), documents == list(examples.documents), k))
        return np.full((len(queries), 1), -1), np.zeros((len(queries), 1), np.float32)

    found = ranking.score_search(examples, search, settings())
    assert asked == [(12, True, 64)]
    assert found.samples["num_retrieved"].to_pylist() == [2] * 12
    assert found.samples["confidence_max"].to_pylist() == [0] * 12
    ranking.score_search(dataclasses.replace(examples, candidates=None), search, settings(top_k=7))
    assert asked[1] == (12, True, 7)


def test_a_searchers_nan_is_an_error():
    def search(queries, documents, k):
        return np.zeros((len(queries), 1), int), np.full((len(queries), 1), np.nan, np.float32)

    with pytest.raises(NonFiniteError):
        ranking.score_search(search_examples(), search, settings())


# --- what is promised --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra", [(), ("max_over_subqueries",), ("p_mrr",), ("recall_cap", "robustness_at_10")]
)
def test_every_metric_comes_from_the_stored_samples(extra, tmp_path):
    examples = followir_examples(1) if "p_mrr" in extra else subquery_examples(1)
    chosen = settings(extra=extra)
    scores = ours(examples, Encoder(), extra=extra)
    pq.write_table(scores.samples, tmp_path / "samples.parquet")
    exact, undefined = ranking.metrics_from(pq.read_table(tmp_path / "samples.parquet"), chosen)
    assert exact == scores.exact
    assert undefined == scores.undefined
    assert isinstance(scores.samples, pa.Table)
    assert all(math.isfinite(value) for value in scores.metrics.values())


@pytest.mark.parametrize("candidates", [None, (4, 16)])
def test_the_order_of_the_corpus_does_not_matter(candidates):
    examples = examples_of(10, candidates=candidates)
    shuffled = np.random.default_rng(0).permutation(64).tolist()
    moved = dataclasses.replace(
        examples,
        doc_ids=[examples.doc_ids[i] for i in shuffled],
        documents=[examples.documents[i] for i in shuffled],
        candidates=candidates and {q: docs[::-1] for q, docs in examples.candidates.items()},
    )
    for encoder in (Encoder(), Encoder("dot", tied_table(examples, "dot"))):
        first, second = ours(examples, encoder, top_k=9), ours(moved, encoder, top_k=9)
        assert first.samples.equals(second.samples)


def test_of_documents_tied_at_the_cut_the_highest_ids_survive():
    ids = [f"d{i}" for i in range(10)]
    table = {"q": np.array([1, 0], np.float32), "d3": np.array([2, 0], np.float32)}
    table |= {d: np.array([1, 5], np.float32) for d in ids if d != "d3"}
    for target, expected in (("d9", 1 / 2), ("d8", 1 / 3), ("d7", 0.0), ("d3", 1.0)):
        for lists in (None, {"q": ids}):
            examples = RankingExamples(["q"], ["q"], ids, ids, {"q": {target: 1}}, lists)
            found = ours(examples, Encoder("dot", table), top_k=3)
            assert found.metrics["mrr_at_10"] == expected


def test_reported_values_are_rounded_where_mteb_rounds():
    scores = ours(examples_of(12, queries=7), Encoder())
    for name, value in scores.exact.items():
        rounds = not name.startswith(("mrr", "nauc"))
        assert scores.metrics[name] == (round(value, 5) if rounds else value)
    assert any(scores.metrics[name] != value for name, value in scores.exact.items())


def test_needs():
    examples = examples_of(13, candidates=(0, 2))
    asked = ranking.needs(examples, settings())
    listed = {d for docs in examples.candidates.values() for d in docs}
    expected = [t for d, t in zip(examples.doc_ids, examples.documents, strict=True) if d in listed]
    assert list(asked["documents"].items) == expected
    assert [asked[side].role for side in ("queries", "documents")] == ["query", "document"]
    everything = ranking.needs(dataclasses.replace(examples, candidates=None), settings())
    assert everything["documents"].items is examples.documents
    assert everything["queries"].items is examples.queries


def test_pairs_stand_in_query_order_once_each():
    lists = {"b": ["y", "x", "y"], "a": ["x"], "c": []}
    qrels = {q: {"x": 1} for q in "abc"}
    examples = RankingExamples(["b", "c", "a"], ["B", "C", "A"], ["x", "y"], ["X", "Y"], qrels, lists)
    asked = ranking.pairs(examples, settings())
    assert list(zip(asked.left, asked.right, strict=True)) == [("B", "Y"), ("B", "X"), ("A", "X")]


def test_first_stage_stands_in_for_candidates():
    examples = examples_of(14, candidates=(4, 8))
    bare = dataclasses.replace(examples, candidates=None)
    with pytest.raises(ModelError, match="first stage"):
        ranking.pairs(bare, settings())
    staged = ours_of_pairs(bare, PairScorer(), first_stage=examples.candidates, first_stage_depth=8)
    own = ours_of_pairs(examples, PairScorer(), first_stage={}, first_stage_depth=8)
    # No list is cut before 1,000, so what the candidates hold is what the reranked lists hold.
    ceiling = {"first_stage_recall_at_8": pytest.approx(own.exact["recall_at_1000"])}
    assert staged.exact == {**own.exact, **ceiling}
    assert 0 < own.exact["recall_at_1000"] < 1


def test_unit_defaults_are_filled_in():
    examples = examples_of(15)
    vectors = Encoder().vectors(ranking.needs(examples, {}))
    assert ranking.score(examples, vectors, {}).exact == ours(examples, Encoder()).exact
    assert ranking.score(examples, vectors, {}).main == "ndcg_at_10"


# --- refusals ----------------------------------------------------------------------------------------


def test_unknown_candidate_names_query_and_document():
    examples = examples_of(0, candidates=(4,))
    broken = dataclasses.replace(examples, candidates={**examples.candidates, "q7": ["lost"]})
    with pytest.raises(DataError, match=r"'lost' of query 'q7'"):
        ranking.needs(broken, settings())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_ids": [], "queries": []}, "no query has relevance"),
        ({"doc_ids": [], "documents": []}, "corpus is empty"),
        ({"query_ids": ["q0", "q0"], "queries": ["a", "b"]}, "'q0' stands twice"),
        ({"query_ids": ["q0", "other"], "queries": ["a", "b"]}, "'other' has no relevance"),
    ],
)
def test_broken_examples(change, message):
    examples = dataclasses.replace(examples_of(0), **change)
    with pytest.raises(DataError, match=message):
        ranking.needs(examples, settings())


def test_document_ids_must_differ():
    examples = dataclasses.replace(examples_of(0, documents=3), doc_ids=["b", "a", "b"])
    with pytest.raises(DataError, match="'b' stands twice"):
        ours(examples, Encoder())


def test_unknown_names():
    examples = examples_of(0)
    with pytest.raises(UnknownNameError, match="ndcg_at_10"):
        ours(examples, Encoder(), main="ndcg_at_11")
    with pytest.raises(UnknownNameError, match="p_mrr"):
        ours(examples, Encoder(), extra=("pmrr",))
    with pytest.raises(UnknownNameError, match="cosine"):
        ours(examples, Encoder(), similarity="cosin")
    with pytest.raises(ConfigError, match="skip_first_result"):
        ours(examples, Encoder(), extra=("recall_cap",), skip_first_result=True)


def test_undefined_main_metric():
    with pytest.raises(DataError, match="nauc_ndcg_at_10_max is undefined"):
        ours(examples_of(0, queries=1), Encoder(), main="nauc_ndcg_at_10_max")


def test_vectors_and_scores_must_fit():
    examples = examples_of(0, candidates=(4,))
    vectors = Encoder().vectors(ranking.needs(examples, settings()))
    with pytest.raises(ModelError, match="document vectors for 12 queries"):
        ranking.score(examples, {**vectors, "documents": Vectors.of(np.ones((1, 16)))}, settings())
    with pytest.raises(ModelError, match="1 scores for 48 pairs"):
        ranking.score_pairs(examples, np.ones(1, np.float32), settings())
    scores = np.ones(48, np.float32)
    scores[5] = np.inf
    query, doc = "q1", examples.candidates["q1"][1]
    with pytest.raises(NonFiniteError, match=rf"query '{query}' with document '{doc}' is inf"):
        ranking.score_pairs(examples, scores, settings())
    bad = {**vectors, "queries": Vectors.of(np.full((12, 16), np.nan, np.float32))}
    with pytest.raises(NonFiniteError):
        ranking.score(examples, bad, settings())
