"""Data fetched into a folder: the same as their source, pinned, resumed, repaired; a stand-in is the hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import prefetch as module
from harness.data import hub, layout
from harness.data.examples import fingerprint
from harness.data.load import load_examples
from harness.errors import ConfigError, DataError
from harness.prefetch import Outcome, missing, prefetch, ready, standing
from harness.suite import load_suite
from harness.task import Task
from tests.toys import sts_rows, write_task

OLD, NEW = "a" * 40, "b" * 40
SUITE = """
suite: mine
title: Mine
tasks:
  - name: Pairs
    kind: sts
    source: {{hub: org/pairs, revision: {revision}}}
    splits: [test, dev]
    columns: {{score: gold}}
  - name: Labels
    kind: classification
    source: {{hub: org/labels, revision: {revision}}}
    splits: [validation, test]
    subsets: [en, zh]
  - name: Find
    kind: retrieval
    source:
      hub: org/find
      revision: {revision}
      configs: {{corpus: corpus, queries: queries, qrels: default}}
    document: "{{text}} | {{title}}"
"""


CHOSEN = """
suite: chosen
title: Chosen on a dev split
protocol: jmteb
tasks:
  - name: Pairs
    kind: sts
    source: {{hub: org/pairs, revision: {revision}}}
    splits: {{dev: dev, test: test}}
    columns: {{score: gold}}
  - name: Labels
    kind: classification
    source: {{hub: org/labels, revision: {revision}, config: x}}
    splits: {{dev: validation, test: test}}
  - name: Find
    kind: retrieval
    source: {{hub: org/find, revision: {revision}}}
    document: "{{text}} | {{title}}"
  - name: Asked
    kind: retrieval
    source: {{hub: org/asked, revision: {revision}}}
    document: "{{text}}"
"""


class Rows(list[dict[str, Any]]):
    """As much of a `datasets.Dataset` as the reader needs."""

    @property
    def column_names(self) -> list[str]:
        return list(self[0])


class Hub:
    """Stands in for `datasets.load_dataset`; what it holds depends on the revision alone."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str]] = []
        self.fails: dict[tuple[str, str | None], list[BaseException]] = {}

    def tables(self, path: str, name: str | None, revision: str) -> dict[str, list[dict[str, Any]]]:
        mark = revision[0]
        if path == "org/pairs":
            rows = [{"sentence1": r["sentence1"], "sentence2": mark, "gold": r["score"]} for r in sts_rows()]
            return {"test": rows, "dev": rows[:4]}
        if path == "org/labels":
            rows = [{"text": f"{mark}{name} {i}", "label": i % 2} for i in range(8)]
            return {"train": rows, "validation": rows[:2], "test": rows[2:4]}
        if name == "corpus":
            return {"corpus": [{"_id": f"d{i}", "title": f"T{i}", "text": f"{mark} {i}"} for i in range(5)]}
        if name == "queries":
            return {"queries": [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "unjudged"}]}
        grades = [{"query-id": "q1", "corpus-id": "d3", "score": 1}]
        return {"test": grades, "validation": grades[:]} if path == "org/asked" else {"test": grades}

    def __call__(self, path: str, name: str | None, *, revision: str) -> Any:
        self.asked.append((path, name, revision))
        if waiting := self.fails.get((path, name)):
            raise waiting.pop(0)
        found = self.tables(path, name, revision)
        return {split: Rows(rows) for split, rows in found.items()}


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Hub:
    import datasets

    found = Hub()
    monkeypatch.setattr(datasets, "load_dataset", found)
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no test pulls the plug
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def suite(folder: Path, revision: str = OLD, **more: Any) -> tuple[Task, ...]:
    path = folder.parent / f"mine-{revision[0]}.yaml"
    path.write_text(SUITE.format(revision=revision))
    return load_suite(str(path), **{"fetched": folder, **more}).tasks


def run(tasks: Any, folder: Path, **options: Any) -> list[Outcome]:
    return list(prefetch(tasks, folder, **options))


