"""Tables by hand, and against the counts and figures that published results are known to give."""

from __future__ import annotations

import csv
import gzip
import os
import random
from pathlib import Path

import pytest
import yaml

from harness.errors import ConfigError
from harness.report.board.aggregate import aggregate, metric_value
from harness.report.board.rows import Row, SuiteTable, SuiteTask, Table
from harness.types import Result
from tests.report.make import result, suite, task

A, B, C = "org/a", "org/b", "org/c"


def rows(table: Table) -> dict[str, Row]:
    return {row.model: row for row in table.rows}


def test_means_by_hand() -> None:
    toy = suite(
        task("R1", "Retrieval", ("test", "en"), ("test", "de"), ("dev", "en")), task("R2"), task("S1", "STS")
    )
    found = [
        result(A, "R1", 0.1, subset="en"),
        result(A, "R1", 0.2, subset="de"),
        result(A, "R1", 0.6, subset="en", split="dev"),
        result(A, "R2", 0.5),
        result(A, "S1", 0.9),
    ]
    (row,) = aggregate(found, toy).rows
    assert row.scores == pytest.approx({"R1": 30.0, "R2": 50.0, "S1": 90.0}, abs=1e-12)
    assert row.types == pytest.approx({"Retrieval": 40.0, "STS": 90.0}, abs=1e-12)
    assert row.mean_tasks == pytest.approx(170 / 3, abs=1e-12)
    assert row.mean_types == pytest.approx(65.0, abs=1e-12)
    assert (row.rank, row.have, row.need, row.complete) == (1, 5, 5, True)


def test_the_mean_is_flat_over_splits_and_subsets_as_mtebs() -> None:
    toy = suite(task("T", "Retrieval", ("dev", "a"), ("test", "a"), ("test", "b")))
    found = [
        result(A, "T", 0.9, split="dev", subset="a"),
        result(A, "T", 0.3, subset="a"),
        result(A, "T", 0.0, subset="b"),
    ]
    assert rows(aggregate(found, toy))[A].scores["T"] == pytest.approx(40.0, abs=1e-12)


def test_borda_by_hand_with_ties() -> None:
    toy = suite(task("T1"), task("T2"), task("T3"))
    scores = {A: (0.9, 0.5, 0.1), B: (0.9, 0.4, 0.3), C: (0.1, 0.4, 0.2)}
    found = [result(m, f"T{i + 1}", s) for m, values in scores.items() for i, s in enumerate(values)]
    table = aggregate(found, toy)
    # points of n - rank: T1 A 1.5, B 1.5, C 0; T2 A 2, B 0.5, C 0.5; T3 A 0, B 2, C 1
    assert [(row.model, row.rank) for row in table.rows] == [(B, 1), (A, 2), (C, 3)]


def test_equal_counts_share_the_better_rank_and_are_ordered_by_mean_then_name() -> None:
    toy = suite(task("T1"), task("T2"))
    scores = {A: (0.9, 0.1), B: (0.5, 0.6), C: (0.1, 0.05)}
    found = [result(m, f"T{i + 1}", s) for m, values in scores.items() for i, s in enumerate(values)]
    assert [(row.model, row.rank) for row in aggregate(found, toy).rows] == [(B, 1), (A, 1), (C, 3)]
    twins = [result(m, t, 0.5) for m in (C, A, B) for t in ("T1", "T2")]
    assert [(row.model, row.rank) for row in aggregate(twins, toy).rows] == [(A, 1), (B, 1), (C, 1)]


def test_rows_of_equal_rank_are_ordered_by_the_suites_mean() -> None:
    tasks = (task("R1"), task("S1", "STS"), task("S2", "STS"), task("S3", "STS"))
    scores = {A: (0.6, 0.5, 0.3, 0.3), B: (0.4, 0.4, 0.5, 0.5)}  # each better in two tasks
    found = [result(m, t.name, s) for m, values in scores.items() for t, s in zip(tasks, values, strict=True)]
    for average, order in (("tasks", [B, A]), ("datasets", [B, A]), ("types", [A, B])):
        table = aggregate(found, suite(*tasks, average=average))
        assert [(row.model, row.rank) for row in table.rows] == [(m, 1) for m in order]


