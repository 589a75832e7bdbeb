"""`rng: alone | sequence`: mteb's fresh objects and mteb's one running object, whatever a run leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.errors import ConfigError, DataError
from harness.plan import plan_run
from harness.report import leaderboard
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_suite, load_task
from harness.suite_file import SuiteFile
from harness.types import Result, Texts
from tests.conftest import ROOT
from tests.kinds.oracle_labels import evaluate as mteb_evaluate
from tests.kinds.oracle_labels import names
from tests.kinds.oracle_pairs import TableEncoder
from tests.toys import Toy, sts_rows, write_task

SPLITS, SUBSETS = ("validation", "test"), ("aa", "bb", "cc")
SIZES = {"aa": 50, "bb": 64, "cc": 41}
CLUSTERING = {"max_document_to_embed": 45, "n_clusters": 2, "max_documents_per_cluster": 90}
FEW = {"samples_per_label": 3, "n_experiments": 3}
SETTINGS = {"Groups": CLUSTERING, "Tags": FEW}
MAIN = {"Groups": "v_measure", "Tags": "lrap"}


class Hashed(Toy):
    """Our side of the same encoder: a vector from a text's hash."""

    def encode(self, texts: Texts) -> np.ndarray:
        self.encoded.extend(texts.items)
        return np.stack([TableEncoder().vector(text) for text in texts.items])


def rows(task: str, split: str, subset: str) -> dict[str, list]:
    """Columns of one file; levels, rows and labels differ between the subsets."""
    n = SIZES[subset] + len(split)
    random = np.random.default_rng([len(split), SIZES[subset]])
    texts = names(f"{split} {subset}", n)
    if task == "Groups":
        depth = {"aa": 2, "bb": 1, "cc": 3}[subset]
        return {"sentences": texts, "labels": random.integers(0, 4, (n, depth)).tolist()}
    return {"text": texts, "label": [sorted({*random.integers(0, 5, 2).tolist()}) for _ in texts]}


def folder(root: Path) -> Path:
    kinds = {"Groups": ("clustering", SPLITS), "Tags": ("multilabel", (*SPLITS, "train"))}
    for task, (kind, splits) in kinds.items():
        files = {}
        for split in splits:
            for subset in SUBSETS:
                columns = rows(task, split, subset)
                lines = zip(*columns.values(), strict=True)
                files[f"{split}__{subset}"] = [dict(zip(columns, line, strict=True)) for line in lines]
        write_task(root, task, kind, MAIN[task], **files)
    return root