def states(outcomes: list[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def prints(tasks: Any) -> dict[tuple[str, str, str], str]:
    return {
        (task.name, split, subset): fingerprint(load_examples(task, split, subset, {}, offline=False))
        for task in tasks
        for split, subset in task.entries
    }


def whole(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".prefetch" not in path.parts
    }


def test_what_is_fetched_is_what_the_source_gives(stand_in: Hub, root: Path) -> None:
    tasks = suite(root)
    assert states(run(tasks, root)) == ["written"] * 3
    asked = len(stand_in.asked)
    local = suite(root, fetched=None, data=[root])
    found = prints(local)
    assert len(stand_in.asked) == asked
    assert found == prints(tasks)
    assert [task.entries for task in local] == [task.entries for task in tasks]
    assert not any(task.absent for task in local)
    # Without the suite's templates and column names too.
    bare = layout.load(layout.open_folder(root / "Find"), "retrieval", "test", "default")
    assert fingerprint(bare) == found["Find", "test", "default"]


def test_the_dev_split_of_a_protocol_that_chooses_comes_along(
    stand_in: Hub, root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "chosen.yaml"
    path.write_text(CHOSEN.format(revision=OLD))
    tasks = load_suite(str(path), fetched=root).tasks
    assert states(run(tasks, root)) == ["written"] * 4
    names = {
        f"{name}/{file.name}" for name in ("Pairs", "Labels", "Asked") for file in (root / name).glob("*.p*")
    }
    assert names == {
        "Pairs/test.parquet", "Pairs/dev.parquet",
        "Labels/train.parquet", "Labels/validation.parquet", "Labels/test.parquet",
        "Asked/test.corpus.parquet", "Asked/test.queries.parquet", "Asked/test.qrels.parquet",
        "Asked/validation.queries.parquet", "Asked/validation.qrels.parquet",
    }  # fmt: skip
    asked = len(stand_in.asked)
    local = load_suite(str(path), data=[root]).tasks
    found = prints(local)
    assert [missing(task, root) for task in tasks] == [()] * 4
    again = run(tasks, root)
    assert [o.error for o in again] == [""] * 4
    assert states(again) == ["there"] * 4
    assert len(stand_in.asked) == asked
    assert found == prints(tasks)
    assert [task.entries for task in local] == [task.entries for task in tasks]
    (root / "Pairs" / "dev.parquet").unlink()
    (root / "Asked" / "validation.qrels.parquet").unlink()
    assert states(run(tasks, root)) == ["written", "there", "there", "written"]
    assert prints(local) == found


def test_a_dev_split_that_nobody_asked_for_is_still_to_be_fetched(
    stand_in: Hub, root: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(CHOSEN.format(revision=OLD).replace("protocol: jmteb", "protocol: custom"))
    run(load_suite(str(path), fetched=root).tasks, root)
    path.write_text(CHOSEN.format(revision=OLD))
    tasks = load_suite(str(path), fetched=root).tasks
    assert [bool(missing(task, root)) for task in tasks] == [True] * 4
    assert states(run(tasks, root)) == ["written"] * 4
    assert prints(load_suite(str(path), data=[root]).tasks) == prints(tasks)


def test_a_dev_split_is_asked_for_subset_by_subset(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    """One subset's dev queries do not stand in for another's, which would be scored without a choice."""
    path = tmp_path / "chosen.yaml"
    path.write_text(CHOSEN.format(revision=OLD))
    asked = load_suite(str(path), fetched=root).tasks[3]
    run([asked], root)
    folder, manifest = root / "Asked", json.loads((root / "Asked/manifest.json").read_text())
    assert (manifest["dev"], manifest["dev_subsets"]) == ("validation", ["default"])
    for name in list(manifest["files"]):  # as a task that knows no dev split would have left another subset
        if name.startswith("test."):
            other = layout.stem("test", "b", name.split(".")[1]) + ".parquet"
            shutil.copy(folder / name, folder / other)
            manifest["files"][other] = manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    both = replace(asked, entries=(("test", "default"), ("test", "b")))
    assert missing(both, root) == (("test", "b"),)
    assert module._head(replace(asked, entries=both.entries[1:]), folder)["dev_subsets"] == ["b", "default"]
    del manifest["dev_subsets"]  # as earlier versions wrote it
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert missing(both, root) == ()


def test_files_that_a_suite_names_are_where_they_are(root: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, sts_rows(5))))
    path = tmp_path / "own.yaml"
    path.write_text(
        "suite: o\ntitle: O\ntasks:\n  - {name: O, kind: sts, source: {files: {test: rows.jsonl}}}\n"
    )
    tasks = load_suite(str(path), fetched=root).tasks
    assert standing(tasks[0], root) == "your own files"
    assert ready(tasks, root)[1] == []
    assert states(run(tasks, root)) == ["own"]
    assert not (root / "O").exists()


def test_manifests_and_the_lock_file_say_what_is_there(stand_in: Hub, root: Path) -> None:
    tasks = suite(root)
    run(tasks, root)
    lock = json.loads((root / "harness.lock.json").read_text())
    assert (lock["schema"], set(lock["tasks"])) == (1, {"Pairs", "Labels", "Find"})
    for task in tasks:
        manifest = json.loads((root / task.name / "manifest.json").read_text())
        entry = lock["tasks"][task.name]
        for key in ("kind", "main", "source", "revision"):
            assert manifest[key] == entry[key]
        assert (manifest["revision"], manifest["kind"], manifest["main"]) == (OLD, task.kind, task.main)
        there = {path.name for path in (root / task.name).iterdir()} - {"manifest.json"}
        assert set(manifest["files"]) == set(entry["files"]) == there
        for name, digest in manifest["files"].items():
            assert hashlib.sha256((root / task.name / name).read_bytes()).hexdigest() == digest
            assert entry["files"][name]["sha256"] == digest
    assert lock["tasks"]["Labels"]["files"]["train.en.parquet"]["rows"] == 8
    assert lock["tasks"]["Find"]["document"] == "{text} | {title}"
    assert lock["tasks"]["Find"]["source"] == "hub:org/find corpus=corpus qrels=default queries=queries"
    assert lock["tasks"]["Pairs"]["entries"] == [["dev", "default"], ["test", "default"]]


def test_a_second_run_asks_nobody_and_writes_nothing(stand_in: Hub, root: Path) -> None:
    tasks = suite(root)
    run(tasks, root)
    before, asked = whole(root), len(stand_in.asked)
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*.*")}
    assert states(run(tasks, root)) == ["there"] * 3
    assert (whole(root), len(stand_in.asked)) == (before, asked)
    kept = {path: path.stat().st_mtime_ns for path in times if ".prefetch" not in path.parts}
    assert all(times[path] == kept[path] for path in kept)


def test_order_and_repetition_do_not_change_a_byte(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    run(suite(root), root)
    other = tmp_path / "other"
    for task in reversed(suite(other)):
        run([task], other)
    assert whole(other) == whole(root)


def test_a_killed_run_goes_on_where_it_was(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    stand_in.fails["org/labels", "zh"] = [KeyboardInterrupt()]
    tasks = suite(root)
    with pytest.raises(KeyboardInterrupt):
        run(tasks, root)
    assert (root / "Pairs").is_dir()
    assert not (root / "Labels").exists()  # half a task is never scored
    stand_in.asked.clear()
    said: list[str] = []
    again = run(tasks, root, listen=lambda task, text: said.append(f"{task.name} {text}"))
    assert states(again) == ["there", "written", "written"]
    done = [line for line in said if line.startswith("Labels ") and "checking" not in line]
    assert done == [
        f"Labels {entry}" for entry in ("validation/zh (1 of 3)", "test/en (2 of 3)", "test/zh (3 of 3)")
    ]
    assert ("org/pairs", None, OLD) not in stand_in.asked
    run(suite(tmp_path / "other"), tmp_path / "other")
    assert whole(root) == whole(tmp_path / "other")


def test_unfinished_work_that_is_damaged_is_done_again(stand_in: Hub, root: Path) -> None:
    stand_in.fails["org/labels", "zh"] = [KeyboardInterrupt()]
    tasks = suite(root)
    with pytest.raises(KeyboardInterrupt):
        run(tasks, root)
    work = root / ".prefetch" / "work" / "Labels"
    (work / "test.en.parquet").write_bytes(b"half")
    (work / "stray").write_bytes(b"")
    run(tasks, root)
    assert prints(suite(root, fetched=None, data=[root])) == prints(tasks)
    assert "stray" not in whole(root / "Labels")


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_file_is_fetched_again(stand_in: Hub, root: Path, how: str) -> None:
    tasks = suite(root)
    run(tasks, root)
    before = whole(root)
    path = root / "Labels" / "train.zh.parquet"
    path.write_bytes(b"x") if how == "changed" else path.unlink()
    stand_in.asked.clear()
    said: list[str] = []
    assert states(run(tasks, root, listen=lambda task, text: said.append(text))) == [
        "there",
        "written",
        "there",
    ]
    assert {name for path, name, _ in stand_in.asked} == {"zh"}
    assert whole(root) == before
    assert any("train.zh.parquet differs" in line for line in said)


def test_more_of_a_task_joins_what_is_there(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    (task,) = suite(root, subsets=["en"])
    assert task.entries == (("validation", "en"), ("test", "en"))
    run([task], root)
    assert standing(task, root) == "there"
    assert missing(suite(root)[1], root) == (("validation", "zh"), ("test", "zh"))
    assert standing(suite(root)[1], root) == "to fetch 2 of 4"
    stand_in.asked.clear()
    assert states(run(suite(root), root)) == ["written"] * 3
    assert ("org/labels", "en", OLD) not in stand_in.asked
    run(suite(tmp_path / "other"), tmp_path / "other")
    assert whole(root) == whole(tmp_path / "other")
    # What an earlier suite fetched stays when a later one wants less.
    assert states(run(suite(root, subsets=["zh"]), root)) == ["there"]
    assert whole(root) == whole(tmp_path / "other")


def test_another_revision_is_refused_by_name_unless_asked_for(stand_in: Hub, root: Path) -> None:
    run(suite(root), root)
    before = whole(root)
    newer = suite(root, NEW)
    with pytest.raises(ConfigError) as caught:
        ready(newer, root)
    text = str(caught.value)
    for name in ("Pairs", "Labels", "Find", OLD, NEW, "--update", "harness.lock.json"):
        assert name in text
    assert states(run(newer, root)) == ["failed"] * 3
    assert whole(root) == before
    assert standing(newer[0], root) == "there at another revision"
    run(newer[:1], root, update=True)
    lock = json.loads((root / "harness.lock.json").read_text())["tasks"]
    assert {name: entry["revision"] for name, entry in lock.items()} == {
        "Pairs": NEW,
        "Labels": OLD,
        "Find": OLD,
    }
    assert states(run(newer, root, update=True)) == ["there", "written", "written"]
    assert prints(suite(root, NEW, fetched=None, data=[root])) == prints(newer)
    ready(newer, root)


def test_an_update_keeps_the_entries_of_other_suites(stand_in: Hub, root: Path) -> None:
    run(suite(root), root)
    run(suite(root, NEW, subsets=["zh"]), root, update=True)
    (task,) = suite(root, NEW, fetched=None, data=[root], subsets=["en"])
    assert prints([task]) == prints(suite(root, NEW, subsets=["en"]))


@pytest.mark.parametrize("lost", ["lock", "manifest"])
def test_either_record_alone_pins_the_revision(stand_in: Hub, root: Path, lost: str) -> None:
    import shutil

    run(suite(root), root)
    if lost == "lock":
        (root / "harness.lock.json").unlink()
    else:
        shutil.rmtree(root / "Pairs")
    with pytest.raises(ConfigError, match=f"Pairs is there with revision {OLD}, not {NEW}"):
        ready(suite(root, NEW), root)
    assert states(run(suite(root), root)) == ["there" if lost == "lock" else "written", "there", "there"]
    assert set(json.loads((root / "harness.lock.json").read_text())["tasks"]) == {"Pairs", "Labels", "Find"}


def test_another_template_is_another_text(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    run(suite(root), root)
    path = tmp_path / "mine-a.yaml"
    path.write_text(SUITE.format(revision=OLD).replace("{text} | {title}", "{text}"))
    with pytest.raises(ConfigError, match=r"Find is there with document .*title"):
        ready(load_suite(str(path), fetched=root).tasks, root)


def test_other_columns_are_other_rows(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    run(suite(root), root)
    path = tmp_path / "mine-b.yaml"
    text = SUITE.format(revision=OLD)
    assert "score: gold" in text
    path.write_text(text.replace("score: gold", "score: other"))
    with pytest.raises(ConfigError, match=r"Pairs is there with source .*gold.*, not .*other"):
        ready(load_suite(str(path), fetched=root).tasks, root)
    (task,) = (t for t in load_suite(str(path), data=[root]).tasks if t.name == "Pairs")
    with pytest.raises(DataError, match=r"its rows were read by columns .*gold"):
        load_examples(task, *task.entries[0], {}, offline=True)


def test_files_of_ones_own_are_left_alone(stand_in: Hub, root: Path) -> None:
    write_task(root, "Pairs", "sts", "cosine_spearman", test=sts_rows(5), dev=sts_rows(5))
    before = whole(root)
    tasks = suite(root)
    assert standing(tasks[0], root) == "your own files"
    assert states(run(tasks, root)) == ["own", "written", "written"]
    assert {name: data for name, data in whole(root).items() if name.startswith("Pairs/")} == before
    assert "Pairs" not in json.loads((root / "harness.lock.json").read_text())["tasks"]


def test_faults_of_the_network_are_tried_again(stand_in: Hub, root: Path) -> None:
    stand_in.fails["org/pairs", None] = [ConnectionError("reset"), TimeoutError("slow")]
    said: list[str] = []
    outcomes = run(suite(root)[:1], root, listen=lambda task, text: said.append(text))
    assert states(outcomes) == ["written"]
    assert sum("again in" in line for line in said) == 2


def test_other_faults_are_not_and_the_other_tasks_go_on(stand_in: Hub, root: Path) -> None:
    stand_in.fails["org/pairs", None] = [FileNotFoundError("no such data set")] * 9
    stand_in.fails["org/labels", "en"] = [ConnectionError("reset")] * 9
    outcomes = run(suite(root), root)
    assert states(outcomes) == ["failed", "failed", "written"]
    assert "no such data set" in outcomes[0].error
    assert [path for path, *_ in stand_in.asked].count("org/pairs") == 1
    assert [path for path, *_ in stand_in.asked].count("org/labels") == 3
    stand_in.fails.clear()
    assert states(run(suite(root), root)) == ["written", "written", "there"]


def test_rows_that_reading_back_would_refuse_are_never_published(
    stand_in: Hub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.data import rows

    monkeypatch.setattr(rows, "unique_ids", lambda ids, *where: list(map(str, ids)))
    real = stand_in.tables
    twice = [{"_id": "d3", "title": "", "text": "x"}] * 2
    monkeypatch.setattr(
        stand_in,
        "tables",
        lambda path, name, at: {"corpus": twice} if name == "corpus" else real(path, name, at),
    )
    (outcome,) = run(suite(root)[2:], root)
    assert outcome.state == "failed"
    assert "d3" in outcome.error
    assert not (root / "Find").exists()
    monkeypatch.setattr(stand_in, "tables", real)
    assert states(run(suite(root)[2:], root)) == ["written"]


def test_what_reads_back_otherwise_is_never_published(
    stand_in: Hub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[str] = iter(["one", "another"])
    monkeypatch.setattr(module, "fingerprint", lambda examples: next(answers))
    (outcome,) = run(suite(root)[:1], root)
    assert outcome.state == "failed"
    assert "not what was written" in outcome.error
    assert not (root / "Pairs").exists()
    monkeypatch.undo()


def test_two_at_a_time_do_the_work_once(stand_in: Hub, root: Path, tmp_path: Path) -> None:
    tasks = suite(root)
    both: list[list[Outcome]] = []
    threads = [threading.Thread(target=lambda: both.append(run(tasks, root))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states(both[0]) + states(both[1])) == ["there"] * 3 + ["written"] * 3
    assert [path for path, *_ in stand_in.asked].count("org/pairs") == 2  # once a split
    run(suite(tmp_path / "other"), tmp_path / "other")
    assert whole(root) == whole(tmp_path / "other")


def test_shipped_tasks_are_copied(root: Path) -> None:
    tasks = [
        t for t in load_suite("smoke", fetched=root).tasks if t.name in ("SmokeClusterSets", "SmokeTopics")
    ]
    assert states(run(tasks, root)) == ["written"] * 2
    local = [
        t for t in load_suite("smoke", data=[root]).tasks if t.name in ("SmokeClusterSets", "SmokeTopics")
    ]
    assert prints(local) == prints(tasks)
    assert [task.scorer for task in local] == [task.scorer for task in tasks]
    assert all(task.folder is not None and task.folder.path.parent == root for task in local)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 2, "tasks": {}}', '{"schema": 1}'])
def test_a_lock_file_that_cannot_be_understood(stand_in: Hub, root: Path, text: str) -> None:
    root.mkdir()
    (root / "harness.lock.json").write_text(text)
    with pytest.raises(DataError, match=r"harness\.lock\.json"):
        ready(suite(root), root)


def test_a_hidden_name_makes_no_folder(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        "suite: odd\ntitle: Odd\ntasks:\n  - {name: .odd, kind: sts, source: {hub: o/d, revision: abc}}\n"
    )
    with pytest.raises(ConfigError, match="begins with a dot"):
        ready(load_suite(str(path), fetched=root).tasks, root)


def test_the_hub_source_is_the_one_that_is_replaced(stand_in: Hub) -> None:
    assert hub.load("T", "sts", "test", hub="org/pairs", revision=OLD, columns={"score": "gold"})
    assert stand_in.asked == [("org/pairs", None, OLD)]
