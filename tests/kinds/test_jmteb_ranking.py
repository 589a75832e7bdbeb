"""JMTEB's retrieval and reranking, against naive oracles and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.examples import DevTest, RankingExamples
from harness.errors import DataError, ModelError, NonFiniteError
from harness.kinds import jmteb_reranking, jmteb_retrieval
from harness.metrics.jmteb_ranking import binary_ndcg, graded_ndcg
from harness.types import Vectors
from tests.kinds import oracle_jmteb as oracle
from tests.kinds.oracle_pairs import assert_recomputable

SIMILARITIES = ("cosine", "dot", "euclidean")


def world(seed, docs=60, dim=12):
    rng = np.random.default_rng(seed)
    return rng, (rng.normal(size=(docs, dim)) * rng.uniform(0.4, 2.5, (docs, 1))).astype(np.float32)


def name_of(doc):
    return f"d{doc:03d}"


def examples_of(mark, relevant, docs, lists=None):
    """`relevant`: query by query, document to grade; a corpus of `docs` documents, shared where 0."""
    names = [f"{mark}{i}" for i in range(len(relevant))]
    return RankingExamples(
        names,
        [f"text of {name}" for name in names],
        [name_of(doc) for doc in range(docs)],
        [f"document {doc}" for doc in range(docs)],
        {n: {name_of(d): g for d, g in own.items()} for n, own in zip(names, relevant, strict=True)},
        None
        if lists is None
        else {n: [name_of(d) for d in own] for n, own in zip(names, lists, strict=True)},
    )


def near(rng, documents, relevant, noise):
    """A query vector near each query's relevant documents."""
    rows = [documents[list(own)[:2]].mean(axis=0) if own else documents[0] for own in relevant] + rng.normal(
        size=(len(relevant), documents.shape[1])
    ) * noise
    return rows.astype(np.float32)


def binary(rng, queries, docs, most=14):
    return [
        dict.fromkeys(rng.choice(docs, rng.integers(1, most), replace=False).tolist(), 1)
        for _ in range(queries)
    ]


def retrieved(dev, test, documents, upstream, **settings):
    """Score (relevant, vectors) of dev and test."""
    examples = DevTest(
        examples_of("t", test[0], len(documents)), examples_of("v", dev[0], 0) if dev else None
    )
    vectors = {"queries": Vectors.of(test[1]), "documents": Vectors.of(documents)}
    if dev:
        vectors["dev_queries"] = Vectors.of(dev[1])
    return jmteb_retrieval.score(examples, vectors, {"upstream": upstream, **settings})


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize(("seed", "queries"), [(0, 30), (1, 4), (2, 12)])
def test_retrieval_equals_the_oracle(seed, queries, upstream, tmp_path):
    rng, documents = world(seed)
    dev, test = binary(rng, 15, 60), binary(rng, queries, 60)
    dev[3], test[1] = {}, {7: 0}  # nothing is relevant: such queries count all the same
    dev_rows, rows = near(rng, documents, dev, 0.8), near(rng, documents, test, 0.8)
    ours = retrieved((dev, dev_rows), (test, rows), documents, upstream)
    test[1] = {}
    on_dev = {
        name: oracle.retrieval(dev_rows, documents, dev, name, upstream)["ndcg_at_10"]
        for name in SIMILARITIES
    }
    chosen = oracle.first_best(on_dev)
    assert ours.details["chosen_on_dev"] == chosen
    assert {n: own["ndcg_at_10"] for n, own in ours.details["dev_scores"].items()} == pytest.approx(on_dev)
    expected = oracle.retrieval(rows, documents, test, chosen, upstream)
    assert ours.exact == pytest.approx(expected, abs=1e-6)
    assert_recomputable(jmteb_retrieval, ours, {"upstream": upstream}, tmp_path)


def test_the_ideal_of_16_relevant_documents():
    perfect = np.ones((1, 10), dtype=bool)
    assert binary_ndcg(perfect, np.array([16]), 10, uncut=True)[0] == pytest.approx(0.744, abs=5e-4)
    assert binary_ndcg(perfect, np.array([16]), 10, uncut=False)[0] == 1.0
    second = np.array([[False, True, False]])
    assert binary_ndcg(second, np.array([1]), 10, uncut=True)[0] == pytest.approx(1 / np.log2(3))


