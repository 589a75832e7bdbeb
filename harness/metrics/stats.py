"""Is a difference more than chance: paired permutation test, standard errors, Holm, detectable drops.

Differences are those of one model's value minus the other's on the same examples. Everything is a pure
function of its arguments and a seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

Float64 = npt.NDArray[np.float64]

PERMUTATIONS = 10_000
RESAMPLES = 1_000
POWER = 0.8

_BITS = ((np.arange(256)[:, None] >> np.arange(8)) & 1) * 2 - 1  # [256, 8] the signs a byte stands for
_COUNTED = 26  # differences of which all sign patterns are counted, in two halves
_TABLES = 512  # groups of eight differences whose sums are tabulated together
_AT_ONCE = 2_000_000  # weights drawn together


@dataclass(frozen=True)
class Spread:
    """How far an estimated difference may be from the true one.

    Attributes:
        error: its standard error, 0 where nothing varies.
        freedom: degrees of freedom of that error, infinite where it counts as known.
    """

    error: float
    freedom: float

    def __add__(self, other: Spread) -> Spread:
        """Of the sum of two independent parts; degrees of freedom by Satterthwaite (1946)."""
        mine, yours = self.error**2, other.error**2
        total = mine + yours
        if not mine or not yours or math.isinf(total):
            return self if mine >= yours else other
        shares = (mine / total) ** 2 / self.freedom + (yours / total) ** 2 / other.freedom
        return Spread(math.sqrt(total), 1 / shares if shares else math.inf)

    def interval(self, difference: float, level: float = 0.05) -> tuple[float, float]:
        """Confidence interval of the difference at 1 - `level`, by Student's t."""
        half = quantile(1 - level / 2, self.freedom) * self.error
        return difference - half, difference + half

    def below(self, difference: float) -> float:
        """One-sided p-value of "it did not fall": small where `difference` is far below zero."""
        from scipy.special import stdtr

        if not self.error:
            return 0.0 if difference < 0 else 1.0  # nothing varies
        return float(stdtr(self.freedom, difference / self.error))


def mean_spread(values: npt.ArrayLike) -> Spread:
    """Of the mean of independent values [n]; a single one tells nothing (infinite error)."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Spread(math.inf, 1.0)
    return Spread(float(array.std(ddof=1)) / math.sqrt(len(array)), len(array) - 1.0)


def resampled(values: Float64, n: int, *, least: int = 2) -> Spread:
    """Of a metric, from its values in bootstrap samples of n examples; infinite where that tells nothing.

    Args:
        values: one a resample; NaN where a resample left nothing to compute it from.
        least: how many must be finite.
    """
    values = values[np.isfinite(values)]
    if n < 2 or len(values) < least:
        return Spread(math.inf, 1.0)
    # Of n draws with replacement the spread is that of n, not of n - 1.
    return Spread(float(values.std(ddof=1)) * math.sqrt(n / (n - 1)), n - 1.0)


def sign_flip(
    differences: npt.ArrayLike, *, seed: int = 0, permutations: int = PERMUTATIONS
) -> tuple[float, float]:
    """Paired permutation test of a mean (Fisher's sign flips), one-sided both ways.

    Under the hypothesis that the models are exchangeable, each difference could as well have had the
    other sign. With at most 26 differences other than zero, all sign patterns are counted; else
    `permutations` random ones and the observed one (Phipson and Smyth 2010), so p is never 0. Where none
    of them is as extreme as the observed one, it may be rarer than they can tell, and Hoeffding's bound
    (1963) on the share of all patterns counts where that is smaller: Holm's correction over hundreds of
    checks asks for such p-values. (The smaller of the two in every case would be no p-value: a chance each.)

    Args:
        differences: [n], finite.

    Returns:
        p-values of "the mean is not below zero" and of "the mean is not above zero": the first is small
        after a drop.

    Raises:
        DataError: a difference is NaN or infinite.
    """
    array = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(array).all():
        raise DataError("a difference between two examples is not a number")
    array = array[array != 0]
    if not len(array):
        return 1.0, 1.0
    observed = float(array.sum())
    # Sums of the same numbers in another order differ in their last bits, and count as equal.
    slack = 1e-9 * float(np.abs(array).sum())
    if len(array) <= _COUNTED:
        return _share_below(array, observed + slack), _share_below(-array, slack - observed)
    sums = _flipped_sums(array, permutations, seed)
    low, high = int((sums <= observed + slack).sum()), int((sums >= observed - slack).sum())
    bound = math.exp(-(observed**2) / (2 * float(array @ array)))
    p_low, p_high = ((1 + hits) / (permutations + 1) for hits in (low, high))
    if observed < 0:
        return p_low if low else min(p_low, bound), p_high
    return p_low, p_high if high else min(p_high, bound)


def _share_below(array: Float64, limit: float) -> float:
    """Of all sign patterns, those whose sum is at most `limit`; each of one half with all of the other."""
    half = len(array) // 2
    ones, others = (
        ((((np.arange(1 << len(part))[:, None] >> np.arange(len(part))) & 1) * 2 - 1) @ part)
        for part in (array[:half], array[half:])
    )
    return float(np.searchsorted(np.sort(others), limit - ones, side="right").mean()) / len(others)


def _flipped_sums(array: Float64, permutations: int, seed: int) -> Float64:
    # One random byte gives eight differences their signs; its 256 possible sums are tabulated, so that a
    # permutation costs one look-up for eight differences.
    generator = np.random.default_rng(seed)
    groups = -(-len(array) // 8)
    padded = np.pad(array, (0, groups * 8 - len(array))).reshape(groups, 8)
    sums = np.zeros(permutations)
    for start in range(0, groups, _TABLES):
        tables = padded[start : start + _TABLES] @ _BITS.T
        for table in tables:
            sums += table.take(generator.integers(0, 256, size=permutations, dtype=np.uint8))
    return sums


def bootstrap_weights(n: int, *, seed: int = 0, resamples: int = RESAMPLES) -> Iterator[Float64]:
    """How often each of n examples is drawn in each bootstrap sample, in blocks float64 [b, n].

    Rows sum to n (draws with replacement). Both models are weighed with the same rows: that is the pairing.
    """
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, _AT_ONCE // max(n, 1)))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def holm(pvalues: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), so that `level` bounds the error of the family."""
    order = sorted(range(len(pvalues)), key=lambda i: pvalues[i])
    adjusted = [1.0] * len(pvalues)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(pvalues) - place) * pvalues[i]))
        adjusted[i] = highest
    return adjusted


