"""Results and suites for the tests of reports."""

from __future__ import annotations

from typing import Any

from harness.report.board.rows import SuiteTable, SuiteTask
from harness.types import Result


def result(model: str, task: str, score: float, **changes: Any) -> Result:
    """A result whose main metric, `ndcg_at_10` unless changed, has this score (0 to 1)."""
    main = changes.pop("main", "ndcg_at_10")
    fields: dict[str, Any] = {
        "revision": "r1",
        "variant": (),
        "kind": "retrieval",
        "protocol": "mteb",
        "scorer": "trec@1",
        "split": "test",
        "subset": "default",
        "languages": ("eng-Latn",),
        "data_revision": "abc",
        "data_fingerprint": "f",
        "main_metric": main,
        "metrics": {main: score},
        "exact": {main: score},
        "undefined": {},
        "details": {},
        "provenance": {},
    }
    return Result(model=model, task=task, **{**fields, **changes})


def task(
    name: str, type_: str = "Retrieval", *entries: tuple[str, str], main: str = "ndcg_at_10"
) -> SuiteTask:
    """A task that requires these entries, `test/default` when none are given."""
    return SuiteTask(name, type_.lower(), type_, entries or (("test", "default"),), main)


def suite(*tasks: SuiteTask, **changes: Any) -> SuiteTable:
    """A suite of these tasks."""
    return SuiteTable(**{"name": "toy", "title": "Toy", "tasks": tasks, **changes})
