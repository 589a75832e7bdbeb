"""Two results of one task, example by example: how large the difference is, and whether it is chance.

A mean over examples (nDCG@10 of queries) is tested by sign flips; any other metric by the paired bootstrap:
both models are scored on the same resamples, and the spread of their difference is its standard error.
Where a protocol repeats itself (ten few-shot experiments, ten clusterings), what varies between the repeats
counts too: their spread is added to that over the examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from harness.errors import DataError
from harness.kinds.evidence import Evidence, evidence
from harness.metrics.stats import (
    RESAMPLES,
    Spread,
    bootstrap_weights,
    detectable,
    detectable_flips,
    mean_spread,
    resampled,
    sign_flip,
)
from harness.report.values import lower_is_better
from harness.types import Result

Float64 = npt.NDArray[np.float64]

FLIPS = "sign flips"
_ALIKE = 1e-9  # a spread that small, of a difference, is rounding
_CLOSE = 1e-6  # what a stored value and the one from its samples may differ by
_WORK = 100_000_000  # weights of one bootstrap; more examples get fewer resamples, never under _FEWEST
_FEWEST = 200


@dataclass(frozen=True)
class Paired:
    """A difference in one metric of one entry, "new" minus "old".

    Attributes:
        old, new: the metric's values.
        better: 1 where higher is better, -1 where lower is.
        p_drop: one-sided p-value: small where the new model is worse by more than chance.
        p_rise: the same for better.
        spread: of the difference, in the metric's own scale.
        method: "sign flips" or "paired bootstrap", with what it went over.
        n, unit: how many examples of what.
        ids: each example's name.
        own: what each example contributes to the old value and to the new one; None where the metric has no
            such thing.
    """

    old: float
    new: float
    better: int
    p_drop: float
    p_rise: float
    spread: Spread
    method: str
    n: int
    unit: str
    ids: tuple[str, ...] = ()
    own: tuple[Float64, Float64] | None = None

    @property
    def lost(self) -> Float64 | None:
        """How much of its contribution each example lost; negative where it gained."""
        return None if self.own is None else self.own[0] - self.own[1]

    @property
    def gain(self) -> float:
        """How much better the new one is; negative after a drop."""
        return self.better * (self.new - self.old)

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_drop, self.p_rise))

    def detectable(self, *, level: float, tolerance: float, power: float) -> float:
        """The smallest true drop that a test like this finds at `level`, beyond `tolerance`; see `stats`."""
        least = detectable(self.spread, level=level, tolerance=tolerance, power=power)
        if self.method != FLIPS or self.lost is None:
            return least
        return max(least, detectable_flips(self.lost, level=level, power=power))

    def interval(self, level: float = 0.05) -> tuple[float, float]:
        """Confidence interval of `gain` at 1 - `level`."""
        return self.spread.interval(self.gain, level)


def paired(
    old: Result, new: Result, samples: tuple[pa.Table, pa.Table], metric: str, *, seed: int = 0
) -> Paired:
    """Compare two results of the same task, split and subset by their stored per-example values.

    Args:
        samples: the tables of `old` and of `new`.
        metric: a name that both results hold.
        seed: of permutations and resamples; equal arguments give equal answers.

    Raises:
        DataError: the examples are not the same, one is named twice, a table does not give the stored value,
            or the task is an aggregate (`pooled` its members).
    """
    sides = [_checked(result, table, metric) for result, table in zip((old, new), samples, strict=True)]
    before, after = sides
    after = _aligned(before, after, f"{old.task} ({old.split}/{old.subset})")
    better = -1 if lower_is_better(metric) else 1
    own = None if before.own is None or after.own is None else (before.own, after.own)
    values = [float(result.exact[metric]) for result in (old, new)]
    common: dict[str, Any] = {
        "old": values[0], "new": values[1], "better": better, "n": len(before.ids), "unit": before.unit,
        "ids": tuple(before.ids), "own": own,
    }  # fmt: skip
    repeats = _repeats(before, after)
    if own is not None and before.additive and after.additive:
        spread = _doubted(mean_spread(own[1] - own[0]), values, common["n"])
        if len(repeats) == 1:
            p_drop, p_rise = sign_flip(own[1] - own[0], seed=seed)
            return Paired(p_drop=p_drop, p_rise=p_rise, spread=spread, method=FLIPS, **common)
        method = "standard errors"
    else:
        spread = _doubted(_bootstrapped(before, after, seed), values, common["n"])
        method = "paired bootstrap"
    if len(repeats) > 1:
        spread += mean_spread(repeats)
        method += f" over {before.unit} and {len(repeats)} repeats"
    gain = better * (values[1] - values[0])
    return Paired(
        p_drop=spread.below(gain), p_rise=spread.below(-gain), spread=spread, method=method, **common
    )


def scaled(found: Paired, factor: float) -> Paired:
    """The same difference in another scale, as that of points."""
    spread = replace(found.spread, error=factor * found.spread.error)
    own = None if found.own is None else (factor * found.own[0], factor * found.own[1])
    return replace(found, old=factor * found.old, new=factor * found.new, spread=spread, own=own)


def pooled(parts: Sequence[Paired], weights: Sequence[float] | None = None) -> Paired:
    """The weighted mean of several differences (default: equal weights); their errors are independent.

    A single one is itself, with all that is known of its examples.

    Raises:
        DataError: there are none, or all of them weigh nothing.
    """
    shares = np.asarray(weights if weights is not None else [1.0] * len(parts), dtype=np.float64)
    if not len(parts) or not shares.sum():
        raise DataError("there is no difference to take the mean of")
    if len(parts) == 1:
        return parts[0]
    shares = shares / shares.sum()
    spread = Spread(0.0, float("inf"))
    for part, share in zip(parts, shares.tolist(), strict=True):
        if not share:
            continue  # nothing of an infinite error would be no number
        spread += Spread(share * part.spread.error, part.spread.freedom)
    old = float(shares @ [part.better * part.old for part in parts])
    gain = float(shares @ [part.gain for part in parts])
    return Paired(
        old=old, new=old + gain, better=1, p_drop=spread.below(gain), p_rise=spread.below(-gain),
        spread=spread, method="standard errors", n=len(parts), unit="differences",
    )  # fmt: skip


def _checked(result: Result, table: pa.Table, metric: str) -> Evidence:
    where = f"{result.model} on {result.task} ({result.split}/{result.subset})"
    if result.kind == "aggregate":
        raise DataError(f"{where} is a mean of other tasks: compare its members")
    if metric not in result.exact:
        raise DataError(f"{where} has no {metric}")
    scorer = result.scorer.partition("@")[0]
    settings: Mapping[str, Any] = result.provenance.get("settings") or {}
    found = evidence(result.kind, scorer, settings, table, metric)
    if not abs(found.value - result.exact[metric]) <= _CLOSE * max(1.0, abs(result.exact[metric])):
        raise DataError(
            f"{where}: {metric} is stored as {result.exact[metric]:.6f}, but its per-example values give "
            f"{found.value:.6f}\nscore it again: harness eval {result.model} --task {result.task} --force"
        )
    return found


def _aligned(before: Evidence, after: Evidence, where: str) -> Evidence:
    """`after` with its examples in the order of `before`."""
    if list(before.ids) == list(after.ids):
        if len({*before.ids}) < len(before.ids):
            raise DataError(f"{where}: several {before.unit} have one name, so they cannot be paired")
        return after
    places = {name: place for place, name in enumerate(after.ids)}
    if not len(before.ids) == len(after.ids) == len(places) or {*before.ids} != places.keys():
        raise DataError(
            f"{where}: the two results were not scored on the same {before.unit} "
            f"({len(before.ids)} and {len(after.ids)}), so they cannot be paired"
        )
    order = np.asarray([places[name] for name in before.ids])
    own = None if after.own is None else after.own[order]

    def parts(weights: Float64) -> Float64:
        theirs = np.empty_like(weights)
        theirs[:, order] = weights
        return after.parts(theirs)

    return replace(after, ids=before.ids, own=own, parts=parts)


def _doubted(spread: Spread, values: Sequence[float], n: int) -> Spread:
    """A spread that n examples which all moved alike do not make zero: that of their sign flips instead.

    Two equal losses are no proof that every text loses as much.
    """
    moved = abs(values[1] - values[0])
    if spread.error > _ALIKE * moved:
        return spread
    return Spread(moved / math.sqrt(n), n - 1.0)


def _repeats(before: Evidence, after: Evidence) -> Float64:
    """The difference in each part that both have."""
    old, new = before.whole, after.whole
    if len(old) != len(new):
        raise DataError(f"one result has {len(old)} experiments, the other {len(new)}: not comparable")
    return np.asarray(new - old)


def _bootstrapped(before: Evidence, after: Evidence, seed: int) -> Spread:
    n = len(before.ids)
    limits = [RESAMPLES, max(_FEWEST, _WORK // n), *(e.resamples for e in (before, after) if e.resamples)]
    count = min(limits)
    found = [
        after.parts(weights).mean(axis=0) - before.parts(weights).mean(axis=0)
        for weights in bootstrap_weights(n, seed=seed, resamples=count)
    ]
    return resampled(np.concatenate(found), n, least=-(-count // 2))