def detectable(spread: Spread, *, level: float, tolerance: float = 0.0, power: float = POWER) -> float:
    """The smallest true drop that a one-sided test at `level` finds with the given power.

    The observed drop must be significant and beyond the tolerance, so the larger of both limits counts.

    Args:
        level: of this one test; for a family of m tests under Holm, level / m is safe.
    """
    if not spread.error:
        return tolerance
    limit = max(tolerance, quantile(1 - level, spread.freedom) * spread.error)
    return limit + quantile(power, spread.freedom) * spread.error


def detectable_flips(losses: npt.ArrayLike, *, level: float, power: float = POWER) -> float:
    """The smallest mean loss that sign flips can find at `level` with the given power.

    Of k losses alone no sign pattern is rarer than 2**-k, so that many examples must lose at least: whatever
    the spread, each as much as the ones that differ now do; and with that spread, so that as many are on the
    losing side of zero. How many lose is binomial. Where random patterns cannot tell what is as rare as
    `level`, the loss must go beyond Hoeffding's bound.

    Args:
        losses: [n], of the examples as they stand.

    Returns:
        Infinite where even a loss of every example would not do.
    """
    from scipy.special import betaincinv, ndtri

    array = np.asarray(losses, dtype=np.float64)
    moved = np.abs(array[array != 0])
    needed = math.ceil(-math.log2(level))
    if needed > len(array):
        return math.inf
    if not len(moved):
        return 0.0
    share = float(betaincinv(needed, len(array) - needed + 1, power))
    spread = mean_spread(array)
    deviation = spread.error * math.sqrt(len(array))
    least = max(share * float(moved.mean()), float(ndtri(share)) * deviation)
    if len(moved) <= _COUNTED or level >= 1 / (PERMUTATIONS + 1):
        return least
    # Of sums at the bound: t of the examples, where the sum of their squares holds the loss itself.
    double = -2 * math.log(level)
    if double >= len(moved):
        return math.inf
    limit = math.sqrt(double * (len(array) - 1) / (len(array) - double))
    return max(least, (limit + quantile(power, spread.freedom)) * spread.error)


def quantile(probability: float, freedom: float) -> float:
    """Of Student's t; the normal distribution's where `freedom` is infinite."""
    from scipy.special import ndtri, stdtrit  # scipy.stats takes a second to import

    value: Any = ndtri(probability) if math.isinf(freedom) else stdtrit(freedom, probability)
    return float(value)
