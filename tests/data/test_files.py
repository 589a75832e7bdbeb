"""Tasks from files of the user's own: text stays text, every shape is read, what is wrong is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.data import files
from harness.data.examples import LabelledExamples, PairExamples, RankingExamples, fingerprint
from harness.data.template import fill, parse_template
from harness.errors import DataError, HarnessError, UnknownNameError
from harness.suite import load_suite, load_task

TRAPS = ["NA", "null", "007", "1e5", "nan", "True", "-", " padded ", 'a "quoted" word', "one\ntwo", "文,字"]


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def pairs(path: Path, form: str | None = None, **columns: str) -> PairExamples:
    found = files.load("sts", {"rows": path}, form=form, columns=columns)
    assert isinstance(found, PairExamples)
    return found


@pytest.fixture
def frame() -> pd.DataFrame:
    count = len(TRAPS)
    return pd.DataFrame({"sentence1": TRAPS, "sentence2": TRAPS[::-1], "score": np.arange(count) / 2})


def test_every_format_of_one_table_is_the_same_data(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv.gz", index=False)
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "d.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    frame.to_json(tmp_path / "e.jsonl", orient="records", lines=True, force_ascii=False)
    frame.to_json(tmp_path / "f.json", orient="records", indent=1)
    frame.to_json(tmp_path / "g.jsonl.gz", orient="records", lines=True)
    frame.to_parquet(tmp_path / "h.parquet")
    found = {path.name: pairs(path) for path in sorted(tmp_path.iterdir())}
    assert len(found) == 8
    for name, examples in found.items():
        assert list(examples.sentence1) == TRAPS, name
        assert examples.gold.tolist() == frame["score"].tolist(), name
    assert len({fingerprint(examples) for examples in found.values()}) == 1


def test_a_table_without_quotes_keeps_them(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", 'sentence1\tsentence2\tscore\n"Hm" he said\tfive " six\t1\nx\ty\t2\n')
    with pytest.raises(DataError, match=r"a.tsv, line 2.*\n.*tsv-unquoted"):
        pairs(path)
    assert list(pairs(path, "tsv-unquoted").sentence1) == ['"Hm" he said', "x"]


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "文,訳,点\na,b,1\nc,d,2\n")
    assert list(pairs(path, sentence1="文", sentence2="訳", score="点").sentence2) == ["b", "d"]
    with pytest.raises(DataError, match=r"no column '訳文' for sentence2; did you mean '訳'"):
        pairs(path, sentence1="文", sentence2="訳文", score="点")
    with pytest.raises(DataError, match=r"no column 'sentence1' \(there is: 文, 訳, 点\)"):
        pairs(path)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "sentence1,sentence2,score\na,b,1\nc,d,\n", r"row 2 \(line 3\): 'score'.*a number, not ''"),
        ("a.csv", 'sentence1,sentence2,score\n"a\nb",b,1\nc,d,1_0\n', r"row 2 \(line 4\): 'score'.*'1_0'"),
        ("a.csv", "sentence1,sentence2,score\n\na,b,nan\n", r"row 1 \(line 3\): 'score'.*'nan'"),
        ("a.csv", "sentence1,sentence2,score\na,b\n", r"row 1 \(line 2\): 2 values for 3 columns"),
        ("a.csv", 'sentence1,sentence2,score\na,"b,1\nc,d,2\n', r"line 2: the row that begins here"),
        ("a.csv", "sentence1;sentence2;score\na;b;1\n", "separated by ';'"),
        ("a.csv", "score,score\n1,2\n", "'score' stands twice"),
        ("a.csv", "", "has no header"),
        ("a.csv", "sentence1,sentence2,score\n", "no rows"),
        ("a.jsonl", '{"sentence1": "a",\n', r"a.jsonl, line 1: not JSON"),
        (
            "a.jsonl",
            '\n\n{"sentence1": 5, "sentence2": "b", "score": 1}',
            r"line 3: 'sentence1' must be a str",
        ),
        (
            "a.json",
            '[{"sentence1": "a", "sentence2": "b", "score": "1"}]',
            r"row 1: 'score' must be a number",
        ),
        ("a.json", "[3]", "row 1: a JSON object is due"),
        ("a.parquet", "nothing", "not a readable Parquet"),
        ("a.csv.gz", "nothing", "cannot be read"),
        ("a.docx", "nothing", "the name does not say what it holds"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    path = put(tmp_path / name, text)
    with pytest.raises(DataError, match=complaint) as caught:
        pairs(path)
    assert name in str(caught.value)


def test_other_encodings_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"sentence1,sentence2,score\n" + "日本,語,1\n".encode("cp932"))
    with pytest.raises(DataError, match=r"line 2: not UTF-8 \(byte 1 of the line is 0x93\)"):
        pairs(path)
    path.write_bytes("sentence1\tsentence2\tscore\n".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        pairs(path)
    path = tmp_path / "b.csv.gz"
    path.write_bytes(gzip.compress(b"sentence1,sentence2,score\n" + b"a,b,1\n" * 50)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        pairs(path)


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        (["3", "-1"], ["3"], [3]),
        (["3", "007"], ["3"], ["3"]),  # one label that is no number: all are names, in every file
        (["3", "1"], ["x"], ["x"]),
        (["1e5", "NA"], ["NA"], ["NA"]),
    ],
)
def test_labels_have_one_type(tmp_path: Path, train: list[str], test: list[str], expected: list[Any]) -> None:
    paths = {
        name: put(tmp_path / f"{name}.csv", "text,label\n" + "".join(f"t,{label}\n" for label in labels))
        for name, labels in (("train", train), ("rows", test))
    }
    found = files.load("classification", paths)
    assert isinstance(found, LabelledExamples)
    assert found.labels == expected
    assert {type(label) for label in found.train_labels} == {type(expected[0])}


def test_lists_in_cells_are_json(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", 'text,label\nx,"[""a"", ""b""]"\ny,[]\n')
    found = files.load("multilabel", {"rows": path, "train": path})
    assert isinstance(found, LabelledExamples)
    assert found.labels == [["a", "b"], []]
    with pytest.raises(DataError, match=r"row 1 \(line 2\): 'label' must be a list.*not 'a;b'"):
        files.load("multilabel", {"rows": put(tmp_path / "b.csv", "text,label\nx,a;b\n")})


class TestRanking:
    CORPUS = "_id\ttitle\ttext\td\n1\tA\tx\t9\n2\t\ty\t\n3\tC\tz\t7\n"
    QUERIES = "_id\ttext\nq1\thello\nq2\tbye\n"

    def load(
        self,
        folder: Path,
        kind: str = "retrieval",
        document: str | None = None,
        columns: dict[str, str] | None = None,
        **parts: str,
    ) -> Any:
        own = {"corpus": self.CORPUS, "queries": self.QUERIES} | parts
        paths = {name: put(folder / f"{name}.tsv", text) for name, text in own.items()}
        return files.load(kind, paths, document=document, columns=columns)

    def test_a_name_that_two_files_share(self, tmp_path: Path) -> None:
        own = {"corpus": "docno\tbody\nd\tx\n", "queries": "qno\tbody\nq\thello\n", "qrels": "q 0 d 1\n"}
        columns = {"corpus.id": "docno", "queries.id": "qno", "text": "body"}
        found = self.load(tmp_path, columns=columns, **own)
        assert (list(found.doc_ids), found.query_ids, found.queries) == (["d"], ["q"], ["hello"])
        assert self.load(tmp_path, columns=columns, document="<{text}>", **own).documents == ["<x>"]
        answer = {"corpus.id": "docno", "queries.id": "qno", "queries.text": "body", "answer": "body"}
        assert self.load(tmp_path, columns=answer, document="{answer}!", **own).documents == ["x!"]
        renamed = {**own, "corpus": "id\ttext\nd\tx\n", "queries": "id\ttext\tbody\nq\ty\tz\n"}
        with pytest.raises(DataError, match=r"no file has a column 'bodi' for text; did you mean 'body'"):
            self.load(tmp_path, columns={"text": "bodi"}, **renamed)

    def test_beir_and_trec_are_the_same(self, tmp_path: Path) -> None:
        beir = self.load(tmp_path / "a", qrels="query-id\tcorpus-id\tscore\nq1\t1\t2\nq2\t3\t1\n")
        trec = self.load(tmp_path / "b", qrels="q1 0 1 2\nq2\tQ0\t3\t1\n")
        assert isinstance(beir, RankingExamples)
        assert fingerprint(beir) == fingerprint(trec)
        assert beir.qrels == {"q1": {"1": 2}, "q2": {"3": 1}}
        assert list(beir.documents) == ["A x", "y", "C z"]

    def test_a_run_is_candidates(self, tmp_path: Path) -> None:
        run = "q1 Q0 2 1 9.5 bm25\nq1 Q0 1 2 8 bm25\nq2 Q0 3 1 1 bm25\n"
        found = self.load(tmp_path, "reranking", qrels="q1 0 1 2\nq2 0 3 1\n", candidates=run)
        assert found.candidates == {"q1": ["2", "1"], "q2": ["3"]}

    def test_any_column_in_the_text(self, tmp_path: Path) -> None:
        qrels = "q1 0 1 2\n"
        found = self.load(tmp_path, document="{id}/{d}: {title}", qrels=qrels)
        assert list(found.documents) == ["1/9: A", "2/:", "3/7: C"]
        assert list(found.doc_ids) == ["1", "2", "3"]
        with pytest.raises(DataError, match="no column 'titl'"):
            self.load(tmp_path, document="{titl}", qrels=qrels)

    def test_a_bad_line_of_qrels(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"qrels.tsv, line 2: 'score' must be a whole number, not 'x'"):
            self.load(tmp_path, qrels="q1 0 1 2\nq1 0 2 x\n")
        with pytest.raises(DataError, match=r"qrels.tsv, line 2: 3 words; 4 are due"):
            self.load(tmp_path, qrels="q1 0 1 2\nq1 0 2\n")

    def test_queries_that_name_documents(self, tmp_path: Path) -> None:
        rows = [
            {"query": "hello", "positive": 1, "negatives": [2]},
            {"query": "bye", "positive": [3], "negatives": [1, 2]},
        ]
        paths = {
            "corpus": put(tmp_path / "c.tsv", "doc_id\ttitle\tdescription\n1\tA\tx\n2\tB\ty\n3\tC\tz\n"),
            "asked": put(tmp_path / "q.jsonl", "\n".join(map(json.dumps, rows))),
        }
        columns = {"query": "query", "positive": "positive", "negative": "negatives"}
        found = files.load("reranking", paths, columns=columns, document="{title} {description}")
        assert isinstance(found, RankingExamples)
        assert list(found.documents) == ["A x", "B y", "C z"]
        assert found.qrels == {"1": {"1": 1, "2": 0}, "2": {"3": 1, "1": 0, "2": 0}}
        assert found.candidates is not None
        assert {q: set(docs) for q, docs in found.candidates.items()} == {
            "1": {"1", "2"},
            "2": {"1", "2", "3"},
        }

    def test_rows_of_texts(self, tmp_path: Path) -> None:
        rows = [
            {"query": "a", "positive": "yes", "negative": ["no", "never"]},
            {"query": "b", "positive": ["so", "yes"], "negative": None},
        ]
        found = files.load("reranking", {"rows": put(tmp_path / "r.json", json.dumps(rows))})
        assert isinstance(found, RankingExamples)
        texts = dict(zip(found.doc_ids, found.documents, strict=True))
        told = [
            (query, [(texts[doc], grade) for doc, grade in sorted(found.qrels[name].items())])
            for name, query in zip(found.query_ids, found.queries, strict=True)
        ]
        assert sorted(told[0][1]) == [("never", 0), ("no", 0), ("yes", 1)]
        assert told[1] == ("b", [("so", 1), ("yes", 1)])
        ids = sorted(found.qrels["1"], reverse=True)
        assert texts[ids[-1]] == "yes"  # where scores tie, mteb puts a positive last


def test_templates_reach_into_nothing() -> None:
    assert fill(parse_template("{a}{{}} {b.c}"), {"a": 1, "b.c": "x"}) == "1{} x"
    for wrong in ("{}", "{a!r}", "{a:>5}", "{a", "plain"):
        with pytest.raises(ValueError, match=r"template|expected|brace|'\}'"):
            parse_template(wrong)


class TestSuites:
    def write(self, folder: Path, task: str, protocol: str = "custom") -> str:
        put(folder / "p.csv", "sentence1,sentence2,score\na,b,1\nc,d,2\n")
        text = f"suite: mine\ntitle: Mine\nprotocol: {protocol}\ntasks:\n  - {task}\n"
        return str(put(folder / "mine.yaml", text))

    def test_paths_are_relative_to_the_yaml_and_content_is_the_revision(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "x", "{name: ours, kind: sts, source: {files: {test: ../x/p.csv}}}")
        (one,) = load_suite(path).tasks
        assert (one.protocol, one.entries, one.main) == ("custom", (("test", "default"),), "cosine_spearman")
        (two,) = load_task(path).tasks
        assert two == one
        assert one.revision.startswith("local:")
        put(tmp_path / "x" / "p.csv", "sentence1,sentence2,score\na,b,1\nc,d,3\n")
        (other,) = load_suite(path).tasks
        assert other.revision != one.revision

    def test_subsets_and_splits(self, tmp_path: Path) -> None:
        files_ = "{files: {test: {en: p.csv, ja: p.csv}, dev: {en: p.csv}}}"
        path = self.write(tmp_path, f"{{name: ours, kind: sts, source: {files_}}}")
        assert load_suite(path).tasks[0].entries == (("test", "en"), ("test", "ja"), ("dev", "en"))
        path = self.write(
            tmp_path, f"{{name: ours, kind: sts, source: {files_}, splits: [test], subsets: [ja]}}"
        )
        assert load_suite(path).tasks[0].entries == (("test", "ja"),)

    def test_a_name_of_mteb_is_said_under_protocol_mteb_alone(self, tmp_path: Path) -> None:
        task = "{name: STSBenchmark, kind: sts, source: {files: {test: p.csv}}}"
        (own,) = load_suite(self.write(tmp_path, task)).tasks
        assert own.notes == ()
        (other,) = load_suite(self.write(tmp_path, task, "mteb")).tasks
        assert "is a task of mteb's too" in other.notes[0]

    @pytest.mark.parametrize(
        ("task", "complaint"),
        [
            ("{STS {files: {../x: p.csv}}}", "line 5.*'../x' is no name"),
            ("{name: .., kind: sts, source: {files: {test: p.csv}}}", "line 5.*no step of a path"),
            ("{STS {files: {test: {en: {ja: {x: p.csv}}}}}}", "nested too deep"),
            ("{STS {files: {}}}", "files names no split"),
            ("{STS {files: {test: p.csv}, mteb: JSTS}}", "exactly one of"),
            ("{STS {files: {test: p.csv}, format: xls}}", "line 5.*xls"),
            ("{STS {hub: o/d, revision: r, files: {test: ../p.csv}}}", "inside the rep"),
            ("{STS {hub: o/d, revision: r, files: {test: /p.csv}}}", "inside the rep"),
            ("{STS {files: {test: q.csv}}}", "q.csv: cannot be read"),
            ("{name: a, source: {files: {test: p.csv}}}", "kind is missing"),
            ("{name: a, kind: retrieval, source: {files: {test: p.csv}}}", "needs files by part"),
            ("{RR {files: {test: {corpus: p.csv, qrels: p.csv}}}}", "lacks queries"),
            ("{name: a, kind: classification, source: {files: {test: p.csv}}}", "no train split"),
            ("{STS {files: {test: p.csv}}, splits: [tset]}", "'tset'; did you mean test"),
            ("{STS {files: {test: p.csv}}, columns: {scores: x}}", "did you mean score"),
            ("{STS {files: {test: p.csv}}, document: '{text}'}", "document is for"),
        ],
    )  # fmt: skip
    def test_what_cannot_be(self, tmp_path: Path, task: str, complaint: str) -> None:
        for short, kind in (("STS", "sts"), ("RR", "reranking")):
            task = task.replace(f"{{{short} ", f"{{name: a, kind: {kind}, source: ")
        path = self.write(tmp_path, task)
        with pytest.raises(HarnessError, match=complaint):
            load_suite(path)

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(HarnessError, match=r"nowhere.yaml: no such file"):
            load_task("nowhere.yaml")
        with pytest.raises(UnknownNameError):
            load_suite("nowhere")
