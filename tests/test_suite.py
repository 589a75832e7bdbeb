"""Suites and tasks: resolved against folders and mteb, and everything unknown said with its nearest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import ConfigError, DataError, HarnessError, UnknownNameError
from harness.scorers import KINDS
from harness.suite import all_task_names, load_suite, load_task
from harness.suite_file import read_suite, suite_names

PAIR = {"sentence1": "a", "sentence2": "b", "score": 1}
ROW = {"text": "a", "label": 1}


def folder(root: Path, task: str, manifest: dict | None = None, **files: list[dict]) -> Path:
    home = root / task
    home.mkdir(parents=True)
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (home / (name.replace("__", ".") + ".jsonl")).write_text(text, encoding="utf-8")
    if manifest is not None:
        (home / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root


def test_smoke_has_every_kind_and_resolves() -> None:
    suite = load_suite("smoke")
    assert {task.kind for task in suite.tasks} == set(KINDS)
    assert all(task.entries and task.main for task in suite.tasks)
    assert {t.scorer.name for t in suite.tasks if t.kind == "clustering"} == {
        "bootstrap_kmeans",
        "minibatch_kmeans",
    }


def test_shipped_suites_name_themselves() -> None:
    for name in suite_names():
        assert read_suite(name).suite == name


def test_a_task_of_mteb_takes_everything_from_its_metadata() -> None:
    (task,) = load_task("AmazonCounterfactualClassification").tasks
    assert (task.kind, task.main, task.type) == ("classification", "accuracy", "Classification")
    assert task.settings["samples_per_label"] == 32
    assert ("test", "en") in task.entries
    assert task.revision == "1f7e6a9d6fa6e64c53d146e428565640410c0df1"
    assert task.languages["en"] == ("eng-Latn",)


def test_mteb_scorers_and_their_settings() -> None:
    names = (
        "SummEval",
        "SummEvalSummarization.v2",
        "TwentyNewsgroupsClustering",
        "LivedoorNewsClustering.v2",
        "MindSmallReranking",
        "ArguAna",
    )
    tasks = {task.name: task for task in load_task(*names).tasks}
    assert tasks["SummEval"].scorer.name == "mean_with_p"
    assert tasks["SummEvalSummarization.v2"].scorer.name == "mean_correlation"
    assert tasks["TwentyNewsgroupsClustering"].scorer.name == "minibatch_kmeans"
    assert tasks["LivedoorNewsClustering.v2"].settings["max_document_to_embed"] == 1107
    assert tasks["MindSmallReranking"].main == "max_over_subqueries_map_at_1000"
    assert tasks["MindSmallReranking"].settings["extra"] == ["max_over_subqueries"]
    assert tasks["ArguAna"].settings["ignore_identical_ids"] is True


def test_cqadupstack_is_the_mean_of_its_twelve_forums() -> None:
    (task,) = load_task("CQADupstackRetrieval").tasks
    assert task.kind == "aggregate"
    assert len(task.members) == 12
    assert all(m.kind == "retrieval" and m.entries == (("test", "default"),) for m in task.members)


def test_a_folder_defines_the_splits_of_a_known_task(tmp_path: Path) -> None:
    root = folder(tmp_path, "STS22", test__en=[PAIR], test__zh=[PAIR])
    (task,) = load_task("STS22", data=[root]).tasks
    assert task.entries == (("test", "en"), ("test", "zh"))
    assert ("test", "de") in task.absent
    assert task.revision.startswith("local:")
    assert len(task.revision) == len("local:") + 12


def test_a_folder_of_an_unknown_task_needs_a_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing says its kind"):
        load_task("Mine", data=[folder(tmp_path / "a", "Mine", test=[PAIR])])
    (task,) = load_task("Mine", data=[folder(tmp_path / "b", "Mine", {"kind": "sts"}, test=[PAIR])]).tasks
    assert (task.main, task.scorer.name) == ("cosine_spearman", "correlation")
    with pytest.raises(UnknownNameError, match="did you mean sts"):
        load_task("Mine", data=[folder(tmp_path / "c", "Mine", {"kind": "stss"}, test=[PAIR])])
    with pytest.raises(DataError, match="image"):
        load_task("Mine", data=[folder(tmp_path / "d", "Mine", {"kind": "image"}, test=[PAIR])])


def test_training_rows_are_scored_only_where_mteb_scores_them(tmp_path: Path) -> None:
    own = folder(tmp_path / "a", "Mine", {"kind": "classification"}, train=[ROW], test=[ROW])
    assert load_task("Mine", data=[own]).tasks[0].entries == (("test", "default"),)
    sib = folder(tmp_path / "b", "SIB200Classification", train__eng_Latn=[ROW], test__eng_Latn=[ROW])
    assert [s for s, _ in load_task("SIB200Classification", data=[sib]).tasks[0].entries] == ["train", "test"]


def test_a_classification_folder_without_training_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train split"):
        load_task("Mine", data=[folder(tmp_path, "Mine", {"kind": "classification"}, test=[ROW])])


def test_only_the_named_splits_and_subsets(tmp_path: Path) -> None:
    root = folder(tmp_path, "STS22", test__en=[PAIR], test__zh=[PAIR])
    (task,) = load_task("STS22", data=[root], subsets=["zh"]).tasks
    assert task.entries == (("test", "zh"),)
    with pytest.raises(UnknownNameError, match=r"unknown subset 'zz'.*zh"):
        load_task("STS22", data=[root], subsets=["zz"])
    with pytest.raises(UnknownNameError, match="unknown split 'tset'; did you mean test"):
        load_task("STS22", data=[root], splits=["tset"])


def test_a_task_without_what_was_asked_for_is_left_out_and_said(tmp_path: Path) -> None:
    root = folder(tmp_path, "Both", {"kind": "sts"}, test__zh=[PAIR], dev__en=[PAIR])
    folder(tmp_path, "STSB", test=[PAIR])
    suite = load_task("Both", "STSB", data=[root], subsets=["zh"])
    assert [task.name for task in suite.tasks] == ["Both"]
    assert suite.outside == {"STSB": "has no subset zh"}
    with pytest.raises(ConfigError, match="no task has subset zh of split dev"):
        load_task("Both", "STSB", data=[root], subsets=["zh"], splits=["dev"])


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: load_suite("smok"), "unknown suite 'smok'; did you mean smoke"),
        (lambda: load_task("SciFac"), "unknown task 'SciFac'; did you mean SciFact"),
        (
            lambda: load_task("SciFact", protocol="mtebb"),
            "unknown protocol 'mtebb'; did you mean mteb.*\nknown: mteb, jmteb",
        ),
        (lambda: load_task("MNIST"), "image"),
        (lambda: load_task("StakeholderGrounding"), "code of its own"),
        (lambda: load_task("SciFact", "SciFact"), "named twice"),
        (lambda: load_task("SciFact", data=["nowhere"]), "nowhere does not exist"),
    ],
)
def test_what_nobody_knows_is_said(call, complaint: str) -> None:
    with pytest.raises(HarnessError, match=complaint):
        call()


def test_all_problems_at_once() -> None:
    with pytest.raises(HarnessError) as caught:
        load_task("SciFac", "Banking")
    assert "'SciFac'" in str(caught.value)
    assert "'Banking'" in str(caught.value)


SUITE = """suite: mine
title: Mine
tasks:
  - {name: JSTS}
