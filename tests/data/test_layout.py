"""Task folders: what is there is read, what is wrong is named with file and line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data import layout
from harness.data.examples import (
    BitextExamples,
    ClusterExamples,
    LabelledExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
    fingerprint,
)
from harness.errors import DataError

PAIRS = [
    {"sentence1": "a", "sentence2": "b", "score": 1},
    {"sentence1": "c", "sentence2": "d", "score": 2.5},
]
CORPUS = [{"id": "d1", "title": "T", "text": " x "}, {"id": 2, "title": "", "text": " y "}]
QUERIES = [{"id": "q1", "text": "hello"}, {"id": "q2", "text": "unjudged"}]
QRELS = [{"query_id": "q1", "corpus_id": "d1", "score": 2}, {"query_id": "q1", "corpus_id": 2, "score": 0}]


def write(folder: Path, files: dict[str, list[dict[str, Any]] | str]) -> layout.Folder:
    folder.mkdir(exist_ok=True, parents=True)
    for name, rows in files.items():
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8")
    return layout.open_folder(folder)


def ranking(folder: Path, **parts: Any) -> layout.Folder:
    files = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS} | parts
    return write(folder, {f"test.{part}.jsonl": rows for part, rows in files.items() if rows is not None})


def test_sts(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test.jsonl": PAIRS, "dev.jsonl": PAIRS[:1]})
    assert layout.entries(folder, "sts") == [("dev", "default"), ("test", "default")]
    examples = layout.load(folder, "sts", "test", "default")
    assert examples.sentence1 == ["a", "c"]
    assert examples.gold.tolist() == [1.0, 2.5]


def test_parquet_and_jsonl_are_the_same_examples(tmp_path: Path) -> None:
    one = write(tmp_path / "A", {"test.jsonl": PAIRS})
    (tmp_path / "B").mkdir()
    pq.write_table(
        pa.Table.from_pylist([{**p, "score": float(p["score"])} for p in PAIRS]), tmp_path / "B/test.parquet"
    )
    two = layout.open_folder(tmp_path / "B")
    found = [fingerprint(layout.load(f, "sts", "test", "default")) for f in (one, two)]
    assert found[0] == found[1]


def test_split_and_subset_names_are_percent_encoded(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test%2Ex.zh-CN%2Fa.jsonl": PAIRS})
    assert layout.entries(folder, "sts") == [("test.x", "zh-CN/a")]
    assert len(layout.load(folder, "sts", "test.x", "zh-CN/a").sentence1) == 2
    with pytest.raises(DataError, match="%2E"):
        layout.entries(write(tmp_path / "U", {"a.b.c.jsonl": PAIRS}), "sts")


def test_ranking_joins_titles_drops_unjudged_queries_and_makes_ids_strings(tmp_path: Path) -> None:
    examples = layout.load(ranking(tmp_path / "T"), "retrieval", "test", "default")
    assert isinstance(examples, RankingExamples)
    assert examples.doc_ids == ["d1", "2"]
    assert examples.documents == ["T  x", "y"]
    assert examples.query_ids == ["q1"]
    assert examples.qrels == {"q1": {"d1": 2, "2": 0}}
    assert examples.candidates is None


def test_document_template_and_instructions(tmp_path: Path) -> None:
    folder = ranking(tmp_path / "T", queries=[{"id": "q1", "text": "hello", "instruction": "be kind"}])
    examples = layout.load(folder, "retrieval", "test", "default", document="{text}|{title}")
    assert examples.documents == ["x |T", "y |"]
    assert examples.queries == ["hello be kind"]


def test_conversations_are_joined(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "bot", "content": "ho"}]
    folder = ranking(tmp_path / "T", queries=[{"id": "q1", "text": turns}])
    assert layout.load(folder, "retrieval", "test", "default").queries == ["user: hi; bot: ho"]


def test_every_other_kind(tmp_path: Path) -> None:
    labelled = write(
        tmp_path / "C",
        {"train.jsonl": [{"text": "a", "label": "x"}], "test.jsonl": [{"text": "b", "label": "y"}]},
    )
    found = layout.load(labelled, "classification", "test", "default")
    assert isinstance(found, LabelledExamples)
    assert (found.train_texts, found.labels) == (["a"], ["y"])
    flat = write(
        tmp_path / "F",
        {"test.jsonl": [{"sentences": "a", "labels": 1}, {"sentences": "b", "labels": [2, 3]}]},
    )
    clusters = layout.load(flat, "clustering", "test", "default")
    assert isinstance(clusters, ClusterExamples)
    assert (clusters.labels, clusters.offsets.tolist()) == ([(1,), (2, 3)], [0, 2])
    sets = write(
        tmp_path / "S",
        {
            "test.jsonl": [
                {"sentences": ["a", "b"], "labels": ["x", "y"]},
                {"sentences": ["c"], "labels": ["z"]},
            ]
        },
    )
    assert layout.holds_sets(sets)
    assert not layout.holds_sets(flat)
    assert layout.load(sets, "clustering", "test", "default").offsets.tolist() == [0, 2, 3]
    summary = {"text": "t", "machine_summaries": ["m", "n"], "human_summaries": ["h"], "relevance": [1, 2.5]}
    assert isinstance(
        layout.load(write(tmp_path / "M", {"test.jsonl": [summary]}), "summarization", "test", "default"),
        SummaryExamples,
    )
    bitext = layout.load(write(tmp_path / "B", {"test.jsonl": PAIRS}), "bitext", "test", "default")
    assert isinstance(bitext, BitextExamples)
    np.testing.assert_array_equal(bitext.gold, [0, 1])
    triplet = write(tmp_path / "N", {"test.jsonl": [{"anchor": "a", "entailment": "b", "negative": "c"}]})
    assert isinstance(layout.load(triplet, "triplet", "test", "default"), TripletExamples)


@pytest.mark.parametrize(
    ("kind", "rows", "complaint"),
    [
        ("sts", [PAIRS[0], {"sentence1": "a", "score": 1}], r"line 2: no field 'sentence2'"),
        ("sts", [PAIRS[0], {**PAIRS[0], "score": "high"}], r"line 2: 'score' must be a number, not 'high'"),
        ("sts", [{**PAIRS[0], "sentence1": None}], r"line 1: 'sentence1' must be a string"),
        ("sts", [{**PAIRS[0], "score": True}], r"'score' must be a number"),
        (
            "pair_classification",
            [{"sentence1": "a", "sentence2": "b", "label": 2}],
            r"'label' must be 0 or 1, not 2",
        ),
        ("multilabel", [{"text": "a", "label": 3}], r"'label' must be a list of integers or strings"),
        (
            "clustering",
            [{"sentences": "a", "labels": 1}, {"sentences": ["b"], "labels": [1]}],
            r"row 2: .* mixed",
        ),
        ("clustering", [{"sentences": ["a", "b"], "labels": [1]}], r"2 sentences need as many labels"),
        (
            "summarization",
            [{"text": "t", "machine_summaries": ["m"], "human_summaries": [], "relevance": [1]}],
            "human",
        ),
        ("sts", "", r"no rows"),
        ("sts", '{"sentence1": "a"\n', r"line 1: not JSON"),
        ("sts", "[1]\n", r"line 1: a JSON object is due"),
        ("sts", '{"sentence1": NaN}\n', r"line 1: not JSON"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, kind: str, rows: Any, complaint: str) -> None:
    folder = write(tmp_path / "T", {"test.jsonl": rows, "train.jsonl": rows})
    with pytest.raises(DataError, match=complaint):
        layout.load(folder, kind, "test", "default")


def test_a_folder_without_its_qrels(tmp_path: Path) -> None:
    folder = ranking(tmp_path / "T", qrels=None)
    with pytest.raises(DataError, match=r"no test\.qrels\.jsonl") as caught:
        layout.load(folder, "retrieval", "test", "default")
    assert "test.corpus.jsonl" in str(caught.value)


def test_a_reranking_folder_without_candidates(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.candidates"):
        layout.load(ranking(tmp_path / "T"), "reranking", "test", "default")


@pytest.mark.parametrize("part", ["corpus", "queries"])
def test_duplicate_ids(tmp_path: Path, part: str) -> None:
    rows = {"corpus": CORPUS, "queries": QUERIES}[part]
    folder = ranking(tmp_path / "T", **{part: [*rows, rows[0]]})
    with pytest.raises(DataError, match=rf"{part}\.jsonl, row 3: id '.1' stands already in row 1"):
        layout.load(folder, "retrieval", "test", "default")


def test_a_candidate_outside_the_corpus(tmp_path: Path) -> None:
    folder = ranking(tmp_path / "T", candidates=[{"query_id": "q1", "corpus_ids": ["d1", "d9"]}])
    with pytest.raises(DataError, match="'d9' of query 'q1'"):
        layout.load(folder, "reranking", "test", "default")


def test_qrels_of_other_queries_only(tmp_path: Path) -> None:
    folder = ranking(tmp_path / "T", qrels=[{"query_id": "other", "corpus_id": "d1", "score": 1}])
    with pytest.raises(DataError, match="none of its query ids"):
        layout.load(folder, "retrieval", "test", "default")


def test_the_manifest_is_checked(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test.jsonl": PAIRS})
    good = hashlib.sha256((folder.path / "test.jsonl").read_bytes()).hexdigest()
    manifest = folder.path / "manifest.json"
    manifest.write_text(json.dumps({"kind": "sts", "files": {"test.jsonl": good}}))
    assert layout.load(layout.open_folder(folder.path), "sts", "test", "default")
    manifest.write_text(json.dumps({"files": {"test.jsonl": "0" * 64}}))
    with pytest.raises(DataError, match=r"test\.jsonl: differs"):
        layout.load(layout.open_folder(folder.path), "sts", "test", "default")
    manifest.write_text(json.dumps({"files": {"gone.jsonl": good}}))
    with pytest.raises(DataError, match=r"gone\.jsonl: listed"):
        layout.open_folder(folder.path)
    manifest.write_text(json.dumps({"files": {}}))
    with pytest.raises(DataError, match="not listed"):
        layout.load(layout.open_folder(folder.path), "sts", "test", "default")
    manifest.write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        layout.open_folder(folder.path)


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test.parquet": "no parquet at all"})
    with pytest.raises(DataError, match="not a readable Parquet"):
        layout.load(folder, "sts", "test", "default")


def test_missing_roots_and_hostile_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        layout.find_folder("T", [tmp_path / "nowhere"])
    (tmp_path / "root").mkdir()
    for name in ("../root", "a/b", ".", "..", ""):
        assert layout.find_folder(name, [tmp_path / "root"]) is None
    (tmp_path / "root" / "Empty").mkdir()
    with pytest.raises(DataError, match="holds no"):
        layout.find_folder("Empty", [tmp_path / "root"])


def test_fingerprint_sees_every_change(tmp_path: Path) -> None:
    base = layout.load(ranking(tmp_path / "A"), "retrieval", "test", "default")
    changed = [
        ranking(tmp_path / "B", corpus=[CORPUS[1], CORPUS[0]]),
        ranking(tmp_path / "C", qrels=[*QRELS[:1], {**QRELS[1], "score": 1}]),
        ranking(tmp_path / "D", queries=[{"id": "q1", "text": "hello!"}]),
    ]
    prints = {fingerprint(layout.load(f, "retrieval", "test", "default")) for f in changed}
    assert len(prints | {fingerprint(base)}) == 4
    again = layout.load(ranking(tmp_path / "E", qrels=QRELS[::-1]), "retrieval", "test", "default")
    assert fingerprint(again) == fingerprint(base), "the order of judgements is no data"


@pytest.mark.parametrize(
    ("qrels", "complaint"),
    [
        ([{"query_id": "q1", "corpus_id": "d1", "score": 0.5}], "whole number, not 0.5"),
        ([{"query_id": "q1", "corpus_id": "d9", "score": 1}], "none of its document ids"),
        ([*QRELS, {"query_id": "q1", "corpus_id": "d1", "score": 1}], "two grades"),
        ([{"query_id": "q1", "corpus_id": "d1", "score": 10**400}], "whole number"),
    ],
)
def test_qrels_that_make_no_sense(tmp_path: Path, qrels: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        layout.load(ranking(tmp_path / "T", qrels=qrels), "retrieval", "test", "default")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test.jsonl": "\ufeff" + json.dumps(PAIRS[0]) + "\r\n"})
    assert layout.load(folder, "sts", "test", "default").sentence1 == ["a"]


def test_two_files_of_the_same_split_are_one_too_many(tmp_path: Path) -> None:
    folder = write(tmp_path / "T", {"test.jsonl": PAIRS})
    pq.write_table(pa.Table.from_pylist(PAIRS[1:]), folder.path / "test.parquet")
    with pytest.raises(DataError, match=r"test\.jsonl beside it"):
        layout.load(layout.open_folder(folder.path), "sts", "test", "default")