def suite_file(path: Path, rng: str = "rng: sequence", **changes: dict) -> str:
    """A suite of both tasks, its tasks changed by keywords."""
    tasks = [
        {"name": task, "splits": list(SPLITS), "settings": SETTINGS[task], **changes.get(task, {})}
        for task in SETTINGS
    ]
    lines = ["suite: mine", "title: Mine", *([rng] if rng else []), f"tasks: {json.dumps(tasks)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("data"))


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return suite_file(tmp_path / "mine.yaml")


def run(suite: str, data: Path, root: Path, model: Toy | None = None, **options) -> list[Result]:
    narrow = {name: options.pop(name) for name in ("subsets", "splits") if name in options}
    chosen = load_suite(suite, data=[data], **narrow)
    return list(evaluate(model or Hashed(), chosen, store=Store(root), cache=root / "cache", **options))


def exact(results: list[Result]) -> dict[tuple[str, str, str], dict[str, float]]:
    return {(r.task, r.split, r.subset): dict(r.exact) for r in results}


def running_object(task: str):
    """mteb's own task object on our rows; its random streams start now."""
    from datasets import Dataset, DatasetDict
    from mteb.mocks import mock_tasks
    from mteb.mocks.mock_tasks import clustering

    made = (
        clustering.MockMultilingualClusteringFastTask()
        if task == "Groups"
        else mock_tasks.MockMultilingualMultilabelClassification()
    )
    splits = SPLITS if task == "Groups" else (*SPLITS, "train")
    made.dataset = {
        subset: DatasetDict({split: Dataset.from_dict(rows(task, split, subset)) for split in splits})
        for subset in SUBSETS
    }
    made.data_loaded, made.hf_subsets = True, list(SUBSETS)
    if task == "Groups":
        made.max_fraction_of_documents_to_embed = None
    for name, value in SETTINGS[task].items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


@pytest.fixture(scope="module")
def published() -> dict[str, dict[tuple[str, str, str], dict[str, float]]]:
    """mteb's scores: of one object over the whole list, and of a fresh object an entry."""
    found: dict[str, dict] = {"sequence": {}, "alone": {}}
    for task in SETTINGS:
        one = running_object(task)
        for split in SPLITS:
            for subset in SUBSETS:
                for choice, made in (("sequence", one), ("alone", running_object(task))):
                    scores = mteb_evaluate(made, TableEncoder(), split, subset)
                    found[choice][task, split, subset] = scores
    return found


def assert_equal_mteb(ours: dict, expected: dict) -> None:
    for entry, metrics in ours.items():
        assert metrics
        for name, value in metrics.items():
            assert abs(value - expected[entry][name]) <= 1e-6, (entry, name)


def main_scores(scores: dict) -> dict[tuple[str, str, str], float]:
    return {entry: metrics[MAIN[entry[0]]] for entry, metrics in scores.items()}


def test_sequence_equals_mtebs_running_object(suite, data, tmp_path, published) -> None:
    ours = exact(run(suite, data, tmp_path))
    assert ours.keys() == published["sequence"].keys()
    assert_equal_mteb(ours, published["sequence"])


def test_alone_equals_mtebs_fresh_objects(data, tmp_path, published) -> None:
    for rng in ("", "rng: alone"):
        ours = exact(run(suite_file(tmp_path / "mine.yaml", rng), data, tmp_path / f"results {rng}"))
        assert_equal_mteb(ours, published["alone"])


def test_the_two_choices_differ_but_for_the_first_entry(published) -> None:
    alone, sequence = main_scores(published["alone"]), main_scores(published["sequence"])
    same = {entry for entry in alone if alone[entry] == sequence[entry]}
    assert same == {("Groups", "validation", "aa"), ("Tags", "validation", "aa")}


@pytest.mark.parametrize("rng", ["alone", "sequence"])
def test_entries_apart_in_another_order_and_resumed_score_the_same(data, tmp_path, published, rng) -> None:
    suite = suite_file(tmp_path / "mine.yaml", f"rng: {rng}")
    apart: list[Result] = []
    for subset in reversed(SUBSETS):
        for split in reversed(SPLITS):
            apart += run(suite, data, tmp_path, subsets=[subset], splits=[split])
    assert len(apart) == 12
    assert_equal_mteb(exact(apart), published[rng])
    whole = run(suite, data, tmp_path)
    assert [r.reused for r in whole] == [True] * 12
    for path in tmp_path.rglob("Groups.json"):  # a run that stopped in the middle
        path.unlink()
    run(suite, data, tmp_path, subsets=["bb"], splits=["test"])
    resumed = run(suite, data, tmp_path)
    assert_equal_mteb(exact(resumed), published[rng])
    assert {r.reused for r in resumed if r.task == "Tags"} == {True}


def test_two_models_in_one_process_do_not_disturb_each_other(suite, data, tmp_path, published) -> None:
    chosen = load_suite(suite, data=[data])
    for name in ("one", "two"):
        ours = list(evaluate(Hashed(name), chosen, cache=tmp_path))
        assert_equal_mteb(exact(ours), published["sequence"])


def test_only_the_texts_of_scored_entries_are_encoded(suite, data, tmp_path) -> None:
    model = Hashed()
    results = run(suite, data, tmp_path, model, subsets=["cc"], splits=["test"])
    assert [(r.task, r.split, r.subset) for r in results] == [
        ("Groups", "test", "cc"),
        ("Tags", "test", "cc"),
    ]
    assert {text.rsplit(" ", 1)[0] for text in model.encoded} == {"test cc", "train cc"}
    planned = plan_run(Hashed("x"), load_suite(suite, data=[data], subsets=["cc"]), cache=tmp_path / "new")
    assert {job.subset for job, _ in planned} == {"cc"}


def test_the_choice_is_part_of_a_scores_identity(data, tmp_path) -> None:
    alone = suite_file(tmp_path / "alone.yaml", "rng: alone")
    sequence = suite_file(tmp_path / "sequence.yaml")
    first = run(alone, data, tmp_path)
    assert all("rng" not in r.provenance["settings"] for r in first)
    said: list = []
    second = run(sequence, data, tmp_path, listen=said.append)
    stood = [(r.task, r.split, r.subset) for r in second if r.reused]
    assert stood == [("Groups", "validation", "aa"), ("Tags", "validation", "aa")]
    assert {e.text.partition(": ")[2] for e in said if e.what == "stale"} == {"the scorer's settings changed"}
    assert all(r.provenance["settings"]["rng"] == "sequence" for r in second if not r.reused)
    assert [r.reused for r in run(sequence, data, tmp_path)] == [True] * 12


def test_what_the_entries_in_front_hold_is_part_of_it_too(tmp_path) -> None:
    data = folder(tmp_path / "data")
    suite = suite_file(tmp_path / "mine.yaml")
    run(suite, data, tmp_path)
    path = data / "Groups" / "validation.bb.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-30]) + "\n", encoding="utf-8")
    again = run(suite, data, tmp_path)
    reused = {(r.split, r.subset) for r in again if r.task == "Groups" and r.reused}
    assert ("validation", "aa") in reused
    assert not {("validation", "bb"), ("validation", "cc")} & reused
    # further on the two streams may meet again (sampling rejects numbers): then the draws are the same too
    assert exact(again) == exact(run(suite, data, tmp_path / "new"))


def test_a_table_never_mixes_the_two(data, tmp_path) -> None:
    alone = suite_file(tmp_path / "alone.yaml", "rng: alone")
    sequence = suite_file(tmp_path / "sequence.yaml")
    run(sequence, data, tmp_path)
    run(alone, data, tmp_path, subsets=["bb"])  # overwrites four entries
    boards = {name: leaderboard(Store(tmp_path), load_suite(name, data=[data])) for name in (alone, sequence)}
    assert list(boards[sequence].frame["Coverage"]) == ["8/12"]
    assert list(boards[alone].frame["Coverage"]) == ["6/12"]  # the four and both first entries
    for board, count in ((boards[sequence], 2), (boards[alone], 3)):
        assert f"Results: {count} of Groups drawn by another choice of rng: left out." in board.notes
    run(sequence, data, tmp_path)
    whole = leaderboard(Store(tmp_path), load_suite(sequence, data=[data]))
    assert list(whole.frame["Coverage"]) == ["12/12"]
    shorter = suite_file(tmp_path / "short.yaml", Groups={"subsets": ["bb", "cc"]}, Tags={"rng": "alone"})
    board = leaderboard(Store(tmp_path), load_suite(shorter, data=[data]))
    assert list(board.frame["Coverage"]) == ["1/10"]


def test_a_task_overrides_its_suite(data, tmp_path, published) -> None:
    suite = suite_file(tmp_path / "mine.yaml", "", Groups={"rng": "sequence"})
    groups, tags = load_suite(suite, data=[data]).tasks
    assert len(groups.sequence) == 6
    assert tags.sequence == ()
    suite = suite_file(tmp_path / "mine.yaml", Groups={"rng": "alone"})
    assert_equal_mteb(
        exact(run(suite, data, tmp_path, subsets=["cc"])),
        {e: published["alone" if e[0] == "Groups" else "sequence"][e] for e in published["alone"]},
    )


def test_the_list_is_in_mtebs_order(tmp_path) -> None:
    import mteb

    (whole,) = load_task("SIB200ClusteringS2S").tasks
    assert whole.sequence == ()
    text = "suite: s\ntitle: S\nrng: sequence\ntasks:\n  - {name: SIB200ClusteringS2S, subsets: [%s]}\n"
    chosen = ["swe_Latn", "ces_Latn", "bul_Cyrl"]
    task = mteb.get_task("SIB200ClusteringS2S", hf_subsets=chosen)
    assert task.hf_subsets != chosen
    path = tmp_path / "s.yaml"
    path.write_text(text % ", ".join(chosen), encoding="utf-8")
    (resolved,) = load_suite(str(path)).tasks
    assert resolved.sequence == resolved.entries == tuple(("test", subset) for subset in task.hf_subsets)


def test_what_cannot_be_a_sequence_is_said(tmp_path) -> None:
    root = write_task(tmp_path / "data", "Pairs", "sts", "cosine_spearman", test=sts_rows())
    path = tmp_path / "mine.yaml"
    path.write_text("suite: s\ntitle: S\ntasks:\n  - {name: Pairs, rng: sequence}\n")
    with pytest.raises(ConfigError, match=r"task Pairs: rng: sequence .* correlation has none"):
        load_suite(str(path), data=[root])
    path.write_text("suite: s\ntitle: S\nrng: sequence\ntasks:\n  - {name: Pairs}\n")
    assert load_suite(str(path), data=[root]).tasks[0].sequence == ()
    path.write_text("suite: s\ntitle: S\nrng: sequenced\ntasks:\n  - {name: Pairs}\n")
    with pytest.raises(ConfigError, match=r"line 3: 'rng'"):
        load_suite(str(path), data=[root])
    some = [{"sentences": f"t {i}", "labels": i % 2} for i in range(20)]
    root = write_task(root, "SIB200ClusteringS2S", "clustering", "v_measure", test__ces_Latn=some)
    path.write_text("suite: s\ntitle: S\nrng: sequence\ntasks:\n  - {name: SIB200ClusteringS2S}\n")
    with pytest.raises(DataError, match=r"needs the data of every entry, and test/ace_Latn is not .*196"):
        load_suite(str(path), data=[root])


def test_the_documented_suite_is_valid() -> None:
    page = (ROOT / "docs" / "draws.md").read_text(encoding="utf-8")
    (suite,) = re.findall(r"```yml\n(.*?)```", page, flags=re.DOTALL)
    definition = SuiteFile.model_validate(yaml.safe_load(suite), strict=True)
    assert [task.rng for task in definition.tasks] == [None, None, "alone"]
    assert definition.rng == "sequence"
