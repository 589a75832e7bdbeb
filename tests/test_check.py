"""`harness tasks check`, and the examples that ship: each is checked and scored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.check import check_file
from harness.errors import DataError, ModelError, UnknownNameError
from harness.models import load_model
from harness.models.base import ModelCard
from harness.paths import tasks_folder
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_suite
from harness.suite_file import suite_names
from tests.cli.test_cli import Answer, inside  # noqa: F401 - a fixture
from tests.data.test_files import put
from tests.toys import ToyCross, sts_rows, write_task

EXAMPLES = sorted((tasks_folder() / "examples").glob("*.yaml"))
HEAD = "suite: mine\ntitle: Mine\nprotocol: custom\ntasks:\n"
Run = Callable[..., Answer]


def test_examples_are_no_suites_of_the_program() -> None:
    assert len(EXAMPLES) >= 3
    assert not {path.stem for path in EXAMPLES} & set(suite_names())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_fine_and_scored(path: Path, tmp_path: Path) -> None:
    report = check_file(str(path))
    assert report.all_problems == []
    assert all(entry.rows and not entry.findings.warnings for task in report.tasks for entry in task.entries)
    suite = load_suite(str(path))
    scores = {}
    protocol, able = suite.tasks[0].protocol, suite.tasks[0].scorer.models
    for name in ("char-ngram", "bm25", "fake-cross"):
        model = load_model(name)
        if model.card.kind not in able or (name == "fake-cross" and "lexical" in able):
            continue
        for result in evaluate(model, suite, store=Store(tmp_path), cache=tmp_path / "cache"):
            assert (result.protocol, result.reused) == (protocol, False)
            scores[name] = result.main_score
    assert scores
    assert all(0.2 < score <= 1 for name, score in scores.items() if name != "fake-cross"), scores
    stored = [found for found in tmp_path.rglob("*.json") if found.name != "model_meta.json"]
    assert {found.parent.name for found in stored} == {protocol}
    assert len(stored) == len(scores)


def test_a_changed_file_is_scored_again(tmp_path: Path) -> None:
    for name in ("paraphrases-ja.yaml", "paraphrases-ja.csv"):
        shutil.copy(tasks_folder() / "examples" / name, tmp_path / name)
    path = tmp_path / "paraphrases-ja.yaml"

    def run() -> tuple[bool, float]:
        model, store = load_model("char-ngram"), Store(tmp_path / "r")
        (result,) = evaluate(model, load_suite(str(path)), store=store, cache=tmp_path / "c")
        return result.reused, result.exact[result.main_metric]

    first = run()
    assert run() == (True, first[1])
    table = tmp_path / "paraphrases-ja.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",0.1", ",5.0"), encoding="utf-8")
    reused, score = run()
    assert not reused
    assert score < first[1]


def test_a_reranker_scores_rows_of_texts(tmp_path: Path) -> None:
    suite = load_suite(str(tasks_folder() / "examples" / "affiliations.yaml"))
    (result,) = evaluate(ToyCross(), suite, cache=tmp_path)
    assert (result.protocol, result.main_metric) == ("sbert", "map")
    assert set(result.metrics) == {"map", "mrr_at_10", "ndcg_at_10"}
    assert 0 < result.main_score <= 1
    with pytest.raises(ModelError, match="is scored with a cross-encoder model; harness/bm25 is of kind"):
        list(evaluate(load_model("bm25"), suite, cache=tmp_path))


def test_a_reranker_has_one_score_a_pair_whose_metrics_name_no_similarity(tmp_path: Path) -> None:
    rows = "".join(f"cat {n},cats {n},{n % 2}\n" for n in range(6))
    put(tmp_path / "test.csv", f"sentence1,sentence2,label\n{rows}")
    task = "{name: P, kind: pair_classification, main: cosine_f1, source: {files: {test: test.csv}}}"
    path = put(tmp_path / "mine.yaml", f"{HEAD}  - {task}\n")
    (result,) = evaluate(ToyCross(), load_suite(str(path)), cache=tmp_path / "c")
    assert (result.main_metric, result.main_score) == ("f1", result.metrics["f1"])
    (result,) = evaluate(load_model("char-ngram"), load_suite(str(path)), cache=tmp_path / "c")
    assert result.main_metric == "cosine_f1"


def test_ranked_documents_are_never_passed_over(tmp_path: Path) -> None:
    rows = [f'{{"query": "{query}", "positive": "a", "documents": ["b", "a"]}}' for query in "pq"]
    put(tmp_path / "rows.jsonl", "\n".join(rows))
    task = "  - {{name: T, kind: reranking, source: {{files: {{test: {files}}}}}{more}}}"
    head = "suite: t\ntitle: T\nprotocol: custom\ntasks:\n"
    path = put(tmp_path / "s.yaml", head + task.format(files="rows.jsonl", more=""))
    with pytest.raises(DataError, match=r"'documents' is not read.*\nwrite scorer: cross_encoder_reranking"):
        list(evaluate(ToyCross(), load_suite(str(path)), cache=tmp_path / "c"))
    scorer = ", scorer: cross_encoder_reranking"
    put(path, head + task.format(files="{x: rows.jsonl, y: rows.jsonl}", more=scorer))
    report = check_file(str(path))
    assert report.all_problems == []
    assert [entry.findings.warnings for entry in report.tasks[0].entries] == [[], []]
    assert [entry.findings.counts for entry in report.tasks[0].entries] == [{"rows": 2}] * 2
    found = list(evaluate(ToyCross(), load_suite(str(path)), cache=tmp_path / "c"))
    assert [result.subset for result in found] == ["x", "y"]
    assert all("base_map" in result.exact for result in found)


def test_the_tasks_of_a_benchmark_are_checked_too(tmp_path: Path) -> None:
    path = put(tmp_path / "b.yaml", "suite: b\ntitle: B\nbenchmark: MTEB(eng, v1)\n")
    write_task(tmp_path / "d", "BIOSSES", "sts", "cosine_spearman", test=sts_rows(5))
    report = check_file(str(path), names=["BIOSSES"], data=[tmp_path / "d"], offline=True)
    assert [(task.name, len(task.entries[0].rows)) for task in report.tasks] == [("BIOSSES", 3)]
    assert report.all_problems == []


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    put(tmp_path / "p.csv", 'sentence1,sentence2,score\n"a\nb",,1\nc,d,x\ne,f,"3,5"\n"a\nb",,1\n')
    put(tmp_path / "c.jsonl", '{"id": 1, "text": "x"}\n{"id": 2, "text": " "}\n{"id": "1", "text": "z"}\n')
    put(tmp_path / "q.csv", "id,text\nq1,hi\nq2,ho\n")
    put(tmp_path / "r.qrels", "q1 0 1 1\nq1 0 9 1\nq1 0 1 2\nq7 0 1 1\n")
    put(tmp_path / "l.csv", 'query_id,corpus_ids\nq1,"[1, 8]"\n')
    put(tmp_path / "train.csv", "text,label\nso,a\nno,b\n")
    put(tmp_path / "test.csv", "text,label\nso,a\nhm,c\n")
    parts = "corpus: c.jsonl, queries: q.csv, qrels: r.qrels, candidates: l.csv"
    path = put(
        tmp_path / "mine.yaml",
        f"{HEAD}"
        "  - {name: pairs, kind: sts, source: {files: {test: p.csv}}}\n"
        f"  - {{name: find, kind: reranking, source: {{files: {{test: {{{parts}}}}}}}}}\n"
        "  - {name: sort, kind: classification, source: {files: {test: test.csv, train: train.csv}}}\n"
        "  - {name: lost, kind: sts, source: {files: {test: nowhere.csv}}}\n",
    )
    report = check_file(str(path))
    problems = "\n".join(report.all_problems)
    for said in (
        "p.csv, row 2 (line 4): 'score' must be a number, not 'x'",
        "p.csv, row 3 (line 5): 'score' must be a number, not '3,5'",
        "c.jsonl, line 3, 'id': id '1' stands already in line 1",
        "l.csv, row 1 (line 2), 'corpus_ids': candidate 8 is not in the corpus",
        "r.qrels, line 3, 'score': grade 2 of document '1' for query 'q1'; line 1 says 1",
        "nowhere.csv: cannot be read",
    ):
        assert said in problems
    assert len(report.all_problems) == 6
    warnings = "\n".join(
        line for task in report.tasks for entry in task.entries for line in entry.findings.warnings
    )
    for said in (
        "p.csv, row 1 (line 2), 'sentence2': an empty text",
        "p.csv, row 4 (line 6): the same as row 1 (line 2)",
        "c.jsonl, line 2, 'text': an empty text",
        "r.qrels, line 2, 'corpus_id': document '9' is not in the corpus",
        "r.qrels, line 4, 'query_id': query 'q7' is not in the queries",
        "q.csv, row 2 (line 3): query 'q2' has no qrels",
        "test.csv, row 2 (line 3), 'label': label 'c' has no training row",
        "test.csv, row 1 (line 2), 'text': stands in the training rows too (row 1 (line 2))",
        "train.csv: 1 rows of label 'a', 8 are drawn for each",
    ):
        assert said in warnings, warnings
    (sort,) = [task for task in report.tasks if task.name == "sort"]
    assert sort.entries[0].findings.counts["labels"] == {"rows": {"a": 1, "c": 1}, "train": {"a": 1, "b": 1}}
    assert sort.entries[0].rows[1] == {"text": "hm", "label": "c"}


@pytest.mark.parametrize(
    ("task", "metric", "gives"),
    [
        ("kind: pair_classification, scorer: dev_selected", "cosine_ap", "binary_f1, accuracy"),
        ("kind: pair_classification", "binary_f1", "max_ap"),
        ("kind: reranking", "ndcg_at_7", "ndcg_at_5, ndcg_at_10"),
    ],
)
def test_a_main_metric_that_is_never_given_is_refused_before_anything_is_encoded(
    task: str, metric: str, gives: str, tmp_path: Path
) -> None:
    rows = "".join(f"cat {n},cats {n},{n % 2}\n" for n in range(6))
    for name in ("dev", "test"):
        put(tmp_path / f"{name}.csv", f"sentence1,sentence2,label\n{rows}")
    put(tmp_path / "c.csv", "id,text\n1,x\n2,y\n")
    put(tmp_path / "q.csv", "id,text\nq,x\n")
    put(tmp_path / "r.qrels", "q 0 1 1\n")
    put(tmp_path / "l.csv", 'query_id,corpus_ids\nq,"[1, 2]"\n')
    pairs = "splits: {dev: dev, test: test}, source: {files: {dev: dev.csv, test: test.csv}}"
    ranked = "source: {files: {test: {corpus: c.csv, queries: q.csv, qrels: r.qrels, candidates: l.csv}}}"
    data = ranked if "reranking" in task else pairs if "dev" in task else "source: {files: {test: test.csv}}"
    path = put(tmp_path / "mine.yaml", f"{HEAD}  - {{name: mine, {task}, main: {metric}, {data}}}\n")
    (first, *_) = check_file(str(path)).all_problems
    assert first.startswith(f"unknown metric of mine '{metric}'")
    assert gives in first
    model = load_model("fake", cache=tmp_path)
    model.encode = None  # type: ignore[method-assign]
    with pytest.raises(UnknownNameError, match=f"unknown metric of mine '{metric}'"):
        list(evaluate(model, load_suite(str(path)), cache=tmp_path / "cache"))


def test_dev_rows_are_inspected_too(tmp_path: Path) -> None:
    put(tmp_path / "test.csv", "sentence1,sentence2,score\na,b,1\nc,d,2\n")
    put(tmp_path / "dev.csv", "sentence1,sentence2,score\na,,1\nc,d,2\nc,d,2\n")
    source = "splits: {dev: dev, test: test}, source: {files: {dev: dev.csv, test: test.csv}}"
    task = f"  - {{name: mine, kind: sts, scorer: dev_selected, {source}}}\n"
    path = put(tmp_path / "mine.yaml", HEAD + task)
    (entry,) = check_file(str(path)).tasks[0].entries
    assert entry.findings.counts == {"rows": 2, "dev rows": 3}
    assert [line.split("dev.csv, ")[1] for line in entry.findings.warnings] == [
        "row 1 (line 2), 'sentence2': an empty text",
        "row 3 (line 4): the same as row 2 (line 3)",
    ]
    put(tmp_path / "dev.csv", "sentence1,sentence2,score\na,b,x\nc,d,y\n")
    assert [line.rpartition(" ")[2] for line in check_file(str(path)).all_problems] == ["'x'", "'y'"]


def test_the_random_stream_of_the_suite_is_checked_with(tmp_path: Path) -> None:
    for name in "ab":
        rows = "".join(f"{name} {n},{n % 3}\n" for n in range(30))
        put(tmp_path / f"{name}.csv", f"sentences,labels\n{rows}")
    task = "  - {name: mine, kind: clustering, source: {files: {test: {a: a.csv, b: b.csv}}}}\n"
    path = put(tmp_path / "mine.yaml", HEAD.replace("tasks:", "rng: sequence\ntasks:") + task)
    report = check_file(str(path))
    assert report.all_problems == []
    assert report.tasks[0].task == load_suite(str(path)).tasks[0]
    assert report.tasks[0].task.sequence == (("test", "a"), ("test", "b"))


def test_every_bad_row_of_a_clustering_file_is_said(tmp_path: Path) -> None:
    put(tmp_path / "c.jsonl", '{"sentences": 1, "labels": "a"}\n{"sentences": "x", "labels": null}\n')
    source = "source: {files: {test: c.jsonl}}"
    path = put(tmp_path / "m.yaml", f"{HEAD}  - {{name: a, kind: clustering, {source}}}\n")
    problems = check_file(str(path)).all_problems
    assert [line.split(": ")[0].rpartition("/")[2] for line in problems] == [
        "c.jsonl, line 1",
        "c.jsonl, line 2",
    ]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "p.csv", "sentence1,sentence2,score\n" + "a,b,x\n" * 500)
    path = put(tmp_path / "m.yaml", f"{HEAD}  - {{name: a, kind: sts, source: {{files: {{test: p.csv}}}}}}\n")
    problems = check_file(str(path)).all_problems
    assert len(problems) == 21
    assert "480 more rows" in problems[-1]


def test_rows_carry_the_prompts_of_a_model() -> None:
    card = ModelCard(name="me/m", prompts={"query": "Q: ", "document": "D: "})
    report = check_file(str(tasks_folder() / "examples" / "handbook.yaml"), card=card, rows=1)
    (row,) = report.tasks[0].entries[0].rows
    assert row["query"] == "Q: How do I ask for a holiday?"
    assert row["relevant"][0].startswith("D: Annual leave: Ask for leave")


def test_the_verb(tmp_path: Path, inside: Run) -> None:  # noqa: F811
    good = tasks_folder() / "examples" / "paraphrases-ja.yaml"
    answer = inside("tasks", "check", good, "--rows", 1)
    assert answer.code == 0
    assert "駅まで歩いて十分ほどかかります。" in answer.out
    assert "can be scored, 0 warnings" in answer.out
    told = json.loads(inside("tasks", "check", good, "--rows", 1, "--json").out)
    assert (told["valid"], told["tasks"][0]["entries"][0]["counts"]) == (True, {"rows": 12})
    assert told["tasks"][0]["entries"][0]["rows"][0]["gold"] == 4.8
    bad = put(tmp_path / "bad.yaml", "suite: x\ntitel: y\ntasks:\n  - {name: a, kinds: sts}\n")
    answer = inside("tasks", "check", bad)
    assert answer.code == 2
    assert "line 2: unknown key 'titel'; did you mean title" in answer.out
    assert "line 4: unknown key 'tasks.0.kinds'; did you mean kind" in answer.out
    assert json.loads(inside("tasks", "check", bad, "--json").out)["valid"] is False
    answer = inside("tasks", "check", good, "--task", "paraphrase-ja")
    assert answer.code == 2
    assert "did you mean paraphrases-ja" in answer.err


def test_tasks_still_lists(inside: Run) -> None:  # noqa: F811
    listed = inside("tasks", "SmokeS").out.splitlines()
    assert [line.split()[0] for line in listed[1:]] == [
        "SmokeSTS",
        "SmokeSTSJa",
        "SmokeSTSZh",
        "SmokeSummaries",
    ]
    assert inside("tasks", "--kind", "stss").code == 2
    assert "Usage" in inside("tasks", "check", "--help").out


def test_eval_takes_a_file_of_tasks(tmp_path: Path, inside: Run) -> None:  # noqa: F811
    path = tasks_folder() / "examples" / "handbook.yaml"
    options = ("--results", tmp_path / "r", "--cache", tmp_path / "c", "--json")
    answer = inside("eval", "bm25", "--task", path, "--task", "SmokeRetrieval", *options)
    assert answer.code == 0, answer.err
    assert [(r["task"], r["protocol"]) for r in json.loads(answer.out)] == [
        ("handbook", "custom"),
        ("SmokeRetrieval", "mteb"),
    ]


def test_what_a_scorer_refuses_is_said_with_the_task(tmp_path: Path) -> None:
    rows = "".join(f'{{"text": "t{row}", "label": ["{"ab"[row % 2]}"]}}\n' for row in range(4))
    (tmp_path / "few.jsonl").write_text(rows, encoding="utf-8")
    written = tmp_path / "mine.yaml"
    written.write_text(
        "suite: mine\ntitle: Mine\nprotocol: custom\ntasks:\n"
        "  - {name: topics, kind: multilabel, source: {files: {train: few.jsonl, test: few.jsonl}}}\n"
    )
    assert check_file(str(written)).all_problems == [
        "topics: 5 neighbours need as many sampled training rows; an experiment has 4"
    ]
