import contextlib
import threading
import tracemalloc

import numpy as np
import pytest

from harness.errors import ConfigError, NonFiniteError, UnknownNameError
from harness.metrics import best, topk
from harness.metrics.tiles import DOC_TILE, QUERY_TILE, blank, prepared, product, workers
from harness.metrics.topk import candidate_scores, search, top_k
from harness.types import Vectors

SIMILARITIES = ("cosine", "dot", "euclidean")


def tied(rng, n, dim, similarity):
    """Vectors whose similarities are exact in float32, and therefore tie often (cosine: dim 4 or 16)."""
    values = rng.integers(-2, 3, (n, dim)).astype(np.float32)
    return np.where(values > 0, np.float32(1), np.float32(-1)) if similarity == "cosine" else values


def brute(queries, documents, k, similarity, order):
    """Every score by mteb's own function, then a full sort."""
    from mteb import similarity_functions as f

    function = {"cosine": f.cos_sim, "dot": f.dot_score, "euclidean": f.euclidean_sim}[similarity]
    scores = function(queries, documents).numpy()
    index = np.stack([np.lexsort((order, -row))[:k] for row in scores])
    return index, np.take_along_axis(scores, index, axis=1)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(
    ("queries", "documents", "dim", "k"),
    [(1, 1, 4, 10), (7, 4, 4, 10), (30, 700, 4, 50), (130, 5000, 16, 20)],
)
def test_ties_at_the_cut_are_canonical(queries, documents, dim, k, similarity):
    rng = np.random.default_rng(documents)
    left, right = tied(rng, queries, dim, similarity), tied(rng, documents, dim, similarity)
    order = rng.permutation(documents)
    index, scores = top_k(left, Vectors.of(right), k, similarity, order)
    expected_index, expected = brute(left, right, k, similarity, order)
    assert np.array_equal(index, expected_index)
    assert scores == pytest.approx(expected, abs=1e-6)
    assert (index.dtype, scores.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_scores_are_mtebs(similarity):
    rng = np.random.default_rng(0)
    left, right = (
        rng.standard_normal((40, 24), dtype=np.float32),
        rng.standard_normal((900, 24), dtype=np.float32),
    )
    order = np.arange(900)
    index, scores = top_k(left, Vectors.of(right), 100, similarity, order)
    expected_index, expected = brute(left, right, 100, similarity, order)
    assert np.array_equal(index, expected_index)
    assert scores == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_equal_texts_tie_exactly(similarity):
    rng = np.random.default_rng(4)
    stored = rng.standard_normal((50, 24), dtype=np.float32)
    rows, order = rng.integers(0, 50, 6000), rng.permutation(6000)
    left = rng.standard_normal((9, 24), dtype=np.float32)
    index, scores = top_k(left, Vectors((stored[:20], stored[20:]), rows), 300, similarity, order)
    expected_index, _ = brute(left, stored, 50, similarity, np.arange(50))
    for row in range(9):
        place = {int(stored_row): i for i, stored_row in enumerate(expected_index[row])}
        everything = np.lexsort((order, [place[int(r)] for r in rows]))
        assert np.array_equal(index[row], everything[:300])
        assert len(set(scores[row].tolist())) == len(set(rows[index[row]].tolist()))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_independent_of_memory_threads_and_document_order(similarity, monkeypatch):
    # Random floats: a last bit that moved with the group or the place would show in the scores.
    rng = np.random.default_rng(5)
    left, right = (
        rng.standard_normal((1000, 33), dtype=np.float32),
        rng.standard_normal((9000, 33), dtype=np.float32),
    )
    order = rng.permutation(9000)
    index, scores = top_k(left, Vectors.of(right), 64, similarity, order)
    documents = Vectors.of(right)
    monkeypatch.setattr(topk, "_LISTS", 10**8)
    groups = set()
    for memory in (6 * 10**6, 65 * 10**5, 10**9):
        found = list(search(Vectors.of(left), documents, 64, similarity, order, memory))
        groups.add(len(found))
        assert np.array_equal(np.concatenate([part for part, _ in found]), index)
        assert np.array_equal(np.concatenate([part for _, part in found]), scores)
    assert len(groups) == 3
    shuffled = rng.permutation(9000)
    with one_thread():
        again, same = top_k(left, Vectors.of(right[shuffled]), 64, similarity, order[shuffled])
    assert np.array_equal(shuffled[again], index)
    assert np.array_equal(same, scores)


@contextlib.contextmanager
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_threads_are_as_they_were():
    import torch

    before = torch.get_num_threads()
    seen = []
    with workers(2) as (pool, count):
        seen += [pool.submit(torch.get_num_threads).result() for _ in range(3)]
        assert torch.get_num_threads() == before
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert (seen, count) == ([1, 1, 1, before], min(2, before))


def test_what_it_holds_stays_within_the_memory():
    rng = np.random.default_rng(9)
    left, right = (Vectors.of(rng.standard_normal((n, 16), dtype=np.float32)) for n in (800, 20000))
    tracemalloc.start()
    for found in search(left, right, 1000, "dot", rng.permutation(20000), memory=14 * 10**6):
        del found
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 10**6 < peak < 14 * 10**6


def test_too_little_memory_is_said():
    vectors = Vectors.of(np.ones((3000, 8), np.float32))
    with pytest.raises(ConfigError, match=r"takes .* MB beside its vectors, and 100 kB are allowed"):
        list(search(vectors, vectors, 10, "dot", np.arange(3000), memory=100_000))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_scores_have_the_bits_of_torchs_functions(similarity):
    import torch

    rng = np.random.default_rng(3)
    left, right = (
        torch.from_numpy(rng.standard_normal((n, 48), dtype=np.float32)) for n in (QUERY_TILE, DOC_TILE)
    )
    with one_thread():
        expected = {
            "cosine": lambda: torch.nn.functional.normalize(left) @ torch.nn.functional.normalize(right).T,
            "dot": lambda: left @ right.T,
            "euclidean": lambda: -torch.cdist(left, right, compute_mode="use_mm_for_euclid_dist"),
        }[similarity]()
        a, b = (prepared(x.numpy().copy(), similarity, s) for x, s in ((left, "query"), (right, "document")))
        assert np.array_equal(product(a, b, similarity, blank()), expected.numpy())


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_candidates_get_the_bits_of_a_search(similarity):
    rng = np.random.default_rng(6)
    left, stored = (
        rng.standard_normal((140, 17), dtype=np.float32),
        rng.standard_normal((300, 17), dtype=np.float32),
    )
    documents = Vectors((stored,), rng.integers(0, 300, 4500))
    index, scores = top_k(left, documents, 4500, similarity, np.arange(4500))
    pick = [rng.choice(4500, size=rng.integers(0, 40), replace=False) for _ in left]
    query_index, doc_index = np.repeat(np.arange(140), [len(p) for p in pick]), np.concatenate(pick)
    table = np.empty((140, 4500), dtype=np.float32)
    np.put_along_axis(table, index, scores, axis=1)
    found = candidate_scores(left, documents, query_index, doc_index, similarity)
    assert np.array_equal(found, table[query_index, doc_index])


def test_candidates_must_be_grouped():
    vectors = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match="grouped by query"):
        candidate_scores(vectors, Vectors.of(vectors), np.array([1, 0]), np.array([0, 0]), "dot")
    assert (
        len(candidate_scores(vectors, Vectors.of(vectors), np.array([], int), np.array([], int), "dot")) == 0
    )


