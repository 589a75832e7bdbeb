"""Weighted metrics against the plain ones of repeated examples."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as sp
from sklearn import metrics as sk

from harness.metrics import thresholds, weighted
from harness.metrics.classification import indicator_scores, label_scores
from harness.metrics.clustering import v_measure

Rows = list[np.ndarray]


def weights_of(n: int, seed: int) -> np.ndarray:
    """Ones, random draws, and a weighting that leaves half of the examples out."""
    generator = np.random.default_rng(seed)
    half = np.r_[np.full(n // 2, 2.0), np.zeros(n - n // 2)]
    return np.stack([np.ones(n), *generator.integers(0, 4, (5, n)).astype(float), half])


def repeated(row: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(row)), row.astype(int))


def each(weights: np.ndarray, plain: Callable[[np.ndarray], float]) -> list[float]:
    return [plain(repeated(row)) for row in weights]


@pytest.mark.parametrize("levels", [3, 1000])
def test_correlations(levels: int) -> None:
    generator = np.random.default_rng(levels)
    gold = generator.integers(0, levels, 40).astype(float)
    scores = np.round(gold / levels + generator.normal(0, 0.3, 40), 1)
    weights = weights_of(40, 1)
    assert weighted.spearman(gold, scores, weights) == pytest.approx(
        each(weights, lambda rows: sp.spearmanr(gold[rows], scores[rows]).statistic)
    )
    assert weighted.pearson(gold, scores, weights) == pytest.approx(
        each(weights, lambda rows: sp.pearsonr(gold[rows], scores[rows]).statistic)
    )


@pytest.mark.parametrize("digits", [0, 12])
def test_spearman_of_many_resamples_is_pearson_of_their_ranks(digits: int) -> None:
    """More weights than are worked on together, with ties and without."""
    generator = np.random.default_rng(digits)
    gold = np.round(generator.normal(0, 2, 3000), digits)
    scores = np.round(gold + generator.normal(0, 2, 3000), digits)
    weights = generator.integers(0, 3, (70, 3000)).astype(float)
    under = weighted.spearman_under(gold, scores)(weights)
    ranked = weighted.ranks(gold, weights), weighted.ranks(scores, weights)
    for row, found in enumerate(under):
        plain = weighted.pearson(ranked[0][row], ranked[1][row], weights[row : row + 1])[0]
        assert found == pytest.approx(plain, abs=1e-12)


def test_sides_are_sorted_once_for_all_resamples() -> None:
    """A thousand resamples of 100,000 pairs take seconds; ranking each anew takes far longer."""
    generator = np.random.default_rng(0)
    gold, scores = generator.normal(size=(2, 100_000))
    weights = generator.integers(0, 3, (10, 100_000)).astype(float)
    under = weighted.spearman_under(gold, scores)

    def seconds(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    ranking = min(seconds(lambda: [weighted.ranks(side, weights) for side in (gold, scores)]) for _ in "ab")
    assert min(seconds(lambda: under(weights)) for _ in "abc") < ranking / 2


@pytest.mark.parametrize("digits", [1, 12])
def test_sweeps_of_many_resamples_are_those_of_single_ones(digits: int) -> None:
    """More weights than are worked on together, against scikit-learn."""
    generator = np.random.default_rng(digits)
    labels = generator.integers(0, 2, 3000)
    scores = np.round(labels + generator.normal(0, 2, 3000), digits)
    weights = generator.integers(0, 3, (70, 3000)).astype(float)
    found = weighted.average_precision_under(scores, labels)(weights)
    cuts = weighted.best_cuts_under(scores, labels)(weights)
    for row in (0, 33, 69):
        peer = sk.average_precision_score(labels, scores, sample_weight=weights[row])
        assert found[row] == pytest.approx(peer, abs=1e-12)
        rows = repeated(weights[row])
        plain = thresholds.best_cuts(scores[rows], labels[rows])
        assert cuts["f1"][row] == pytest.approx(plain.f1, abs=1e-12)
    assert len(found) == len(cuts["f1"]) == 70


def test_a_resample_that_is_constant_has_no_correlation() -> None:
    gold, scores = np.array([1.0, 1.0, 2.0]), np.array([0.3, 0.4, 0.1])
    weights = np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    for metric in (weighted.pearson, weighted.spearman):
        found = metric(gold, scores, weights)
        assert np.isnan(found[0])
        assert np.isfinite(found[1])


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_thresholds(digits: int) -> None:
    generator = np.random.default_rng(digits)
    labels = generator.integers(0, 2, 30)
    scores = np.round(labels + generator.normal(0, 0.8, 30), digits)
    weights = weights_of(30, 2)
    assert weighted.average_precision(scores, labels, weights) == pytest.approx(
        each(weights, lambda rows: sk.average_precision_score(labels[rows], scores[rows]))
    )
    cuts = weighted.best_cuts(scores, labels, weights)
    for name, values in cuts.items():
        assert values == pytest.approx(
            each(
                weights,
                lambda rows, name=name: thresholds.best_cuts(scores[rows], labels[rows])._asdict()[name],
            )
        ), name


def test_thresholds_where_everything_ties() -> None:
    labels, scores = np.array([0, 1, 1]), np.full(3, 0.5)
    cuts = weighted.best_cuts(scores, labels, np.ones((1, 3)))
    assert {name: values.tolist() for name, values in cuts.items()} == {
        name: [0.0] for name in ("accuracy", "f1", "precision", "recall")
    }


@pytest.mark.parametrize("classes", [2, 7])
def test_label_scores(classes: int) -> None:
    generator = np.random.default_rng(classes)
    gold = generator.integers(0, classes, 50)
    predicted = np.where(generator.random(50) < 0.6, gold, generator.integers(0, classes + 1, 50))
    weights = weights_of(50, 3)
    found = weighted.label_scores(gold, predicted, weights)
    assert set(found) == set(weighted.LABEL_SCORES)
    for name, values in found.items():
        assert values == pytest.approx(
            each(weights, lambda rows, name=name: label_scores(gold[rows], predicted[rows])[name])
        ), name


def test_indicator_f1() -> None:
    generator = np.random.default_rng(5)
    gold, predicted = generator.random((2, 30, 5)) < 0.4
    weights = weights_of(30, 4)
    assert weighted.indicator_f1(gold, predicted, weights) == pytest.approx(
        each(weights, lambda rows: indicator_scores(gold[rows], predicted[rows])["f1"])
    )


def test_v_measure_of_texts_that_stand_several_times() -> None:
    generator = np.random.default_rng(6)
    units = generator.integers(0, 25, 80)  # each text drawn some three times, as in a bootstrap of k-means
    gold = (units % 4).astype(np.int64)
    clusters = np.where(generator.random(80) < 0.7, gold, generator.integers(0, 6, 80))
    weights = weights_of(25, 5)
    expected = []
    for row in weights:
        rows = np.repeat(np.arange(80), row[units].astype(int))
        expected.append(v_measure(gold[rows], clusters[rows]))
    assert weighted.v_measure(gold, clusters, units, weights) == pytest.approx(expected)


def test_v_measure_of_one_label_or_one_cluster() -> None:
    units, ones = np.arange(4), np.ones((1, 4))
    same, split = np.zeros(4, np.int64), np.array([0, 0, 1, 1])
    for gold, clusters in ((same, same), (same, split), (split, same), (split, split)):
        assert weighted.v_measure(gold, clusters, units, ones)[0] == pytest.approx(v_measure(gold, clusters))
