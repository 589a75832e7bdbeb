"""Two metrics of one task in a table, and metrics of which a lower value is better."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.report import suite_table
from harness.report.board.aggregate import aggregate
from harness.report.board.build import leaderboard
from harness.report.board.rows import SuiteTask
from harness.suite import load_suite
from harness.types import Result
from tests.report.make import result, suite, task

A, B, C = "org/a", "org/b", "org/c"


def negation(model: str, anchor: float, entailment: float) -> Result:
    """A result of the negation suite, error rates in percent."""
    metrics = {
        "anchor_score": 1 - anchor / 100,
        "anchor_error_rate": anchor,
        "entailment_error_rate": entailment,
    }
    one = result(model, "JinaNegation", 0.0, kind="triplet", main="anchor_score")
    return replace(one, metrics=metrics)


def test_error_rates_are_percent_and_the_lowest_wins() -> None:
    found = [negation(A, 8.0, 2.0), negation(B, 5.0, 9.0), negation(C, 6.5, 1.0)]
    board = leaderboard(found, suite_table(load_suite("negation")))
    assert list(board.frame["Model"]) == [B, C, A]
    assert list(board.frame["Rank"]) == [1, 2, 3]
    assert list(board.frame["JinaNegation anchor_error_rate"]) == [5.0, 6.5, 8.0]
    assert list(board.frame["JinaNegation entailment_error_rate"]) == [9.0, 1.0, 2.0]
    assert list(board.frame["Mean (Task)"]) == [5.0, 6.5, 8.0]
    first, second, third = (line.split(" | ") for line in board.to_markdown().splitlines()[4:7])
    assert first[2:-1] == ["**5.00**", "**5.00**", "**5.00**", "**5.00**", "9.00"]
    assert second[-2] == "**1.00**"
    assert third[-2] == "<u>2.00</u>"
    assert board.lower == set(board.scores)


def test_the_second_reading_counts_in_no_mean() -> None:
    table = suite_table(load_suite("ja-retrieval"))
    scores = {
        "MIRACLRetrieval": {"recall_at_5": 0.6, "hit_rate_at_5": 0.9},
        "JQaRAReranking": {"ndcg_at_10": 0.5},
        "JaCWIRReranking": {"map_at_10": 0.7},
        "MultiLongDocRetrieval": {"ndcg_at_10": 0.2},
    }
    place: dict[str, Any] = {
        t.name: {"split": t.entries[0][0], "subset": t.entries[0][1]} for t in table.tasks
    }
    found = [replace(result(A, name, 0, **place[name]), metrics=own) for name, own in scores.items()]
    (row,) = aggregate(found, table).rows
    assert row.mean_tasks == pytest.approx(100 * (0.6 + 0.5 + 0.7 + 0.2) / 4)
    assert row.scores["MIRACLRetrieval hit_rate_at_5"] == 90
    shown = json.loads(leaderboard(found, table).to_json())
    assert [name for name in shown["scores"] if "MIRACL" in name] == [
        "MIRACLRetrieval recall_at_5",
        "MIRACLRetrieval hit_rate_at_5",
    ]
    found[0] = replace(found[0], metrics={"recall_at_5": 0.6})  # as stored results of mteb
    (row,) = aggregate(found, table).rows
    assert row.complete
    assert "MIRACLRetrieval hit_rate_at_5" not in row.scores


def test_a_column_of_its_own() -> None:
    table = suite_table(load_suite("reranking-zh-ja"))
    assert table.types == ("Chinese", "Japanese")
    found = [
        result(A, t.name, 0.9 if t.type == "Chinese" else 0.6, main=t.main, split=split, subset=subset)
        for t in table.tasks
        for split, subset in t.entries
    ]
    (row,) = aggregate(found, table).rows
    assert row.types == pytest.approx({"Chinese": 90, "Japanese": 60})
    assert row.mean_types == pytest.approx(75)
    assert row.mean_tasks == pytest.approx((4 * 90 + 5 * 60) / 9)


def test_no_mean_of_scores_and_error_rates() -> None:
    error = SuiteTask("N", "triplet", "Triplet", (("test", "default"),), "anchor_error_rate")
    with pytest.raises(ConfigError, match="a lower N is better"):
        suite(task("T"), error)


def test_another_split_gives_both_readings() -> None:
    both = SuiteTask("T", "retrieval", "Retrieval", (("test", "default"),), "recall_at_5", ("hit_rate_at_5",))
    one = replace(result(A, "T", 0, split="dev"), metrics={"recall_at_5": 0.1, "hit_rate_at_5": 0.2})
    (row,) = aggregate([one], suite(both), any_split=True).rows
    assert row.scores == {"T": 10, "T hit_rate_at_5": 20}
