"""Sides and suites for the tests of gates, without a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from harness.report.gate.rules import Gates
from harness.report.sides import Side
from harness.scorers import scorer
from harness.suite import Suite
from harness.task import Task
from harness.types import Result
from tests.report.make import result


def task(name: str, **changes: Any) -> Task:
    """A retrieval task scored by ndcg_at_10 on test/default, unless changed."""
    fields: dict[str, Any] = {
        "kind": "retrieval", "scorer": scorer("retrieval", None, "mteb"), "type": "Retrieval",
        "main": "ndcg_at_10", "shown": "ndcg_at_10", "protocol": "mteb", "entries": (("test", "default"),),
        "languages": {}, "revision": "abc", "settings": {},
    }  # fmt: skip
    return Task(name, **{**fields, **changes})


def suite(*tasks: Task) -> Suite:
    return Suite("toy", "Toy", tasks)


def queries(name: str, values: Sequence[float], **changes: Any) -> Result:
    """A result of one retrieval task with these per-query values; `samples=None` leaves them out."""
    table = pa.table(
        {"group": [""] * len(values), "query_id": [f"q{i}" for i in range(len(values))], "ndcg_at_10": values}
    )
    fields = {"samples": table, **changes}
    return result("m", name, float(np.mean(values)), **fields)


def side(label: str, *results: Result) -> Side:
    return Side(label, {(r.task, r.split, r.subset): r for r in results}, lambda r: r.samples)


def rules(**keys: Any) -> Gates:
    return Gates.model_validate(keys)


def by_name(checks: Sequence[Any]) -> Mapping[str, Any]:
    return {check.name: check for check in checks}
