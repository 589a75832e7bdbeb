"""mteb's own mock tasks, end to end: its loading turned into examples, its evaluation as the oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.data.mteb_catalog import TaskInfo, _info, benchmarks, catalog, read_benchmarks, read_mteb
from harness.data.mteb_source import examples, load_task
from harness.errors import DataError
from harness.paths import cache_folder
from harness.scorers import SCORERS
from tests.kinds.oracle_pairs import TableEncoder, vectors_for

pytestmark = pytest.mark.filterwarnings("ignore")

MOCKS = {
    "LegacyMockClusteringFastTask": ["default"],
    "MockBitextMiningTask": ["default"],
    "MockMultilingualBitextMiningTask": ["eng", "fra"],
    "MockMultilingualParallelBitextMiningTask": ["eng_Latn-fra_Latn", "fra_Latn-eng_Latn"],
    "MockClassificationTask": ["default"],
    "MockMultilingualClassificationTask": ["eng", "fra"],
    "MockMultilingualClusteringFastTask": ["eng", "fra"],
    "MockMultilabelClassification": ["default"],
    "MockMultilingualMultilabelClassification": ["eng", "fra"],
    "MockInstructionReranking": ["default"],
    "MockMultilingualInstructionReranking": ["eng", "fra"],
    "MockInstructionRetrieval": ["default"],
    "MockMultilingualInstructionRetrieval": ["eng", "fra"],
    "MockPairClassificationTask": ["default"],
    "MockMultilingualPairClassificationTask": ["eng", "fra"],
    "MockRerankingTask": ["default"],
    "MockMultilingualRerankingTask": ["eng", "fra"],
    "MockRetrievalTask": ["default"],
    "MockMultilingualRetrievalTask": ["eng", "fra"],
    "MockRetrievalDialogTask": ["default"],
    "MockSTSTask": ["default"],
    "MockMultilingualSTSTask": ["eng", "fra"],
    "MockSummarizationTask": ["default"],
    "MockMultilingualSummarizationTask": ["eng", "fra"],
}


def fresh(name: str, subset: str) -> Any:
    """A task object as our rule for draws wants it: configured with one subset alone."""
    from mteb.mocks import mock_tasks

    task = getattr(mock_tasks, name)()
    task.hf_subsets = [subset]
    task.load_data()
    return task


def settings_of(info: TaskInfo, similarity: str) -> dict[str, Any]:
    chosen = SCORERS[info.kind, info.scorer]
    return {**chosen.defaults, **info.settings, "similarity": similarity, "main": info.main}


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize(("name", "subset"), [(n, s) for n, subsets in MOCKS.items() for s in subsets])
def test_every_metric_of_every_text_mock(name: str, subset: str, similarity: str) -> None:
    encoder = TableEncoder(similarity=similarity)
    info = _info(type(fresh(name, subset)))
    theirs = fresh(name, subset).evaluate(
        encoder, split="test", subsets_to_run=[subset], encode_kwargs={"batch_size": 32}
    )[subset]
    task = fresh(name, subset)
    if hasattr(task, "convert_v1_dataset_format_to_v2"):
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    found = examples(task, info.kind, "test", subset, info.train_split)
    settings = settings_of(info, similarity)
    module = SCORERS[info.kind, info.scorer].load()
    scores = module.score(found, vectors_for(encoder, module.needs(found, settings)), settings)
    checked = 0
    for metric, value in theirs.items():
        if isinstance(value, int | float | np.floating) and metric != "main_score":
            if math.isnan(value):
                assert metric in scores.undefined, metric
            elif metric not in scores.undefined:
                assert scores.metrics[metric] == pytest.approx(float(value), abs=1e-6), metric
                checked += 1
    assert checked >= min(4, len(scores.metrics))
    assert scores.main == info.main
    assert scores.metrics[scores.main] == pytest.approx(theirs["main_score"], abs=1e-6)


def test_the_table_in_the_cache_is_the_table_of_mteb() -> None:
    assert dict(catalog(cache_folder())) == read_mteb()
    assert dict(benchmarks(cache_folder())) == read_benchmarks()


def test_every_text_task_of_mteb_has_a_scorer_that_knows_its_settings() -> None:
    table = catalog(cache_folder())
    text = [info for info in table.values() if not info.refused]
    assert len(text) > 1300
    for info in text:
        chosen = SCORERS[info.kind, info.scorer]
        assert set(info.settings) <= set(chosen.defaults), info.name
        assert info.splits, info.name
        assert info.main, info.name


def test_tasks_on_anything_but_text_say_why() -> None:
    table = catalog(cache_folder())
    assert "image" in table["MNIST"].refused
    assert "Regression" in table["RuSciBenchYearPublRegression"].refused


def test_data_that_cannot_be_reached_say_what_to_do() -> None:
    with pytest.raises(DataError, match=r"SciFact .*mteb/scifact @ .*\n.*--data") as caught:
        load_task("SciFact", ["default"], ["test"], offline=True)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_split_that_the_data_set_lacks() -> None:
    with pytest.raises(DataError, match="no split 'dev'"):
        examples(fresh("MockSTSTask", "default"), "sts", "dev", "default")