"""


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("title: Mine\n", ""), "'title' is missing"),
        (("tasks:", "taks:"), "line 3: unknown key 'taks'; did you mean tasks"),
        (("title: Mine", "title: no"), r"line 2: 'title'.*got False.*quote it"),
        (("title: Mine", "title: Mine\ntitle: Yours"), "line 3: key 'title' stands already in line 2"),
        (("{name: JSTS}", "{name: JSTS, source: {hub: a/b}}"), "line 4.*needs its revision"),
        (("{name: JSTS}", "{name: JSTS, source: {hub: a/b, mteb: c}}"), "exactly one of"),
        (("{name: JSTS}", "{name: ../JSTS}"), "name"),
        (("{name: JSTS}", "{name: JSTS}\n  - {name: JSTS}"), "the file: task 'JSTS' stands twice$"),
        ((SUITE, ""), "line 1: the file is empty$"),
        (("{name: JSTS}", "{name: JSTS, settings: {samples: 3}}"), "unknown setting"),
        (("{name: JSTS}", "{name: JSTS"), "line"),
        (("{name: JSTS}", "!!python/object/apply:os.system ['true']"), "not YAML"),
    ],
)
def test_a_wrong_suite_file_is_an_error_with_its_line(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SUITE.replace(*change), encoding="utf-8")
    with pytest.raises(HarnessError, match=complaint):
        load_suite(str(path))


def test_a_suite_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SUITE, encoding="utf-8")
    assert [task.name for task in load_suite(str(path)).tasks] == ["JSTS"]


def test_task_names_hold_mteb_shipped_and_local(tmp_path: Path) -> None:
    names = all_task_names(data=[folder(tmp_path, "Mine", test=[PAIR])])
    assert {"Mine", "SciFact", "SmokeSTS"} <= set(names)
    assert "MNIST" not in names


def test_a_protocol_that_does_not_score_a_kind_says_what_it_scores() -> None:
    with pytest.raises(ConfigError, match="protocol sbert does not score sts"):
        load_task("SmokeSTS", protocol="sbert")
