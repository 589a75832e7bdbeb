"""Intervals of single scores from stored per-example values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from harness.report.board.build import leaderboard
from harness.report.board.intervals import intervals, spread
from harness.store import Store
from harness.types import Result
from tests.report.make import result, suite, task

A, B = "org/a", "org/b"


def ranked(model: str, name: str, values: list[float], **changes: object) -> Result:
    """A retrieval result with these per-query values."""
    table = pa.table({"query_id": [f"q{i}" for i in range(len(values))], "ndcg_at_10": values})
    return result(model, name, float(np.mean(values)), samples=table, **changes)


def kept(tmp_path: Path, *results: Result) -> Store:
    store = Store(tmp_path)
    for each in results:
        store.put(each)
    return store


def test_a_mean_has_the_interval_of_student(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(40).tolist()
    toy = suite(task("T"))
    store = kept(tmp_path, ranked(A, "T", values))
    board = leaderboard(store.results(), toy)
    (low, high) = intervals(board, [store])["T"][0]
    expected = scipy.stats.t.interval(0.95, 39, np.mean(values), scipy.stats.sem(values))
    assert (low, high) == pytest.approx([100 * end for end in expected], abs=1e-3)


def test_entries_of_a_task_are_put_together(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    one, two = draw.random(200).tolist(), draw.random(300).tolist()
    toy = suite(task("T", "Retrieval", ("test", "a"), ("test", "b")))
    store = kept(tmp_path, ranked(A, "T", one, subset="a"), ranked(A, "T", two, subset="b"))
    low, high = intervals(leaderboard(store.results(), toy), [store])["T"][0]
    error = math.hypot(scipy.stats.sem(one), scipy.stats.sem(two)) / 2
    assert high - low == pytest.approx(100 * 2 * 1.96 * error, rel=0.01)
    assert (low + high) / 2 == pytest.approx(50 * (np.mean(one) + np.mean(two)), abs=1e-3)


def test_a_correlation_has_that_of_the_bootstrap() -> None:
    draw = np.random.default_rng(2)
    gold = draw.normal(size=400)
    near = gold + draw.normal(size=400)
    value = float(scipy.stats.pearsonr(gold, near)[0])
    scored = result(
        A, "S", value, kind="sts", scorer="correlation@1", main="cosine_pearson",
        metrics={"cosine_pearson": value}, exact={"cosine_pearson": value},
    )  # fmt: skip
    table = pa.table({"gold": gold, "cosine": near})
    found = spread(scored, table, "cosine_pearson")
    fisher = (1 - value**2) / math.sqrt(400)  # the delta method's standard error
    assert found.error == pytest.approx(fisher, rel=0.25)
    assert spread(scored, table, "cosine_pearson") == found  # the same draws


def test_none_where_examples_are_missing_or_not_those_of_the_score(tmp_path: Path) -> None:
    toy = suite(task("T"), task("U"))
    values = [0.1, 0.9, 0.4, 0.6]
    store = kept(tmp_path / "a", ranked(A, "T", values), result(A, "U", 0.5))
    other = kept(tmp_path / "b", result(B, "T", 0.7), ranked(B, "U", values, revision="r2"))
    shown = leaderboard([*store.results(), *other.results()], toy)
    rows = list(zip(shown.frame["Model"], shown.frame["Revision"], strict=True))
    assert intervals(shown, [store, other]).keys() == {"T", "U"}
    assert list(intervals(shown, [store, other])["T"]) == [rows.index((A, "r1"))]
    assert list(intervals(shown, [store, other])["U"]) == [rows.index((B, "r2"))]
    elsewhere = leaderboard([result(A, "T", 0.77), result(A, "U", 0.5)], toy)
    assert intervals(elsewhere, [store]) == {}


def test_a_single_query_has_none(tmp_path: Path) -> None:
    store = kept(tmp_path, ranked(A, "T", [0.5]))
    assert intervals(leaderboard(store.results(), suite(task("T"))), [store]) == {}


def test_of_other_models_nothing_is_read(tmp_path: Path) -> None:
    store = kept(tmp_path, ranked(A, "T", [0.1, 0.4, 0.3]))
    board = leaderboard(store.results(), suite(task("T")))
    other = tmp_path / "org__public" / "r1" / "T.json"
    other.parent.mkdir(parents=True)
    other.write_text("{")
    assert intervals(board, [store])["T"]
    assert store.problems == []


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    store = kept(tmp_path, ranked(A, "T", [0.1, 0.2, 0.3]))
    (file,) = tmp_path.rglob("*.samples.parquet")
    file.write_bytes(b"no")
    told: list[str] = []
    assert intervals(leaderboard(store.results(), suite(task("T"))), [store], told.append) == {}
    assert len(told) == 1
    assert file.name in told[0]


def test_variants_have_their_own(tmp_path: Path) -> None:
    store = kept(
        tmp_path,
        ranked(A, "T", [0.1, 0.2, 0.3]),
        ranked(A, "T", [0.5, 0.2, 0.8], variant=("bf16",)),
    )
    board = leaderboard(store.results(), suite(task("T")))
    found = intervals(board, [store])["T"]
    for row, score in enumerate(board.frame["T"]):
        assert sum(found[row]) / 2 == pytest.approx(score)
