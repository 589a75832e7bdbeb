import numpy as np
import pytest
from sklearn.metrics import pairwise

from harness.errors import UnknownNameError
from harness.metrics import similarity as sim
from harness.types import Vectors

MEASURES = ("similarity", "cosine", "manhattan", "euclidean", "dot")


def pair(n=57, dim=33, seed=0):
    rng = np.random.default_rng(seed)
    return tuple((rng.standard_normal((n, dim)) * 3).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("dim", [1, 7, 64, 385])
def test_bit_equal_to_the_reference(dim):
    from mteb import similarity_functions as f

    a, b = pair(dim=dim)
    ours = sim.paired(Vectors.of(a), Vectors.of(b), MEASURES)
    assert {x.dtype for x in ours.values()} == {np.dtype(np.float32)}
    assert (ours["cosine"] == 1 - pairwise.paired_cosine_distances(a, b)).all()
    assert (ours["manhattan"] == pairwise.paired_manhattan_distances(a, b)).all()
    assert (ours["euclidean"] == pairwise.paired_euclidean_distances(a, b)).all()
    assert (ours["dot"] == [np.dot(x, y) for x, y in zip(a, b, strict=True)]).all()
    for name, function in (
        ("cosine", f.pairwise_cos_sim), ("dot", f.pairwise_dot_score), ("euclidean", f.pairwise_euclidean_sim)
    ):  # fmt: skip
        assert (sim.own_paired(a, b, name) == function(a, b).numpy()).all()


@pytest.mark.parametrize("floats", [1, 5 * 33, 10**6])
def test_blocks_do_not_change_a_bit(monkeypatch, floats):
    a, b = pair()
    whole = {m: sim.paired_block(a, b, m, "dot") for m in MEASURES}
    monkeypatch.setattr(sim, "_PAIRED_FLOATS", floats)
    blocks = sim.paired(Vectors.of(a), Vectors.of(b), MEASURES, "dot")
    assert all((blocks[m] == whole[m]).all() for m in MEASURES)


def test_blocks_cover_every_row_once():
    for n, size in ((0, 3), (1, 3), (3, 3), (10, 3), (1000, 7)):
        rows = [row for start, stop in sim._spans(n, size) for row in range(start, stop)]
        assert rows == list(range(n))
        assert all(stop - start <= size for start, stop in sim._spans(n, size))


def test_hand_computed():
    a, b = np.float32([[3, 4], [0, 0], [0, 0]]), np.float32([[4, 3], [0, 2], [0, 0]])
    ours = sim.paired(Vectors.of(a), Vectors.of(b), MEASURES, "euclidean")
    assert ours["cosine"].tolist() == pytest.approx([0.96, 0.5, 1])
    assert ours["dot"].tolist() == [24, 0, 0]
    assert ours["manhattan"].tolist() == [2, 2, 0]
    assert ours["euclidean"].tolist() == pytest.approx([np.sqrt(2), 2, 0])
    assert ours["similarity"].tolist() == pytest.approx([-np.sqrt(2), -2, 0])


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize(("queries", "corpus"), [(1, 1), (5, 20), (30, 20), (101, 26), (250, 300)])
def test_nearest_is_bit_equal_to_the_reference_in_its_chunks(name, queries, corpus):
    from mteb import similarity_functions as f

    matrix = {"cosine": f.cos_sim, "dot": f.dot_score, "euclidean": f.euclidean_sim}[name]
    rng = np.random.default_rng(queries)
    a, b = (rng.standard_normal((n, 48)).astype(np.float32) for n in (queries, corpus))
    index, best = sim.nearest(Vectors.of(a), Vectors.of(b), name)
    scores = np.concatenate([matrix(a[i : i + 100], b).numpy() for i in range(0, queries, 100)])
    assert (index == scores.argmax(1)).all()
    assert (best == scores.max(1)).all()


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean"])
def test_nearest_over_several_corpus_blocks(monkeypatch, name):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((40, 8)).astype(np.float32)
    b = rng.standard_normal((30, 8)).astype(np.float32)
    b = np.concatenate([b, b, b])  # every row three times, in different blocks
    whole = sim.nearest(Vectors.of(a), Vectors.of(b), name)
    monkeypatch.setattr(sim, "_CORPUS_ROWS", 32)
    monkeypatch.setattr(sim, "_QUERY_ROWS", 16)
    index, best = sim.nearest(Vectors.of(a), Vectors.of(b), name)
    assert (index == whole[0]).all()
    assert index.max() < 30
    assert best == pytest.approx(whole[1], abs=1e-6)


def test_equal_candidates_get_equal_scores():
    rng = np.random.default_rng(2)
    one = rng.standard_normal(384).astype(np.float32)
    references = rng.standard_normal((11, 384)).astype(np.float32)
    for name in sim.SIMILARITIES:
        for values in sim.best_of_references(np.tile(one, (17, 1)), references, name).values():
            assert len(set(values.tolist())) == 1


def test_read_only_and_half_precision_storage():
    a, b = (x.astype(np.float16) for x in pair())
    a.setflags(write=False)
    b.setflags(write=False)
    half = sim.paired(Vectors.of(a), Vectors.of(b), MEASURES)
    full = sim.paired(Vectors.of(a.astype(np.float32)), Vectors.of(b.astype(np.float32)), MEASURES)
    assert all((half[m] == full[m]).all() for m in MEASURES)


def test_inputs_stay_as_they_were():
    a, b = pair()
    before = a.copy(), b.copy()
    sim.paired(Vectors.of(a), Vectors.of(b), MEASURES)
    sim.nearest(Vectors.of(a), Vectors.of(b), "cosine")
    sim.best_of_references(a, b, "cosine")
    assert (a == before[0]).all()
    assert (b == before[1]).all()


@pytest.mark.parametrize("call", [sim.nearest, lambda a, b, s: sim.paired(a, b, ("cosine",), s)])
def test_unknown_similarity(call):
    a = Vectors.of(np.ones((2, 2), dtype=np.float32))
    with pytest.raises(UnknownNameError, match="unknown similarity 'cosin'; did you mean cosine"):
        call(a, a, "cosin")
