"""The shape of evidence: one metric of one result, example by example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Parts = Callable[[Float64], Float64]


@dataclass(frozen=True)
class Evidence:
    """One metric of one result, example by example.

    Attributes:
        ids: names of the examples [n]: query ids, row numbers.
        unit: what an example is, in the plural ("queries", "pairs", "texts" ...).
        parts: weights [b, n] to the metric [p, b] of each part: an experiment, a set of texts, or the one
            whole. The metric is the mean over the parts.
        own: what each example contributes [n], higher is better whatever the metric's direction; None
            where nothing like that is defined.
        additive: whether the metric is the mean of `own`.
        resamples: the most resamples that are worth their time; 0 for no limit.
    """

    ids: Sequence[str]
    unit: str
    parts: Parts
    own: Float64 | None = None
    additive: bool = False
    resamples: int = 0

    @cached_property
    def whole(self) -> Float64:
        """The metric of each part [p], every example counting once."""
        return np.asarray(self.parts(np.ones((1, len(self.ids))))[:, 0])

    @property
    def value(self) -> float:
        """The metric itself."""
        return float(self.whole.mean())


def additive(ids: Sequence[str], unit: str, own: Float64, sign: float = 1.0, scale: float = 1.0) -> Evidence:
    """Of a mean: `sign` -1 and `scale` where the metric is an error rate in per cent."""

    def parts(weights: Float64) -> Float64:
        mean = (weights @ own) / weights.sum(axis=1)
        return np.asarray((mean if sign > 0 else scale * (1 - mean))[None])

    return Evidence(ids, unit, parts, own, additive=sign > 0)


def numbered(n: int) -> list[str]:
    return [str(i) for i in range(n)]