def test_partial_rows_have_no_mean_and_no_rank_and_do_not_move_the_others() -> None:
    toy = suite(task("T1"), task("T2", "Retrieval", ("test", "x"), ("test", "y")))
    full = [
        result(m, t, s, subset=x)
        for m, s in ((A, 0.5), (B, 0.4))
        for t, x in (("T1", "default"), ("T2", "x"), ("T2", "y"))
    ]
    partial = [result(C, "T1", 0.99), result(C, "T2", 0.99, subset="x")]
    table = aggregate(full + partial, toy)
    assert [row.model for row in table.rows] == [A, B, C]
    assert table.rows[:2] == aggregate(full, toy).rows
    last = table.rows[2]
    assert last.scores == {"T1": 99.0}
    assert (last.mean_tasks, last.mean_types, last.types, last.rank) == (None, None, None, None)
    assert (last.have, last.need) == (2, 3)


def test_a_first_stage_and_what_is_scored_without_it_are_one_row() -> None:
    toy = suite(task("Find"), task("Rank", "Reranking"))
    rank = result(A, "Rank", 0.4, kind="reranking")
    staged = {k: result(A, "Find", s, variant=(f"first-bm25-{k}",)) for k, s in ((50, 0.2), (100, 0.3))}
    (row,) = aggregate([staged[100], rank], toy).rows
    assert (row.variant, row.revision, row.merged) == (("first-bm25-100",), "r1", False)
    assert row.scores == pytest.approx({"Find": 30.0, "Rank": 40.0})
    assert (row.complete, row.rank) == (True, 1)
    both = aggregate([rank, *staged.values()], toy).rows
    assert [(r.variant, r.scores["Rank"]) for r in both] == [
        (("first-bm25-100",), 40),
        (("first-bm25-50",), 40),
    ]
    (merged,) = aggregate([staged[100], rank], toy, merge_revisions=True).rows
    assert merged.complete
    half = result(A, "Rank", 0.7, kind="reranking", variant=("bf16",))
    apart = aggregate([staged[100], half], toy).rows
    assert sorted(r.variant for r in apart) == [("bf16",), ("first-bm25-100",)], "another precision"
    other = aggregate([staged[100], result(A, "Rank", 0.4, revision="r2")], toy).rows
    assert len(other) == 2, "another revision"
    alone = aggregate([staged[100], rank], suite(task("Rank", "Reranking"))).rows
    assert [r.variant for r in alone] == [()]


def test_a_prompt_policy_and_what_it_does_not_move_are_one_row() -> None:
    toy = suite(task("Find"), task("S", "STS"))
    find = {"prompts": {"queries": "query: ", "documents": "passage: "}}
    common = {"kind": "sts", "variant": ("prompts-mteb",)}
    found = [
        result(A, "Find", 0.3, provenance=find),
        result(A, "S", 0.5, provenance={"prompts": {"left": ""}}, **common),
    ]
    (row,) = aggregate(found, toy).rows
    assert (row.variant, row.complete) == (("prompts-mteb",), True)
    carded = result(A, "S", 0.6, kind="sts", provenance={"prompts": {"left": "query: "}})
    two = {r.variant: r.scores for r in aggregate([*found, carded], toy).rows}
    assert {key: scores["S"] for key, scores in two.items()} == pytest.approx(
        {("prompts-mteb",): 50.0, (): 60.0}
    )
    moved = [found[0], carded, result(A, "S", 0.5, kind="sts", variant=("prompts-none",))]
    assert {r.variant: r.complete for r in aggregate(moved, toy).rows} == {(): True, ("prompts-none",): False}
    lacking = [carded, result(A, "Find", 0.3, variant=("prompts-none",), provenance=find)]
    assert {r.variant: r.have for r in aggregate(lacking, toy).rows} == {(): 1, ("prompts-none",): 1}


def test_another_protocol_or_metric_never_shares_the_table() -> None:
    toy = suite(task("T1"), task("T2"))
    found = [
        result(A, "T1", 0.5),
        result(A, "T2", 0.5, main="map_at_10"),
        result(A, "T2", 0.9, protocol="jmteb"),
        result(B, "T1", 0.9, protocol="jmteb"),
        result(B, "Elsewhere", 0.9, protocol="jmteb"),
        result(A, "T1", 0.7),
    ]
    table = aggregate(found, toy)
    assert [(row.model, row.scores, row.have) for row in table.rows] == [(A, {"T1": 50.0}, 1)]
    assert table.notes == (
        "1 given twice: the first one counts",
        "1 of T2 without its metric ndcg_at_10: left out",
        "2 of protocol jmteb, not mteb: left out",
    )


def test_a_suite_may_choose_a_stored_metric_that_is_not_the_main_one() -> None:
    toy = suite(task("T", main="ndcg@10"))
    both = result(A, "T", 0.5, main="map_at_1000", metrics={"map_at_1000": 0.5, "ndcg_at_10": 0.25})
    assert rows(aggregate([both], toy))[A].scores == {"T": 25.0}


