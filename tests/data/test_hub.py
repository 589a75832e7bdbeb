"""Hub data sets by name and revision; the hub itself is stood in for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data import hub
from harness.data.examples import LabelledExamples, PairExamples, RankingExamples
from harness.data.load import load_examples
from harness.errors import DataError
from harness.suite import load_suite

Tables = dict[tuple[str | None, str], list[dict[str, Any]]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace datasets.load_dataset by tables keyed by (config, split)."""
    import datasets

    asked: list[tuple[str, str | None, str]] = []

    def put(tables: Tables) -> list[tuple[str, str | None, str]]:
        def load_dataset(path: str, name: str | None, *, revision: str) -> Any:
            asked.append((path, name, revision))
            splits = {split: rows for (config, split), rows in tables.items() if config == name}
            if not splits:
                raise ConnectionError(f"Couldn't reach '{path}' on the Hub")
            return datasets.DatasetDict({s: datasets.Dataset.from_list(rows) for s, rows in splits.items()})

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return asked

    return put


def test_rows_with_columns_of_their_own(stand_in: Any) -> None:
    asked = stand_in({("en", "test"): [{"a": "x", "b": "y", "label": 1}]})
    examples = hub.load(
        "T", "pair_classification", "test", hub="org/data", revision="abc", config="en",
        columns={"sentence1": "a", "sentence2": "b"},
    )  # fmt: skip
    assert isinstance(examples, PairExamples)
    assert (list(examples.sentence1), examples.gold.tolist()) == (["x"], [1])
    assert asked == [("org/data", "en", "abc")]


def test_training_rows_come_from_their_split(stand_in: Any) -> None:
    stand_in({(None, "train"): [{"text": "a", "label": "x"}], (None, "test"): [{"text": "b", "label": "y"}]})
    examples = hub.load("T", "classification", "test", hub="org/data", revision="abc")
    assert isinstance(examples, LabelledExamples)
    assert (list(examples.train_texts), list(examples.texts)) == (["a"], ["b"])


def test_ranking_sets_in_the_shape_of_mteb(stand_in: Any) -> None:
    stand_in(
        {
            ("corpus", "corpus"): [{"_id": "d1", "title": "T", "text": "x"}],
            ("queries", "queries"): [{"_id": "q1", "text": "hello"}],
            ("default", "test"): [{"query-id": "q1", "corpus-id": "d1", "score": 1}],
        }
    )
    examples = hub.load("T", "retrieval", "test", hub="org/data", revision="abc")
    assert isinstance(examples, RankingExamples)
    assert (examples.doc_ids, examples.documents, examples.qrels) == (["d1"], ["T x"], {"q1": {"d1": 1}})


def test_what_is_missing_is_named(stand_in: Any) -> None:
    stand_in({("en", "dev"): [{"sentence1": "x", "sentence2": "y", "score": 1}], ("en", "train"): []})
    with pytest.raises(DataError, match="no split 'test'"):
        hub.load("T", "sts", "test", hub="org/data", revision="abc", config="en")
    with pytest.raises(DataError, match=r"T \(org/data @ abc\).*\n.*--data"):
        hub.load("T", "sts", "test", hub="org/data", revision="abc", config="zz")
    with pytest.raises(DataError, match=r"org/data@abc .en, dev., row 1: no field 'label'"):
        hub.load("T", "pair_classification", "dev", hub="org/data", revision="abc", config="en")


def test_a_missing_test_split_is_never_the_training_rows(stand_in: Any) -> None:
    stand_in({(None, "train"): [{"text": "a", "label": "x"}]})
    with pytest.raises(DataError, match="no split 'test'"):
        hub.load("T", "classification", "test", hub="org/data", revision="abc")


def test_a_subset_of_a_ranking_set_has_configurations_of_its_own(stand_in: Any) -> None:
    stand_in(
        {
            ("ja-corpus", "corpus"): [{"_id": "d1", "title": "", "text": "x"}],
            ("ja-queries", "test"): [{"_id": "q1", "text": "hello"}],
            ("ja-qrels", "test"): [{"query-id": "q1", "corpus-id": "d1", "score": 1}],
        }
    )
    assert hub.load("T", "retrieval", "test", hub="o/d", revision="abc", config="ja").documents == ["x"]
    with pytest.raises(DataError, match=r"o/d @ abc"):
        hub.load("T", "retrieval", "test", hub="o/d", revision="abc", config="en")


