"""Aggregates: one score that is the unweighted mean of its members' main scores (CQADupstack's forums).

Reference: mteb's AbsTaskAggregate. Members enter as they were reported, their rounding included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harness.errors import DataError
from harness.kinds import scorer
from harness.kinds._outcome import column, conclude
from harness.types import Scores


def combine(main: str, members: Mapping[str, float], expected: Sequence[str] = ()) -> Scores:
    """The mean of the members' main scores under the name `main`.

    Args:
        main: the metric the members report.
        members: task name to main score, as reported.
        expected: task names that must all be among the members.

    Raises:
        DataError: a member is missing (all of them are named), there is none, or one is not finite.
    """
    missing = [name for name in expected if name not in members]
    if missing:
        raise DataError(f"an aggregate needs all its members; missing: {', '.join(missing)}")
    if not members:
        raise DataError("an aggregate needs at least one member")
    broken = [name for name, value in members.items() if not math.isfinite(value)]
    if broken:
        raise DataError(f"members of an aggregate without a finite score: {', '.join(broken)}")
    samples = pa.table(
        {
            "member": pa.array(list(members), pa.string()),
            "main_score": pa.array([float(value) for value in members.values()], pa.float64()),
        }
    )
    return conclude(main, samples, metrics_from(samples, {"main": main}), DataError)


def metrics_from(samples: pa.Table, settings: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """The mean under `settings["main"]`, from the members' stored scores."""
    main = settings.get("main") or scorer("aggregate").main
    return {main: float(np.mean(column(samples, "main_score")))}, {}
