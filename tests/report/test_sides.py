"""Where a baseline comes from: a store, a folder, a git revision, a model card."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigError, DataError, StoreError, UnknownNameError
from harness.models.catalog import load_catalog
from harness.report.card.groups import model_index
from harness.report.gate.decide import gate
from harness.report.gate.rules import Gates
from harness.report.sides import card_side, of_git, only_side, stored_side
from harness.store import Store
from harness.types import Result
from tests.report.gates import queries, side, suite, task
from tests.report.make import result

CATALOG = load_catalog(None)
VALUES = np.linspace(0, 1, 20)


def kept(root: Path, *results: Result) -> Store:
    store = Store(root)
    for one in results:
        store.put(one)
    return store


def named(model: str, revision: str | None = "r1", **changes: object) -> Result:
    return replace(queries("A", VALUES, **changes), model=model, revision=revision)


def test_a_model_of_a_store(tmp_path: Path) -> None:
    store = kept(tmp_path, named("org/a"), named("org/b"), named("org/a", variant=("bf16",)))
    found = stored_side(store, "org/a", "mteb", CATALOG)
    assert (found.label, list(found.results)) == ("org/a@r1", [("A", "test", "default")])
    table = found.samples(next(iter(found.results.values())))
    assert table is not None
    assert table.column("ndcg_at_10").to_pylist() == VALUES.tolist()
    lower = stored_side(store, "org/a+bf16", "mteb", CATALOG)
    assert lower.label == "org/a@r1+bf16"
    assert next(iter(lower.results.values())).variant == ("bf16",)


def test_what_a_store_does_not_have_is_an_error_that_helps(tmp_path: Path) -> None:
    store = kept(tmp_path, named("org/a"), named("org/a", revision="r2"), named("org/b", variant=("bf16",)))
    with pytest.raises(UnknownNameError, match="did you mean org/a") as unknown:
        stored_side(store, "org/aa", "mteb", CATALOG)
    assert "make them with: harness eval org/aa" in str(unknown.value)
    with pytest.raises(StoreError, match="several revisions: r1, r2"):
        stored_side(store, "org/a", "mteb", CATALOG)
    assert stored_side(store, "org/a@r2", "mteb", CATALOG).label == "org/a@r2"
    with pytest.raises(StoreError, match="revisions there: r1, r2"):
        stored_side(store, "org/a@other", "mteb", CATALOG)
    with pytest.raises(StoreError, match="variants there: bf16"):
        stored_side(store, "org/b", "mteb", CATALOG)
    with pytest.raises(UnknownNameError):
        stored_side(store, "org/a", "jmteb-1.3.3", CATALOG)  # its results lie in a folder of their own


def test_protocols_are_never_mixed(tmp_path: Path) -> None:
    other = named("org/a", protocol="jmteb-1.3.3")
    store = kept(tmp_path, named("org/a"), other)
    for protocol in ("mteb", "jmteb-1.3.3"):
        (found,) = stored_side(store, "org/a", protocol, CATALOG).results.values()
        assert found.protocol == protocol


def test_a_folder_of_one_model_or_of_the_same(tmp_path: Path) -> None:
    store = kept(tmp_path / "one", named("org/old"))
    assert only_side(store, "org/new", "mteb", CATALOG).label == "org/old@r1"
    kept(tmp_path / "one", named("org/new", revision="r0"))
    assert only_side(store, "org/new", "mteb", CATALOG).label == "org/new@r0"
    with pytest.raises(StoreError, match="holds org/new, org/old, and none of them is org/third"):
        only_side(store, "org/third", "mteb", CATALOG)
    with pytest.raises(StoreError, match="holds no results"):
        only_side(Store(tmp_path / "none"), "org/new", "mteb", CATALOG)


def test_the_folder_of_one_model_or_revision_among_several(tmp_path: Path) -> None:
    """A checkpoint of one's own against one of many references: no model is of the same name."""
    bf16 = named("org/old", revision="r2", variant=("bf16",))
    kept(tmp_path / "refs", named("org/old"), named("org/other"), bf16, named("bare", revision=None))
    for folder, label in (
        ("org__other", "org/other@r1"),
        ("org__old/r1", "org/old@r1"),
        ("org__old/r2+bf16", "org/old@r2+bf16"),
        ("bare", "bare"),
        ("bare/no_revision_available", "bare"),
    ):
        store = Store(tmp_path / "refs" / folder, repair=False)
        assert only_side(store, "local/ours", "mteb", CATALOG).label == label
    (tmp_path / "refs/org__old/r9").mkdir()
    with pytest.raises(StoreError, match="r9 holds no results"):
        only_side(Store(tmp_path / "refs/org__old/r9", repair=False), "local/ours", "mteb", CATALOG)
    with pytest.raises(StoreError, match="several revisions"):
        only_side(Store(tmp_path / "refs" / "org__old", repair=False), "local/ours", "mteb", CATALOG)
    with pytest.raises(
        StoreError, match=r"none of them is local/ours\nname the folder of .* as in refs/bare"
    ):
        only_side(Store(tmp_path / "refs", repair=False), "local/ours", "mteb", CATALOG)


def test_a_catalog_name_finds_its_results(tmp_path: Path) -> None:
    full = "sentence-transformers/all-MiniLM-L6-v2"
    store = kept(tmp_path, named(full), named("org/b"))
    assert stored_side(store, "all-MiniLM-L6-v2", "mteb", CATALOG).label == f"{full}@r1"
    assert only_side(store, "all-MiniLM-L6-v2", "mteb", CATALOG).label == f"{full}@r1"


