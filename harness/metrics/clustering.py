"""Agreement of a clustering with gold labels: V-measure and adjusted mutual information."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from harness.types import Int64


def v_measure(gold: Int64, clusters: Int64) -> float:
    """Harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007), by scikit-learn.

    Args:
        gold: label codes [n].
        clusters: cluster numbers [n].
    """
    from sklearn.metrics import v_measure_score

    with _small_sets_are_fine():
        return float(v_measure_score(gold, clusters))


def agreement(gold: Int64, clusters: Int64) -> dict[str, float]:
    """`v_measure` with the two it is the mean of, `homogeneity` and `completeness`; arguments as there."""
    from sklearn.metrics import homogeneity_completeness_v_measure

    with _small_sets_are_fine():
        found = homogeneity_completeness_v_measure(gold, clusters)
    return dict(zip(("homogeneity", "completeness", "v_measure"), map(float, found), strict=True))


def adjusted_mutual_information(gold: Int64, clusters: Int64) -> float:
    """Mutual information corrected for chance (Vinh et al. 2010), by scikit-learn.

    Args:
        gold: label codes [n].
        clusters: cluster numbers [n].
    """
    from sklearn.metrics import adjusted_mutual_info_score

    with _small_sets_are_fine():
        return float(adjusted_mutual_info_score(gold, clusters))


@contextmanager
def _small_sets_are_fine() -> Iterator[None]:
    # scikit-learn suspects a regression target where more than half of the labels are distinct
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
        yield
