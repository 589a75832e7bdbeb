"""The public names, pinned; and the small floors under everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import ConfigError, UnknownNameError, nearest
from harness.metrics import FAMILIES, canonical, family
from harness.registry import Registry
from harness.report.references import keep
from harness.run import evaluate
from harness.store import Store
from harness.suite import load_suite
from tests.toys import Toy

ROOT = Path(__file__).parent.parent


def test_public_names() -> None:
    assert harness.__all__ == [
        "HarnessError", "ModelCard", "Pairs", "Result", "Scores", "Store", "Texts", "Vectors", "__version__",
        "evaluate", "leaderboard", "load_model", "load_suite", "load_task", "models",
    ]  # fmt: skip
    assert len(harness.__all__) <= 16
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    assert dir(harness) == harness.__all__
    with pytest.raises(AttributeError, match="evaluat"):
        _ = harness.evaluat


def test_importing_the_package_imports_nothing_heavy() -> None:
    check = "import harness, sys; assert not {'numpy', 'torch', 'mteb', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


def test_every_metric_of_a_run_stands_in_the_table(tmp_path: Path) -> None:
    for result in evaluate(Toy(), load_suite("smoke"), cache=tmp_path):
        for name in [*result.metrics, *result.undefined]:
            row = family(name)
            value = result.metrics.get(name, 0.0)
            assert row.low - 1e-6 <= value <= row.high + 1e-6, (result.task, name, value)


def test_metric_names() -> None:
    assert canonical("ndcg@10") == canonical("ndcg_at_10") == "ndcg_at_10"
    assert canonical("accuracy") == "accuracy"
    assert family("cosine_spearman").better == "higher"
    assert family("v_measure_std").better == "neither"
    assert family("anchor_error_rate").better == "lower"
    with pytest.raises(UnknownNameError):
        family("bleu")
    assert len({row.pattern for row in FAMILIES}) == len(FAMILIES)


class TestRegistry:
    def test_lazy_names_are_imported_when_asked(self) -> None:
        registry = Registry("thing", {"join": "os.path:join"})
        import os.path

        assert registry.get("join") is os.path.join
        assert "join" in registry
        assert list(registry) == ["join"]

    def test_a_plugin_registered_first_does_not_hide_the_built_ins(self) -> None:
        registry = Registry("thing", {"join": "os.path:join"})
        registry.register("mine")(42)
        assert registry.get("mine") == 42
        assert list(registry) == ["join", "mine"]

    def test_a_name_taken_is_an_error(self) -> None:
        registry = Registry("thing", {"join": "os.path:join"})
        with pytest.raises(ConfigError, match="twice"):
            registry.register("join")(1)

    def test_an_unknown_name_says_what_it_may_have_meant(self) -> None:
        with pytest.raises(UnknownNameError, match="unknown thing 'jion'; did you mean join"):
            Registry("thing", {"join": "os.path:join"}).get("jion")


def test_nearest_ignores_case_and_prefers_close() -> None:
    assert nearest("scifact", ["SciFact", "SciDocs", "NFCorpus"])[0] == "SciFact"
    assert nearest("", ["a"]) == []


def test_references_keep_scores_and_samples_but_no_seconds(tmp_path: Path) -> None:
    suite = load_suite("smoke")
    for _ in evaluate(Toy(), suite, store=Store(tmp_path / "a"), cache=tmp_path / "c"):
        pass
    assert keep(tmp_path / "a", tmp_path / "b") == sum(len(t.entries) for t in suite.tasks)
    kept = list(Store(tmp_path / "b").results())
    assert all("seconds" not in r.provenance and "device" not in r.provenance for r in kept)
    assert all(Store(tmp_path / "b").samples(r).num_rows for r in kept)
