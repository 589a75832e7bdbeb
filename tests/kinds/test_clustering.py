import json
import os
import random
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from harness.data.examples import ClusterExamples
from harness.errors import ConfigError, DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import clustering_bootstrap, clustering_sets
from harness.types import Vectors
from tests.conftest import ROOT
from tests.kinds.oracle_labels import assert_equals_mteb, blobs, cluster_task, encoder, evaluate, names
from tests.kinds.oracle_pairs import TableEncoder, assert_recomputable, vectors_for

FRACTION, COUNT = "max_fraction_of_documents_to_embed", "max_document_to_embed"
SMALL = {FRACTION: None, COUNT: 60, "n_clusters": 3, "max_documents_per_cluster": 300}


def problem(labels, n=80, seed=0, **blob):
    """n texts around one centre a label."""
    drawn = [labels[i] for i in np.random.default_rng(seed).integers(0, len(labels), n)]
    texts = names("text", n)
    return flat(texts, drawn), encoder((texts, blobs(drawn, seed=seed, **blob)))


def flat(texts, labels):
    tuples = [label if isinstance(label, tuple) else (label,) for label in labels]
    return ClusterExamples(texts, tuples, np.array([0, len(texts)]))


def sets(*groups):
    texts, labels = ([item for group in groups for item in group[side]] for side in (0, 1))
    offsets = np.cumsum([0, *(len(group[0]) for group in groups)])
    return ClusterExamples(texts, [(label,) for label in labels], offsets)


def score(kind, examples, model, **settings):
    return kind.score(examples, vectors_for(model, kind.needs(examples, settings)), settings)


def bootstrap(examples, model, **settings):
    return score(clustering_bootstrap, examples, model, **{**SMALL, **settings})


def upstream(examples, model, **attributes):
    from mteb.mocks.mock_tasks import LegacyMockClusteringFastTask

    labels = [list(label) for label in examples.labels]
    if all(len(label) == 1 for label in labels):
        labels = [label[0] for label in labels]
    task = cluster_task(
        LegacyMockClusteringFastTask(), list(examples.texts), labels, **{**SMALL, **attributes}
    )
    return evaluate(task, model)


def upstream_sets(examples, model):
    from mteb.mocks.mock_tasks.clustering import MockClusteringTask

    cuts = list(zip(examples.offsets[:-1], examples.offsets[1:], strict=True))
    texts = [list(examples.texts[a:b]) for a, b in cuts]
    labels = [[label for (label,) in examples.labels[a:b]] for a, b in cuts]
    return evaluate(cluster_task(MockClusteringTask(), texts, labels), model)


@pytest.mark.parametrize("noise", [0.1, 2.0])
@pytest.mark.parametrize("labels", [[0, 1, 2], ["b", "a", "ü", "d"], [5], list(range(30))])
def test_bootstrap_equals_mteb(labels, noise, tmp_path):
    examples, model = problem(labels, noise=noise)
    ours = bootstrap(examples, model)
    assert_equals_mteb(ours, upstream(examples, model))
    assert_recomputable(clustering_bootstrap, ours, SMALL, tmp_path)


@pytest.mark.parametrize(
    "limits",
    [
        {COUNT: 79},
        {COUNT: 80},
        {COUNT: 500},
        {COUNT: None, FRACTION: 0.5},
        {COUNT: None, FRACTION: 1.0},
        {COUNT: None, FRACTION: None},
    ],
)
def test_limits_equal_mteb(limits):
    examples, model = problem([0, 1, 2, 3], noise=2.0)
    assert_equals_mteb(bootstrap(examples, model, **limits), upstream(examples, model, **limits))


def test_defaults_equal_mteb():
    examples, model = problem([0, 1, 2, 3], n=2000, noise=2.0)
    ours = score(clustering_bootstrap, examples, model)
    defaults = {FRACTION: 0.04, COUNT: None, "n_clusters": 10, "max_documents_per_cluster": 16_384}
    assert_equals_mteb(ours, upstream(examples, model, **defaults))
    assert len(ours.samples) == 10 * 16_384
    assert len(set(ours.samples["row"].to_pylist())) == 80