def test_no_more_documents_than_queries_are_looked_at_upstream():
    documents = np.eye(12, dtype=np.float32) * np.arange(12, 0, -1)[:, None].astype(np.float32)
    queries = np.ones((3, 12), np.float32)  # documents fall in likeness by dot: 0, 1, 2 ...
    relevant = [{4: 1}] * 3
    dev = ([{0: 1}], np.ones((1, 12), np.float32))
    by_dot = retrieved(dev, (relevant, queries), documents, False)
    assert by_dot.details["chosen_on_dev"] == "dot"
    assert by_dot.exact["mrr_at_10"] == pytest.approx(0.2)
    assert by_dot.exact["accuracy_at_5"] == 1.0
    assert retrieved(dev, (relevant, queries), documents, True).exact["accuracy_at_10"] == 0.0


def test_a_dev_corpus_of_its_own():
    rng, documents = world(5)
    own = world(6)[1][:20]
    dev, test = binary(rng, 8, 20), binary(rng, 9, 60)
    examples = DevTest(examples_of("t", test, 60), examples_of("v", dev, 20))
    assert set(jmteb_retrieval.needs(examples, {"upstream": True})) == {
        "queries", "documents", "dev_queries", "dev_documents",
    }  # fmt: skip
    rows = near(rng, own, dev, 0.5)
    vectors = {
        "queries": Vectors.of(near(rng, documents, test, 0.5)),
        "documents": Vectors.of(documents),
        "dev_queries": Vectors.of(rows),
        "dev_documents": Vectors.of(own),
    }
    ours = jmteb_retrieval.score(examples, vectors, {"upstream": True})
    expected = oracle.retrieval(rows, own, dev, "dot", True)["ndcg_at_10"]
    assert ours.details["dev_scores"]["dot"]["ndcg_at_10"] == pytest.approx(expected)


def test_without_dev_unit_vectors_need_no_choice_and_others_an_error():
    rng, documents = world(7)
    test = binary(rng, 11, 60)
    rows = near(rng, documents, test, 0.5)
    with pytest.raises(DataError, match="no dev split"):
        retrieved(None, (test, rows), documents, True)
    unit, asked = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (documents, rows))
    ours = retrieved(None, (test, asked), unit, True)
    assert ours.details["chosen_on_dev"] == "cosine"
    assert ours.details["dev_scores"] == {}
    for name in SIMILARITIES:  # all three rank alike
        assert ours.exact == pytest.approx(oracle.retrieval(asked, unit, test, name, True))


def reranked(dev, test, documents, upstream):
    """Score (lists of (document, grade), vectors) of dev and test."""

    def part(mark, lists, docs):
        graded = [dict(reversed(own)) for own in lists]  # of a document listed twice the first grade
        return examples_of(mark, graded, docs, [[doc for doc, _ in own] for own in lists])

    examples = DevTest(part("t", test[0], len(documents)), part("v", dev[0], 0) if dev else None)
    settings = {"upstream": upstream}
    needed = jmteb_reranking.needs(examples, settings)["documents"].items
    used = [int(text.removeprefix("document ")) for text in needed]
    assert used == sorted({doc for own in (*test[0], *(dev[0] if dev else ())) for doc, _ in own})
    vectors = {"queries": Vectors.of(test[1]), "documents": Vectors.of(documents[used])}
    if dev:
        vectors["dev_queries"] = Vectors.of(dev[1])
    return jmteb_reranking.score(examples, vectors, settings)


def graded(rng, queries, docs):
    lists = []
    for _ in range(queries):
        own = rng.choice(docs, rng.integers(2, 45), replace=False).tolist()
        lists.append(
            [(doc, int(grade)) for doc, grade in zip(own, rng.integers(0, 4, len(own)), strict=True)]
        )
        lists[-1][0] = (own[0], 3)
    return lists


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_reranking_equals_the_oracle(seed, upstream, tmp_path):
    rng, documents = world(seed + 10)
    dev, test = graded(rng, 12, 60), graded(rng, 15, 60)
    dev_rows, rows = (
        near(rng, documents, [{d: g for d, g in own if g == 3} for own in lists], 1.0)
        for lists in (dev, test)
    )
    ours = reranked((dev, dev_rows), (test, rows), documents, upstream)
    on_dev = {n: oracle.reranking(dev_rows, documents, dev, n)["ndcg_at_10"] for n in SIMILARITIES}
    chosen = oracle.first_best(on_dev)
    assert ours.details["chosen_on_dev"] == chosen
    assert ours.exact == pytest.approx(oracle.reranking(rows, documents, test, chosen), abs=1e-6)
    assert_recomputable(jmteb_reranking, ours, {"upstream": upstream}, tmp_path)


