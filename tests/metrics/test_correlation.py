import numpy as np
import pytest
from scipy import stats

from harness.metrics.correlation import pearson, spearman, why_undefined


@pytest.mark.parametrize("levels", [2, 5, 10_000])
@pytest.mark.parametrize("n", [3, 10, 500])
def test_equals_scipy(n, levels):
    rng = np.random.default_rng(n + levels)
    x, y = rng.integers(0, levels, n).astype(float), rng.integers(0, levels, n).astype(np.float32)
    x[:2], y[:2] = (0, 1), (1, 0)
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        expected = theirs(x, y.astype(float))
        assert ours(x, y).statistic == pytest.approx(expected.statistic, abs=1e-12)
        assert ours(x, y).pvalue == pytest.approx(expected.pvalue, abs=1e-9)


def test_hand_computed():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 40.0])
    assert spearman(x, y).statistic == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert pearson(x, -x).statistic == pytest.approx(-1)
    # Ties take their mean rank: ranks 1.5, 1.5, 3 against 1, 2, 3.
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])).statistic == pytest.approx(
        np.sqrt(3) / 2
    )


def test_two_examples():
    x, y = np.array([1.0, 2.0]), np.array([5.0, 3.0])
    assert pearson(x, y) == (-1.0, 1.0)
    assert spearman(x, y).statistic == pytest.approx(-1)
    assert spearman(x, y).pvalue is None


@pytest.mark.parametrize(
    ("gold", "scores", "reason"),
    [
        ([], [], "at least two"),
        ([1], [2], "at least two"),
        ([1, 1, 1], [1, 2, 3], r"all 3 gold scores are equal \(1\)"),
        ([1, 2, 3], [0.5, 0.5, 0.5], r"all 3 predicted scores are equal \(0\.5\)"),
    ],
)
def test_undefined_is_refused_never_nan(gold, scores, reason):
    gold, scores = np.array(gold, dtype=float), np.array(scores, dtype=np.float32)
    for function in (pearson, spearman):
        with pytest.raises(ValueError, match=reason):
            function(gold, scores)
    assert why_undefined(gold, scores)


def test_defined():
    assert why_undefined(np.array([1, 2]), np.array([2, 1])) is None


def test_values_that_hardly_differ_are_exact_and_do_not_warn():
    # scipy warns here that Pearson may be inaccurate, and it is.
    x = 1e13 + np.array([0.0, 1.0, 2.0, 3.0]) / 64
    assert pearson(x, np.arange(4.0)).statistic == pytest.approx(1, abs=1e-12)
    assert spearman(x, np.arange(4.0)).statistic == pytest.approx(1, abs=1e-12)


def test_tiny_and_huge_values():
    for scale in (1e-300, 1e300):
        assert pearson(
            scale * np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0])
        ).statistic == pytest.approx(1)
