import os
import subprocess
import sys
import time

import numpy as np
import pytest

from harness.data.examples import LabelledExamples
from harness.errors import ConfigError, DataError, ModelError, UnknownNameError
from harness.kinds import multilabel
from harness.kinds._stratify import stratified_rows
from harness.types import Vectors
from tests.conftest import ROOT
from tests.kinds.oracle_labels import assert_equals_mteb, blobs, encoder, evaluate, labelled_task, names
from tests.kinds.oracle_pairs import TableEncoder, assert_recomputable, vectors_for

SETTINGS = {"samples_per_label": 4, "n_experiments": 3}


def label_rows(n, labels, mean=1.5, seed=0):
    """n rows of up to four distinct labels, in no order; some rows have none."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.poisson(mean, n), min(4, len(labels)))
    return [[labels[i] for i in rng.permutation(len(labels))[:size]] for size in sizes]


def problem(labels, n_train=80, n_test=60, seed=0, **blob):
    """Rows of random label sets; texts with equal label sets lie around one centre."""
    rows = label_rows(n_train + n_test, labels, seed=seed)
    rows[0], rows[n_train] = list(labels), list(labels)
    texts = names("text", n_train + n_test)
    examples = LabelledExamples(texts[:n_train], rows[:n_train], texts[n_train:], rows[n_train:])
    return examples, encoder((texts, blobs([tuple(sorted(row)) for row in rows], seed=seed, **blob)))


def score(examples, model, **settings):
    settings = {**SETTINGS, **settings}
    return multilabel.score(examples, vectors_for(model, multilabel.needs(examples, settings)), settings)


def upstream(examples, model, **attributes):
    from mteb.mocks.mock_tasks import MockMultilabelClassification

    train = (list(examples.train_texts), list(examples.train_labels))
    test = (list(examples.texts), list(examples.labels))
    task = labelled_task(MockMultilabelClassification(), train, test, **{**SETTINGS, **attributes})
    return evaluate(task, model)


@pytest.mark.parametrize("dim", [3, 24])  # scikit-learn searches by tree up to 15 dimensions
@pytest.mark.parametrize("noise", [0.1, 1.5])
@pytest.mark.parametrize("labels", [[0, 1], [3, 1, 2, 9, 12], ["b", "a", "ü", "c"]])
def test_equals_mteb(labels, noise, dim, tmp_path):
    examples, model = problem(labels, noise=noise, dim=dim)
    ours = score(examples, model, main="lrap")
    assert_equals_mteb(ours, upstream(examples, model))
    assert_recomputable(multilabel, ours, SETTINGS, tmp_path)


@pytest.mark.parametrize(
    "settings", [{"samples_per_label": 1}, {"samples_per_label": 90}, {"n_experiments": 7}]
)
def test_settings_equal_mteb(settings):
    examples, model = problem(list(range(8)), noise=1.5)
    assert_equals_mteb(score(examples, model, main="lrap", **settings), upstream(examples, model, **settings))


def test_duplicated_vectors_equal_mteb():
    examples, model = problem(list(range(4)), n_train=600, noise=1.5)
    texts = [*examples.train_texts, *examples.texts]
    for i, text in enumerate(texts):
        model.table[text] = model.table[texts[i // 10 * 10]]
    for quota in (4, 400):
        ours = score(examples, model, main="lrap", samples_per_label=quota)
        assert_equals_mteb(ours, upstream(examples, model, samples_per_label=quota))


def test_labels_of_one_side_only_and_repeated_labels_equal_mteb():
    examples, model = problem(list(range(5)), noise=1.0)
    train = [[*row, 77] if i % 5 == 0 else row * 2 for i, row in enumerate(examples.train_labels)]
    test = [[*row, 88] if i % 3 == 0 else row for i, row in enumerate(examples.labels)]
    examples = LabelledExamples(examples.train_texts, train, examples.texts, test)
    ours = score(examples, model, main="lrap")
    assert_equals_mteb(ours, upstream(examples, model))
    assert ours.metrics["f1"] < 1


@pytest.mark.parametrize("limit", [41, 59, 60, 61, None])
@pytest.mark.parametrize("labels", [[0, 1, 2], ["c", "a", "b", "d", "e", "f"]])
def test_subsampled_test_rows_equal_mteb(labels, limit):
    examples, model = problem(labels, noise=1.5, seed=4)
    ours = score(examples, model, main="lrap", max_eval_samples=limit)
    assert_equals_mteb(ours, upstream(examples, model, max_eval_samples=limit))
    rows = ours.samples.filter(ours.samples["experiment"].to_numpy() == 0)["row"].to_pylist()
    assert rows == sorted(set(rows))
    if limit in (41, 59):
        assert abs(len(rows) - limit) <= 2
    else:
        assert rows == list(range(60))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.777, 0.99])
@pytest.mark.parametrize(("n", "labels", "mean"), [(30, 3, 0.5), (300, 6, 1.5), (200, 25, 3.0), (50, 4, 0.0)])
def test_stratified_rows_equal_mteb(n, labels, mean, share):
    from mteb.abstasks._stratification import _iterative_train_test_split

    for seed in range(4):
        rows = label_rows(n, list(range(labels)), mean, seed)
        matrix = multilabel._indicator(rows, list(range(labels)))
        _, expected = _iterative_train_test_split(
            np.arange(n).reshape(-1, 1), matrix.astype(int), test_size=share, random_state=42
        )
        assert stratified_rows(matrix, share, 42).tolist() == expected.tolist()


def test_stratification_keeps_the_frequency_of_pairs():
    matrix = np.random.default_rng(0).random((1000, 4)) < 0.4
    kept = matrix[stratified_rows(matrix, 0.25, 42)]
    assert abs(len(kept) - 250) <= 5
    for pair in ((0, 1), (1, 3), (2, 2)):
        assert kept[:, pair].all(axis=1).sum() == pytest.approx(matrix[:, pair].all(axis=1).sum() / 4, abs=3)


def test_stratification_is_fast_enough():
    matrix = np.random.default_rng(0).random((20_000, 40)) < 0.05
    start = time.perf_counter()
    assert abs(len(stratified_rows(matrix, 0.15, 42)) - 3000) < 60
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("subset", ["eng", "fra"])
def test_mteb_mocks(subset):
    from mteb.mocks.mock_tasks import MockMultilabelClassification, MockMultilingualMultilabelClassification

    tasks = (
        (MockMultilabelClassification(), "default"),
        (MockMultilingualMultilabelClassification(), subset),
    )
    for task, name in tasks:
        task.load_data()
        data = task.dataset if name == "default" else task.dataset[name]
        train, test = data["train"], data["test"]
        examples = LabelledExamples(
            list(train["text"]), list(train["label"]), list(test["text"]), list(test["label"])
        )
        model = TableEncoder()
        vectors = vectors_for(model, multilabel.needs(examples, {}))
        ours = multilabel.score(examples, vectors, {"main": task.metadata.main_score})
        assert_equals_mteb(ours, evaluate(task, model, subset=name))


def test_predictions_by_hand():
    # all eight training rows are sampled; the five nearest of the test row at 0 are rows 0 to 4
    train = np.array([[1.0], [1.1], [1.2], [1.3], [1.4], [9], [9], [9]], dtype=np.float32)
    labels = [["a"], ["a"], ["a", "b"], ["b"], ["c", "b"], ["c"], ["c"], ["c"]]
    texts = names("t", 10)
    examples = LabelledExamples(texts[:8], labels, texts[8:], [["b", "a"], ["c", "b"]])
    rows = np.concatenate([train, [[0.0], [9.0]]]).astype(np.float32)
    ours = score(examples, encoder((texts, rows)), n_experiments=1, samples_per_label=10)
    assert ours.samples.to_pylist() == [
        {"experiment": 0, "row": 0, "gold": ["a", "b"], "prediction": ["a", "b"]},
        {"experiment": 0, "row": 1, "gold": ["b", "c"], "prediction": ["c"]},
    ]
    assert ours.metrics == pytest.approx(
        {"accuracy": 0.5, "hamming": 0.75, "f1": (1 + 2 / 3 + 1) / 3, "lrap": (1 + (1 + 2 / 3) / 2) / 2}
    )


def test_rows_without_labels_are_never_sampled():
    texts = names("t", 12)
    labels = [[] if i % 2 else [i % 4] for i in range(12)]
    examples = LabelledExamples(texts, labels, ["x", "y"], [[0], [2]])
    needs = multilabel.needs(examples, SETTINGS)
    assert list(needs["train"].items) == texts[::2]
    assert list(needs["test"].items) == ["x", "y"]


def test_refuses_what_cannot_be_scored():
    good, model = problem([0, 1, 2])

    def changed(**fields):
        return LabelledExamples(**{**vars(good), **fields})

    cases = [
        (changed(texts=[], labels=[]), {}, DataError, "test data: there are no rows"),
        (changed(train_texts=[], train_labels=[]), {}, DataError, "training data: there are no rows"),
        (changed(labels=[[0]] * 60), {}, DataError, "at least two distinct labels; these have 1"),
        (changed(labels=["ab"] * 60), {}, DataError, "test data, row 0: a multilabel row needs a list"),
        (changed(train_labels=[3] * 80), {}, DataError, "training data, row 0"),
        (changed(train_labels=[[0]] * 80), {}, DataError, "an experiment has 4"),
        (good, {"max_eval_samples": 0}, ConfigError, "max_eval_samples"),
        (good, {"main": "ap"}, UnknownNameError, "unknown metric 'ap'"),
    ]
    for examples, settings, error, message in cases:
        with pytest.raises(error, match=message):
            multilabel.needs(examples, {**SETTINGS, **settings})
    vectors = vectors_for(model, multilabel.needs(good, SETTINGS))
    with pytest.raises(ModelError, match="'train' got 2"):
        multilabel.score(good, {**vectors, "train": Vectors.of(np.ones((2, 24)))}, SETTINGS)


def test_workers_do_not_matter(monkeypatch):
    examples, model = problem([0, 1, 2], noise=2.0)
    many = score(examples, model)
    monkeypatch.setattr("harness.kinds._labelled.WORKERS", 1)
    assert score(examples, model).samples == many.samples


def test_hash_seed_does_not_matter():
    script = (
        "from tests.kinds.test_multilabel import *\n"
        "examples, model = problem(['c', 'a', 'b', 'd'], noise=1.5)\n"
        "print(multilabel.needs(examples, SETTINGS)['train'].items)\n"
        "print(score(examples, model, max_eval_samples=30).exact)\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(answers) == 1
    assert "accuracy" in answers.pop()


def test_subsets_in_either_order_equal_fresh_mteb_tasks():
    first, second = problem(["a", "b", "c"], seed=1, noise=1.5), problem([0, 1, 2, 3], seed=2, noise=1.5)
    forward = [score(*first, main="lrap"), score(*second, main="lrap")]
    backward = [score(*second, main="lrap"), score(*first, main="lrap")]
    assert [s.exact for s in forward] == [s.exact for s in backward[::-1]]
    assert_equals_mteb(forward[1], upstream(*second))
