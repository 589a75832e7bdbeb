import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, precision_recall_fscore_support

from harness.metrics.thresholds import average_precision, best_cuts


def by_scikit_learn(scores, labels):
    """Best accuracy, best F1 and each (precision, recall) with it, over cuts between different scores."""
    accuracy, cuts = 0.0, [(0.0, 0.0, 0.0)]
    for cut in sorted(set(scores.tolist()), reverse=True)[:-1]:
        predicted = (scores >= cut).astype(int)
        accuracy = max(accuracy, accuracy_score(labels, predicted))
        p, r, f, _ = precision_recall_fscore_support(labels, predicted, average="binary", zero_division=0)
        cuts.append((f, p, r))
    f1 = max(f for f, _, _ in cuts)
    return accuracy, f1, [(p, r) for f, p, r in cuts if f > f1 - 1e-12]


@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
@pytest.mark.parametrize("n", [1, 2, 3, 30, 200])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_equals_a_sweep_with_scikit_learn(n, levels, share):
    rng = np.random.default_rng(n * levels)
    scores = (rng.integers(0, levels, n) / 8).astype(np.float32)
    labels = (rng.random(n) < share).astype(np.int64)
    ours = best_cuts(scores, labels)
    accuracy, f1, at_best = by_scikit_learn(scores, labels)
    assert (ours.accuracy, ours.f1) == pytest.approx((accuracy, f1), abs=1e-12)
    assert any((ours.precision, ours.recall) == pytest.approx(cut, abs=1e-12) for cut in at_best)
    if labels.any():
        expected = average_precision_score(labels, scores)
        assert average_precision(scores, labels) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 10_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_equals_mteb_bit_for_bit(levels, sign):
    from mteb.mocks.mock_tasks import MockPairClassificationTask

    task = MockPairClassificationTask()
    rng = np.random.default_rng(levels)
    for n in (1, 2, 7, 300):
        scores = (rng.integers(0, levels, n) / 7).astype(np.float32)
        labels = rng.integers(0, 2, n)
        labels[0] = 1
        theirs = task._compute_metrics_values(scores.tolist(), labels, sign > 0)
        ours = {**best_cuts(sign * scores, labels)._asdict(), "ap": average_precision(sign * scores, labels)}
        assert ours == theirs


def test_hand_computed():
    scores, labels = np.float32([0.9, 0.8, 0.8, 0.1]), np.array([1, 1, 0, 0])
    # The tied pair is not split: cuts after the first row and after the third.
    assert best_cuts(scores, labels) == (0.75, pytest.approx(0.8), pytest.approx(2 / 3), 1.0)
    assert average_precision(scores, labels) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_all_tied_has_no_cut():
    assert best_cuts(np.float32([1, 1, 1]), np.array([1, 0, 1])) == (0, 0, 0, 0)


def test_the_last_row_is_never_a_cut():
    # Calling both positive would be right, and is not on offer.
    assert best_cuts(np.float32([2, 1]), np.array([1, 1])) == (0.5, pytest.approx(2 / 3), 1.0, 0.5)


def test_no_positive():
    scores = np.float32([3, 2, 1])
    assert average_precision(scores, np.array([0, 0, 0])) is None
    assert best_cuts(scores, np.array([0, 0, 0])) == (pytest.approx(2 / 3), 0, 0, 0)


def test_row_order_does_not_matter():
    rng = np.random.default_rng(4)
    scores, labels = rng.integers(0, 5, 100).astype(np.float32), rng.integers(0, 2, 100)
    for _ in range(5):
        order = rng.permutation(100)
        assert best_cuts(scores[order], labels[order]) == best_cuts(scores, labels)
        assert average_precision(scores[order], labels[order]) == average_precision(scores, labels)