def test_queries_that_name_their_documents(stand_in: Any) -> None:
    stand_in(
        {
            ("collection", "collection"): [
                {"doc_id": "d1", "title": "A", "description": "x"},
                {"doc_id": "d2", "title": "B", "description": "y"},
            ],
            ("eval", "eval"): [{"query": "hello", "positive": "d2", "negatives": ["d1"]}],
        }
    )
    examples = hub.load(
        "T", "reranking", "eval", hub="org/data", revision="abc",
        configs={"queries": "eval", "corpus": "collection"},
        columns={"query": "query", "positive": "positive", "negative": "negatives"},
        document="{title} {description}",
    )  # fmt: skip
    assert isinstance(examples, RankingExamples)
    assert examples.documents == ["A x", "B y"]
    assert examples.qrels == {"1": {"d2": 1, "d1": 0}}


def test_rows_of_texts(stand_in: Any) -> None:
    stand_in({("default", "test"): [{"query": "a", "positive": ["yes"], "negative": ["no"]}]})
    examples = hub.load("T", "reranking", "test", hub="org/data", revision="abc", configs={"rows": "default"})
    assert isinstance(examples, RankingExamples)
    assert sorted(examples.documents) == ["no", "yes"]


class TestFiles:
    """Plain files of a repository, where its own script would have to load them."""

    SUITE = """suite: mine
title: Mine
protocol: custom
tasks:
  - name: ours
    kind: sts
    source: {hub: org/data, revision: abc, FORMATfiles: {test: data/test.dat}}
    columns: {sentence1: a}
"""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
        import huggingface_hub
        from huggingface_hub.errors import LocalEntryNotFoundError

        calls: list[tuple[Any, ...]] = []

        def hf_hub_download(
            repo: str, path: str, *, repo_type: str, revision: str, local_files_only: bool
        ) -> str:
            calls.append((repo, path, repo_type, revision, local_files_only))
            if local_files_only:
                raise LocalEntryNotFoundError("not cached")
            target = tmp_path / "cached"
            target.write_text('{"a": "NA", "sentence2": "x", "score": 1}\n' * 2, encoding="utf-8")
            return str(target)

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
        return calls

    def task(self, folder: Path, form: str) -> Any:
        path = folder / "mine.yaml"
        path.write_text(self.SUITE.replace("FORMAT", form), encoding="utf-8")
        return load_suite(str(path)).tasks[0]

    def test_they_are_read_as_they_stand(self, asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
        task = self.task(tmp_path, "format: json, ")
        assert task.revision == "abc"
        assert asked == []
        examples = load_examples(task, "test", "default", {}, offline=False)
        assert isinstance(examples, PairExamples)
        assert examples.sentence1 == ["NA", "NA"]
        assert asked == [("org/data", "data/test.dat", "dataset", "abc", False)]

    def test_what_is_not_to_be_had(self, asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
        task = self.task(tmp_path, "format: json, ")
        with pytest.raises(DataError, match=r"data of ours \(org/data/data/test.dat @ abc\)"):
            load_examples(task, "test", "default", {}, offline=True)
        with pytest.raises(DataError, match="the name does not say what it holds"):
            load_examples(self.task(tmp_path, ""), "test", "default", {}, offline=False)

    def test_a_data_folder_comes_first(self, asked: list[tuple[Any, ...]], tmp_path: Path) -> None:
        (tmp_path / "data" / "ours").mkdir(parents=True)
        row = '{"a": "x", "sentence2": "y", "score": 1}\n'
        (tmp_path / "data" / "ours" / "test.jsonl").write_text(row, encoding="utf-8")
        self.task(tmp_path, "format: json, ")
        (task,) = load_suite(str(tmp_path / "mine.yaml"), data=[tmp_path / "data"]).tasks
        examples = load_examples(task, "test", "default", {}, offline=True)
        assert isinstance(examples, PairExamples)
        assert (examples.sentence1, asked) == (["x"], [])
