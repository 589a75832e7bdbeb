"""One check of a gate: what it compared, what the rules allow, and the verdict with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.metrics.stats import holm
from harness.report.gate.rules import Rule
from harness.report.paired import Paired, pooled, scaled
from harness.report.values import scale

Verdict = Literal["same", "pass", "noise", "regressed", "below floor", "not improved", "changed"]
BAD: tuple[Verdict, ...] = ("regressed", "below floor", "not improved", "changed")
_ROUNDING = 1e-9  # points: 100 x 0.29 is less than 29, and no reason to fail
POWER = 0.85  # the spread is itself an estimate: stated for this, found at least four times in five


@dataclass(frozen=True)
class Check:
    """One verdict; scores and drops in points.

    Attributes:
        level: "task", "type" or "suite".
        old, new: scores as the suite shows them.
        allowed: the largest drop that is no regression.
        p: Holm's p-value of a drop; None where there are no per-example values on both sides.
        p_rise: Holm's p-value of a rise, over the checks that must improve; None for the others.
        interval: of the gain, at 95 %; None likewise.
        detectable: the smallest drop that this check would have found at least four times in five; None
            likewise, and where both sides answered alike.
        test: the test behind it, what it went over, and how many.
        reason: the verdict in words.
        entries: the differences behind it, by split and subset.
        furthest: of all metrics of the task, on all its entries, the one that moved most: its name and both
            values, in points. What `--exact` looks at.
    """

    level: Literal["task", "type", "suite"]
    name: str
    metric: str
    old: float
    new: float
    better: int
    allowed: float
    rule: Rule
    verdict: Verdict = "pass"
    p: float | None = None
    p_rise: float | None = None
    interval: tuple[float, float] | None = None
    detectable: float | None = None
    test: str = ""
    reason: str = ""
    entries: Mapping[tuple[str, str], Paired] | None = None
    furthest: tuple[str, float, float] | None = None

    @property
    def title(self) -> str:
        """As a report names it."""
        return self.name if self.level == "task" else f"mean of {self.name}"

    @property
    def gain(self) -> float:
        """How much better the new model is; negative after a drop."""
        return self.better * (self.new - self.old)

    @property
    def bad(self) -> bool:
        """Whether this check fails the gate."""
        return self.verdict in BAD


def whole(check: Check) -> Paired | None:
    """The difference behind a check, in points; None where there are no per-example values."""
    if check.entries is None:
        return None
    found = pooled(list(check.entries.values()))
    return found if check.metric == "mean" else scaled(found, scale(check.metric))


def judged(checks: Sequence[Check], level: float, *, exact: float | None = None) -> list[Check]:
    """Every check with its p-value, corrected for all that could be tested, and its verdict.

    Args:
        exact: points that a score, and any other metric, may move, up or down; None where the test decides.
    """
    wholes = [whole(check) for check in checks]
    places = [i for i, whole in enumerate(wholes) if whole is not None]
    adjusted = dict(zip(places, holm([w.p_drop for w in wholes if w is not None]), strict=True))
    rising = [i for i in places if checks[i].rule.must_improve is not None]
    rises = dict(zip(rising, holm([w.p_rise for i in rising if (w := wholes[i]) is not None]), strict=True))
    out = []
    for i, check in enumerate(checks):
        found = wholes[i]
        if found is not None:
            known = found.spread.error > 0  # equal answers say nothing of how much others would vary
            least = found.detectable(level=level / len(places), tolerance=check.allowed, power=POWER)
            check = replace(
                check, p=adjusted[i], p_rise=rises.get(i), interval=found.interval(),
                detectable=least if known else None,
                test=f"{found.method}, {found.n} {found.unit}",
            )  # fmt: skip
        verdict, reason = _verdict(check, level) if exact is None else _exact(check, exact)
        out.append(replace(check, verdict=verdict, reason=reason))
    return out


def _below_floor(check: Check) -> str:
    """Why the score is on the wrong side of its floor; empty where it is not."""
    floor = check.rule.floor
    if floor is None or check.better * (check.new - floor) >= -_ROUNDING:
        return ""
    return f"{check.new:.2f} is {'below' if check.better > 0 else 'above'} {floor:g}"


def _exact(check: Check, limit: float) -> tuple[Verdict, str]:
    if why := _below_floor(check):
        return "below floor", why
    if abs(check.gain) > limit + _ROUNDING:
        return "changed", f"{check.old:.6f} became {check.new:.6f}; it may move by {limit:g}"
    if check.furthest is not None and not abs(check.furthest[2] - check.furthest[1]) <= limit + _ROUNDING:
        name, old, new = check.furthest
        return "changed", f"{name} was {old:.6f} and is {new:.6f}; it may move by {limit:g}"
    return "same", ""


def _verdict(check: Check, level: float) -> tuple[Verdict, str]:
    rule = check.rule
    drop = -check.gain
    if why := _below_floor(check):
        return "below floor", why
    if drop > check.allowed + _ROUNDING:
        if check.p is None:
            return (
                "regressed",
                f"lost {drop:.2f}, {check.allowed:.2f} are allowed; no per-example values to test",
            )
        if check.p < level:
            return "regressed", f"lost {drop:.2f}, {check.allowed:.2f} are allowed; p = {check.p:.2g}"
        return "noise", f"lost {drop:.2f}, within noise (p = {check.p:.2g})"
    if rule.must_improve is not None:
        if check.gain < rule.must_improve - _ROUNDING or check.gain <= 0:
            return "not improved", f"gained {check.gain:.2f}, must gain {rule.must_improve:g}"
        if check.p_rise is not None and check.p_rise >= level:
            return "not improved", f"gained {check.gain:.2f}, within noise (p = {check.p_rise:.2g})"
    return ("same" if check.gain == 0 else "pass"), ""
