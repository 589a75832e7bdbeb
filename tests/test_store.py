"""The results store: what is written, what mteb makes of it, and what survives kills, rivals and rubbish."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from harness.errors import StoreError
from harness.store import Store
from harness.types import Result


def make(**changes: Any) -> Result:
    result = Result(
        model="org/name",
        revision="abc123",
        variant=(),
        task="JSTS",
        kind="sts",
        protocol="mteb",
        scorer="correlation@1",
        split="validation",
        subset="default",
        languages=("jpn-Jpan",),
        data_revision="0123abc",
        data_fingerprint="f" * 64,
        main_metric="cosine_spearman",
        metrics={"cosine_spearman": 0.82345678912, "cosine_pearson": 0.1 + 0.2},
        exact={"cosine_spearman": 0.823456789123456, "cosine_pearson": 0.1 + 0.2},
        undefined={"dot_pearson": "constant input"},
        details={"scores_per_experiment": [{"accuracy": 1 / 3}, {"accuracy": math.nan}]},
        provenance={"seconds": 1.5, "dtype": "float32", "first": {"query": "検索: 猫"}},
        samples=pa.table({"gold": [1.0, 2.0, 3.0], "cosine": [0.1, 0.2, 0.35]}),
    )
    return replace(result, **changes)


def key(result: Result) -> tuple[Any, ...]:
    return (
        result.model,
        result.revision,
        result.variant,
        result.protocol,
        result.task,
        result.split,
        result.subset,
    )


def fetch(store: Store, result: Result) -> Result:
    found = store.get(*key(result))
    assert found is not None
    return found


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name != ".lock"
    }


def test_round_trip_keeps_everything_but_the_sixth_decimal_on(tmp_path: Path) -> None:
    store, result = Store(tmp_path), make()
    path = store.put(result)
    assert path == tmp_path / "org__name" / "abc123" / "JSTS.json"
    samples = path.with_name("JSTS.validation.default.samples.parquet")
    found = fetch(store, result)
    assert found == replace(
        result,
        metrics={"cosine_spearman": 0.823457, "cosine_pearson": 0.3},
        details={"scores_per_experiment": [{"accuracy": 0.333333}, {"accuracy": None}]},
        samples=None,
        samples_sha256=hashlib.sha256(samples.read_bytes()).hexdigest(),
    )
    assert found.exact["cosine_spearman"] == 0.823456789123456
    assert store.samples(found).equals(result.samples)
    assert list(store.results()) == [found]
    assert store.problems == []


def test_the_file_is_a_task_result_with_one_more_key(tmp_path: Path) -> None:
    document = json.loads(Store(tmp_path).put(make()).read_text(encoding="utf-8"))
    entry = document.pop("harness")["entries"]["validation"]["default"]
    assert document == {
        "dataset_revision": "0123abc",
        "task_name": "JSTS",
        "mteb_version": version("mteb"),
        "evaluation_time": 1.5,
        "kg_co2_emissions": None,
        "date": None,
        "evaluation_phases": None,
        "scores": {
            "validation": [
                {
                    "cosine_spearman": 0.823457,
                    "cosine_pearson": 0.3,
                    "dot_pearson": None,
                    "scores_per_experiment": [{"accuracy": 0.333333}, {"accuracy": None}],
                    "main_score": 0.823457,
                    "hf_subset": "default",
                    "languages": ["jpn-Jpan"],
                }
            ]
        },
    }
    assert entry["undefined"] == {"dot_pearson": "constant input"}
    assert entry["provenance"]["first"] == {"query": "検索: 猫"}


def test_mteb_reads_our_file_and_we_read_mtebs(tmp_path: Path) -> None:
    from mteb.results import TaskResult

    store, result = Store(tmp_path), make()
    path = store.put(result)
    store.put(
        replace(result, subset="other", metrics={"cosine_spearman": 0.5}, exact={"cosine_spearman": 0.5})
    )
    theirs = TaskResult.from_disk(path, load_historic_data=False)
    assert theirs.task_name == "JSTS"
    assert theirs.get_score() == pytest.approx((0.823457 + 0.5) / 2, abs=1e-12)
    assert theirs.evaluation_time == 3.0

    copy = tmp_path / "org__name" / "by-mteb+bf16" / "JSTS.json"
    copy.parent.mkdir()
    theirs.to_disk(copy)
    first, second = sorted(
        (r for r in store.results() if r.revision == "by-mteb"), key=lambda r: -r.main_score
    )
    assert (first.model, first.revision, first.variant) == ("org/name", "by-mteb", ("bf16",))
    assert (first.scorer, first.provenance) == ("mteb", {"source": "mteb"})
    assert (first.main_metric, first.main_score) == ("cosine_spearman", 0.823457)
    assert first.metrics == {"cosine_spearman": 0.823457, "cosine_pearson": 0.3}
    assert list(first.undefined) == ["dot_pearson"]
    assert first.details == {"scores_per_experiment": [{"accuracy": 0.333333}, {"accuracy": None}]}
    assert (second.subset, second.languages, second.data_revision) == ("other", ("jpn-Jpan",), "0123abc")
    assert store.problems == []


def test_rounding_equals_mtebs_to_disk(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(200)
    metrics = {f"m{i}": float(v) for i, v in enumerate(values)}
    result = make(main_metric="m0", metrics=metrics, exact=metrics, undefined={}, details={})
    stored = json.loads(Store(tmp_path).put(result).read_text())["scores"]["validation"][0]
    assert {name: stored[name] for name in metrics} == {name: round(v, 6) for name, v in metrics.items()}


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b", "b"):
        Store(tmp_path / folder).put(make())
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    before = tree(tmp_path / "a")
    chunked = pa.concat_tables([make().samples.slice(0, 1), make().samples.slice(1)])
    Store(tmp_path / "a").put(make(samples=chunked))
    assert tree(tmp_path / "a") == before
    assert before["org__name/abc123/JSTS.json"].endswith(b"}\n")


def test_order_of_puts_does_not_show(tmp_path: Path) -> None:
    results = [make(split=s, subset=x) for s in ("validation", "test") for x in ("b", "a")]
    for folder, order in (("x", results), ("y", results[::-1])):
        for result in order:
            Store(tmp_path / folder).put(result)
    assert tree(tmp_path / "x") == tree(tmp_path / "y")


@pytest.mark.parametrize(
    ("model", "revision", "variant", "protocol", "folder"),
    [
        ("org/name", "r", (), "mteb", "org__name/r"),
        (
            "local/my model",
            "0123456789ab",
            ("bf16", "len512"),
            "mteb",
            "local__my model/0123456789ab+bf16+len512",
        ),
        ("harness/bm25", None, (), "jmteb-1.3.3", "harness__bm25/no_revision_available/jmteb-1.3.3"),
        ("org/na__me", "r", (), "custom", "org__na__me/r/custom"),
        ("gpt2", "r", (), "mteb", "gpt2/r"),
    ],
)
def test_places(
    tmp_path: Path, model: str, revision: str | None, variant: tuple[str, ...], protocol: str, folder: str
) -> None:
    store = Store(tmp_path)
    result = make(model=model, revision=revision, variant=variant, protocol=protocol)
    assert store.put(result) == tmp_path / folder / "JSTS.json"
    assert [key(r) for r in store.results()] == [key(result)]
    assert fetch(store, result).samples_sha256


def test_split_and_subset_are_percent_encoded(tmp_path: Path) -> None:
    store, result = Store(tmp_path), make(split="v1.0", subset="cmn/Hans..\\x%2E")
    store.put(result)
    files = [p.name for p in (tmp_path / "org__name" / "abc123").glob("*.parquet")]
    assert files == ["JSTS.v1%2E0.cmn%2FHans%2E%2E%5Cx%252E.samples.parquet"]
    assert store.samples(fetch(store, result)).num_rows == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "../../etc/passwd"},
        {"model": "a/b/c"},
        {"model": "/etc"},
        {"model": "org/"},
        {"model": ".."},
        {"model": "o__rg/name"},
        {"model": "org_/name"},
        {"model": "org\\x/name"},
        {"model": "org/.hidden"},
        {"model": ""},
        {"revision": ".."},
        {"revision": "a/b"},
        {"revision": "a+bf16"},
        {"variant": ("../x",)},
        {"variant": ("a+b",)},
        {"variant": ("",)},
        {"protocol": "../mteb"},
        {"protocol": "a/b"},
        {"protocol": ".."},
        {"task": "../JSTS"},
        {"task": "a/b"},
        {"task": "JSTS\x00"},
        {"task": "JSTS\n"},
        {"task": "\ud800"},
        {"task": ".."},
        {"task": "model_meta"},
        {"task": "JSTS.failed"},
        {"task": "x" * 300},
        {"split": "te\x00st"},
        {"split": ""},
        {"subset": "a\nb"},
        {"subset": "\ud800"},
    ],
    ids=repr,
)
def test_hostile_names_never_become_paths(tmp_path: Path, changes: dict[str, Any]) -> None:
    store = Store(tmp_path / "inside")
    with pytest.raises(StoreError):
        store.put(make(**changes))
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"cosine_spearman": math.nan}},
        {"metrics": {"cosine_spearman": math.inf}},
        {"metrics": {"cosine_pearson": 0.5}},
        {"metrics": {"cosine_spearman": 0.5, "cosine_pearson": math.nan}},
        {"exact": {"cosine_spearman": math.nan}},
        {"undefined": {"cosine_spearman": "constant"}},
        {"details": {"main_score": 0.9}},
        {"details": {"x": object()}},
    ],
    ids=range(8),
)
def test_a_failure_is_never_a_score(tmp_path: Path, changes: dict[str, Any]) -> None:
    store = Store(tmp_path)
    store.put(make())
    before = tree(tmp_path)
    with pytest.raises(StoreError):
        store.put(make(**changes))
    assert tree(tmp_path) == before


def test_a_task_does_not_change_its_kind_silently(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(make())
    with pytest.raises(StoreError, match="kind 'sts'"):
        store.put(make(kind="retrieval", subset="x"))


def put_many(root: str, subsets: list[str]) -> None:
    for subset in subsets:
        Store(root).put(make(subset=subset, task="Many"))


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    names = [[f"{who}{i}" for i in range(15)] for who in "ab"]
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=put_many, args=(str(tmp_path), part)) for part in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = Store(tmp_path)
    found = list(store.results())
    assert sorted(r.subset for r in found) == sorted(names[0] + names[1])
    assert all(store.samples(r).num_rows == 3 for r in found)


KILLED = """
import os, sys
sys.path.insert(0, {repo!r})
import harness.store.results
from harness.store import Store
from tests.test_store import make
import pyarrow as pa
whole, count = harness.store.results.write_atomic, 0
def write_atomic(path, data):
    if path.name.endswith({stop!r}):
        os._exit(9)
    whole(path, data)
