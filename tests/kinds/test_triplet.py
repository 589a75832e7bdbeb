import numpy as np
import pytest

from harness.data.examples import TripletExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import triplet
from harness.types import Vectors
from tests.kinds.oracle_pairs import SIMILARITIES, assert_recomputable, matrices


def examples_of(n):
    return TripletExamples(
        [f"a{i}" for i in range(n)], [f"e{i}" for i in range(n)], [f"n{i}" for i in range(n)]
    )


def score(anchor, entailment, negative, **settings):
    vectors = {"anchor": anchor, "entailment": entailment, "negative": negative}
    return triplet.score(examples_of(len(anchor)), {k: Vectors.of(v) for k, v in vectors.items()}, settings)


@pytest.mark.parametrize("shape", ["random", "normalised", "unnormalised", "float16", "duplicated"])
def test_equals_cosines_in_double_precision(shape, tmp_path):
    a, e = matrices(shape, n=200)
    n, _ = matrices(shape, n=200, seed=11)
    n = (n + 0.4 * a).astype(np.float32)

    def cosine(x, y):
        x, y = x.astype(np.float64), y.astype(np.float64)
        return (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)

    ours = score(a, e, n)
    gaps = cosine(a, e) - cosine(a, n), cosine(a, e) - cosine(n, e)
    assert min(np.abs(gap).min() for gap in gaps) > 1e-6  # no row is decided by rounding
    anchor, entailment = (float(np.mean(gap > 0)) for gap in gaps)
    assert 0 < anchor < 1
    assert 0 < entailment < 1
    assert ours.metrics == {
        "anchor_score": anchor,
        "entailment_score": entailment,
        "anchor_error_rate": pytest.approx(100 * (1 - anchor)),
        "entailment_error_rate": pytest.approx(100 * (1 - entailment)),
    }
    assert ours.main == "anchor_score"
    assert_recomputable(triplet, ours, {}, tmp_path)


def test_agrees_with_sentence_transformers_triplet_evaluator():
    from sentence_transformers.util import pairwise_cos_sim

    a, e = matrices("random", n=150)
    n, _ = matrices("random", n=150, seed=3)
    expected = float((pairwise_cos_sim(a, e) > pairwise_cos_sim(a, n)).float().mean())
    assert score(a, e, n).metrics["anchor_score"] == pytest.approx(expected, abs=1e-6)


def test_hand_computed_and_a_tie_is_an_error():
    a = np.float32([[1, 0], [1, 0], [0, 2], [1, 1]])
    e = np.float32([[1, 0], [0, 1], [0, 1], [1, 2]])
    n = np.float32([[0, 1], [1, 0], [0, 1], [1, 2]])
    # Row 0 right twice; row 1 wrong for the anchor, tied between; row 2 all equal; row 3 the negative is
    # the entailment itself.
    ours = score(a, e, n).metrics
    assert ours == {
        "anchor_score": 0.25,
        "entailment_score": 0.25,
        "anchor_error_rate": 75.0,
        "entailment_error_rate": 75.0,
    }


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_cosine_whatever_the_models_own_similarity(similarity):
    a = np.float32([[1, 0]])
    e, n = np.float32([[1, 0.1]]), np.float32([[30, 30]])  # the negative has the larger dot product
    assert score(a, e, n, similarity=similarity).metrics["anchor_score"] == 1.0


def test_cross_encoder_scores_pairs_block_by_block(tmp_path):
    ex = examples_of(3)
    asked = triplet.pairs(ex, {})
    assert list(zip(asked.left, asked.right, strict=True)) == [
        ("a0", "e0"), ("a1", "e1"), ("a2", "e2"),
        ("a0", "n0"), ("a1", "n1"), ("a2", "n2"),
        ("n0", "e0"), ("n1", "e1"), ("n2", "e2"),
    ]  # fmt: skip
    ours = triplet.score_pairs(ex, np.float32([5, 5, 5, 1, 5, 9, 1, 2, 3]), {"main": "entailment_error_rate"})
    assert ours.metrics == {
        "anchor_score": pytest.approx(1 / 3),
        "entailment_score": 1.0,
        "anchor_error_rate": pytest.approx(200 / 3),
        "entailment_error_rate": 0.0,
    }
    assert ours.main == "entailment_error_rate"
    assert ours.samples["anchor_negative"].to_pylist() == [1, 5, 9]
    assert_recomputable(triplet, ours, {}, tmp_path)


def test_refusals():
    a, e = matrices("random", n=4)
    n = e[::-1].copy()
    with pytest.raises(UnknownNameError, match="unknown metric 'anchor_scores'; did you mean anchor_score"):
        score(a, e, n, main="anchor_scores")
    with pytest.raises(DataError, match="columns differ in length: anchor 1, entailment 1, negative 0"):
        triplet.score(TripletExamples(["a"], ["b"], []), {}, {})
    with pytest.raises(DataError, match="no examples"):
        score(a[:0], e[:0], n[:0])
    with pytest.raises(ModelError, match="12 pairs got scores of shape"):
        triplet.score_pairs(examples_of(4), np.zeros(4, dtype=np.float32), {})
    with pytest.raises(NonFiniteError, match=r"pair 5: 'a1' \| 'n1'"):
        triplet.score_pairs(examples_of(4), np.where(np.arange(12) == 5, np.nan, 0).astype(np.float32), {})
    n[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match="negative 1: 'n1'"):
        score(a, e, n)
