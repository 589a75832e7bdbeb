"""A dev split beside the test split: which it is, where it is read, and what happens where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data.examples import (
    ClusterExamples,
    DevTest,
    LabelledExamples,
    PairExamples,
    RankingExamples,
    fingerprint,
)
from harness.data.load import load_examples
from harness.errors import ConfigError, DataError, UnknownNameError
from harness.suite import load_suite, load_task
from harness.task import Task
from tests.data.test_hub import stand_in  # noqa: F401 - a fixture
from tests.toys import retrieval_files, sts_rows, write_task

P = "jmteb-1.3.3"


def labelled(n: int, mark: str = "") -> list[dict[str, Any]]:
    return [{"text": f"{mark}{i}", "label": "ab"[i % 2]} for i in range(n)]


def dev_files() -> dict[str, list[dict[str, Any]]]:
    """Queries of a dev split for `retrieval_files`."""
    return {
        "dev__queries": [{"id": f"v{i}", "text": f"ask {i}"} for i in range(3)],
        "dev__qrels": [{"query_id": f"v{i}", "corpus_id": f"d{i}", "score": 1} for i in range(3)],
    }


def one(task: Task) -> DevTest:
    split, subset = task.entries[0]
    examples = load_examples(task, split, subset, {}, offline=True)
    assert isinstance(examples, DevTest)
    return examples


def task(root: Path, name: str, protocol: str = P) -> Task:
    return load_task(name, protocol=protocol, data=[root]).tasks[0]


def suite(tmp_path: Path, root: Path | None, *lines: str, protocol: str = P) -> tuple[Task, ...]:
    path = tmp_path / "s.yaml"
    path.write_text("\n".join(["suite: s", "title: S", f"protocol: {protocol}", "tasks:", *lines]))
    return load_suite(str(path), data=[root] if root else None).tasks


def test_the_usual_names_of_a_dev_split(tmp_path: Path) -> None:
    rows = sts_rows(4)
    root = write_task(tmp_path / "d", "A", "sts", "x", validation=rows, test=rows[1:], dev=rows, train=rows)
    write_task(root, "B", "sts", "x", dev=rows[:3], test=rows)
    write_task(root, "C", "sts", "x", train=rows[:2], test=rows)
    found = {name: task(root, name) for name in "ABC"}
    assert {name: t.dev_split for name, t in found.items()} == {"A": "validation", "B": "dev", "C": "train"}
    assert [t.entries for t in found.values()] == [(("test", "default"),)] * 3
    examples = one(found["B"])
    assert isinstance(examples.dev, PairExamples)
    assert isinstance(examples.test, PairExamples)
    assert (len(examples.dev.gold), len(examples.test.gold)) == (3, 4)


def test_other_protocols_know_no_dev_split(tmp_path: Path) -> None:
    root = write_task(tmp_path / "d", "A", "sts", "cosine_spearman", dev=sts_rows(3), test=sts_rows(4))
    plain = task(root, "A", "mteb")
    assert (plain.dev_split, plain.main, len(plain.entries)) == ("", "cosine_spearman", 2)
    assert isinstance(load_examples(plain, "test", "default", {}, offline=True), PairExamples)
    assert task(root, "A").main == "spearman"  # a protocol's own scorer has its own main metric


def test_splits_of_a_suite_name_their_parts(tmp_path: Path) -> None:
    root = write_task(
        tmp_path / "d", "J", "sts", "cosine_spearman", train=sts_rows(6), validation=sts_rows(4)
    )
    found = suite(tmp_path, root, "- {name: J, splits: {dev: train, test: validation}, main: spearman}")[0]
    assert (found.dev_split, found.entries, found.settings) == (
        "train", (("validation", "default"),), {"upstream": True},
    )  # fmt: skip
    assert len(one(found).dev.gold) == 6  # type: ignore[union-attr]
    mended = suite(tmp_path, root, "- {name: J, splits: {test: validation}}", protocol="jmteb")[0]
    assert (mended.dev_split, mended.settings) == ("train", {"upstream": False})
    as_mteb = suite(tmp_path, root, "- {name: J, splits: {dev: train, test: validation}}", protocol="mteb")[0]
    assert (as_mteb.dev_split, as_mteb.entries) == ("", (("validation", "default"),))


def test_a_wrong_key_of_splits_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s\.yaml, line 5: unknown key .*dve.*did you mean dev"):
        suite(tmp_path, None, "- {name: J, splits: {dve: train, test: validation}}")
    with pytest.raises(ConfigError, match="test' is missing"):
        suite(tmp_path, None, "- {name: J, splits: {dev: train}}")


def test_mteb_says_which_split_is_test() -> None:
    jsts = load_task("JSTS", protocol=P).tasks[0]
    assert (jsts.entries[0][0], jsts.dev_split) == ("validation", "train")  # as JMTEB
    reviews = load_task("AmazonReviewsClassification", protocol=P, subsets=["ja"]).tasks[0]
    assert (reviews.entries, reviews.dev_split) == ((("test", "ja"),), "validation")
    assert reviews.main == "macro_f1"


def test_training_rows_stand_once_and_choose_nothing(tmp_path: Path) -> None:
    files = {"train": labelled(6), "dev": labelled(4, "d"), "test": labelled(3, "t")}
    root = write_task(tmp_path / "d", "A", "classification", "x", **files)
    found = task(root, "A")
    examples = one(found)
    assert isinstance(examples.test, LabelledExamples)
    assert isinstance(examples.dev, LabelledExamples)
    assert (len(examples.test.train_texts), list(examples.dev.train_texts)) == (6, [])
    assert list(examples.dev.texts) == ["d0", "d1", "d2", "d3"]
    write_task(root, "B", "classification", "x", train=labelled(6), test=labelled(3))
    with pytest.raises(DataError, match=r"B: protocol jmteb-1.3.3 chooses on a dev split.*'validation'"):
        one(task(root, "B"))


def test_clustering_needs_its_dev_split(tmp_path: Path) -> None:
    rows = [{"sentences": f"s{i}", "labels": i % 2} for i in range(4)]
    root = write_task(tmp_path / "d", "A", "clustering", "x", validation=rows, test=rows[:3])
    assert isinstance(one(task(root, "A")).dev, ClusterExamples)
    write_task(root, "B", "clustering", "x", test=rows)
    with pytest.raises(DataError, match=r"no 'validation'; name another \(splits: .*\n.*no validation.jsonl"):
        one(task(root, "B"))


def test_a_shared_corpus_stands_once(tmp_path: Path) -> None:
    files = retrieval_files() | dev_files()
    root = write_task(tmp_path / "d", "Shared", "retrieval", "x", **files)
    write_task(root, "Twice", "retrieval", "x", **files, dev__corpus=files["test__corpus"])
    own = [{"id": f"d{i}", "text": f"other {i}"} for i in range(4)]
    write_task(root, "Own", "retrieval", "x", **files, dev__corpus=own)
    shared, twice, other = (one(task(root, name)) for name in ("Shared", "Twice", "Own"))
    for examples in (shared, twice):
        assert isinstance(examples.dev, RankingExamples)
        assert (len(examples.dev.doc_ids), list(examples.dev.query_ids)) == (0, ["v0", "v1", "v2"])
    assert isinstance(other.dev, RankingExamples)
    assert list(other.dev.documents)[:1] == ["other 0"]


def test_retrieval_may_lack_a_dev_split_but_not_half_of_one(tmp_path: Path) -> None:
    root = write_task(tmp_path / "d", "None", "retrieval", "x", **retrieval_files())
    assert one(task(root, "None")).dev is None
    write_task(root, "Half", "retrieval", "x", **retrieval_files(), dev__queries=dev_files()["dev__queries"])
    with pytest.raises(DataError, match=r"no dev\.qrels\.jsonl"):
        one(task(root, "Half"))


def test_the_fingerprint_covers_dev(tmp_path: Path) -> None:
    root = write_task(tmp_path / "d", "A", "sts", "x", dev=sts_rows(4), test=sts_rows(5))
    before = one(task(root, "A"))
    write_task(root, "A", "sts", "x", dev=sts_rows(4, offset=1))
    after = one(task(root, "A"))
    assert fingerprint(replace(after, dev=before.dev)) == fingerprint(before) != fingerprint(after)


def test_files_of_ones_own_have_a_dev_split_too(tmp_path: Path) -> None:
    for split, offset in (("train", 0), ("dev", 1), ("test", 2)):
        lines = (json.dumps(row) for row in sts_rows(5, offset=offset))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    files = {
        "Both": "{dev: dev.jsonl, test: test.jsonl}",
        "Trained": "{train: train.jsonl, test: test.jsonl}",
        "Alone": "{test: test.jsonl}",
        "Other": "{dev: dev.jsonl, train: train.jsonl}",
    }
    lines = {
        name: f"  - {{name: {name}, kind: sts, source: {{files: {own}}}}}" for name, own in files.items()
    }
    both, trained, alone = suite(tmp_path, None, *(lines[name] for name in ("Both", "Trained", "Alone")))
    assert [task.entries for task in (both, trained)] == [(("test", "default"),)] * 2
    assert (both.dev_split, trained.dev_split) == ("dev", "train")
    for chosen, first in ((both, 1), (trained, 0)):
        dev = one(chosen).dev
        assert isinstance(dev, PairExamples)
        assert dev.sentence1[0] == sts_rows(5, offset=first)[0]["sentence1"]
    with pytest.raises(
        DataError, match=r"no 'validation'; name another \(splits: .*\n.*there is: test/default"
    ):
        one(alone)
    with pytest.raises(ConfigError, match=r"Other: its files hold no split 'test' to score"):
        suite(tmp_path, None, lines["Other"])


HUB = "org/data, revision: abc, configs: {queries: x-query, corpus: x-corpus}"


def test_jmtebs_own_columns_of_retrieval(tmp_path: Path, stand_in: Any) -> None:  # noqa: F811
    stand_in(
        {
            ("x-corpus", "corpus"): [{"docid": i, "text": f" doc {i} "} for i in (3, 5, 7)],
            ("x-query", "validation"): [{"query": "v", "relevant_docs": [3]}],
            ("x-query", "test"): [
                {"query": "one", "relevant_docs": [5, 7]},
                {"query": "none", "relevant_docs": []},
            ],
        }
    )
    lines = f"- {{name: x, kind: retrieval, source: {{hub: {HUB}}}, splits: {{dev: validation, test: test}}}}"
    examples = one(suite(tmp_path, None, lines)[0])
    test, dev = examples.test, examples.dev
    assert isinstance(test, RankingExamples)
    assert isinstance(dev, RankingExamples)
    assert (list(test.doc_ids), list(test.documents)) == (["3", "5", "7"], ["doc 3", "doc 5", "doc 7"])
    assert (list(test.queries), test.qrels) == (["one", "none"], {"0": {"5": 1, "7": 1}, "1": {}})
    assert (dev.qrels, list(dev.doc_ids)) == ({"0": {"3": 1}}, [])


def test_one_relevant_document_needs_no_list(tmp_path: Path, stand_in: Any) -> None:  # noqa: F811
    stand_in(
        {
            ("x-corpus", "corpus"): [{"docid": "a", "text": "doc"}],
            ("x-query", "test"): [{"query": "one", "relevant_docs": "a"}],
        }
    )
    examples = one(suite(tmp_path, None, f"- {{name: x, kind: retrieval, source: {{hub: {HUB}}}}}")[0])
    assert examples.dev is None
    assert examples.test.qrels == {"0": {"a": 1}}  # type: ignore[union-attr]


def test_jmtebs_own_columns_of_reranking(tmp_path: Path, stand_in: Any) -> None:  # noqa: F811
    rows = [{"query": "q", "retrieved_docs": ["b", "a", "b"], "relevance_scores": [3, 0, 1]}]
    tables: dict[tuple[str | None, str], list[dict[str, Any]]] = {
        ("x-corpus", "corpus"): [{"docid": d, "text": d} for d in "abc"],
        ("x-query", "validation"): rows,
        ("x-query", "test"): rows,
    }
    stand_in(tables)
    lines = f"- {{name: x, kind: reranking, source: {{hub: {HUB}}}}}"
    test = one(suite(tmp_path, None, lines)[0]).test
    assert isinstance(test, RankingExamples)
    assert test.candidates == {"0": ["b", "a", "b"]}
    assert test.qrels == {"0": {"b": 3, "a": 0}}  # the first grade counts
    tables["x-query", "test"] = [{**rows[0], "relevance_scores": [1]}]
    with pytest.raises(DataError, match=r"row 1: 3 documents, but 1 grades"):
        one(suite(tmp_path, None, lines)[0])


def test_a_subset_of_mtebs_retrieval_comes_from_its_hub_copy(tmp_path: Path, stand_in: Any) -> None:  # noqa: F811
    asked = stand_in(
        {
            ("japanese-corpus", "train"): [{"_id": "d1", "title": "T", "text": "x"}],
            ("japanese-queries", "test"): [{"_id": "q1", "text": "hello"}],
            ("japanese-queries", "dev"): [{"_id": "v1", "text": "ask"}],
            ("japanese-qrels", "test"): [{"query-id": "q1", "corpus-id": "d1", "score": 1}],
            ("japanese-qrels", "dev"): [{"query-id": "v1", "corpus-id": "d1", "score": 1}],
        }
    )
    lines = (
        "- name: mrtydi",
        "  source: {mteb: MrTidyRetrieval, subset: japanese}",
        "  splits: {dev: dev, test: test}",
        '  document: "{text}"',
        "  main: ndcg@10",
    )
    found = suite(tmp_path, None, *lines)[0]
    assert (found.entries, found.kind, found.main) == ((("test", "japanese"),), "retrieval", "ndcg_at_10")
    assert not found.own_loading  # so that a run without the network knows what its cache lacks
    examples = one(found)
    assert list(examples.test.documents) == ["x"]  # type: ignore[union-attr]
    assert list(examples.dev.queries) == ["ask"]  # type: ignore[union-attr]
    assert {repository for repository, _, _ in asked} == {"mteb/mrtidy"}
    lines = ("- {name: m, source: {mteb: MrTidyRetrieval, subset: japanse}}",)
    with pytest.raises(UnknownNameError, match="japanese"):
        suite(tmp_path, None, *lines)
    with pytest.raises(ConfigError, match="a subset is one of an mteb task"):
        suite(tmp_path, None, "- {name: m, source: {hub: a/b, revision: c, subset: d}}")