def test_graded_gain_by_hand():
    # 3 / log2(3) + 2 / log2(2), over 3 / log2(2) + 2 / log2(3)
    assert graded_ndcg(np.array([2, 3, 0]), 10) == pytest.approx((2 + 3 / 1.5849625) / (3 + 2 / 1.5849625))
    assert graded_ndcg(np.array([0, 0, 1]), 2) == 0.0
    assert np.isnan(graded_ndcg(np.array([0, 0]), 10))


def test_equal_scores_and_twins():
    same = np.ones((3, 2), np.float32)
    lists = [[(0, 1), (2, 0), (1, 0)]]
    asked = np.ones((1, 2), np.float32)
    # Upstream leaves equal scores in the order of the list; here the highest id comes first.
    assert reranked((lists, asked), (lists, asked), same, True).exact["ndcg_at_10"] == 1.0
    assert reranked((lists, asked), (lists, asked), same, False).exact["ndcg_at_10"] == pytest.approx(0.5)
    # Document 0 stands twice: two gains upstream, one here; both are ranked first.
    rows = np.array([[1, 0], [0, 1]], np.float32)
    twice, asked = [[(1, 1), (0, 2), (0, 2)]], np.array([[1, 0]], np.float32)
    assert reranked((twice, asked), (twice, asked), rows, True).samples["ndcg_at_10"].to_pylist() == [1.0]
    turned = np.array([[0, 1]], np.float32)
    worst = reranked((twice, asked), (twice, turned), rows, True)
    log3, log4 = np.log2(3), 2.0
    assert worst.exact["ndcg_at_10"] == pytest.approx((1 + 2 / log3 + 2 / log4) / (2 + 2 / log3 + 1 / log4))
    mended = reranked((twice, asked), (twice, turned), rows, False)
    assert mended.exact["ndcg_at_10"] == pytest.approx((1 + 2 / log3) / (2 + 1 / log3))


def test_a_query_with_irrelevant_candidates_alone_is_named():
    rng, documents = world(3, docs=8, dim=3)
    good, asked = [[(0, 1), (1, 0)], [(2, 1), (3, 0)]], rng.normal(size=(2, 3)).astype(np.float32)
    bad = [good[0], [(2, 0), (3, 0)]]
    for upstream in (True, False):
        with pytest.raises(DataError, match="test query 't1': none of its candidates is relevant"):
            reranked((good, asked), (bad, asked), documents, upstream)
    with pytest.raises(DataError, match="dev query 'v1'"):
        reranked((bad, asked), (good, asked), documents, False)
    nan = reranked((bad, asked), (good, asked), documents, True)  # upstream sorts NaN: the first stays first
    assert nan.details["chosen_on_dev"] == "cosine"
    assert nan.details["dev_scores"]["dot"]["ndcg_at_10"] is None


def test_what_is_missing_is_named():
    rng, documents = world(4, docs=8, dim=3)
    relevant, asked = [{0: 1}], rng.normal(size=(1, 3)).astype(np.float32)
    test = examples_of("t", relevant, 8, [[0, 99]])
    with pytest.raises(DataError, match="test query 't0': candidate 'd099' is not in the corpus"):
        jmteb_reranking.needs(DevTest(test, None), {"upstream": True})
    with pytest.raises(DataError, match="it has no candidates"):
        jmteb_reranking.needs(DevTest(examples_of("t", relevant, 8, [[]]), None), {"upstream": True})
    with pytest.raises(ModelError, match="1 texts of 'queries' got 2 vectors"):
        retrieved(None, (relevant, np.vstack([asked, asked])), documents, True)
    with pytest.raises(DataError, match="dev: no query"):
        retrieved(([], asked), (relevant, asked), documents, True)
    broken = documents.copy()
    broken[1] = np.nan
    with pytest.raises(NonFiniteError):
        retrieved((relevant, asked), (relevant, asked), broken, True)
