import os
import subprocess
import sys

import numpy as np
import pytest

from harness.data.examples import LabelledExamples
from harness.errors import ConfigError, DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import classification
from harness.types import Vectors
from tests.conftest import ROOT
from tests.kinds.oracle_labels import (
    assert_equals_mteb,
    blobs,
    encoder,
    evaluate,
    labelled_task,
    names,
)
from tests.kinds.oracle_pairs import TableEncoder, assert_recomputable, vectors_for

SETTINGS = {"samples_per_label": 4, "n_experiments": 3}


def problem(labels, n_train=120, n_test=90, seed=0, **blob):
    """Training and test rows of these labels: examples and an encoder of their texts."""
    rng = np.random.default_rng(seed)
    train, test = (rng.choice(len(labels), n).tolist() for n in (n_train, n_test))
    train_texts, texts = names("train", n_train), names("test", n_test)
    rows = blobs(train + test, seed=seed, **blob)
    examples = LabelledExamples(train_texts, [labels[i] for i in train], texts, [labels[i] for i in test])
    return examples, encoder((train_texts, rows[:n_train]), (texts, rows[n_train:]))


def score(examples, model, **settings):
    settings = {**SETTINGS, **settings}
    vectors = vectors_for(model, classification.needs(examples, settings))
    return classification.score(examples, vectors, settings)


def upstream(examples, model, **attributes):
    from mteb.mocks.mock_tasks import MockClassificationTask

    train = (list(examples.train_texts), list(examples.train_labels))
    test = (list(examples.texts), list(examples.labels))
    task = labelled_task(MockClassificationTask(), train, test, **{**SETTINGS, **attributes})
    return evaluate(task, model, "train" if attributes.get("is_cross_validation") else "test")


@pytest.mark.parametrize("noise", [0.1, 2.5])
@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2, 3, 4], ["b", "a", "ü"], [7, -3, 1]])
def test_equals_mteb(labels, noise, tmp_path):
    examples, model = problem(labels, noise=noise)
    ours = score(examples, model)
    assert_equals_mteb(ours, upstream(examples, model))
    assert_recomputable(classification, ours, SETTINGS, tmp_path)
    assert ours.main == "accuracy"
    if noise == 0.1:
        assert ours.metrics["accuracy"] == 1.0


@pytest.mark.parametrize(
    "settings", [{"samples_per_label": 1}, {"samples_per_label": 500}, {"n_experiments": 12}]
)
def test_settings_equal_mteb(settings):
    examples, model = problem([0, 1, 2], noise=2.0)
    assert_equals_mteb(score(examples, model, **settings), upstream(examples, model, **settings))


def test_defaults_equal_mteb():
    examples, model = problem(list(range(12)), n_train=400, n_test=200, noise=2.5)
    ours = classification.score(examples, vectors_for(model, classification.needs(examples, {})), {})
    assert_equals_mteb(ours, upstream(examples, model, samples_per_label=8, n_experiments=10))
    assert len(ours.details["scores_per_experiment"]) == 10


