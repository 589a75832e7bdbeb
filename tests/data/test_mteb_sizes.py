"""How large tasks are, against the statistics of mteb that the figures come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.data.mteb_sizes import Size, _sizes, sizes, task_size, total
from harness.paths import cache_folder
from harness.suite import load_suite, load_task
from tests.toys import sts_rows, write_task


def size(name: str, max_length: int | None = None, **narrow: list[str]) -> Size:
    (task,) = load_task(name, **narrow).tasks
    found = task_size(task, sizes(cache_folder()), max_length)
    assert found is not None
    return found


def statistics(name: str, split: str, subset: str | None = None) -> dict:
    import mteb

    found = mteb.get_task(name).metadata.descriptive_stats[split]
    return found["hf_subset_descriptive_stats"][subset] if subset else found


def test_a_retrieval_task_is_its_documents_and_queries() -> None:
    theirs, found = statistics("SciFact", "test"), size("SciFact")
    assert (found.documents, found.queries) == (theirs["num_documents"], theirs["num_queries"]) == (5183, 300)
    assert found.texts == 5483
    assert found.characters == pytest.approx(theirs["number_of_characters"], rel=1e-3)
    assert found.tokens == pytest.approx(found.characters / 4, rel=1e-3)


def test_documents_that_the_statistics_do_not_count_follow_from_their_lengths() -> None:
    assert "num_documents" not in statistics("LEMBQMSumRetrieval", "test")
    found = size("LEMBQMSumRetrieval")
    assert (found.documents, found.queries) == (197, 1527)


def test_pairs_count_different_texts_of_each_side_and_a_subset_its_own() -> None:
    theirs = statistics("STS22", "test", "zh")
    found = size("STS22", subsets=["zh"])
    sides = (theirs["text1_statistics"], theirs["text2_statistics"])
    assert found.texts == sum(side["unique_texts"] for side in sides)
    assert found.tokens == found.characters  # Chinese: a token a character
    assert found.documents is None


def test_training_rows_of_few_shot_tasks_count() -> None:
    theirs = statistics("TNews", "validation")
    labels = theirs["label_statistics"]["unique_labels"]
    assert size("TNews").texts == theirs["text_statistics"]["unique_texts"] + 10 * 32 * labels


def test_a_large_clustering_is_sampled_and_a_small_one_is_not() -> None:
    assert size("CLSClusteringP2P.v2").texts == 2048
    assert size("CLSClusteringP2P").texts == 99982


def test_an_aggregate_is_its_members() -> None:
    (task,) = load_task("CQADupstackRetrieval").tasks
    parts = [size(member.name) for member in task.members]
    assert size("CQADupstackRetrieval").texts == sum(part.texts for part in parts)
    assert size("CQADupstackRetrieval").queries == sum(part.queries or 0 for part in parts)


def test_a_max_length_cuts() -> None:
    whole, cut = size("SciFact"), size("SciFact", 128)
    assert cut.texts == whole.texts
    assert cut.tokens == pytest.approx(5183 * 128 + whole.tokens - 5183 * 1499.41 / 4, rel=1e-3)


@pytest.mark.parametrize("suite", ["cmteb", "cmteb-31", "mteb-en", "mteb-en-v2", "jmteb-v2", "jmteb-lite"])
def test_every_task_of_the_large_suites_has_a_size(suite: str) -> None:
    known = sizes(cache_folder())
    assert all(task_size(task, known) for task in load_suite(suite).tasks)


def test_data_of_ones_own_have_no_statistics(tmp_path: Path) -> None:
    root = write_task(tmp_path, "JSTS", "sts", "cosine_spearman", validation=sts_rows())
    (task,) = load_task("JSTS", data=[root]).tasks
    assert task_size(task, sizes(cache_folder())) is None


def test_a_sum_of_unknown_parts_is_unknown() -> None:
    one = Size(None, 2, 3, 40, 10)
    assert total([one, replace(one, documents=5)]) == Size(5, 4, 6, 80, 20)
    assert total([one, None]) is None
    assert total([]) is None


def test_a_damaged_table_is_made_again(tmp_path: Path) -> None:
    first = _sizes(str(tmp_path))
    (path,) = (tmp_path / "mteb").glob("sizes-*.json")
    _sizes.cache_clear()
    assert _sizes(str(tmp_path)) == first
    path.write_text("{", encoding="utf-8")
    _sizes.cache_clear()
    assert _sizes(str(tmp_path)) == first
    _sizes.cache_clear()
