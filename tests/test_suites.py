"""The suites that ship: what they count, and that mteb still means the same by the names they use."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from harness.data.mteb_catalog import BenchmarkInfo, benchmarks, catalog
from harness.errors import ConfigError, HarnessError, UnknownNameError
from harness.paths import cache_folder
from harness.report import suite_table
from harness.suite import load_suite, load_task
from harness.suite_file import definitions, read_suite, suite_names
from tests.cli.test_cli import harness

SIZES = {
    "cmteb": 35,
    "cmteb-31": 31,
    "mteb-en": 56,
    "mteb-en-v2": 41,
    "jmteb": 16,
    "jmteb-28": 28,
    "jmteb-v2": 28,
    "jmteb-lite": 28,
    "ja-retrieval": 4,
    "negation": 1,
    "longdoc": 10,
    "reranking-zh-ja": 9,
    "smoke": 20,
}
OF_MTEB = {
    "cmteb-31": "MTEB(cmn, v1)",
    "mteb-en": "MTEB(eng, v1)",
    "mteb-en-v2": "MTEB(eng, v2)",
    "jmteb-v2": "JMTEB(v2)",
    "jmteb-lite": "JMTEB-lite(v1)",
}
# Metrics that a suite shows in place of mteb's main one; every other task is shown by mteb's.
OTHER_METRICS = {
    ("cmteb", "Ocnli"): "cosine_ap",
    ("cmteb", "Cmnli"): "cosine_ap",
    ("mteb-en", "SprintDuplicateQuestions"): "cosine_ap",
    ("mteb-en", "TwitterSemEval2015"): "cosine_ap",
    ("mteb-en", "TwitterURLCorpus"): "cosine_ap",
    ("ja-retrieval", "MIRACLRetrieval"): "recall_at_5",
    ("ja-retrieval", "JQaRAReranking"): "ndcg_at_10",
    ("ja-retrieval", "JaCWIRReranking"): "map_at_10",
}


def test_the_list_counts_every_suite() -> None:
    catalog(cache_folder())  # so that the process below has mteb's table
    answer = harness("suites", "--json")
    assert answer.code == 0, answer.err
    listed = {row["name"]: row for row in json.loads(answer.out)}
    assert {name: len(row["tasks"]) for name, row in listed.items()} == SIZES
    assert all(len(set(row["tasks"])) == len(row["tasks"]) for row in listed.values())
    lines = harness("suites").out.splitlines()[1:]
    assert {line.split()[0]: int(line.split()[1]) for line in lines} == SIZES


@pytest.mark.parametrize("name", SIZES)
def test_every_task_resolves(name: str) -> None:
    suite = load_suite(name)
    assert len(suite.tasks) == SIZES[name]
    assert not suite.left_out
    for task in suite.tasks:
        assert task.kind
        assert task.scorer.name
        assert task.main
        assert task.entries
        assert task.revision
    columns = {task.column for task in suite.tasks}
    assert set(suite.aggregate.columns) <= columns


@pytest.mark.parametrize(("name", "benchmark"), OF_MTEB.items())
def test_a_benchmark_is_what_mteb_says_today(name: str, benchmark: str) -> None:
    import mteb

    theirs = {task.metadata.name: task for task in mteb.get_benchmark(benchmark).tasks}
    ours = load_suite(name).tasks
    assert [task.name for task in ours] == list(theirs)
    for task in ours:
        own = theirs[task.name]
        wanted = {(split, subset) for split in own.eval_splits for subset in own.hf_subsets}
        assert set(task.entries) == wanted, task.name
        assert task.main == own.metadata.main_score
        assert task.shown == OTHER_METRICS.get((name, task.name), task.main)
        assert task.type == task.column == own.metadata.type
        assert task.revision == own.metadata.dataset.get("revision", ""), task.name


@pytest.mark.parametrize("name", ["cmteb", "ja-retrieval", "longdoc", "reranking-zh-ja"])
def test_tasks_written_out_are_mtebs(name: str) -> None:
    """Splits and subsets are some of mteb's, the main metric is mteb's; what is shown is listed above."""
    import mteb

    for task in load_suite(name).tasks:
        meta = mteb.get_task(task.name).metadata
        assert {split for split, _ in task.entries} <= set(meta.eval_splits)
        assert {subset for _, subset in task.entries} <= set(meta.hf_subsets)
        assert task.main == meta.main_score
        assert task.shown == OTHER_METRICS.get((name, task.name), task.main)


def test_cmteb_is_one_split_and_subset_a_task_and_mtebs_31_and_four_more() -> None:
    tasks = {task.name: task for task in load_suite("cmteb").tasks}
    assert all(len(task.entries) == 1 for task in tasks.values())
    counts = Counter(task.type for task in tasks.values())
    assert counts == {
        "Retrieval": 8,
        "Reranking": 4,
        "PairClassification": 2,
        "Clustering": 4,
        "STS": 8,
        "Classification": 9,
    }
    four = {
        "AmazonReviewsClassification",
        "MassiveIntentClassification",
        "MassiveScenarioClassification",
        "STS22",
    }
    assert tasks.keys() - {task.name for task in load_suite("cmteb-31").tasks} == four
    assert [tasks[name].entries[0] for name in sorted(four)] == [
        ("test", "zh"),
        ("test", "zh-CN"),
        ("test", "zh-CN"),
        ("test", "zh"),
    ]
    assert tasks["IFlyTek"].settings["n_experiments"] == 5
    assert tasks["TNews"].settings["samples_per_label"] == 32
    assert tasks["MultilingualSentiment"].entries == (("validation", "default"),)
    assert all(0 < task.expect["jinaai/jina-embeddings-v2-base-zh"] < 1 for task in tasks.values())


def test_the_types_of_the_english_benchmarks() -> None:
    first = Counter(task.type for task in load_suite("mteb-en").tasks)
    assert [first[name] for name in load_suite("mteb-en").aggregate.columns] == [12, 11, 3, 4, 15, 10, 1]
    assert all(task.entries[0][0] == "test" for task in load_suite("mteb-en").tasks if task.name != "MSMARCO")


@pytest.mark.parametrize("protocol", ["jmteb-1.3.3", "jmteb"])
@pytest.mark.parametrize("name", ["jmteb", "jmteb-28"])
def test_jmteb_is_scored_by_its_own_evaluators(name: str, protocol: str) -> None:
    suite = load_suite(name, protocol=protocol)
    mains = {
        "retrieval": "ndcg_at_10",
        "reranking": "ndcg_at_10",
        "sts": "spearman",
        "classification": "macro_f1",
        "clustering": "v_measure",
        "pair_classification": "binary_f1",
    }
    for task in suite.tasks:
        assert task.protocol == protocol
        assert protocol in task.scorer.protocols
        assert task.main == task.shown == mains[task.kind]
        assert len(task.entries) == 1
        assert task.entries[0][0] == ("validation" if task.name == "jsts" else "test")
        assert task.dev_split in ("train" if task.name == "jsts" else "validation", "dev")
        assert len(task.revision) == 40


def test_the_types_of_jmteb() -> None:
    assert Counter(task.kind for task in load_suite("jmteb").tasks) == {
        "retrieval": 6,
        "classification": 4,
        "sts": 2,
        "clustering": 2,
        "reranking": 1,
        "pair_classification": 1,
    }
    newer = Counter(task.kind for task in load_suite("jmteb-28").tasks)
    assert newer == {"retrieval": 11, "classification": 7, "reranking": 5, "clustering": 3, "sts": 2}
    both = {task.name for task in load_suite("jmteb").tasks} & {
        task.name for task in load_suite("jmteb-28").tasks
    }
    assert len(both) == 12  # PAWS-X left, and NLP Journal became a version 2 of other data


def test_a_task_of_jmteb_by_name() -> None:
    (ours,) = load_task("jsts", protocol="jmteb-1.3.3").tasks
    (theirs,) = load_task("JSTS").tasks
    assert (ours.name, ours.scorer.name, ours.entries) == (
        "jsts",
        "dev_selected",
        (("validation", "default"),),
    )
    assert (theirs.name, theirs.scorer.name) == ("JSTS", "correlation")
    assert load_task("jsts", protocol="jmteb").tasks[0].protocol == "jmteb"
    with pytest.raises(UnknownNameError, match=r"suite jmteb has it.*--protocol jmteb-1\.3\.3"):
        load_task("jsts")
    shown = harness("show", "jsts", "--json")
    assert json.loads(shown.out)["task"]["scorer"].startswith("dev_selected@"), shown.err


def test_two_metrics_of_one_task() -> None:
    (miracl, *_), (negation,) = load_suite("ja-retrieval").tasks, load_suite("negation").tasks
    assert (miracl.shown, *miracl.also) == ("recall_at_5", "hit_rate_at_5")
    assert (negation.shown, *negation.also) == ("anchor_error_rate", "entailment_error_rate")


def test_a_name_means_one_thing_within_a_protocol() -> None:
    """Results are stored by protocol and task: two suites may take other splits of a task, nothing else."""
    known: dict[tuple[str, str], tuple[str, object]] = {}
    for suite in suite_names():
        file = read_suite(suite)
        for task in definitions(file)[0]:
            settings = sorted(task.columns.items()), sorted(task.settings.items())
            how = task.name, task.kind, task.scorer, task.source, task.document, *settings
            at, before = known.setdefault((file.protocol, task.name.lower()), (suite, how))
            assert before == how, f"{task.name} of {suite} is another one than that of {at}"


def test_any_benchmark_of_mteb_by_name() -> None:
    suite = load_suite("mteb:MTEB(Multilingual, v2)")
    assert (suite.name, suite.title, len(suite.tasks)) == (
        "mteb:MTEB(Multilingual, v2)",
        "MTEB(Multilingual, v2)",
        131,
    )
    assert {"bitext", "instruction_reranking", "multilabel"} <= {task.kind for task in suite.tasks}
    assert load_suite("mteb:CMTEB").name == "mteb:MTEB(cmn, v1)"  # an alias


def test_every_benchmark_of_mteb_with_text_tasks_resolves() -> None:
    refused = {name: info.refused for name, info in catalog(cache_folder()).items() if info.refused}
    for name, own in benchmarks(cache_folder()).items():
        text = [task for task in own.splits if task not in refused]
        if text:
            suite = load_suite(f"mteb:{name}")
            assert [task.name for task in suite.tasks] == text
            assert suite.left_out == {task: refused[task] for task in own.splits if task in refused}
        else:
            with pytest.raises(ConfigError, match="no task that is scored here"):
                load_suite(f"mteb:{name}")


def changed(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """A release of mteb whose Chinese benchmark has these tasks too."""
    import harness.suite_file as module

    now = benchmarks(cache_folder())["MTEB(cmn, v1)"]
    splits = {**now.splits, **{name: ["test"] for name in more}}
    subsets = {**now.subsets, **{name: ["default"] for name in more}}
    then = BenchmarkInfo(now.name, now.aliases, splits, subsets, now.means)
    monkeypatch.setattr(module, "benchmark", lambda name, cache: then)


def test_tasks_that_are_not_on_text_are_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, "MNIST")
    suite = load_suite("mteb:MTEB(cmn, v1)")
    assert suite.title == "MTEB(cmn, v1) (31 of 32 tasks)"
    assert list(suite.left_out) == ["MNIST"]
    assert "image" in suite.left_out["MNIST"]


def test_a_benchmark_that_grew_is_not_taken_for_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, "SciFact")
    with pytest.raises(ConfigError, match=r"suite cmteb-31 is of the 31 tasks .* which has 32"):
        load_suite("cmteb-31")


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('benchmark: "MTEB(cmn, v2)"', r"unknown mteb benchmark .*did you mean MTEB\(cmn, v1\)"),
        ('benchmark: "MTEB(cmn, v1)"\ntasks: [{name: Ocnl}]', "unknown task of .*did you mean Ocnli"),
        ('benchmark: "MTEB(cmn, v1)"\nsize: 30', "has 31"),
        ("size: 2\ntasks: [{name: JSTS}]", "size says 2, and there are 1 tasks"),
        ("protocol: mteb", "needs tasks or a benchmark"),
        ("tasks: [{name: JSTS, also: [spearmann]}]", "unknown metric of task JSTS 'spearmann'"),
    ],
)  # fmt: skip
def test_wrong_suite_files(tmp_path: Path, lines: str, complaint: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"suite: mine\ntitle: Mine\n{lines}\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=complaint):
        load_suite(str(path))


def test_an_unknown_suite_comes_with_the_nearest_of_both_sorts() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean MTEB\(eng, v2\)"):
        load_suite("mteb:MTEB(eng, v3)")
    with pytest.raises(UnknownNameError, match=r"mteb:MTEB\(eng, v2\)"):
        load_suite("MTEB(eng, v2)")
    with pytest.raises(UnknownNameError, match="did you mean cmteb"):
        load_suite("cmtb")


PAGE = (Path(__file__).parent.parent / "docs" / "suites.md").read_text(encoding="utf-8")


def test_the_page_lists_every_suite() -> None:
    listed = {name: int(tasks) for name, tasks in re.findall(r"^\| `(\S+)` \| (\d+) \|", PAGE, flags=re.M)}
    assert listed == SIZES


@pytest.mark.parametrize("body", re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S))
def test_the_suites_of_the_page_load(tmp_path: Path, body: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(body, encoding="utf-8")
    assert suite_table(load_suite(str(path))).types


def test_another_protocol_than_a_suite_is_written_for_is_refused_as_such() -> None:
    with pytest.raises(
        ConfigError, match=r"^suite jmteb is written for protocol jmteb-1\.3\.3; mteb cannot"
    ) as no:
        load_suite("jmteb", protocol="mteb")
    assert len(str(no.value).splitlines()) == 3
    assert load_suite("jmteb", protocol="jmteb").tasks[0].protocol == "jmteb"
    with pytest.raises(UnknownNameError, match="unknown protocol 'mtebb'"):
        load_suite("jmteb", protocol="mtebb")
