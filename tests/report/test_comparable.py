"""What was scored otherwise, or on other data, never stands in one column: left out, and said why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.report.apart import barring, differences
from harness.report.board.aggregate import aggregate
from harness.report.board.rows import Table
from harness.report.comparable import alike
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_task
from harness.types import Result
from tests.report.make import result, suite, task
from tests.toys import Toy, sts_rows, write_task

A, B, C, D = "org/a", "org/b", "org/c", "org/d"
SOURCE = {"source": "mteb"}


def ranked(table: Table) -> dict[str, dict[str, float]]:
    return {row.model: dict(row.scores) for row in table.rows}


def other_data(model: str, score: float, **more: Any) -> Result:
    return result(model, "T", score, **{"data_fingerprint": "g" * 64, "data_revision": "old", **more})


def test_other_data_are_left_out_with_models_and_revisions() -> None:
    found = [other_data(C, 0.9), result(A, "T", 0.5), result(B, "T", 0.4)]
    table = aggregate(found, suite(task("T")))
    assert ranked(table) == {A: {"T": 50.0}, B: {"T": 40.0}}
    assert table.notes == ("1 of T (test/default) left out, of org/c: data old where the others have abc",)


def test_a_moved_data_set_is_the_same_data() -> None:
    found = [result(A, "T", 0.5), result(B, "T", 0.4, data_revision="elsewhere")]
    table = aggregate(found, suite(task("T")))
    assert len(ranked(table)) == 2
    assert not table.notes


def test_of_two_halves_the_suites_own_data_stay() -> None:
    found = [result(A, "T", 0.5), other_data(B, 0.9)]
    assert set(ranked(aggregate(found, suite(task("T"))))) == {A}  # the first
    now = suite(replace(task("T"), revision="old"))
    assert set(ranked(aggregate(found, now))) == {B}


def test_equal_revisions_with_other_rows_show_the_fingerprints() -> None:
    found = [result(A, "T", 0.5), result(B, "T", 0.4), other_data(C, 0.9, data_revision="abc")]
    (line,) = aggregate(found, suite(task("T"))).notes
    assert "data abc (fingerprint gggggggg) where the others have abc (fingerprint f)" in line


def test_the_majority_is_counted_in_each_split_and_subset() -> None:
    toy = suite(task("T", "Retrieval", ("test", "x"), ("test", "y")))
    found = [
        result(model, "T", 0.5, subset=subset, data_fingerprint=subset)
        for model in (A, B)
        for subset in ("x", "y")
    ]
    assert not aggregate(found, toy).notes
    table = aggregate([*found, result(C, "T", 0.9, subset="x", data_fingerprint="y")], toy)
    assert set(ranked(table)) == {A, B}


def test_versions_of_a_scorer_do_not_mix_even_within_a_row() -> None:
    toy = suite(task("T", "Retrieval", ("test", "x"), ("test", "y"), ("test", "z")))
    row = [result(A, "T", 0.5, subset=subset) for subset in ("x", "y")]
    table = aggregate([*row, result(A, "T", 0.9, subset="z", scorer="trec@2")], toy)
    assert [(r.have, r.need, r.mean_tasks) for r in table.rows] == [(2, 3, None)]
    assert table.notes == ("1 of T (test/z) left out, of org/a: scorer trec@2 where the others have trec@1",)
    now = suite(replace(task("T"), scorer="trec@2"))
    found = [result(A, "T", 0.5), result(B, "T", 0.9, scorer="trec@2")]
    assert set(ranked(aggregate(found, now))) == {B}


def test_settings_do_not_mix() -> None:
    found = [
        result(m, "T", 0.5, provenance={"settings": {"samples_per_label": n}})
        for m, n in ((A, 8), (B, 8), (C, 16))
    ]
    table = aggregate(found, suite(task("T")))
    assert set(ranked(table)) == {A, B}
    assert '{"samples_per_label": 16}' in table.notes[0]


def test_published_results_are_merged_and_counted() -> None:
    """They say no fingerprint; our own data never throw them out, nor they ours."""
    public = {"data_fingerprint": "", "scorer": "mteb", "provenance": SOURCE}
    found = [
        result(A, "T", 0.5),
        result(B, "T", 0.4, data_revision="r1", **public),
        result(C, "T", 0.3, data_revision="r2", **public),
        result(D, "T", 0.2, data_revision="None", **public),
    ]
    table = aggregate(found, suite(task("T")))
    assert set(ranked(table)) == {A, B, C, D}
    assert table.notes == ("with published ones on other revisions of the data, merged as mteb does: T",)
    assert not aggregate([found[1], found[3]], suite(task("T"))).notes


def test_old_published_maps_are_counted() -> None:
    public = {"data_fingerprint": "", "scorer": "mteb", "provenance": SOURCE, "kind": ""}
    toy = suite(task("R", "Reranking", main="map_at_1000"))
    found = [result(A, "R", 0.5, main="map_at_1000", **public), result(B, "R", 0.4, main="map", **public)]
    table = aggregate(found, toy)
    assert len(ranked(table)) == 2
    assert table.notes == ("1 of R published by mteb 1 as map, which breaks ties otherwise",)


def test_card_era_and_today_never_meet() -> None:
    old = result(B, "R", 0.9, main="map", protocol="cmteb-v1", kind="reranking", scorer="cmteb@1")
    new = result(A, "R", 0.5, main="map_at_1000", kind="reranking")
    today = suite(task("R", "Reranking", main="map_at_1000"))
    assert set(ranked(aggregate([old, new], today))) == {A}
    then = suite(task("R", "Reranking", main="map"), protocol="cmteb-v1")
    table = aggregate([old, new], then)
    assert set(ranked(table)) == {B}
    assert table.notes == ("1 of protocol mteb, not cmteb-v1: left out",)
    wrong = suite(task("R", "Reranking", main="map_at_1000"), protocol="cmteb-v1")
    assert not aggregate([old], wrong).rows  # its map is not the map_at_1000 of today


def test_a_second_version_of_a_task_never_fills_the_first() -> None:
    found = [result(A, "TNews.v2", 0.9), result(B, "TNews", 0.5)]
    assert ranked(aggregate(found, suite(task("TNews")))) == {B: {"TNews": 50.0}}
    assert ranked(aggregate(found, suite(task("TNews.v2")))) == {A: {"TNews.v2": 90.0}}


def test_a_task_may_have_a_protocol_of_its_own() -> None:
    toy = suite(task("T"), replace(task("R"), protocol="sbert"))
    found = [result(A, "T", 0.5), result(A, "R", 0.4, protocol="sbert"), result(B, "R", 0.9)]
    table = aggregate(found, toy)
    assert ranked(table) == {A: {"T": 50.0, "R": 40.0}}
    assert table.notes == ("1 of protocol mteb, not sbert: left out",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": "jmteb"}, "protocol: mteb and jmteb"),
        ({"task": "T.v2"}, "task: T and T.v2"),
        ({"split": "dev"}, "split: test and dev"),
        ({"subset": "ja"}, "subset: default and ja"),
        ({"scorer": "trec@2"}, "scorer: trec@1 and trec@2"),
        ({"main_metric": "map_at_10"}, "main: ndcg_at_10 and map_at_10"),
        ({"data_fingerprint": "g", "data_revision": "old"}, "the data differ (fingerprints f and g)"),
        ({"provenance": {"settings": {"k": 2}}}, "the scorer's settings differ"),
    ],
)
def test_two_results_say_why_they_cannot_be_compared(change: dict[str, Any], words: str) -> None:
    one = result(A, "T", 0.5, provenance={"settings": {"k": 1}})
    assert differences(one, replace(one, model=B)) == []
    assert [d.text for d in barring(differences(one, replace(one, model=B, **change)))] == [words]
    assert differences(one, replace(one, data_fingerprint="", scorer="mteb", provenance=SOURCE)) == []


def test_another_revision_of_published_data_is_shown_and_bars_nothing() -> None:
    one = result(A, "T", 0.5, data_fingerprint="", scorer="mteb", provenance=SOURCE)
    (found,) = differences(one, replace(one, model=B, data_revision="elsewhere"))
    assert (found.what, found.invalid) == ("data", False)
    assert "abc and elsewhere" in found.text


@pytest.mark.parametrize(
    ("key", "values"),
    [("dtype", ("float32", "bfloat16")), ("max_length", (512, 256)), ("prompts", ({"q": "a"}, {"q": ""}))],
)
def test_what_a_variant_asks_for_fails_a_gate_but_stands_in_a_table(
    key: str, values: tuple[Any, Any]
) -> None:
    one, other = (result(A, "T", 0.5, provenance={key: value}) for value in values)
    (found,) = differences(one, other)
    assert (found.what, found.invalid) == (key, True)
    assert barring([found]) == []


def test_order_and_content_of_what_stays_are_untouched() -> None:
    found = [result(A, "T", 0.5), other_data(B, 0.9), result(C, "T", 0.4)]
    kept, lines = alike(found, {})
    assert kept == [found[0], found[2]]
    assert len(lines) == 1


def test_data_that_changed_between_two_runs(tmp_path: Path, shared_cache: Path) -> None:
    """From the files of a task to the table: one model on the rows of yesterday, two on today's."""
    import harness

    store = Store(tmp_path / "results")
    for day, models in (("old", [A]), ("new", [B, C])):
        rows = sts_rows(12 if day == "old" else 11)
        root = write_task(tmp_path / day, "One", "sts", "cosine_spearman", test=rows)
        chosen = load_task("One", data=[root])
        for model in models:
            list(evaluate(Toy(name=model), chosen, store=store, cache=shared_cache))
    board = harness.leaderboard(store, chosen)
    assert set(board.frame["Model"]) == {B, C}
    (note,) = (line for line in board.notes if "left out" in line)
    assert f"left out, of {A}: data local:" in note


def test_a_result_under_the_wrong_protocols_folder_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(result(A, "R", 0.5, main="map", protocol="cmteb-v1", kind="reranking"))
    home = tmp_path / "org__a" / "r1"
    (home / "cmteb-v1" / "R.json").rename(home / "R.json")
    assert list(Store(tmp_path).results()) == []
    assert "holds R under protocol cmteb-v1" in _problems(tmp_path)


def _problems(root: Path) -> str:
    store = Store(root)
    list(store.results())
    return "\n".join(store.problems)