harness.store.results.write_atomic = write_atomic
new = pa.table({{"gold": [9.0], "cosine": [9.0]}})
Store({root!r}).put(make(metrics={{"cosine_spearman": 0.1}}, exact={{"cosine_spearman": 0.1}}, samples=new))
"""


@pytest.mark.parametrize("stop", [".parquet", ".json"])
def test_a_kill_leaves_the_earlier_result_whole(tmp_path: Path, stop: str) -> None:
    store, earlier = Store(tmp_path), make()
    path = store.put(earlier)
    (path.parent / ".0123.tmp").write_bytes(b"left by a kill")
    script = KILLED.format(repo=str(Path(__file__).parents[1]), stop=stop, root=str(tmp_path))
    for _ in range(2):  # a second kill must not take the first one's leavings for the earlier result
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
        found = fetch(store, earlier)
        assert found.main_score == 0.823457
        assert store.samples(found).equals(earlier.samples)
    later = make(
        metrics={"cosine_spearman": 0.1}, exact={"cosine_spearman": 0.1}, samples=pa.table({"x": [1]})
    )
    store.put(later)
    assert store.samples(fetch(store, later)).equals(later.samples)
    names = {p.name for p in path.parent.iterdir()}
    assert names == {".lock", "JSTS.json", "JSTS.validation.default.samples.parquet"}


def test_samples_are_checked(tmp_path: Path) -> None:
    store, result = Store(tmp_path), make()
    path = store.put(result).with_name("JSTS.validation.default.samples.parquet")
    found = fetch(store, result)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match=r"JSTS\.validation\.default\.samples\.parquet"):
        store.samples(found)
    path.unlink()
    with pytest.raises(StoreError, match="is missing"):
        store.samples(found)
    with pytest.raises(StoreError, match="no per-example values"):
        store.samples(replace(found, samples_sha256=None))


def test_a_result_put_again_without_samples_keeps_those_it_names(tmp_path: Path) -> None:
    store, result = Store(tmp_path), make()
    store.put(result)
    found = fetch(store, result)
    store.put(found)
    assert store.samples(fetch(store, result)).equals(result.samples)
    other = Store(tmp_path / "elsewhere")
    other.put(found)
    assert fetch(other, result).samples_sha256 is None


WRONG = {
    "empty": b"",
    "truncated": b'{"scores": {"test": [{"main_sc',
    "binary": b"\xff\xfe\x00",
    "list": b"[]",
    "object": b"{}",
    "nested": b"[" * 100_000,
    "no revision": b'{"scores": {}}',
    "bad score": b'{"dataset_revision": "x", "scores": {"test": [{"main_score": 1}]}}',
    "bad harness": b'{"dataset_revision": "x", "scores": {}, "harness": 3}',
    "bad entry": b'{"dataset_revision": "x", "scores": {}, "harness": {"schema": 1, "task": "Bad",'
    b' "kind": "sts", "protocol": "mteb", "entries": {"test": {"default": {}}}}}',
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG.keys())
def test_a_corrupt_file_is_named_and_set_aside_and_the_others_load(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    bad = store.put(make()).with_name("Bad.json")
    for aside in ("Bad.json.corrupt", "Bad.json.corrupt.2"):
        bad.write_bytes(content)
        assert [r.task for r in store.results()] == ["JSTS"]
        assert not bad.exists()
        assert bad.with_name(aside).read_bytes() == content
        assert str(bad) in store.problems[-1]
        assert aside in store.problems[-1]
    bad.write_bytes(content)
    assert store.get("org/name", "abc123", (), "mteb", "Bad", "test", "default") is None
    bad.write_bytes(content)
    store.put(make(task="Bad"))
    assert [r.task for r in store.results()] == ["Bad", "JSTS"]
    assert len(store.problems) == 4


def test_other_peoples_folders_are_left_as_they_are(tmp_path: Path) -> None:
    bad = Store(tmp_path).put(make()).with_name("Bad.json")
    bad.write_bytes(b"{")
    store = Store(tmp_path, repair=False)
    assert [r.task for r in store.results()] == ["JSTS"]
    assert bad.read_bytes() == b"{"
    assert len(store.problems) == 1
    assert str(bad) in store.problems[0]


def test_a_pipe_in_the_place_of_a_task_is_named_and_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs pipes")
    home = Store(tmp_path).put(make()).parent
    pipe = home / "Pipe.json"
    os.mkfifo(pipe)
    store = Store(tmp_path, repair=False)
    reader = threading.Thread(target=lambda: found.extend(store.results()), daemon=True)
    found: list[Result] = []
    reader.start()
    reader.join(5)
    waits = reader.is_alive()
    if waits:
        os.close(os.open(pipe, os.O_RDWR))  # lets it go
    assert not waits
    assert len(found) == 1
    assert [line.partition(" ")[0] for line in store.problems] == [str(pipe)]


def test_a_tree_that_cannot_be_renamed_in_is_only_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    bad = store.put(make()).with_name("Bad.json")
    bad.write_bytes(b"{")

    def read_only(path: Path) -> Path:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("harness.store.files.set_aside", read_only)
    assert [r.task for r in store.results()] == ["JSTS"]
    assert bad.exists()
    assert "Read-only file system" in store.problems[0]


def test_a_later_schema_is_neither_corrupt_nor_overwritten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.put(make())
    document = json.loads(path.read_text())
    document["harness"] = {"schema": 2, "anything": []}
    path.write_text(json.dumps(document))
    assert list(store.results()) == []
    assert "schema 2" in store.problems[0]
    with pytest.raises(StoreError, match="schema 2"):
        store.put(make())
    assert json.loads(path.read_text()) == document


def test_a_file_at_the_wrong_place_is_reported(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.put(make())
    path.rename(path.with_name("Other.json"))
    assert list(store.results()) == []
    assert "not what its path says" in store.problems[0]


@pytest.mark.parametrize("where", ["file", "file/below", "taken"])
def test_an_unwritable_folder_is_an_error_that_names_it(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "org__name").write_text("nor is this")
    store = Store(tmp_path / where)
    with pytest.raises(StoreError, match=f"cannot write {tmp_path / where}"):
        store.put(make())
    with pytest.raises(StoreError, match=f"cannot write {tmp_path / where}"):
        store.fail(*key(make()), "boom")
    assert store.get(*key(make())) is None
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_write_that_fails_half_way_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, earlier = Store(tmp_path), make()
    store.put(earlier)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.put(make(samples=pa.table({"x": [1]})))
    found = fetch(store, earlier)
    assert store.samples(found).equals(earlier.samples)


def test_a_missing_root_is_empty_and_a_file_is_no_root(tmp_path: Path) -> None:
    assert list(Store(tmp_path / "nowhere").results()) == []
    assert Store(tmp_path / "nowhere").failures() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not a folder"):
        list(Store(tmp_path / "file").results())


def test_failures_are_kept_apart_and_end_with_success(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for subset in ("a", "b"):
        path = store.fail(*key(make(subset=subset)), f"broke at {subset}")
    assert path.name == "JSTS.failed.json"
    assert [(f.model, f.revision, f.task, f.split, f.subset, f.error) for f in store.failures()] == [
        ("org/name", "abc123", "JSTS", "validation", "a", "broke at a"),
        ("org/name", "abc123", "JSTS", "validation", "b", "broke at b"),
    ]
    assert list(store.results()) == []
    store.put(make(subset="a"))
    assert [f.subset for f in store.failures()] == ["b"]
    store.put(make(subset="b"))
    assert store.failures() == []
    assert not path.exists()
    assert store.problems == []


def test_results_can_be_limited_to_tasks(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for task in ("A", "B"):
        store.put(make(task=task))
    assert [r.task for r in store.results(tasks={"B"})] == ["B"]


def write_foreign(root: Path, document: dict[str, Any], task: str = "T") -> Path:
    path = root / "org__name" / "r" / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def test_foreign_nan_and_ties_of_the_main_score(tmp_path: Path) -> None:
    score = {"main_score": 0.5, "hf_subset": "default", "languages": ["eng-Latn"], "mteb_version": "1.2.3"}
    scores = [
        {**score, "recall_weighted": 0.5, "accuracy": 0.5, "ap": math.nan},
        {**score, "hf_subset": "own", "zeta": 0.1},
        {**score, "hf_subset": "bad", "main_score": math.nan},
        {**score, "main_score": 0.7},
    ]
    path = write_foreign(tmp_path, {"dataset_revision": "x", "task_name": "T", "scores": {"test": scores}})
    assert b"NaN" in path.read_bytes()
    store = Store(tmp_path)
    first, second = store.results()
    assert (first.main_metric, first.main_score, list(first.undefined)) == ("accuracy", 0.5, ["ap"])
    assert (second.subset, second.main_metric, second.main_score) == ("own", "main_score", 0.5)
    assert [line.removeprefix(f"{path} ") for line in store.problems] == [
        "has no finite main score for test/bad; left out",
        "has test/default twice; the first one counts",
    ]


def test_our_result_joins_a_file_of_mteb(tmp_path: Path) -> None:
    score = {"main_score": 0.5, "accuracy": 0.5, "ap": math.nan, "hf_subset": "en", "languages": ["eng-Latn"]}
    document = {"dataset_revision": "x", "task_name": "T", "scores": {"test": [score], "dev": [score]}}
    path = write_foreign(tmp_path, document)
    store = Store(tmp_path)
    store.put(make(revision="r", task="T", split="test", subset="ja"))
    found = {(r.split, r.subset): r.scorer for r in store.results()}
    assert found == {("test", "en"): "mteb", ("dev", "en"): "mteb", ("test", "ja"): "correlation@1"}
    assert b"NaN" not in path.read_bytes()


def test_results_from_before_mteb_1_11(tmp_path: Path) -> None:
    old = {"mteb_version": "1.2.0", "dataset_revision": "x", "mteb_dataset_name": "T"}
    similarities = {"cos_sim": {"pearson": 0.4, "spearman": 0.5}, "evaluation_time": 22.1}
    pairs = {"cos_sim": {"ap": 0.6}, "max": {"ap": 0.7, "accuracy": 0.8}, "evaluation_time": 1.0}
    documents = {
        "Sts": {**old, "test": similarities},
        "Pairs": {**old, "test": pairs},
        "Intent": {"mteb_dataset_name": "T", "test": {"en": {"accuracy": 0.48698}}},
        "Bitext": {**old, "test": {"a-b": {"accuracy": 0.9, "f1": 0.8, "precision": 0.7, "recall": 0.6}}},
        "Main": {**old, "validation": {"zh": {"accuracy": 0.4, "f1": 0.3, "main_score": 0.3}}},
    }
    for task, document in documents.items():
        write_foreign(tmp_path, document, task)
    store = Store(tmp_path)
    found = {r.task: (r.split, r.subset, r.main_metric, r.main_score) for r in store.results()}
    assert found == {
        "Sts": ("test", "default", "cosine_spearman", 0.5),
        "Pairs": ("test", "default", "max_ap", 0.7),
        "Intent": ("test", "en", "accuracy", 0.48698),
        "Bitext": ("test", "a-b", "f1", 0.8),
        "Main": ("validation", "zh", "f1", 0.3),
    }
    assert store.problems == []


def test_mtebs_files_a_folder_too_deep_are_reported_not_read(tmp_path: Path) -> None:
    write_foreign(tmp_path / "results", {"dataset_revision": "x", "task_name": "T", "scores": {}})
    store = Store(tmp_path)
    assert list(store.results()) == []
    assert len(store.problems) == 1


def test_mteb_reads_the_model_meta(tmp_path: Path) -> None:
    from mteb.models.model_meta import ModelMeta

    store = Store(tmp_path)
    card = {
        "name": "org/name",
        "revision": "abc123",
        "kind": "cross-encoder",
        "n_parameters": 22_000_000,
        "embed_dim": 384,
        "max_tokens": 512,
        "license": "apache-2.0",
        "languages": ["eng-Latn"],
        "similarity_fn_name": "cosine",
        "pooling": "mean",
    }
    path = store.write_model_meta(card, variant=("bf16",))
    assert path == tmp_path / "org__name" / "abc123+bf16" / "model_meta.json"
    meta = ModelMeta.model_validate_json_resolved(path.read_bytes())
    assert (meta.name, meta.revision, meta.n_parameters, meta.embed_dim) == (
        "org/name",
        "abc123",
        22_000_000,
        384,
    )
    assert meta.model_type == ["cross-encoder"]
    assert meta.experiment_kwargs == {"variant": "bf16"}
    required = {name for name, field in ModelMeta.model_fields.items() if field.is_required()}
    assert required <= json.loads(path.read_text()).keys()

    bare = store.write_model_meta(
        {"name": "harness/bm25", "revision": None, "similarity_fn_name": "manhattan"}
    )
    meta = ModelMeta.model_validate_json_resolved(bare.read_bytes())
    assert (meta.name, meta.similarity_fn_name, meta.license) == ("harness/bm25", None, None)
    assert list(store.results()) == []


@pytest.mark.parametrize(
    ("adapter", "framework"),
    [("dense@1", ["PyTorch"]), ("rotary@1", ["PyTorch"]), ("static@1", ["NumPy"]), ("lexical@1", [])],
)
def test_the_framework_is_one_of_mtebs(adapter: str, framework: list[str], tmp_path: Path) -> None:
    from mteb.models.model_meta import ModelMeta

    from harness.models.base import ModelCard
    from harness.record import meta

    path = Store(tmp_path).write_model_meta(meta(ModelCard(name="org/name", adapter=adapter)))
    assert ModelMeta.model_validate_json_resolved(path.read_bytes()).framework == framework


def test_what_is_known_of_models_is_gathered_over_their_folders(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_model_meta({"name": "org/name", "revision": "a", "embed_dim": 384})
    store.write_model_meta({"name": "org/name", "revision": "b", "embed_dim": 999, "license": "mit"})
    store.write_model_meta({"name": "harness/bm25", "kind": "lexical"})
    bad = tmp_path / "harness__bm25" / "other" / "model_meta.json"
    bad.parent.mkdir()
    bad.write_text("{")
    metas = store.model_metas()
    assert {key: metas["org/name"][key] for key in ("name", "embed_dim", "license")} == {
        "name": "org/name",
        "embed_dim": 384,
        "license": "mit",
    }
    assert metas["harness/bm25"]["model_type"] == ["sparse"]
    assert "n_parameters" not in metas["harness/bm25"]
    assert str(bad) in store.problems[0]


def unpacked(archive: Path, root: Path, wanted: Callable[[tuple[str, ...]], bool]) -> None:
    """Unpack the published results of which the parts of the path (model, revision, file) are wanted."""
    with (
        pa.input_stream(str(archive), compression="zstd") as stream,
        tarfile.open(fileobj=stream, mode="r|") as members,
    ):
        for member in members:
            parts = PurePosixPath(member.name).parts[1:]
            if member.isfile() and len(parts) == 3 and wanted(parts):
                path = root.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                file = members.extractfile(member)
                assert file is not None
                path.write_bytes(file.read())


def test_published_results_read_as_their_table_says(tmp_path: Path) -> None:
    """Files that mteb wrote over the years, old formats among them, against the table made from them."""
    shared = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[2] / "shared")) / "reference"
    if not (shared / "published_results.tar.zst").is_file():
        pytest.skip("published results are not here (set HARNESS_SHARED)")
    models = ("intfloat__multilingual-e5", "BAAI__bge-base-zh", "voyageai__voyage-3")
    unpacked(shared / "published_results.tar.zst", tmp_path, lambda parts: parts[0].startswith(models))
    store = Store(tmp_path)
    found = {
        (
            r.model.replace("/", "__"),
            r.revision or "no_revision_available",
            r.task,
            r.split,
            r.subset,
        ): r.main_score
        for r in store.results()
    }
    with gzip.open(shared / "published_main_scores.csv.gz", "rt", encoding="utf-8") as lines:
        table = {
            (row["model"], row["revision"], row["task"], row["split"], row["hf_subset"]): float(
                row["main_score"]
            )
            for row in csv.DictReader(lines)
            if row["model"].startswith(models)
        }
    finite = {key: score for key, score in table.items() if math.isfinite(score)}
    assert len(finite) > 3000
    assert {key: found.get(key) for key in finite} == finite
    assert len(store.problems) == len(table) - len(finite)
