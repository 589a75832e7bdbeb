import numpy as np
import pytest
from sklearn import metrics as sk

from harness.metrics.clustering import adjusted_mutual_information, v_measure

BOTH = (v_measure, adjusted_mutual_information)


def entropy(codes):
    share = np.bincount(codes) / len(codes)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


@pytest.mark.parametrize("seed", range(5))
def test_v_measure_is_twice_the_mutual_information_over_the_entropies(seed):
    rng = np.random.default_rng(seed)
    gold, clusters = rng.integers(0, 4, 90), rng.integers(0, 6, 90)
    joint = entropy(gold * 6 + clusters)
    mutual = entropy(gold) + entropy(clusters) - joint
    expected = 2 * mutual / (entropy(gold) + entropy(clusters))
    assert v_measure(gold, clusters) == pytest.approx(expected, abs=1e-12)


def test_v_measure_by_hand():
    # homogeneous (1.0), and half complete: H(clusters | gold) = ln 2, H(clusters) = 2 ln 2
    assert v_measure(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_ami_of_chance_is_near_zero_where_v_measure_is_not():
    rng = np.random.default_rng(1)
    gold, clusters = rng.integers(0, 20, 200), rng.integers(0, 20, 200)
    assert abs(adjusted_mutual_information(gold, clusters)) < 0.05
    assert v_measure(gold, clusters) > 0.3


@pytest.mark.parametrize("metric", BOTH)
def test_perfect_up_to_names_is_one_and_names_do_not_matter(metric):
    gold = np.array([0, 1, 1, 2, 2, 2, 0])
    assert metric(gold, np.array([5, 0, 0, 3, 3, 3, 5])) == pytest.approx(1.0, abs=1e-12)
    assert metric(gold, np.array([0, 0, 1, 1, 2, 2, 2])) == pytest.approx(
        metric(gold, np.array([2, 2, 0, 0, 1, 1, 1])), abs=1e-12
    )


@pytest.mark.parametrize("metric", BOTH)
def test_all_distinct_labels_warn_nobody(metric):
    assert metric(np.arange(3), np.array([1, 0, 2])) == pytest.approx(1.0)


def test_equal_scikit_learn():
    rng = np.random.default_rng(2)
    gold, clusters = rng.integers(0, 7, 400), rng.integers(0, 5, 400)
    assert v_measure(gold, clusters) == sk.v_measure_score(gold, clusters)
    assert adjusted_mutual_information(gold, clusters) == sk.adjusted_mutual_info_score(gold, clusters)
