import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from harness.data.examples import PairExamples
from harness.errors import DataError, NonFiniteError, UnknownNameError
from harness.kinds import pair_classification as pc
from harness.types import Vectors
from tests.kinds.oracle_pairs import (
    SHAPES,
    SIMILARITIES,
    TableEncoder,
    assert_recomputable,
    assert_same,
    evaluate,
    matrices,
    on_data,
    rows_of,
    vectors_for,
)


def examples_of(labels):
    n = len(labels)
    return PairExamples([f"l{i}" for i in range(n)], [f"r{i}" for i in range(n)], np.asarray(labels))


def upstream(a, b, labels, similarity):
    """mteb's scores; one row of lists is how it takes a split, so that a single pair works too."""
    from mteb.mocks.mock_tasks import MockPairClassificationTask

    ex = examples_of(labels)
    columns = {"sentence1": [ex.sentence1], "sentence2": [ex.sentence2], "labels": [[int(x) for x in labels]]}
    table = {f"l{i}": row for i, row in enumerate(a)} | {f"r{i}": row for i, row in enumerate(b)}
    return evaluate(on_data(MockPairClassificationTask(), columns), TableEncoder(table, similarity))[
        "default"
    ]


def score(a, b, labels, **settings):
    return pc.score(examples_of(labels), {"sentence1": Vectors.of(a), "sentence2": Vectors.of(b)}, settings)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_mteb(shape, similarity, tmp_path):
    a, b = matrices(shape, n=80)
    labels = np.random.default_rng(5).integers(0, 2, len(a))
    ours = score(a, b, labels, similarity=similarity)
    expected = upstream(a, b, labels, similarity)
    assert len(expected) == 30
    assert_same(ours, expected)
    assert ours.main == "max_ap"
    assert_recomputable(pc, ours, {"similarity": similarity}, tmp_path)


def test_dot_scores_are_bit_equal_to_np_dot():
    a, b = matrices("random", dim=384)
    labels = np.arange(60) % 2
    dots = [float(np.dot(x, y)) for x, y in zip(a, b, strict=True)]
    assert score(a, b, labels).samples["dot"].to_pylist() == dots


@pytest.mark.parametrize("labels", [[1] * 12, [1] + [0] * 11, [0] * 11 + [1]])
def test_few_or_only_positives_equal_mteb(labels):
    a, b = matrices("random", n=12)
    assert_same(score(a, b, labels), upstream(a, b, labels, "cosine"))


@pytest.mark.filterwarnings("ignore:No positive class found")
def test_no_positive_leaves_ap_undefined():
    a, b = matrices("random", n=12)
    ours = score(a, b, [0] * 12, main="max_accuracy")
    expected = upstream(a, b, [0] * 12, "cosine")
    aps = {name for name in expected if name.endswith("_ap")}
    assert len(aps) == 6
    assert {expected[name] for name in aps} == {0.0}  # mteb writes 0.0 under a warning
    assert_same(ours, expected | dict.fromkeys(aps, math.nan))
    assert "needs a pair labelled 1" in ours.undefined["max_ap"]
    with pytest.raises(DataError, match="max_ap is undefined: average precision needs a pair labelled 1"):
        score(a, b, [0] * 12)


@pytest.mark.parametrize("labels", [[1], [1, 0, 1, 0, 0]])
def test_all_tied_equals_mteb(labels):
    a, b = (np.full((len(labels), 3), value, dtype=np.float32) for value in (1, 2))
    ours = score(a, b, labels)
    assert_same(ours, upstream(a, b, labels, "cosine"))
    assert ours.metrics["max_accuracy"] == ours.metrics["max_f1"] == 0.0
    assert ours.metrics["max_ap"] == pytest.approx(sum(labels) / len(labels))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mock_tasks(similarity):
    from mteb.mocks.mock_tasks import MockMultilingualPairClassificationTask, MockPairClassificationTask

    encoder = TableEncoder(similarity=similarity)
    subsets = 0
    for task in (MockPairClassificationTask(), MockMultilingualPairClassificationTask()):
        for subset, expected in evaluate(task, encoder).items():
            rows = rows_of(task, subset)
            ex = PairExamples(rows["sentence1"][:], rows["sentence2"][:], np.asarray(rows["labels"][:]))
            settings = {"similarity": similarity, "main": task.metadata.main_score}
            assert_same(pc.score(ex, vectors_for(encoder, pc.needs(ex, settings)), settings), expected)
            subsets += 1
    assert subsets == 3


