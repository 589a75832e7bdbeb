"""The index of a results tree: it says what the store says, follows the tree, and survives damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.store import Store, index
from harness.store.index import indexed
from harness.store.snapshot import Snapshot, snapshot
from harness.types import Result
from tests.report.make import result

SLIM = ("languages", "details", "undefined", "provenance", "exact", "metrics")


def foreign(folder: Path, task: str, scores: dict[str, list[dict[str, Any]]], **more: Any) -> Path:
    """A file as mteb 2 writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{task}.json"
    content = {"dataset_revision": "abc", "task_name": task, "mteb_version": "2", "scores": scores, **more}
    path.write_text(json.dumps(content, indent=2))
    return path


def score(main: Any, subset: str = "default", **metrics: Any) -> dict[str, Any]:
    return {"accuracy": main, **metrics, "main_score": main, "hf_subset": subset, "languages": ["eng-Latn"]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Ours and mteb's results, in every form that there is."""
    root = tmp_path / "results"
    own = Store(root)
    own.put(result("org/ours", "T", 0.5, provenance={"settings": {"k": 1}, "device": "cpu", "seconds": 2.0}))
    own.put(result("org/ours", "T", 0.25, subset="zh", variant=("bf16",), protocol="jmteb"))
    own.fail("org/ours", "r1", (), "mteb", "U", "test", "default", "out of memory")
    own.write_model_meta({"name": "org/ours", "revision": "r1", "n_parameters": 7, "languages": ["eng-Latn"]})
    theirs = root / "org__theirs" / "r2"
    nested = {"scores_per_experiment": [{"accuracy": 0.5}], "ap": None, "n": 3, "flag": True, "kind": "x"}
    foreign(theirs, "T", {"test": [score(0.75, **nested), score(0.5, "zh", f1=0.75)], "dev": [score(0.125)]})
    foreign(theirs, "Nan", {"test": [score(0.5, f1=float("nan")), score(float("nan"), "zh")]})
    foreign(theirs, "NanList", {"test": [score(0.5, each=[float("nan"), 1.0])]})
    foreign(theirs, "Inf", {"test": [score(0.5, f1=float("inf")), score(float("-inf"), "zh")]})
    foreign(theirs, "Twice", {"test": [score(0.5), score(0.25)]})
    foreign(theirs, "Words", {"test": [score("0.5"), score(True, "zh"), score(1, "ja")]})
    old = {"cos_sim": {"spearman": 0.5, "pearson": 0.25}, "evaluation_time": 3.0}
    (theirs / "Old.json").write_text(
        json.dumps({"mteb_dataset_name": "Old", "dataset_revision": "abc", "test": old})
    )
    foreign(theirs, "Escaped", {"test": [score(0.5, **{'a": NaN': 1.0, "f1": float("nan")})]})
    foreign(root / "plain" / "no_revision_available", "T", {"test": [score(0.5)]})
    (theirs / "Cut.json").write_text('{"scores": {"test": [')
    (theirs / "Empty.json").write_text("")
    (theirs / "List.json").write_text("[]")
    (theirs / "NoSubset.json").write_text(
        json.dumps({"dataset_revision": "abc", "scores": {"test": [{"main_score": 1.0}]}})
    )
    (theirs / "Later.json").write_text(
        json.dumps({"dataset_revision": "a", "scores": {}, "harness": {"schema": 9}})
    )
    return root


def everything(root: Path, cache: Path) -> Snapshot:
    """Of all tasks and subsets that the store finds."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for found in Store(root, repair=False).results():
        wanted[found.task].add(found.subset)
    return snapshot(root, {**wanted, "U": {"default"}}, cache)


def plain(results: list[Result]) -> list[tuple[Any, ...]]:
    """Results as comparable rows, without what the index leaves out."""
    rows = [(dict(r.metrics), replace(r, **dict.fromkeys(SLIM, ()))) for r in results]
    return sorted(rows, key=lambda row: (str(row[1]), str(row[0])))


def lines(problems: list[str]) -> list[str]:
    """Faults without the column in which a parser gave up."""
    return sorted(problem.partition(" (not JSON")[0] for problem in problems)


def test_it_says_what_the_store_says(tree: Path, tmp_path: Path) -> None:
    store = Store(tree, repair=False)
    expected = list(store.results())
    for _ in range(2):  # built, then read
        found = everything(tree, tmp_path / "cache")
        assert len(found.results) == len(expected) == 13
        assert plain(found.results) == plain(expected)
        assert lines(found.problems) == lines(store.problems)
        assert found.failures == store.failures()
        assert found.models["org/ours"] == {
            k: v
            for k, v in store.model_metas()["org/ours"].items()
            if k in ("name", "revision", "n_parameters", "languages", "model_type")
        }
    ours = next(r for r in found.results if r.model == "org/ours" and r.protocol == "mteb")
    assert ours.provenance == {"settings": {"k": 1}, "seconds": 2.0}
    assert not list(tree.rglob("*.corrupt"))  # somebody's tree is left alone
    assert sorted(p.name for p in tree.iterdir()) == ["org__ours", "org__theirs", "plain"]


def test_every_fault_is_named_once(tree: Path, tmp_path: Path) -> None:
    problems = everything(tree, tmp_path / "cache").problems
    for name, count in {"Cut": 1, "Empty": 1, "List": 1, "NoSubset": 1, "Later": 1, "Nan": 1, "Inf": 1,
                        "Twice": 1, "Words": 2}.items():  # fmt: skip
        assert sum(f"{name}.json" in line for line in problems) == count, name
    assert len(problems) == 10
    assert any("no finite main score for test/zh" in line for line in problems)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scorer", 5),
        ("data_fingerprint", {}),
        ("data_revision", []),
        ("main_metric", ["ndcg_at_10"]),
        ("samples_sha256", 7),
        ("exact", {"ndcg_at_10": float("nan")}),
        ("exact", {"ndcg_at_10": 10**400}),
        ("provenance", {"settings": -1}),
    ],
)
def test_an_entry_of_ours_with_values_of_another_kind_is_a_fault(
    key: str, value: Any, tmp_path: Path
) -> None:
    root = tmp_path / "results"
    path = Store(root).put(result("org/ours", "T", 0.5))
    document = json.loads(path.read_text())
    document["harness"]["entries"]["test"]["default"][key] = value
    path.write_text(json.dumps(document))
    found = snapshot(root, {"T": {"default"}}, tmp_path / "cache")
    assert found.results == []
    assert [line.partition("T.json ")[2] for line in found.problems] == [
        "cannot be read (malformed harness entry test/default)"
    ]


def test_a_number_too_large_for_any_score_is_no_score(tmp_path: Path) -> None:
    foreign(tmp_path / "org__theirs" / "r", "T", {"test": [score(10**400), score(0.5, "zh", f1=10**400)]})
    found = snapshot(tmp_path, {"T": {"default", "zh"}}, tmp_path / "cache")
    assert [(r.subset, set(r.metrics)) for r in found.results] == [("zh", {"accuracy"})]
    assert len(found.problems) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_links_that_lead_nowhere_and_pipes_do_not_stop_it(tmp_path: Path) -> None:
    home = tmp_path / "results" / "org__theirs" / "r"
    foreign(home, "T", {"test": [score(0.5)]})
    (home / "loop").symlink_to("loop")
    (home / "Nowhere.json").symlink_to("nothing")
    (home / "Loop.json").symlink_to("Loop.json")
    (home / "Folder.json").mkdir()
    os.mkfifo(home / "Pipe.json")
    found = snapshot(tmp_path / "results", {"T": {"default"}}, tmp_path / "cache")
    assert len(found.results) == 1
    assert [Path(line.partition(" ")[0]).name for line in found.problems] == [
        "Folder.json", "Loop.json", "Nowhere.json", "Pipe.json",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_read_is_a_fault_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("a", "b"):
        foreign(tmp_path / f"org__{model}" / "r", "T", {"test": [score(0.5)]})
    scandir = os.scandir

    def closed(path: str) -> Any:
        if path.endswith("org__a/r"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("harness.store.tree.os.scandir", closed)
    for _ in range(2):
        found = snapshot(tmp_path, {"T": {"default"}}, tmp_path / "cache")
        assert [r.model for r in found.results] == ["org/b"]
        assert len(found.problems) == 1
        assert found.problems[0].startswith(f"{tmp_path / 'org__a' / 'r'} cannot be read")
    monkeypatch.setattr("harness.store.tree.os.scandir", scandir)
    assert len(snapshot(tmp_path, {"T": {"default"}}, tmp_path / "cache").results) == 2


@pytest.mark.parametrize("kind", ["files", "entries"])
def test_a_single_wrong_byte_in_the_metadata_is_noticed(kind: str, tree: Path, tmp_path: Path) -> None:
    age(tree)
    asked = {"Words": {"ja"}}
    expected = snapshot(tree, asked, tmp_path)
    (path,) = tmp_path.rglob(f"{kind}*.parquet")
    raw = path.read_bytes()
    place = raw.rindex(b"twice" if kind == "files" else b"Words")  # in a problem; in the bounds of the rows
    path.write_bytes(raw[:place] + b"A" + raw[place + 1 :])
    found = snapshot(tree, asked, tmp_path)
    assert found.problems == expected.problems
    assert plain(found.results) == plain(expected.results)


def test_reading_very_many_files_is_announced(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "AT_ONCE", 5)
    monkeypatch.setattr(index, "FRESH", -(10**12))
    said: list[str] = []
    for _ in range(2):
        snapshot(tree, {"T": {"default"}}, tmp_path / "cache", said.append)
    assert len(said) == 1
    assert said[0].startswith(f"reading {len(list(tree.rglob('*.json')))} files of {tree}")


def test_only_what_is_asked_for(tree: Path, tmp_path: Path) -> None:
    found = snapshot(tree, {"T": {"zh"}, "None": {"default"}}, tmp_path)
    assert {(r.model, r.task, r.subset) for r in found.results} == {
        ("org/ours", "T", "zh"),
        ("org/theirs", "T", "zh"),
    }
    assert found.failures == []
    assert snapshot(tree, {}, tmp_path).results == []


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are read from now on."""
    read: list[str] = []
    scanned = index.scanned

    def counting(root: Path, files: list[tuple[int, str]]) -> Any:
        read.extend(path for _, path in files)
        return scanned(root, files)

    monkeypatch.setattr(index, "scanned", counting)
    return read


def age(root: Path) -> None:
    """As if nothing had been written lately."""
    for path in root.rglob("*.json"):
        os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**10))