@pytest.mark.parametrize(
    ("metric", "stored"),
    [
        ("map_at_1000", "map"),
        ("mrr_at_10", "mrr"),
        ("cosine_spearman", "cos_sim_spearman"),
        ("ndcg_at_10", "NDCG@10(MIRACL)"),
        ("ndcg@10", "ndcg_at_10"),
    ],
)
def test_older_spellings_are_the_same_metric(metric: str, stored: str) -> None:
    assert metric_value(result(A, "T", 0.5, main=stored), metric) == 0.5


def test_a_missing_maximum_is_that_of_the_four_similarities() -> None:
    parts = {
        "cosine_accuracy": 0.5,
        "dot_accuracy": 0.7,
        "euclidean_accuracy": 0.6,
        "manhattan_accuracy": 0.4,
    }
    found = result(A, "T", 0.3, main="max_ap", metrics={"max_ap": 0.3, **parts})
    assert metric_value(found, "max_accuracy") == 0.7
    del parts["manhattan_accuracy"]
    found = result(A, "T", 0.3, main="max_ap", metrics={"max_ap": 0.3, **parts})
    assert metric_value(found, "max_accuracy") is None
    assert metric_value(found, "max_ap") == 0.3


def test_other_metrics_are_other_metrics() -> None:
    for stored in ("map_at_10", "main_score", "ndcg_at_1", "spearman"):
        assert metric_value(result(A, "T", 0.5, main=stored), "ndcg_at_10") is None


def test_variants_revisions_and_sources_are_rows_of_their_own() -> None:
    toy = suite(task("T"))
    found = [
        result(A, "T", 0.1),
        result(A, "T", 0.2, variant=("bf16",)),
        result(A, "T", 0.3, revision="r2"),
        result(A, "T", 0.4, provenance={"source": "mteb"}),
    ]
    table = aggregate(found, toy)
    assert [(r.revision, r.variant, r.source, r.scores["T"]) for r in table.rows] == [
        ("r1", (), "mteb", 40.0),
        ("r2", (), "", 30.0),
        ("r1", ("bf16",), "", 20.0),
        ("r1", (), "", 10.0),
    ]


def test_merge_revisions_prefers_the_fullest() -> None:
    toy = suite(task("T1"), task("T2"), task("T3"))
    found = [
        result(A, "T1", 0.1, revision="old"),
        result(A, "T1", 0.2, revision="new"),
        result(A, "T2", 0.2, revision="new"),
        result(A, "T3", 0.3, revision="old"),
        result(B, "T1", 0.9, revision="x"),
        result(B, "T1", 0.8, revision="z"),
    ]
    assert not any(row.complete for row in aggregate(found, toy).rows)
    merged = rows(aggregate(found, toy, merge_revisions=True))
    assert merged[A].scores == pytest.approx({"T1": 20.0, "T2": 20.0, "T3": 30.0})
    assert (merged[A].merged, merged[A].revision, merged[A].rank) == (True, None, 1)
    assert (merged[B].merged, merged[B].revision, merged[B].scores) == (False, "x", {"T1": 90.0})


def test_any_split_takes_a_split_that_is_whole() -> None:
    toy = suite(
        task("T", "Retrieval", ("test", "a"), ("test", "b")),
        task("U", "Retrieval", ("dev", "a"), ("test", "a")),
    )
    found = [
        result(A, "T", 0.9, subset="a"),
        *(result(A, "T", s, subset=x, split="validation") for s, x in ((0.2, "a"), (0.4, "b"))),
        result(A, "U", 0.6, subset="a"),
        result(B, "T", 0.2, subset="a", split="train"),
    ]
    assert rows(aggregate(found, toy))[A].have == 2
    table = rows(aggregate(found, toy, any_split=True))
    assert table[A].scores == pytest.approx({"T": 30.0, "U": 60.0})
    assert (table[A].other_splits, table[A].complete, table[A].rank) == (("T", "U"), True, 1)
    assert B not in table


def test_order_of_the_results_does_not_matter() -> None:
    toy = suite(*(task(f"T{i}") for i in range(4)))
    shuffle = random.Random(0)
    found = [result(m, f"T{i}", shuffle.randrange(4) / 4) for m in (A, B, C) for i in range(4)]
    tables = []
    for _ in range(5):
        shuffle.shuffle(found)
        tables.append(aggregate(found, toy, merge_revisions=True))
    assert all(table == tables[0] for table in tables)


def test_a_fresh_and_a_stored_result_give_the_same_table() -> None:
    toy = suite(task("T"))
    assert aggregate([result(A, "T", 1 / 3)], toy) == aggregate([result(A, "T", 0.333333)], toy)


