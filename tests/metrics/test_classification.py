import numpy as np
import pytest
from sklearn import metrics as sk

from harness.metrics.classification import (
    average_precision,
    indicator_rows,
    indicator_scores,
    label_scores,
)


def draw(seed, n, classes, agreement=0.5):
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, classes, n)
    return gold, np.where(rng.random(n) < agreement, gold, rng.integers(0, classes, n))


def draw_matrices(seed, n, labels, p):
    rng = np.random.default_rng(seed)
    gold = rng.random((n, labels)) < p
    return gold, gold ^ (rng.random((n, labels)) < 0.2)


@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize(("n", "classes"), [(1, 3), (2, 2), (5, 9), (40, 2), (500, 7), (300, 200)])
@pytest.mark.parametrize("seed", range(5))
def test_label_scores_equal_scikit_learn(seed, n, classes):
    gold, predicted = draw(seed, n, classes)
    expected = {"accuracy": sk.accuracy_score(gold, predicted)}
    for name, average in (("", "macro"), ("_weighted", "weighted")):
        p, r, f, _ = sk.precision_recall_fscore_support(gold, predicted, average=average, zero_division=0.0)
        expected |= {f"precision{name}": p, f"recall{name}": r, f"f1{name}": f}
    assert label_scores(gold, predicted) == pytest.approx(expected, abs=1e-12)


def test_label_scores_by_hand():
    # class 0: 2 gold, 1 hit, 1 claimed; class 1: 1 gold, 1 hit, 2 claimed; class 3 claimed but never gold;
    # class 2 does not occur and does not count.
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 3])
    assert label_scores(gold, predicted) == pytest.approx(
        {
            "accuracy": 0.5,
            "precision": (1 + 1 / 2 + 0) / 3,
            "recall": (1 / 2 + 1 / 2 + 0) / 3,
            "f1": (2 / 3 + 1 / 2 + 0) / 3,
            "precision_weighted": 3 / 4,
            "recall_weighted": 1 / 2,
            "f1_weighted": (2 / 3 + 1 / 2) / 2,
        },
        abs=1e-15,
    )


def test_label_scores_do_not_depend_on_row_order_or_numbering():
    gold, predicted = draw(3, 200, 6)
    order = np.random.default_rng(0).permutation(200)
    renamed = np.array([40, 3, 17, 0, 8, 21])
    expected = pytest.approx(label_scores(gold, predicted), abs=1e-14)
    assert label_scores(gold[order], predicted[order]) == expected
    assert label_scores(renamed[gold], renamed[predicted]) == expected


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    positive = np.concatenate([[True, False], rng.random(60) < 0.3])
    for score in (rng.integers(-1, 3, 62), rng.standard_normal(62), np.zeros(62)):
        assert average_precision(positive, score) == pytest.approx(
            sk.average_precision_score(positive, score), abs=1e-12
        )


def test_average_precision_by_hand():
    # threshold 1: one of two right, half the positives; threshold 0: the rest.
    assert average_precision(np.array([True, False, True, False]), np.array([1, 1, 0, 0])) == 0.5
    assert average_precision(np.array([True, True, False]), np.array([3, 2, 1])) == 1.0


@pytest.mark.parametrize("p", [0.0, 0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_indicator_scores_equal_scikit_learn(seed, p):
    gold, predicted = draw_matrices(seed, 80, 5, p)
    expected = {
        "accuracy": sk.accuracy_score(gold.astype(int), predicted.astype(int)),
        "lrap": sk.label_ranking_average_precision_score(gold.astype(int), predicted.astype(float)),
        "f1": sk.f1_score(gold.astype(int), predicted.astype(int), average="macro", zero_division=0.0),
        "hamming": sk.jaccard_score(gold, predicted, average="samples", zero_division=1.0),
    }
    assert indicator_scores(gold, predicted) == pytest.approx(expected, abs=1e-12)


def test_lrap_by_hand():
    gold = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=bool)
    predicted = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)
    # row 0: the hit stands at rank 2 with one gold label up to there, the miss at rank 4 with two
    assert indicator_rows(gold, predicted)["lrap"].mean() == pytest.approx(((1 / 2 + 2 / 4) / 2 + 1 + 1) / 3)


def test_hamming_by_hand():
    gold = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    predicted = np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert indicator_rows(gold, predicted)["hamming"].mean() == pytest.approx((1 / 3 + 1 + 0) / 3)