def test_hand_computed():
    a = np.float32([[1, 0]] * 4)
    b = np.float32([[1, 0], [3, 1], [1, 3], [0, 1]])  # cosine falls
    ours = score(a, b, [1, 0, 1, 0]).metrics
    assert ours["cosine_ap"] == pytest.approx(1 / 2 + (1 / 2) * (2 / 3))
    assert ours["cosine_accuracy"] == 3 / 4  # above the first row, or above the last
    assert ours["cosine_f1"] == pytest.approx(4 / 5)
    assert (ours["cosine_precision"], ours["cosine_recall"]) == (2 / 3, 1)


def test_every_max_is_over_the_five_sets():
    a, b = matrices("unnormalised", n=50)
    labels = np.random.default_rng(2).integers(0, 2, 50)
    ours = score(a, b, labels, similarity="dot").metrics
    for metric in ("accuracy", "f1", "precision", "recall", "ap"):
        values = [
            ours[f"{name}_{metric}"] for name in ("similarity", "cosine", "manhattan", "euclidean", "dot")
        ]
        assert ours[f"max_{metric}"] == max(values)
    assert len({ours[f"{n}_ap"] for n in ("cosine", "manhattan", "dot")}) == 3


def test_refusals():
    a, b = matrices("random", n=3)
    for labels, shown in (
        ([0, 1, 2], "2"),
        ([0, 0.5, 1], "0.5"),
        (["0", "1", "1"], "'0'"),
        ([0, -1, 1], "-1"),
    ):
        with pytest.raises(DataError, match=rf"is {shown}; labels are 0 or 1"):
            score(a, b, labels)
    with pytest.raises(UnknownNameError, match="unknown metric 'max_aq'; did you mean max_ap"):
        score(a, b, [0, 1, 0], main="max_aq")
    with pytest.raises(DataError, match="no examples"):
        score(a[:0], b[:0], np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("main", "becomes"),
    [
        (None, "ap"),
        ("max_ap", "ap"),
        ("max_accuracy", "accuracy"),
        ("max_f1", "f1"),
        ("similarity_recall", "recall"),
    ],
)
def test_cross_encoder_against_scikit_learn(main, becomes, tmp_path):
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 40), rng.integers(0, 9, 40).astype(np.float32) / 8
    settings = {"main": main}
    ours = pc.score_pairs(examples_of(labels), scores, settings)
    assert ours.main == becomes
    assert set(ours.metrics) == {"ap", "f1", "accuracy", "precision", "recall"}
    assert ours.metrics["ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert_recomputable(pc, ours, settings, tmp_path)


def test_cross_encoder_refusals():
    ex = examples_of([0, 1, 0])
    with pytest.raises(UnknownNameError, match="unknown metric 'alpha_auc'"):
        pc.score_pairs(ex, np.float32([1, 2, 3]), {"main": "alpha_auc"})
    with pytest.raises(NonFiniteError, match="score inf for pair 2"):
        pc.score_pairs(ex, np.float32([1, 2, np.inf]), {})
    with pytest.raises(DataError, match=r"^ap is undefined"):
        pc.score_pairs(examples_of([0, 0]), np.float32([1, 2]), {})
    assert pc.pairs(ex, {}).right == ["r0", "r1", "r2"]