def test_a_task_without_entries_is_refused() -> None:
    with pytest.raises(ConfigError, match="no split and subset"):
        SuiteTask("T", "retrieval", "Retrieval", (), "ndcg_at_10")


def shared(name: str) -> Path:
    path = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[3] / "shared")) / "reference" / name
    if not path.is_file():
        pytest.skip(f"{name} is not here (set HARNESS_SHARED)")
    return path


def test_published_glucose_means() -> None:
    """The card's average is the mean over the 16 data sets of JMTEB, not the mean of its type means."""
    table = yaml.safe_load(shared("glucose-v2-tables.yaml").read_text(encoding="utf-8"))["jmteb"]
    sizes = {
        "Retrieval": 6,
        "STS": 2,
        "Classification": 4,
        "Reranking": 1,
        "Clustering": 2,
        "PairClassification": 1,
    }
    tasks = tuple(task(f"{name}{i}", name) for name, count in sizes.items() for i in range(count))
    found = [
        result(model, f"{name}{i}", score / 100)
        for model, (_, *means) in table.items()
        for (name, count), score in zip(sizes.items(), means, strict=True)
        for i in range(count)
    ]
    for row in aggregate(found, suite(*tasks)).rows:
        average, *means = table[row.model]
        assert row.mean_tasks == pytest.approx(average, abs=0.011)
        assert row.mean_types == pytest.approx(sum(means) / 6, abs=1e-9)


@pytest.fixture(scope="module")
def published() -> list[Result]:
    """Every published main score, named after the metric that mteb calls the task's main one."""
    import mteb

    mains = {
        t.metadata.name: t.metadata.main_score
        for name in ("MTEB(cmn, v1)", "JMTEB(v2)")
        for t in mteb.get_benchmark(name).tasks
    }
    with gzip.open(shared("published_main_scores.csv.gz"), "rt", encoding="utf-8") as lines:
        return [
            result(
                row["model"],
                row["task"],
                float(row["main_score"]),
                main=mains[row["task"]],
                revision=row["revision"],
                split=row["split"],
                subset=row["hf_subset"],
            )
            for row in csv.DictReader(lines)
            if row["task"] in mains and row["main_score"] not in ("", "nan", "NaN")
        ]


def mteb_suite(name: str) -> SuiteTable:
    import mteb

    return suite(
        *(
            task(
                t.metadata.name,
                t.metadata.type,
                *((split, subset) for split in t.eval_splits for subset in t.hf_subsets),
                main=t.metadata.main_score,
            )
            for t in mteb.get_benchmark(name).tasks
        ),
        name=name,
    )


@pytest.mark.parametrize(
    ("name", "merge", "any_split", "complete"),
    [
        ("MTEB(cmn, v1)", False, False, 28),
        ("MTEB(cmn, v1)", True, False, 32),
        ("MTEB(cmn, v1)", True, True, 60),
        ("JMTEB(v2)", False, False, 21),
    ],
)
def test_published_rows_that_are_complete(
    published: list[Result], name: str, merge: bool, any_split: bool, complete: int
) -> None:
    table = aggregate(published, mteb_suite(name), merge_revisions=merge, any_split=any_split)
    assert sum(row.complete for row in table.rows) == complete
    assert sorted(row.rank or 0 for row in table.rows if row.complete)[0] == 1
    assert all(row.rank is None for row in table.rows if not row.complete)


def test_ranks_and_scores_equal_mtebs(published: list[Result]) -> None:
    import pandas as pd

    table = aggregate(published, mteb_suite("MTEB(cmn, v1)"))
    complete = [row for row in table.rows if row.complete]
    frame = pd.DataFrame([row.scores for row in complete])
    counts = (len(frame) - frame.rank(ascending=False, method="average")).sum(axis=1)
    assert list(counts.rank(ascending=False, method="min").astype(int)) == [row.rank for row in complete]
    assert [row.mean_tasks for row in complete] == pytest.approx(list(frame.mean(axis=1)), abs=1e-9)


def test_a_score_that_its_metric_cannot_have_is_left_out_and_said() -> None:
    found = [result("org/a", "T", 57.3), result("org/b", "T", 0.5), result("org/c", "T", 1.0)]
    table = aggregate(found, suite(task("T")))
    assert [row.model for row in table.rows] == ["org/c", "org/b"]
    assert table.notes == ("1 of T with a ndcg_at_10 that none can have: left out",)
    spread = suite(task("T", "Triplet", main="anchor_error_rate"))
    rates = [result("org/a", "T", 57.3, main="anchor_error_rate")]
    assert aggregate(rates, spread).rows[0].mean_tasks == 57.3
