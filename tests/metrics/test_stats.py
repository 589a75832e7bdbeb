import math
import time

import numpy as np
import pytest
from scipy import stats as sp

from harness.errors import DataError
from harness.metrics.stats import (
    Spread,
    bootstrap_weights,
    detectable,
    detectable_flips,
    holm,
    mean_spread,
    quantile,
    resampled,
    sign_flip,
)


@pytest.mark.parametrize("seed", range(4))
def test_few_differences_are_permuted_exhaustively_as_scipy_does(seed: int) -> None:
    values = np.random.default_rng(seed).normal(-0.3, 1, 9)
    for at, alternative in ((0, "less"), (1, "greater")):
        peer = sp.permutation_test(
            (values,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=np.inf
        )
        assert sign_flip(values)[at] == pytest.approx(peer.pvalue)


def test_many_differences_are_sampled_and_agree_with_the_normal_limit() -> None:
    values = np.random.default_rng(0).normal(-0.05, 1, 2000)
    low, high = sign_flip(values, seed=3)
    z = values.sum() / math.sqrt((values**2).sum())
    assert low == pytest.approx(sp.norm.cdf(z), abs=0.01)
    assert low + high == pytest.approx(1.0, abs=2e-3)
    assert sign_flip(values, seed=3) == (low, high)
    assert sign_flip(values, seed=4) != (low, high)


def test_the_number_of_differences_need_not_fill_the_last_byte() -> None:
    values = np.full(29, -1.0)
    low, high = sign_flip(values)
    assert low == pytest.approx(1 / 10_001, abs=2e-4)
    assert high == 1.0


def test_a_hundred_thousand_differences_take_a_second() -> None:
    values = np.random.default_rng(0).normal(0, 1, 100_000)
    started = time.process_time()
    first = sign_flip(values, seed=1)
    assert time.process_time() - started < 3
    assert 0 < first[0] < 1


def test_no_difference_is_no_evidence_and_p_is_never_zero() -> None:
    assert sign_flip([]) == (1.0, 1.0)
    assert sign_flip(np.zeros(50)) == (1.0, 1.0)
    assert sign_flip([-1.0] * 5)[0] == pytest.approx(1 / 32)
    assert 0 < sign_flip(np.full(400, -1.0))[0] < 1e-80


def test_what_random_patterns_cannot_tell_is_bounded() -> None:
    """Forty equal losses: one pattern of 2**40; ten thousand random ones say no less than 1/10,001."""
    values = np.full(40, -1.0)
    assert sign_flip(values)[0] == pytest.approx(math.exp(-20))
    assert sign_flip(-values) == sign_flip(values)[::-1]


@pytest.mark.parametrize("n", [14, 18])
def test_all_patterns_are_counted_in_two_halves(n: int) -> None:
    """As counted in one; equal sums on the right side of the limit."""
    patterns = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) * 2 - 1
    for values in (np.random.default_rng(n).normal(-0.9, 1, n), np.tile([0.1, -0.3], n // 2)):
        sums, observed = patterns @ values, float(values.sum())
        low, high = sign_flip(values)
        assert low == np.mean(sums <= observed + 1e-9)
        assert high == np.mean(sums >= observed - 1e-9)


def test_the_bound_counts_only_where_no_random_pattern_is_as_extreme() -> None:
    """Each of two p-values keeps its level; the smaller of both would have two chances to be wrong."""
    losses = np.concatenate([np.full(40, -1.0), np.full(12, 1.0)])  # z = 3.9
    bound = math.exp(-(28**2) / (2 * 52))
    with_hits = {sign_flip(losses, seed=seed, permutations=2_000)[0] for seed in range(60)}
    assert bound < 2 / 2_001
    assert bound not in {p for p in with_hits if p > bound}
    assert {min(with_hits), sorted(with_hits)[1]} == {min(bound, 1 / 2_001), 2 / 2_001}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_has_no_p(wrong: float) -> None:
    with pytest.raises(DataError, match="not a number"):
        sign_flip([-1.0, wrong, -1.0])


def test_what_sign_flips_can_find_at_best() -> None:
    """Of 60 answers one differs: at a level of 1/400 nine must be lost, whatever the spread says."""
    losses = np.zeros(60)
    losses[7] = 1.0
    least = detectable_flips(losses, level=1 / 400, power=0.8)
    assert sp.binom.sf(8, 60, least) == pytest.approx(0.8)
    assert least > 2.5 * detectable(mean_spread(losses), level=1 / 400)
    assert detectable_flips(losses / 2, level=1 / 400) == pytest.approx(least / 2)
    assert detectable_flips(losses[:8], level=1 / 400) == math.inf
    assert detectable_flips(np.zeros(60), level=1 / 400) == 0.0


@pytest.mark.parametrize(("n", "level"), [(5, 0.05), (20, 0.05 / 700), (60, 0.05 / 700)])
def test_few_examples_and_levels_that_few_patterns_reach_state_what_they_find(n: int, level: float) -> None:
    """Normal differences of the stated size: of five all must lose; of 60 they pass the bound."""
    generator = np.random.default_rng(n)
    sizes = [
        max(detectable(mean_spread(d), level=level, power=0.85), detectable_flips(d, level=level, power=0.85))
        for d in generator.normal(size=(100, n))
    ]
    drops = generator.normal(-np.mean(sizes), 1, (80, n))
    found = [sign_flip(drop, seed=at)[0] < level for at, drop in enumerate(drops)]
    assert 0.7 <= np.mean(found) <= 0.95


def test_a_level_beyond_any_bound_of_so_many_differences_finds_nothing() -> None:
    losses = np.random.default_rng(0).normal(size=30)
    assert detectable_flips(losses, level=1e-6) < math.inf
    assert detectable_flips(losses, level=1e-7) == math.inf
    assert not sign_flip(np.full(30, -1.0))[0] < 1e-7


def test_equal_sums_count_on_both_sides_whatever_their_rounding() -> None:
    values = np.array([0.1, 0.2, -0.3])
    assert sign_flip(values)[0] == pytest.approx(5 / 8)  # sums: 0 twice, +-.2, +-.4, +-.6


def test_the_spread_of_a_mean_gives_students_test() -> None:
    values = np.random.default_rng(1).normal(0.2, 1, 30)
    spread = mean_spread(values)
    peer = sp.ttest_1samp(values, 0, alternative="less")
    assert spread.below(float(values.mean())) == pytest.approx(peer.pvalue)
    interval = sp.ttest_1samp(values, 0).confidence_interval(0.95)
    assert spread.interval(float(values.mean())) == pytest.approx((interval.low, interval.high))
    assert mean_spread([3.0]).below(-9.0) == pytest.approx(0.5)


def test_spreads_add_by_satterthwaite() -> None:
    both = Spread(3.0, 10.0) + Spread(4.0, 5.0)
    assert both.error == 5.0
    assert both.freedom == pytest.approx(25**2 / (9**2 / 10 + 16**2 / 5))
    assert Spread(0.0, 9.0) + Spread(2.0, 4.0) == Spread(2.0, 4.0)
    assert (Spread(1.0, math.inf) + Spread(1.0, math.inf)).freedom == math.inf


def test_without_spread_any_drop_is_certain() -> None:
    assert Spread(0.0, 5.0).below(-1e-9) == 0.0
    assert Spread(0.0, 5.0).below(0.0) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_bootstrap_weights_are_draws_with_replacement() -> None:
    blocks = list(bootstrap_weights(50, seed=2, resamples=400))
    weights = np.concatenate(blocks)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.05)
    assert (weights == np.concatenate(list(bootstrap_weights(50, seed=2, resamples=400)))).all()


def test_a_drop_of_the_detectable_size_is_found_four_times_in_five() -> None:
    generator = np.random.default_rng(0)
    n, level, tolerance = 200, 0.01, 0.1
    size = detectable(Spread(1 / math.sqrt(n), n - 1.0), level=level, tolerance=tolerance)
    found = 0
    for _ in range(1000):
        values = generator.normal(-size, 1, n)
        drop = -float(values.mean())
        found += drop > tolerance and mean_spread(values).below(-drop) < level
    assert 760 < found < 840
    assert detectable(Spread(0.0, 9.0), level=0.05, tolerance=0.2) == 0.2
    assert quantile(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)


def test_the_spread_of_resamples() -> None:
    values = np.array([0.1, 0.3, np.nan, 0.2])
    assert resampled(values, 4) == Spread(pytest.approx(0.1 * math.sqrt(4 / 3)), 3.0)
    assert resampled(values, 4, least=4) == Spread(math.inf, 1.0)
    assert resampled(values, 1) == Spread(math.inf, 1.0)
