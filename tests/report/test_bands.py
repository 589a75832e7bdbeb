"""Rank bands: what a paired test cannot tell apart shares one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.report.board import bands
from harness.report.board.aggregate import aggregate
from harness.report.board.build import leaderboard
from harness.report.board.rows import Table
from harness.report.values import metric_value
from harness.store import Store
from harness.store.snapshot import snapshot
from harness.types import Result
from tests.report.make import result, suite, task

QUERIES = 200
TOY = suite(task("T"), task("U"))


def scored(model: str, gain: float, name: str = "T") -> Result:
    """A retrieval result whose queries are all better by `gain` than those of gain 0."""
    base = np.random.default_rng(0).uniform(0.2, 0.6, QUERIES)
    noise = np.random.default_rng(ord(model[-1])).normal(0, 0.001, QUERIES)
    values = base + gain + noise - noise.mean()
    ids = pa.array([f"q{i}" for i in range(QUERIES)])
    samples = pa.table({"query_id": ids, "ndcg_at_10": pa.array(values)})
    return result(model, name, float(values.mean()), samples=samples)


def table(store: Store, *, cache: Path) -> Table:
    wanted = {t.name: {"default"} for t in TOY.tasks}
    return aggregate(snapshot(store.root, wanted, cache).results, TOY)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Ranks 1 and 2 cannot be told apart, nor can 4 and 5; the third stands alone."""
    own = Store(tmp_path / "results")
    for model, gain in {"a": 0.2, "b": 0.19999, "c": 0.1, "d": 0.00001, "e": 0.0}.items():
        own.put(scored(f"org/{model}", gain))
        own.put(scored(f"org/{model}", gain, "U"))
    return own


def test_neighbours_that_cannot_be_told_apart_share_a_band(store: Store, tmp_path: Path) -> None:
    found = table(store, cache=tmp_path)
    assert [row.model[-1] for row in found.rows] == list("abcde")
    shown, notes = bands.bands(found, [store], tmp_path)
    assert shown == ["1-2", "1-2", "3", "4-5", "4-5"]
    (note,) = notes
    assert note.endswith("cannot tell apart (two-sided, 5%, Holm over 4).")


def test_comparisons_are_kept_and_a_damaged_one_is_made_again(store: Store, tmp_path: Path) -> None:
    found = table(store, cache=tmp_path)
    said: list[str] = []
    first = bands.bands(found, [store], tmp_path, said.append)
    assert said == [
        f"rank bands: comparing org/{a} and org/{b} example by example" for a, b in ("ab", "bc", "cd", "de")
    ]
    kept = sorted((tmp_path / "paired").iterdir())
    assert len(kept) == 4  # by the hash of the values: those of T are those of U
    for path in store.root.rglob("*.parquet"):
        path.rename(path.with_suffix(".away"))
    said.clear()
    assert bands.bands(found, [store], tmp_path, said.append) == first
    assert said == []
    for path in store.root.rglob("*.away"):
        path.rename(path.with_suffix(".parquet"))
    kept[0].write_text('{"old": 1')
    assert bands.bands(found, [store], tmp_path, said.append) == first
    assert len(said) == 1


def test_rows_without_examples_stand_in_no_band(store: Store, tmp_path: Path) -> None:
    for name in ("T", "U"):
        store.put(result("org/public", name, 0.55, provenance={"source": "mteb"}))
    shown, _ = bands.bands(table(store, cache=tmp_path), [store], tmp_path)
    assert shown == ["1-2", "1-2", None, "4", "5-6", "5-6"]


def test_other_examples_cannot_be_compared_and_it_says_so(store: Store, tmp_path: Path) -> None:
    other = scored("org/c", 0.1)
    assert other.samples is not None
    ids = pa.array([f"other{i}" for i in range(QUERIES)])
    store.put(result("org/c", "T", other.main_score, samples=other.samples.set_column(0, "query_id", ids)))
    shown, notes = bands.bands(table(store, cache=tmp_path), [store], tmp_path)
    assert shown == ["1-2", "1-2", "3", "4-5", "4-5"]
    assert [note.partition(":")[0] for note in notes[1:]] == [
        "No rank band across org/b and org/c", "No rank band across org/c and org/d",
    ]  # fmt: skip


def test_the_number_of_comparisons_is_bounded(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "MOST", 2)
    shown, notes = bands.bands(table(store, cache=tmp_path), [store], tmp_path)
    assert shown == ["1-2", "1-2", None, None, None]
    assert "the best 2 rows" in notes[-1]
    assert "3 more" in notes[-1]


def test_an_aggregate_is_compared_by_its_members(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    for model, gain in {"a": 0.2, "b": 0.0}.items():
        own = [scored(f"org/{model}", gain, name) for name in ("M1", "M2")]
        for each in own:
            store.put(each)
        mean = sum(r.main_score for r in own) / 2
        store.put(result(f"org/{model}", "Mean", mean, kind="aggregate", scorer="mean_of_members@1"))
    from dataclasses import replace

    toy = suite(replace(task("Mean"), kind="aggregate", members=(task("M1"), task("M2"))))
    found = aggregate(snapshot(store.root, {"Mean": {"default"}}, tmp_path).results, toy)
    shown, notes = bands.bands(found, [store], tmp_path)
    assert shown == ["1", "2"], notes


def test_the_table_shows_bands_and_rates(store: Store, tmp_path: Path) -> None:
    results = snapshot(store.root, {"T": {"default"}, "U": {"default"}}, tmp_path).results
    board = leaderboard(results, TOY, banded=lambda t: bands.bands(t, [store], tmp_path))
    assert board.columns["Band"] == ["1-2", "1-2", "3", "4-5", "4-5"]
    assert "| Rank | Model | Band |" in board.to_markdown()
    assert "Texts/s" not in board.columns
    assert metric_value(results[0], "ndcg_at_10") is not None


def test_texts_a_second_are_over_all_timed_encoding() -> None:
    timed = [{"texts_encoded": 300, "encode_seconds": 2.0}, {"texts_encoded": 100, "encode_seconds": 2.0}]
    reused = {"texts_encoded": 0, "encode_seconds": 0.5}
    toy = suite(task("T"), task("U"), task("V"))
    found = [result("a", name, 0.5, provenance=p) for name, p in zip("TUV", [*timed, reused], strict=True)]
    found += [result("b", name, 0.25, provenance={"texts_encoded": 5, "seconds": 1.0}) for name in "TUV"]
    board = leaderboard(found, toy)
    assert board.columns["Texts/s"] == [100.0, None]
    assert [line.split(" | ")[2] for line in board.to_markdown().splitlines()[4:6]] == ["100", "—"]


def test_deleting_the_cache_changes_nothing(store: Store, tmp_path: Path) -> None:
    found = table(store, cache=tmp_path)
    first = bands.bands(found, [store], tmp_path)
    shutil.rmtree(tmp_path / "paired")
    assert bands.bands(found, [store], tmp_path) == first