def test_without_samples_there_are_none(tmp_path: Path) -> None:
    store = kept(tmp_path, named("org/a", samples=None))
    found = stored_side(store, "org/a", "mteb", CATALOG)
    assert found.samples(next(iter(found.results.values()))) is None


def test_results_as_they_stand_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-b", "main")
    kept(tmp_path / "results", named("org/a"))
    git("add", ".")
    git("commit", "-m", "one")
    kept(
        tmp_path / "results", replace(named("org/a"), exact={"ndcg_at_10": 0.1}, metrics={"ndcg_at_10": 0.1})
    )
    below = tmp_path / "below"
    below.mkdir()
    for path in ("results", "../results"):  # of the repository, or of the folder, as git reads it
        with of_git("main", path, below) as store:
            assert only_side(store, "local/ours", "mteb", CATALOG).label == "org/a@r1"
            assert (store.root.name, store.root.parent.name[:17]) == ("results", "harness-baseline-")
    with of_git("main", "results/org__a/r1", tmp_path) as store:
        assert only_side(store, "local/ours", "mteb", CATALOG).label == "org/a@r1"
    with of_git("main", "results", tmp_path) as store:
        found = only_side(store, "org/a", "mteb", CATALOG)
        (one,) = found.results.values()
        assert one.exact["ndcg_at_10"] == pytest.approx(0.5)
        table = found.samples(one)
        assert table is not None
        root = store.root
    assert not root.exists()
    with (
        pytest.raises(
            StoreError, match=r"git has no revision nowhere, so no results at it .*\n.*git fetch origin"
        ),
        of_git("nowhere", "results", tmp_path),
    ):
        pass
    with (
        pytest.raises(StoreError, match="git has no folder missing at main\nsee"),
        of_git("main", "missing", tmp_path),
    ):
        pass
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    git("add", "file")
    git("commit", "-m", "two")
    with pytest.raises(StoreError, match="git has no folder file at main"), of_git("main", "file", tmp_path):
        pass
    outside = tmp_path / "outside"
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    outside.mkdir()
    with pytest.raises(StoreError, match="outside is in none"), of_git("main", "results", outside):
        pass
    with pytest.raises(ConfigError, match="git:REVISION:PATH"), of_git("--output=x", "results", tmp_path):
        pass


def card(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    return path


CARD = """---
tags: [mteb]
model-index:
- name: a
  results:
  - task: {type: STS}
    dataset: {type: C-MTEB/AFQMC, name: MTEB AFQMC, config: default, split: validation}
    metrics: [{type: cos_sim_spearman, value: 47.5}, {type: manhattan_pearson, value: 40}]
  - task: {type: Retrieval}
    dataset: {type: mteb/scifact, name: MTEB SciFact, config: default, split: test}
    metrics: [{type: ndcg_at_10, value: 64.5}, {type: main_score, value: 64.5}, {type: map_at_1, value: null}]
  - task: {type: text-classification}
    dataset: {type: my/own, name: Mine}
    metrics: [{type: accuracy, value: 99}]
---
# A card
"""


def test_a_model_card(tmp_path: Path) -> None:
    found = card_side(card(tmp_path, CARD), "mteb")
    assert found.label.endswith("README.md (a)")
    values = {entry: dict(r.exact) for entry, r in found.results.items()}
    assert values == {
        ("AFQMC", "validation", "default"): {"cosine_spearman": 0.475, "manhattan_pearson": 0.4},
        ("SciFact", "test", "default"): {"ndcg_at_10": 0.645},
        ("Mine", "test", "default"): {"accuracy": 0.99},
    }
    assert all(found.samples(r) is None for r in found.results.values())


def test_a_card_of_ours_comes_back(tmp_path: Path) -> None:
    ours = [result("org/a", "SciFact", 0.64508), result("org/a", "T2Reranking", 0.7, kind="reranking")]
    found = card_side(card(tmp_path, f"---\n{model_index(ours)}---\n"), "mteb")
    assert found.results["SciFact", "test", "default"].exact["ndcg_at_10"] == pytest.approx(0.64508)


def test_a_card_decides_by_tolerance_alone(tmp_path: Path) -> None:
    old = card_side(card(tmp_path, CARD), "mteb")
    new = side("new", replace(queries("SciFact", np.full(9, 0.64)), provenance={"dtype": "float32"}))
    rules = Gates.model_validate({"required": ["SciFact"]})
    found = gate(old, new, suite(task("SciFact"), task("AFQMC", main="cosine_spearman")), rules)
    assert (found.exit_code, found.untested, found.absent) == (0, ("SciFact",), ("AFQMC",))
    assert found.checks[0].gain == pytest.approx(-0.5)
    worse = side("new", queries("SciFact", np.full(9, 0.63)))
    assert gate(old, worse, suite(task("SciFact")), rules).exit_code == 1


def test_a_card_is_read_by_the_one_reader(tmp_path: Path) -> None:
    """Errors and their lines are those of `tests/report/test_card_read.py`."""
    with pytest.raises(DataError, match=r"README\.md, line 1: no front matter"):
        card_side(card(tmp_path, "# no front matter\n"), "mteb")