@pytest.mark.parametrize("copies", [2, 40, 5000])
def test_texts_that_stand_many_times(copies):
    """Of equal texts only the k highest ids can be among the best; none of them is lost or doubled."""
    rng = np.random.default_rng(8)
    stored = rng.standard_normal((3, 8), dtype=np.float32)
    rows = np.concatenate([np.repeat(np.arange(3), copies), rng.integers(0, 3, 50)])
    order = rng.permutation(len(rows))
    left = rng.standard_normal((5, 8), dtype=np.float32)
    index, scores = top_k(left, Vectors((stored,), rows), 100, "dot", order)
    table = np.take(left @ stored.T, rows, axis=1)
    for row in range(5):
        assert np.array_equal(index[row], np.lexsort((order, -table[row]))[:100])
    assert scores == pytest.approx(np.take_along_axis(table, index, axis=1), abs=1e-6)


def test_all_scores_equal_leaves_the_highest_ids():
    order = np.random.default_rng(7).permutation(9000)
    index, scores = top_k(np.ones((2, 3), np.float32), Vectors.of(np.ones((9000, 3))), 5, "dot", order)
    assert index.tolist() == [np.argsort(order)[:5].tolist()] * 2
    assert (scores == 3).all()


def test_keys_order_as_scores_then_ids_and_give_both_back():
    scores = np.array([-np.inf, -3e38, -1.5, -1e-40, -0.0, 0.0, 1e-40, 2, 3e38, np.inf], np.float32)
    keys = best._pack(scores, best.LOW - np.arange(10))
    assert np.argsort(keys).tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9]  # the two zeros tie: lower place wins
    again, places = best._unpack(keys)
    assert np.array_equal(again, scores)
    assert places.tolist() == list(range(10))


def test_negative_scores_and_low_precision_vectors():
    documents = np.array([[-1.0], [3], [-2], [0.5]], np.float16)
    index, scores = top_k(np.array([[2.0]], np.float32), Vectors.of(documents), 4, "dot", np.arange(4))
    assert index.tolist() == [[1, 3, 0, 2]]
    assert scores.tolist() == [[6, 1, -2, -4]]


@pytest.mark.parametrize(("documents", "k"), [(0, 5), (3, 0)])
def test_nothing_to_find(documents, k):
    index, scores = top_k(
        np.ones((2, 4), np.float32), Vectors.of(np.ones((documents, 4))), k, "dot", np.arange(documents)
    )
    assert index.shape == scores.shape == (2, 0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_nan_is_an_error(similarity):
    documents = np.ones((10, 4), np.float32)
    documents[3, 1] = np.nan
    queries = np.ones((1, 4), np.float32)
    with pytest.raises(NonFiniteError, match="NaN"):
        top_k(queries, Vectors.of(documents), 2, similarity, np.arange(10))
    with pytest.raises(NonFiniteError, match="NaN"):
        candidate_scores(queries, Vectors.of(documents), np.array([0]), np.array([3]), similarity)


def test_unknown_similarity():
    with pytest.raises(UnknownNameError, match="cosine"):
        top_k(np.ones((1, 2), np.float32), Vectors.of(np.ones((1, 2))), 1, "cosin", np.arange(1))