def test_batch_size_and_duplicated_vectors_equal_mteb():
    examples, model = problem([0, 1, 2, 3], noise=2.0)
    for i, text in enumerate(examples.texts):
        model.table[text] = model.table[examples.texts[i // 5 * 5]]
    for settings in ({}, {"k_mean_batch_size": 37}):
        assert_equals_mteb(bootstrap(examples, model, **settings), upstream(examples, model, **settings))
    constant = TableEncoder(dict.fromkeys(examples.texts, np.ones(8, dtype=np.float32)))
    assert_equals_mteb(bootstrap(examples, constant), upstream(examples, constant))


HIERARCHIES = {
    "complete": [(0, 10), (0, 11), (1, 12)],
    "missing integers": [(0, 10, 100), (0, 11), (1,), (1, 12, 101)],
    "given minus one": [(0, 10), (0, -1), (1, 11), (-1, 12)],
    "missing strings": [("a", "x", "p"), ("a", "y"), ("b",), ("b", "x", "q")],
    "strings that say -1": [("-1", "x"), ("a", "-1"), ("a",)],
    "numbers, then strings": [(1, "x"), (2, "y"), (1,)],
}


@pytest.mark.parametrize("max_depth", [None, 1, 2, 9])
@pytest.mark.parametrize("name", HIERARCHIES)
def test_hierarchies_equal_mteb(name, max_depth, tmp_path):
    examples, model = problem(HIERARCHIES[name], noise=1.5)
    ours = bootstrap(examples, model, max_depth=max_depth)
    if name == "numbers, then strings":  # a Dataset cannot hold both: ask mteb's function itself
        expected = upstream_function(examples, model, max_depth)
        assert ours.details == {"v_measures": expected["v_measure"], "ami_scores": expected["ami"]}
    else:
        assert_equals_mteb(ours, upstream(examples, model, max_depth=max_depth))
    assert_recomputable(clustering_bootstrap, ours, {}, tmp_path)


def upstream_function(examples, model, max_depth):
    from mteb.abstasks.clustering import _evaluate_clustering_bootstrapped

    stream = random.Random(42)
    rows = stream.sample(range(80), k=60)
    scores, _ = _evaluate_clustering_bootstrapped(
        np.stack([model.vector(examples.texts[row]) for row in rows]),
        [list(examples.labels[row]) for row in rows],
        n_clusters=3, cluster_size=300, kmean_batch_size=512, max_depth=max_depth, rng_state=stream, seed=42,
    )  # fmt: skip
    return scores


def test_absent_levels_by_hand():
    integers = bootstrap(*problem(HIERARCHIES["missing integers"]))
    strings = bootstrap(*problem(HIERARCHIES["missing strings"]))

    def labels_at(ours, level):
        return set(ours.samples.filter(pa.compute.equal(ours.samples["level"], level))["gold"].to_pylist())

    assert [labels_at(integers, level) for level in range(3)] == [{0, 1}, {10, 11, 12}, {100, 101}]
    assert [labels_at(strings, level) for level in range(3)] == [
        {"a", "b"},
        {"x", "y", "-1"},
        {"p", "q", "-1"},
    ]


def test_draws_are_one_stream_of_python_random():
    examples, model = problem([0, 1])
    ours = bootstrap(examples, model, n_clusters=2, max_documents_per_cluster=7)
    stream = random.Random(42)
    rows = stream.sample(range(80), k=60)
    expected = [rows[i] for _ in range(2) for i in stream.choices(range(60), k=7)]
    assert ours.samples["row"].to_pylist() == expected
    assert ours.samples["gold"].to_pylist() == [examples.labels[row][0] for row in expected]
    needs = clustering_bootstrap.needs(examples, SMALL)
    assert list(needs["sentences"].items) == [examples.texts[row] for row in rows]


def test_separable_data_is_found():
    examples, model = problem([0, 1, 2], noise=0.01)
    ours = bootstrap(examples, model)
    assert ours.metrics == pytest.approx(
        {"v_measure": 1, "v_measure_std": 0, "ami": 1, "ami_std": 0}, abs=1e-9
    )


def test_samples_are_compact():
    ours = bootstrap(*problem(["a", "b"]))
    widths = {field.name: field.type for field in ours.samples.schema}
    assert {widths[name] for name in ("experiment", "level", "row", "cluster")} == {pa.int32()}
    assert widths["gold"] == pa.dictionary(pa.int32(), pa.string())


def test_a_count_replaces_the_default_fraction_only():
    examples, model = problem([0, 1])
    vectors = vectors_for(model, clustering_bootstrap.needs(examples, SMALL))
    default = clustering_bootstrap.score(examples, vectors, {**SMALL, FRACTION: 0.04})
    assert default.exact == clustering_bootstrap.score(examples, vectors, SMALL).exact
    with pytest.raises(ConfigError, match="exclude each other"):
        clustering_bootstrap.needs(examples, {**SMALL, FRACTION: 0.5})


def test_bootstrap_refuses_what_cannot_be_clustered():
    good, model = problem([0, 1, 2])
    nothing = ClusterExamples([], [], np.array([0, 0]))
    cases = [
        (nothing, {}, DataError, "no rows"),
        (flat(["a", "b"], [(), ()]), {}, DataError, "no sentence has a label"),
        (flat(["a", "b"], [(-1,), (-1,)]), {}, DataError, "no sentence has a label at level 0"),
        (flat(["a", "b"], [(1, 2), (None,)]), {}, DataError, "not None"),
        (flat(names("t", 24), [0, 1] * 12), {COUNT: None, FRACTION: 0.04}, DataError,
         f"0.04 of 24 sentences is not one sentence;\nset {COUNT} "),
        (good, {"max_documents_per_cluster": 2}, DataError, "3 labels, more clusters than the 2 sentences"),
        (good, {"max_depth": 0}, ConfigError, "max_depth"),
        (good, {COUNT: 0}, ConfigError, COUNT),
        (good, {"n_clusters": 0}, ConfigError, "n_clusters"),
        (good, {"main": "v_measur"}, UnknownNameError, "v_measure"),
    ]  # fmt: skip
    for examples, settings, error, message in cases:
        with pytest.raises(error, match=message):
            clustering_bootstrap.needs(examples, {**SMALL, **settings})
    vectors = vectors_for(model, clustering_bootstrap.needs(good, SMALL))["sentences"].gather()
    with pytest.raises(ModelError, match="60 texts of 'sentences' got 59"):
        clustering_bootstrap.score(good, {"sentences": Vectors.of(vectors[:59])}, SMALL)
    vectors[3, 0] = np.inf
    with pytest.raises(NonFiniteError, match="sentences 3"):
        clustering_bootstrap.score(good, {"sentences": Vectors.of(vectors)}, SMALL)


@pytest.mark.parametrize("noise", [0.1, 2.0])
@pytest.mark.parametrize("labels", [[0, 1, 2], ["b", "a", "ü"], [-1, 0]])
def test_sets_equal_mteb(labels, noise, tmp_path):
    rng = np.random.default_rng(3)
    groups = []
    for number, size in enumerate((40, 3, 700, 12)):
        groups.append((names(f"set {number}", size), [labels[i] for i in rng.integers(0, len(labels), size)]))
    groups.append((names("same", 5), [labels[0]] * 5))
    groups.append((["alone"], [labels[1]]))
    examples = sets(*groups)
    model = encoder((examples.texts, blobs([label for (label,) in examples.labels], noise=noise)))
    ours = score(clustering_sets, examples, model)
    assert_equals_mteb(ours, upstream_sets(examples, model))
    assert_recomputable(clustering_sets, ours, {}, tmp_path)
    assert ours.details["v_measures"][-2:] == [1.0, 1.0]
    assert list(clustering_sets.needs(examples, {})["sentences"].items) == examples.texts


def test_sets_with_duplicated_and_all_distinct_labels_equal_mteb():
    texts = names("t", 90)
    examples = sets((texts[:60], [i // 15 for i in range(60)]), (texts[60:], list(range(30))))
    rows = np.repeat(blobs(list(range(9)), noise=0.5), 10, axis=0)
    model = encoder((texts, rows))
    assert_equals_mteb(score(clustering_sets, examples, model), upstream_sets(examples, model))


def test_sets_by_hand(tmp_path):
    texts = names("t", 7)
    rows = np.array([[0, 9], [0, 9], [9, 0], [9, 0], [1, 1], [5, 5], [7, 7]], dtype=np.float32)
    examples = sets((texts[:4], ["a", "a", "b", "b"]), (texts[4:], ["c", "c", "c"]))
    ours = score(clustering_sets, examples, encoder((texts, rows)))
    assert ours.metrics == {"v_measure": pytest.approx(1.0), "v_measure_std": pytest.approx(0.0, abs=1e-12)}
    assert ours.samples["set"].to_pylist() == [0] * 4 + [1] * 3
    assert ours.samples["row"].to_pylist() == [0, 1, 2, 3, 0, 1, 2]
    assert ours.samples["cluster"].to_pylist()[4:] == [0, 0, 0]


def test_sets_refuse_what_cannot_be_clustered():
    good = sets((["a", "b"], [0, 1]))
    cases = [
        (sets(([], [])), {}, DataError, "no rows"),
        (sets((["a"], [1]), ([], [])), {}, DataError, "set 1 has no sentences"),
        (ClusterExamples(["a", "b"], [(0,), (1,)], np.array([0, 1])), {}, DataError, "do not cover"),
        (flat(["a", "b"], [(0, 1), (1, 1)]), {}, DataError, "row 0: .* not 2; bootstrap_kmeans"),
        (good, {"batch_size": 0}, ConfigError, "batch_size"),
        (good, {"main": "ami"}, UnknownNameError, "unknown metric 'ami'"),
    ]
    for examples, settings, error, message in cases:
        with pytest.raises(error, match=message):
            clustering_sets.needs(examples, settings)


@pytest.mark.parametrize("subset", ["eng", "fra"])
def test_mteb_mocks(subset):
    from mteb.mocks.mock_tasks import clustering as mocks

    for task, name in (
        (mocks.LegacyMockClusteringFastTask(), "default"),
        (mocks.MockMultilingualClusteringFastTask(), subset),
        (mocks.MockClusteringTask(), "default"),
        (mocks.MockMultilingualClusteringTask(), subset),
    ):
        task.load_data()
        rows = (task.dataset if name == "default" else task.dataset[name])["test"]
        fast = hasattr(task, COUNT)
        if fast:
            kind, examples = clustering_bootstrap, flat(list(rows["sentences"]), list(rows["labels"]))
            settings = {key: getattr(task, key) for key in (FRACTION, COUNT, *SMALL)}
        else:
            kind, settings = clustering_sets, {}
            examples = sets(*((row["sentences"], row["labels"]) for row in rows))
        model = TableEncoder()
        assert_equals_mteb(score(kind, examples, model, **settings), evaluate(task, model, subset=name))


def test_real_labels_equal_mteb(shared):
    for subset in ("jpn_Jpan", "zho_Hant"):
        with (shared / "data" / "SIB200ClusteringS2S" / f"test.{subset}.jsonl").open(
            encoding="utf-8"
        ) as lines:
            rows = [json.loads(line) for line in lines]
        examples = flat([row["sentences"] for row in rows], [row["labels"] for row in rows])
        settings = {FRACTION: None, COUNT: 1004, "n_clusters": 2, "max_documents_per_cluster": 16_384}
        model = TableEncoder()
        ours = score(clustering_bootstrap, examples, model, **settings)
        assert_equals_mteb(ours, upstream(examples, model, **settings))


def test_global_random_state_is_left_alone():
    def state():
        return np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    before = state()
    bootstrap(*problem([0, 1]))
    assert state() == before


def test_workers_do_not_matter(monkeypatch):
    examples, model = problem([0, 1, 2], noise=2.0)
    many = bootstrap(examples, model)
    monkeypatch.setattr("harness.kinds._labelled.WORKERS", 1)
    assert bootstrap(examples, model).samples == many.samples


def test_hash_seed_does_not_matter():
    script = (
        "from tests.kinds.test_clustering import *\n"
        "examples, model = problem(['c', 'a', 'b', 'd'], noise=2.0)\n"
        "print(clustering_bootstrap.needs(examples, SMALL)['sentences'].items)\n"
        "print(bootstrap(examples, model).exact, score(clustering_sets, examples, model).exact)\n"
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
    assert "v_measure" in answers.pop()


def test_subsets_in_either_order_equal_fresh_mteb_tasks():
    first, second = problem(["a", "b", "c"], seed=1, noise=2.0), problem([0, 1, 2, 3], seed=2, noise=2.0)
    forward = [bootstrap(*first), bootstrap(*second)]
    backward = [bootstrap(*second), bootstrap(*first)]
    assert [s.exact for s in forward] == [s.exact for s in backward[::-1]]
    assert_equals_mteb(forward[1], upstream(*second))
