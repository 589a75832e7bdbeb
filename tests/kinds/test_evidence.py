"""Every scorer's samples give each of its metrics again, and a resample's metric is that of repeated rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.errors import DataError
from harness.kinds.evidence import evidence
from harness.store import Store
from harness.types import Result

RESAMPLED = {  # one metric of each shape of samples, with weights that can be checked by taking rows
    "SmokeSTS": "cosine_spearman",
    "SmokePairs": "max_ap",
    "SmokeBitext": "f1",
    "SmokeNegation": "anchor_error_rate",
    "SmokeRetrieval": "ndcg_at_10",
}


@pytest.fixture(scope="module")
def found() -> tuple[Store, dict[str, Result]]:
    """The committed results of a small model on every kind of task."""
    store = Store(Path(__file__).parents[2] / "results" / "reference", repair=False)
    return store, {r.task: r for r in store.results() if r.model == "harness/char-ngram"}


def test_every_main_metric_comes_back(found: tuple[Store, dict[str, Result]]) -> None:
    store, results = found
    assert len(results) > 18
    for result in results.values():
        scorer = result.scorer.partition("@")[0]
        one = evidence(
            result.kind, scorer, result.provenance["settings"], store.samples(result), result.main_metric
        )
        assert one.value == pytest.approx(result.exact[result.main_metric], abs=1e-9), result.task
        if one.additive:
            assert one.own is not None
            assert one.own.mean() == pytest.approx(result.exact[result.main_metric], abs=1e-9)


def test_every_other_metric_comes_back_too(found: tuple[Store, dict[str, Result]]) -> None:
    store, results = found
    for name in ("SmokeSTS", "SmokePairs", "SmokeBitext", "SmokeTopics", "SmokeAspects", "SmokeNegation"):
        result = results[name]
        for metric, value in result.exact.items():
            scorer = result.scorer.partition("@")[0]
            one = evidence(result.kind, scorer, result.provenance["settings"], store.samples(result), metric)
            assert one.value == pytest.approx(value, abs=1e-9), (name, metric)


@pytest.mark.parametrize("task", sorted(RESAMPLED))
def test_a_resample_is_the_metric_of_its_rows(found: tuple[Store, dict[str, Result]], task: str) -> None:
    store, results = found
    result, metric = results[task], RESAMPLED[task]
    scorer, settings = result.scorer.partition("@")[0], result.provenance["settings"]
    samples = store.samples(result)
    one = evidence(result.kind, scorer, settings, samples, metric)
    weights = np.random.default_rng(0).integers(0, 3, (4, len(one.ids))).astype(float)
    expected = []
    for row in weights:
        taken = samples.take(np.repeat(np.arange(len(row)), row.astype(int)))
        expected.append(evidence(result.kind, scorer, settings, taken, metric).value)
    assert one.parts(weights).mean(axis=0) == pytest.approx(expected, abs=1e-9)


def test_a_text_of_every_experiment_weighs_in_all_of_them(found: tuple[Store, dict[str, Result]]) -> None:
    store, results = found
    result = results["SmokeTopics"]
    samples = store.samples(result)
    one = evidence("classification", "few_shot", {}, samples, "f1")
    keep = np.zeros((1, len(one.ids)))
    keep[0, :40] = 1
    rows = {int(name) for name in one.ids[:40]}
    part = samples.filter(pa.array([row in rows for row in samples.column("row").to_pylist()]))
    expected = evidence("classification", "few_shot", {}, part, "f1")
    assert one.parts(keep)[:, 0] == pytest.approx(expected.parts(np.ones((1, 40)))[:, 0])


def test_a_metric_that_is_not_there_is_an_error(found: tuple[Store, dict[str, Result]]) -> None:
    store, results = found
    with pytest.raises(DataError, match="do not give nonsense_at_3"):
        evidence("sts", "correlation", {}, store.samples(results["SmokeSTS"]), "nonsense_at_3")
    with pytest.raises(DataError, match="scorer unheard of sts cannot be read"):
        evidence("sts", "unheard", {}, pa.table({"x": [1.0]}), "spearman")


def test_a_shape_without_a_formula_is_resampled_row_by_row(found: tuple[Store, dict[str, Result]]) -> None:
    store, results = found
    result, metric = results["SmokeRetrieval"], "nauc_ndcg_at_10_max"
    samples, settings = store.samples(result), result.provenance["settings"]
    one = evidence("retrieval", "trec", settings, samples, metric)
    assert one.value == pytest.approx(result.exact[metric], abs=1e-12)
    assert one.resamples > 0
    weights = np.random.default_rng(0).integers(0, 3, (1, len(one.ids))).astype(float)
    taken = samples.take(np.repeat(np.arange(len(one.ids)), weights[0].astype(int)))
    expected = evidence("retrieval", "trec", settings, taken, metric)
    # the repeated queries are one example there, so only the value of the whole is the same
    assert one.parts(weights)[0, 0] == pytest.approx(expected.value)