def test_duplicated_and_constant_vectors_equal_mteb():
    examples, model = problem([0, 1, 2], noise=2.0)
    texts = [*examples.train_texts, *examples.texts]
    for i, text in enumerate(texts):
        model.table[text] = model.table[texts[i // 8 * 8]]
    assert_equals_mteb(score(examples, model), upstream(examples, model))
    constant = TableEncoder(dict.fromkeys(texts, np.ones(8, dtype=np.float32)))
    assert_equals_mteb(score(examples, constant), upstream(examples, constant))


def test_one_class_in_test_and_classes_seen_on_one_side_only_equal_mteb():
    for labels in ([1] * 90, [1] * 60 + [9] * 30, [0, 1] * 45):
        examples, model = problem([0, 1, 2], noise=2.0)
        examples = LabelledExamples(examples.train_texts, examples.train_labels, examples.texts, labels)
        assert_equals_mteb(score(examples, model), upstream(examples, model))


@pytest.mark.parametrize(
    ("n", "labels"), [(11, [0, 1]), (62, [0, 1]), (62, [1, 0, 5]), (150, ["x", "y", "z"])]
)
def test_cross_validation_equals_mteb(n, labels, tmp_path):
    examples, model = problem(labels, n_train=n, noise=2.0, seed=3)
    both = LabelledExamples(
        examples.train_texts, examples.train_labels, examples.train_texts, examples.train_labels
    )
    ours = score(both, model, cross_validation=True)
    assert_equals_mteb(ours, upstream(both, model, is_cross_validation=True))
    assert_recomputable(classification, ours, SETTINGS, tmp_path)
    assert set(classification.needs(both, {"cross_validation": True})) == {"test"}
    assert sorted(ours.samples["row"].to_pylist()) == list(range(n))
    alone = LabelledExamples([], [], both.texts, both.labels)
    assert score(alone, model, cross_validation=True).exact == ours.exact


def test_folds_with_one_class_leave_average_precision_to_the_others():
    labels = [0] * 27 + [1] * 3
    texts = names("row", 30)
    examples, model = (
        LabelledExamples(texts, labels, texts, labels),
        encoder((texts, blobs(labels, noise=1.5))),
    )
    ours = score(examples, model, cross_validation=True)
    assert_equals_mteb(ours, upstream(examples, model, is_cross_validation=True))
    assert {scores["ap"] is None for scores in ours.details["scores_per_experiment"]} == {True, False}


@pytest.mark.parametrize("subset", ["eng", "fra"])
def test_mteb_mocks(subset):
    from mteb.mocks.mock_tasks import MockClassificationTask, MockMultilingualClassificationTask

    for task, name in ((MockClassificationTask(), "default"), (MockMultilingualClassificationTask(), subset)):
        task.load_data()
        data = task.dataset if name == "default" else task.dataset[name]
        train, test = data["train"], data["test"]
        examples = LabelledExamples(
            list(train["text"]), list(train["label"]), list(test["text"]), list(test["label"])
        )
        model = TableEncoder()
        vectors = vectors_for(model, classification.needs(examples, {}))
        assert_equals_mteb(classification.score(examples, vectors, {}), evaluate(task, model, subset=name))


def test_needs_are_the_sampled_rows_once_ascending_and_all_test_rows():
    labels = [0, 1] * 50
    texts = names("t", 100)
    examples = LabelledExamples(texts, labels, names("s", 5), [0, 1, 0, 1, 0])
    needs = classification.needs(examples, {"samples_per_label": 2, "n_experiments": 4})
    rows = [texts.index(text) for text in needs["train"].items]
    assert rows == sorted(set(rows))
    assert 4 <= len(rows) <= 16
    assert list(needs["test"].items) == names("s", 5)
    assert {needs[side].role for side in needs} == {"sentence"}


def test_draws_by_hand():
    # each experiment applies the same permutation once more, then takes the first row of each label
    labels = np.array([0, 0, 0, 1, 1, 1])
    order = np.arange(6)
    options = {"seed": 42, "samples_per_label": 1}
    for drawn in classification._draws(labels, 3, options):
        order = order[np.random.RandomState(42).permutation(6)]
        firsts = [next(row for row in order if labels[row] == label) for label in (0, 1)]
        assert drawn.tolist() == sorted(firsts, key=order.tolist().index)


def test_perfect_by_hand():
    texts = ["a", "b", "c", "d"]
    rows = np.array([[3, 0], [0, 3], [3, 0], [0, 3]], dtype=np.float32)
    examples = LabelledExamples(texts[:2], ["no", "yes"], texts[2:], ["no", "no"])
    ours = score(examples, encoder((texts, rows)), n_experiments=1)
    assert ours.samples.to_pylist() == [
        {"experiment": 0, "row": 0, "gold": "no", "prediction": "no"},
        {"experiment": 0, "row": 1, "gold": "no", "prediction": "yes"},
    ]
    assert ours.metrics["accuracy"] == 0.5
    assert ours.metrics["recall"] == 0.25
    assert ours.metrics["f1"] == pytest.approx(1 / 3)
    assert ours.metrics["f1_weighted"] == pytest.approx(2 / 3)


def test_average_precision_is_undefined_with_its_reason():
    for labels in ([0, 1, 2], ["no", "yes"], [0, 2]):
        examples, model = problem(labels)
        ours = score(examples, model)
        assert set(ours.undefined) == {"ap", "ap_weighted"}
        assert "exactly two test labels" in ours.undefined["ap"]
        assert repr(labels[-1]) in ours.undefined["ap"]
        with pytest.raises(DataError, match="ap is undefined"):
            score(examples, model, main="ap")


def test_blocks_of_test_rows_do_not_matter(monkeypatch):
    examples, model = problem([0, 1, 2], noise=2.0)
    whole = score(examples, model)
    monkeypatch.setattr(classification, "_BLOCK", 7)
    assert score(examples, model).samples == whole.samples
    both = LabelledExamples([], [], examples.texts, examples.labels)
    split = score(both, model, cross_validation=True)
    monkeypatch.setattr(classification, "_BLOCK", 1000)
    assert score(both, model, cross_validation=True).samples == split.samples


def test_workers_do_not_matter(monkeypatch):
    examples, model = problem(list(range(6)), noise=3.0)
    many = score(examples, model, n_experiments=6)
    monkeypatch.setattr("harness.kinds._labelled.WORKERS", 1)
    assert score(examples, model, n_experiments=6).samples == many.samples


def test_global_random_state_is_left_alone():
    import random

    def state():
        return np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    before = state()
    score(*problem([0, 1]))
    assert state() == before


def test_refuses_what_cannot_be_scored():
    good, _ = problem([0, 1], n_train=20, n_test=10)

    def changed(**fields):
        return LabelledExamples(**{**vars(good), **fields})

    cases = [
        (changed(texts=[], labels=[]), {}, DataError, "test data: there are no rows"),
        (changed(train_texts=[], train_labels=[]), {}, DataError, "training data: there are no rows"),
        (changed(labels=[0]), {}, DataError, "10 texts but 1 labels"),
        (changed(train_labels=[1] * 20), {}, DataError, "at least two labels"),
        (changed(labels=[0.5] * 10), {}, DataError, "whole number or a string, not 0.5"),
        (changed(labels=[None] * 10), {}, DataError, "not None"),
        (changed(labels=["a"] * 10), {}, DataError, "mix numbers and strings"),
        (changed(texts=good.texts[:3], labels=good.labels[:3], train_texts=[], train_labels=[]),
         {"cross_validation": True}, DataError, "3 rows cannot be split into 5 folds"),
        (good, {"cross_validation": True}, DataError, "training and test data differ"),
        (good, {"samples_per_label": 0}, ConfigError, "samples_per_label"),
        (good, {"n_experiments": "10"}, ConfigError, "n_experiments"),
        (good, {"main": "acuracy"}, UnknownNameError, "accuracy"),
    ]  # fmt: skip
    for examples, settings, error, message in cases:
        with pytest.raises(error, match=message):
            classification.needs(examples, settings)


def test_refuses_vectors_that_do_not_fit():
    examples, model = problem([0, 1])
    vectors = vectors_for(model, classification.needs(examples, SETTINGS))
    short = Vectors.of(vectors["test"].gather(range(3)))
    with pytest.raises(ModelError, match="90 texts of 'test' got 3"):
        classification.score(examples, {**vectors, "test": short}, SETTINGS)
    broken = vectors["test"].gather()
    broken[4, 2] = np.nan
    with pytest.raises(NonFiniteError, match="test 4"):
        classification.score(examples, {**vectors, "test": Vectors.of(broken)}, SETTINGS)


def test_hash_seed_does_not_matter():
    script = (
        "from tests.kinds.test_classification import *\n"
        "examples, model = problem(['c', 'a', 'b', 'd'], noise=2.5)\n"
        "print(classification.needs(examples, SETTINGS)['train'].items, score(examples, model).exact)\n"
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


def test_subsets_in_either_order():
    first, second = problem(["a", "b"], seed=1, noise=2.0), problem([0, 1, 2], seed=2, noise=2.0)
    forward = [score(*first).exact, score(*second).exact]
    backward = [score(*second).exact, score(*first).exact]
    assert forward == backward[::-1]
