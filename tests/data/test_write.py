"""Examples written and read back are the same examples, for every kind and shape."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness.data import layout
from harness.data.build import RANKING
from harness.data.examples import (
    BitextExamples,
    CandidateExamples,
    ClusterExamples,
    Examples,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    SummaryExamples,
    TripletExamples,
    fingerprint,
)
from harness.data.mteb_catalog import _info
from harness.data.mteb_source import examples as of_mteb
from harness.data.packed import Packed
from harness.data.write import ROWS, tables, write_table
from harness.errors import DataError
from tests.test_mteb_tasks import MOCKS, fresh

ODD = ["", " two  spaces ", "日本語", "a\x00b", 'quote " and \n line', "🙂" * 50]
ONE = np.array([0, 6], dtype=np.int64)


def offsets(*ends: int) -> Any:
    return np.array(ends, dtype=np.int64)


def ranking(**more: Any) -> RankingExamples:
    return RankingExamples(
        ["q2", "q1"],
        ["second", "first and what is asked of it"],
        ["d1", "7", "d3"],
        ["Title its text", "", "text"],
        {"q2": {"7": 0, "d1": 3}, "q1": {"d3": 1, "elsewhere": 1}},
        **more,
    )


LISTS = {"q1": ["d3", "d1"], "q2": [], "unjudged": ["7"]}

CASES: dict[str, tuple[str, Examples]] = {
    "sts": ("sts", PairExamples(ODD, ODD[::-1], np.array([0.1, 1 / 3, 2, 3, 4, 5]))),
    "pairs": ("pair_classification", PairExamples(ODD, ODD[::-1], np.array([0, 1, 0, 1, 1, 0]))),
    "numbers": ("classification", LabelledExamples(["a", "b"], [1, -1], ODD, [0, 1, 2, 3, 4, 5])),
    "words": ("classification", LabelledExamples(["a"], ["x"], ["b"], ["y"])),
    "words and numbers": ("classification", LabelledExamples(["a", "b"], ["x", 1], ["b"], [1])),
    "multilabel": ("multilabel", LabelledExamples(["a", "b"], [["x"], []], ["c"], [["y", "z"]])),
    "no labels": ("multilabel", LabelledExamples(["a"], [[]], ["c"], [[1]])),
    "texts": ("clustering", ClusterExamples(ODD, [(i,) for i in range(6)], ONE)),
    "levels": ("clustering", ClusterExamples(ODD, [("a", "b")] * 6, ONE)),
    "uneven levels": ("clustering", ClusterExamples(ODD, [(1,), (2, 3), (4,), (5,), (6, 7, 8), (9,)], ONE)),
    "sets": ("clustering", ClusterExamples(ODD, [(i % 2,) for i in range(6)], offsets(0, 2, 5, 6))),
    "sets of levels": ("clustering", ClusterExamples(ODD, [("a", "b")] * 6, offsets(0, 4, 6))),
    "retrieval": ("retrieval", ranking()),
    "retrieval in lists": ("retrieval", ranking(candidates=LISTS)),
    "reranking": ("reranking", ranking(candidates=LISTS)),
    "instructions": ("instruction_reranking", ranking(candidates=LISTS)),
    "grades": ("summarization", SummaryExamples(["t"], [["m", "n"]], [["h"]], [[1.0, 2.5]])),
    "whole grades": ("summarization", SummaryExamples(["t"], [["m", "n"]], [["h"]], [[1, 2]])),
    "mixed grades": ("summarization", SummaryExamples(["t"], [["m", "n"]], [["h"]], [[1, 2.5]])),
    "bitext": ("bitext", BitextExamples(ODD, ODD[::-1], np.arange(6))),
    "triplet": ("triplet", TripletExamples(ODD, ODD[::-1], ODD)),
    "negatives": (
        "cross_encoder_reranking",
        CandidateExamples(["q", "r"], [["a"], ["b", "c"]], [["d"], ["e"]], [None, None]),
    ),
    "documents": (
        "cross_encoder_reranking",
        CandidateExamples(["q", "r"], [["a"], []], [None, None], [["d", "a"], ["e"]]),
    ),
    "some with documents": (
        "cross_encoder_reranking",
        CandidateExamples(["q", "r"], [["a"], ["b"]], [["c"], None], [None, ["e", "b"]]),
    ),
}


def put(
    folder: Path, kind: str, examples: Examples, subset: str = "default", sets: bool = False
) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_table(
            folder,
            layout.stem("train" if part == "train" else "test", subset, part if kind in RANKING else ""),
            table,
        )
        for part, table in tables(examples, sets=sets).items()
    ]


@pytest.mark.parametrize("subset", ["default", "zh-CN/a.b", "corpus"])
@pytest.mark.parametrize("case", CASES)
def test_every_kind(tmp_path: Path, case: str, subset: str) -> None:
    kind, examples = CASES[case]
    names = put(tmp_path / "T", kind, examples, subset)
    folder = layout.open_folder(tmp_path / "T")
    assert ("test", subset) in layout.entries(folder, kind)
    assert fingerprint(layout.load(folder, kind, "test", subset)) == fingerprint(examples)
    mixed = case in ("words and numbers", "mixed grades", "some with documents")
    assert sum(name.endswith(".jsonl") for name in names) == mixed
    assert not list((tmp_path / "T").glob(".*"))


@pytest.mark.parametrize(("name", "subset"), [(n, s) for n, subsets in MOCKS.items() for s in subsets])
@pytest.mark.filterwarnings("ignore")
def test_every_task_that_mteb_mocks(tmp_path: Path, name: str, subset: str) -> None:
    task = fresh(name, subset)
    info = _info(type(task))
    if hasattr(task, "convert_v1_dataset_format_to_v2"):
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    found = of_mteb(task, info.kind, "test", subset, info.train_split)
    put(tmp_path / "T", info.kind, found, subset, sets=info.scorer == "minibatch_kmeans")
    again = layout.load(layout.open_folder(tmp_path / "T"), info.kind, "test", subset)
    assert fingerprint(again) == fingerprint(found)


def test_a_single_set_stays_a_set_where_sets_are_scored(tmp_path: Path) -> None:
    kind, examples = CASES["texts"]
    put(tmp_path / "flat", kind, examples)
    put(tmp_path / "sets", kind, examples, sets=True)
    flat, sets = (layout.open_folder(tmp_path / name) for name in ("flat", "sets"))
    assert (layout.holds_sets(flat), layout.holds_sets(sets)) == (False, True)
    assert fingerprint(layout.load(sets, kind, "test", "default")) == fingerprint(examples)


def test_large_corpora_are_written_in_pieces(tmp_path: Path) -> None:
    draw = random.Random(0)
    documents = ["".join(draw.choices("abc 日本", k=20)).strip() for _ in range(2 * ROWS + 5)]
    ids = [f"d{i}" for i in range(len(documents))]
    plain = RankingExamples(["q"], ["q"], ids, documents, {"q": {"d0": 1}})
    packed = RankingExamples(["q"], ["q"], Packed(ids), Packed(documents), {"q": {"d0": 1}})
    put(tmp_path / "T", "retrieval", packed)
    put(tmp_path / "U", "retrieval", plain)
    path = tmp_path / "T" / "test.corpus.parquet"
    assert pq.ParquetFile(path).num_row_groups == 3
    assert path.read_bytes() == (tmp_path / "U" / "test.corpus.parquet").read_bytes()
    assert pq.read_table(path).column_names == ["id", "title", "text"]
    again = layout.load(layout.open_folder(tmp_path / "T"), "retrieval", "test", "default")
    assert fingerprint(again) == fingerprint(plain)


@pytest.mark.parametrize(("left", "gold"), [(ODD, [1, 0, 2, 3, 4, 5]), (ODD[:2], [0, 1])])
def test_translations_that_are_not_row_by_row(left: list[str], gold: list[int]) -> None:
    with pytest.raises(DataError, match="not row by row"):
        tables(BitextExamples(left, ODD, np.array(gold)))


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    _, examples = CASES["sts"]
    table = tables(examples)["rows"]
    (tmp_path / "test.parquet").mkdir()
    with pytest.raises(DataError, match=r"test\.parquet cannot be written"):
        write_table(tmp_path, "test", table)
    assert [path.name for path in tmp_path.iterdir()] == ["test.parquet"]


def test_rendered_files_need_no_template_and_no_names_of_columns(tmp_path: Path) -> None:
    put(tmp_path / "T", "retrieval", ranking())
    (tmp_path / "T" / "manifest.json").write_text(json.dumps({"rendered": {"document": "{text}|{title}"}}))
    folder = layout.open_folder(tmp_path / "T")
    for template in (None, "{text}|{title}"):
        found = layout.load(
            folder, "retrieval", "test", "default", columns={"text": "body"}, document=template
        )
        assert fingerprint(found) == fingerprint(ranking())
    with pytest.raises(DataError, match="written by the template"):
        layout.load(folder, "retrieval", "test", "default", document="{text}")