def test_only_what_changed_is_read_again(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(tree)
    cache = tmp_path / "cache"
    everything(tree, cache)
    read = counted(monkeypatch)
    everything(tree, cache)
    assert read == []
    theirs = tree / "org__theirs" / "r2"
    (theirs / "Old.json").unlink()
    (theirs / "Cut.json").unlink()
    changed = foreign(theirs, "T", {"test": [score(0.875)]})
    os.utime(changed, (0, 0))
    foreign(tree / "a" / "first", "T", {"test": [score(0.5)]})  # moves the number of every other file
    age(tree / "a")
    found = everything(tree, cache)
    assert sorted(read) == ["a/first/T.json", "org__theirs/r2/T.json"]
    assert plain(found.results) == plain(list(Store(tree, repair=False).results()))
    store = Store(tree, repair=False)
    assert len(list(store.results())) == len(found.results) == 11
    assert lines(found.problems) == lines(store.problems)
    read.clear()
    everything(tree, cache)
    assert read == []


def test_what_was_written_just_now_is_looked_at_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of one size within one tick of the clock would look the same."""
    age(tree)
    path = tree / "plain" / "no_revision_available" / "T.json"
    os.utime(path)
    stamp = path.stat().st_mtime_ns
    everything(tree, tmp_path)
    path.write_text(path.read_text().replace("0.5", "0.7"))
    os.utime(path, ns=(stamp, stamp))
    found = everything(tree, tmp_path)
    assert [r.main_score for r in found.results if r.model == "plain"] == [0.7]


def test_a_file_of_the_future_is_looked_at_every_time(tree: Path, tmp_path: Path) -> None:
    age(tree)
    path = tree / "plain" / "no_revision_available" / "T.json"
    later = time.time_ns() + 10**12
    os.utime(path, ns=(later, later))
    everything(tree, tmp_path)
    path.write_text(path.read_text().replace("0.5", "0.7"))
    os.utime(path, ns=(later, later))
    found = everything(tree, tmp_path)
    assert [r.main_score for r in found.results if r.model == "plain"] == [0.7]


def damage(cut: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(cut(path.read_bytes()))


@pytest.mark.parametrize("name", ["files", "entries"])
@pytest.mark.parametrize(
    "harm",
    [
        damage(lambda raw: raw[: len(raw) // 2]),
        damage(lambda raw: b""),
        damage(lambda raw: raw[:40] + bytes(b ^ 255 for b in raw[40:80]) + raw[80:]),
        Path.unlink,
    ],
    ids=["cut", "empty", "flipped", "gone"],
)
def test_a_damaged_index_is_made_again(
    tree: Path, tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    age(tree)
    cache = tmp_path / "cache"
    before = plain(everything(tree, cache).results)
    (path,) = (cache / "results").rglob(f"{name}*.parquet")
    harm(path)
    assert plain(everything(tree, cache).results) == before
    assert len(list((cache / "results").rglob("*.parquet"))) == 2
    assert plain(everything(tree, cache).results) == before


def test_an_index_of_another_version_is_made_again(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(tree)
    everything(tree, tmp_path)
    read = counted(monkeypatch)
    monkeypatch.setattr(index, "VERSION", "0")
    everything(tree, tmp_path)
    assert len(read) > 10


def test_a_cache_that_cannot_be_written_costs_time_alone(tree: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert plain(everything(tree, blocked).results) == plain(everything(tree, tmp_path / "cache").results)


def test_no_tree_is_empty_and_a_file_is_refused(tmp_path: Path) -> None:
    assert indexed(tmp_path / "none", cache=tmp_path).paths == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        indexed(tmp_path / "file", cache=tmp_path)


def test_workers_find_what_one_process_finds(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = everything(tree, tmp_path / "a")
    monkeypatch.setattr(index, "AT_ONCE", 5)
    monkeypatch.setattr(index.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    together = everything(tree, tmp_path / "b")
    assert plain(together.results) == plain(alone.results)
    assert together.problems == alone.problems
    assert together.failures == alone.failures


def test_a_worker_that_dies_is_replaced(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "AT_ONCE", 5)
    monkeypatch.setattr(index.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(index.sys, "executable", "/bin/false")
    assert len(everything(tree, tmp_path).results) == 13


def test_two_processes_build_one_index(tree: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.store.index import indexed; "
        "print(len(indexed(Path(sys.argv[1]), cache=Path(sys.argv[2])).entries))"
    )
    command = [sys.executable, "-c", code, str(tree), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    said = [run.communicate(timeout=120) for run in runs]
    assert [out.strip() for out, _ in said] == [b"13", b"13"], said
    assert len(list((tmp_path / "cache" / "results").rglob("*.parquet"))) == 2
