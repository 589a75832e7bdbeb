"""JMTEB's sts, pair_classification, classification and clustering, against naive oracles and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.examples import ClusterExamples, DevTest, LabelledExamples, PairExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import jmteb_classification, jmteb_clustering, jmteb_pairs, jmteb_sts
from harness.types import Vectors
from tests.kinds import oracle_jmteb as oracle
from tests.kinds.oracle_pairs import assert_recomputable


def pairs_of(n, gold, mark):
    return PairExamples(
        [f"{mark}l{i}" for i in range(n)], [f"{mark}r{i}" for i in range(n)], np.asarray(gold)
    )


def pair_matrices(seed, n, dim=16, scaled=False):
    """Pairs that grow less alike, and how alike each is."""
    rng = np.random.default_rng(seed)
    alike = rng.uniform(0, 1, n)
    a = rng.normal(size=(n, dim))
    b = alike[:, None] * a + (1 - alike[:, None]) * rng.normal(size=(n, dim))
    if scaled:
        a, b = a * rng.uniform(0.3, 3, (n, 1)), b * rng.uniform(0.3, 3, (n, 1))
    return a.astype(np.float32), b.astype(np.float32), alike


def of_pairs(module, dev, test, **settings):
    """Score (left, right, gold) of dev and test."""
    examples = DevTest(pairs_of(len(test[2]), test[2], "t"), pairs_of(len(dev[2]), dev[2], "d"))
    vectors = {
        "sentence1": Vectors.of(test[0]),
        "sentence2": Vectors.of(test[1]),
        "dev_sentence1": Vectors.of(dev[0]),
        "dev_sentence2": Vectors.of(dev[1]),
    }
    return module.score(examples, vectors, settings)


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_sts_equals_the_oracle(seed, scaled, upstream, tmp_path):
    dev, test = (pair_matrices(seed + at, n, scaled=scaled) for at, n in ((10, 40), (20, 60)))
    ours = of_pairs(jmteb_sts, dev, test, upstream=upstream)
    chosen, pearson, spearman = oracle.sts(dev, test, upstream)
    assert ours.details["chosen_on_dev"] == chosen
    assert ours.exact == pytest.approx({"pearson": pearson, "spearman": spearman}, abs=1e-6)
    assert ours.main == "spearman"
    assert_recomputable(jmteb_sts, ours, {"upstream": upstream}, tmp_path)


def test_upstreams_euclidean_is_manhattan_again():
    dev, test = pair_matrices(1, 30), pair_matrices(2, 30)
    found = of_pairs(jmteb_sts, dev, test, upstream=True).details["dev_scores"]
    assert found["euclidean"]["pearson"] == pytest.approx(found["manhattan"]["pearson"], abs=1e-6)
    true = of_pairs(jmteb_sts, dev, test, upstream=False).details["dev_scores"]
    assert abs(true["euclidean"]["pearson"] - true["manhattan"]["pearson"]) > 1e-4


def test_sts_by_hand():
    # Cosine orders dev rightly (1, 0.6, 0), dot wrongly; on test cosine puts the pairs the other way round.
    a = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    dev = (a, np.array([[0.1, 0], [3, 4], [0, 1]], np.float32), [3.0, 2.0, 1.0])
    test = (a, np.array([[0, 1], [3, 4], [9, 0]], np.float32), [3.0, 2.0, 1.0])
    ours = of_pairs(jmteb_sts, dev, test, upstream=True)
    assert (ours.details["chosen_on_dev"], ours.exact["spearman"]) == ("cosine", -1.0)
    assert ours.samples["score"].to_pylist() == pytest.approx([0, 0.6, 1])


def test_a_correlation_without_a_value_is_0_upstream_and_an_error_here():
    same = np.ones((4, 3), np.float32)
    dev, test = pair_matrices(3, 10, 3), (same, same, [1.0, 2.0, 3.0, 4.0])
    assert of_pairs(jmteb_sts, dev, test, upstream=True).exact == {"pearson": 0.0, "spearman": 0.0}
    with pytest.raises(DataError, match="all 4 predicted scores are equal"):
        of_pairs(jmteb_sts, dev, test, upstream=False)
    with pytest.raises(DataError, match="nothing can be chosen on dev: all 4 gold scores"):
        of_pairs(jmteb_sts, (same, same, [1.0] * 4), pair_matrices(3, 10, 3), upstream=False)


@pytest.mark.parametrize("upstream", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_equal_the_oracle(seed, upstream, tmp_path):
    def labelled(seed, n):
        a, b, alike = pair_matrices(seed, n, scaled=seed % 2 == 0)
        return a, b, (alike + np.random.default_rng(seed).normal(size=n) * 0.2 > 0.5).astype(int)

    dev, test = labelled(seed + 30, 40), labelled(seed + 40, 50)
    ours = of_pairs(jmteb_pairs, dev, test, upstream=upstream)
    chosen, f1, accuracy = oracle.pairs(dev, test, upstream)
    assert ours.details["chosen_on_dev"] == chosen
    assert ours.exact == pytest.approx({"binary_f1": f1, "accuracy": accuracy}, abs=1e-9)
    assert_recomputable(jmteb_pairs, ours, {"upstream": upstream}, tmp_path)


def test_the_direction_of_cosine_is_mended():
    # Unit vectors; alike pairs have cosine 1. Taken for a distance, no cut but "nearly all" is any good.
    a = np.tile(np.array([[1, 0]], np.float32), (4, 1))
    b = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    labels = [1, 1, 0, 0]
    wrong = of_pairs(jmteb_pairs, (a, b, labels), (a, b, labels), upstream=True)
    right = of_pairs(jmteb_pairs, (a, b, labels), (a, b, labels), upstream=False)
    assert wrong.details["dev_scores"]["cosine"]["binary_f1"] == 0.4  # three claimed, one of them rightly
    assert right.details["dev_scores"]["cosine"]["binary_f1"] == 1.0
    assert (wrong.details["chosen_on_dev"], right.details["chosen_on_dev"]) == ("manhattan", "cosine")


def test_cuts_by_hand():
    # Cuts after 1, 2, 3 rows: F1 1/2 rows: 0.5 -> p 1 r 1/2 = 2/3; p 1/2 r 1/2 = 1/2; p 2/3 r 1 = 4/5.
    cuts = jmteb_pairs.best_cuts(np.float32([1, 2, 3, 4]), np.array([1, 0, 1, 0]), grows=False)
    assert (cuts.binary_f1, cuts.f1_threshold) == (pytest.approx(0.8), 3.5)
    assert (cuts.accuracy, cuts.accuracy_threshold) == (0.75, 1.5)  # first of two cuts with 3 of 4 right
    # Equal scores are parted in the order of the rows: the cut lies on the very score, and none is below.
    tied = jmteb_pairs.best_cuts(np.float32([5, 5, 5]), np.array([1, 0, 0]), grows=False)
    assert (tied.binary_f1, tied.f1_threshold) == (1.0, 5.0)
    # The last row is never a cut, so that nothing is found where the only hit stands last.
    none = jmteb_pairs.best_cuts(np.float32([1, 2]), np.array([0, 1]), grows=False)
    assert (none.binary_f1, none.f1_threshold) == (0.0, -1.0)


def test_pairs_need_both_labels():
    a, b, _ = pair_matrices(5, 6)
    with pytest.raises(DataError, match="all pairs of dev are labelled 1"):
        of_pairs(jmteb_pairs, (a, b, [1] * 6), (a, b, [0, 1] * 3), upstream=True)
    with pytest.raises(DataError, match="label of test pair 2 is 7"):
        of_pairs(jmteb_pairs, (a, b, [0, 1] * 3), (a, b, [0, 1, 7, 0, 1, 0]), upstream=True)


def grouped(seed, n, groups=4, dim=12, spread=1.0):
    """Rows around the centres of their labels."""
    centres = np.random.default_rng(99).normal(size=(groups, dim)) * 1.5
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, groups, n)
    return (centres[labels] + rng.normal(size=(n, dim)) * spread).astype(np.float32), labels.tolist()


def of_labels(train, dev, test, names=None):
    def text(labels):
        return [names[label] for label in labels] if names else labels

    def texts(rows, mark):
        return [f"{mark}{i}" for i in range(len(rows))]

    examples = DevTest(
        LabelledExamples(texts(train[0], "r"), text(train[1]), texts(test[0], "t"), text(test[1])),
        LabelledExamples([], [], texts(dev[0], "d"), text(dev[1])),
    )
    vectors = {"train": Vectors.of(train[0]), "test": Vectors.of(test[0]), "dev_test": Vectors.of(dev[0])}
    return jmteb_classification.score(examples, vectors, {})


@pytest.mark.parametrize(("spread", "names"), [(0.5, None), (2.5, None), (2.5, "zyxw")])
def test_classification_equals_the_oracle(spread, names, tmp_path):
    train, dev, test = (grouped(seed, n, spread=spread) for seed, n in ((1, 120), (2, 50), (3, 60)))
    ours = of_labels(train, dev, test, names)
    chosen, f1, accuracy = oracle.classification(train, dev, test)
    if names is None:
        assert ours.details["chosen_on_dev"] == chosen
        assert ours.exact == pytest.approx({"macro_f1": f1, "accuracy": accuracy}, abs=1e-6)
    else:  # strings are numbered by sorted order, here the other way round: ties of neighbours fall otherwise
        flipped = [(rows, [3 - label for label in labels]) for rows, labels in (train, dev, test)]
        assert ours.exact["macro_f1"] == pytest.approx(oracle.classification(*flipped)[1], abs=1e-6)
    assert_recomputable(jmteb_classification, ours, {}, tmp_path)


def test_either_classifier_can_be_chosen():
    line = np.linspace(0.2, 1.4, 40)
    ring = np.stack([np.cos(line), np.sin(line)], axis=1).astype(np.float32)
    stripes = [int(i // 5) % 2 for i in range(40)]  # labels that no straight line tells apart
    near = of_labels((ring, stripes), (ring[::2], stripes[::2]), (ring[1::2], stripes[1::2]))
    assert near.details["chosen_on_dev"] == "knn_cosine_k_2"
    tie = of_labels(*(grouped(seed, 30, spread=0.01) for seed in range(3)))
    scores = tie.details["dev_scores"]
    assert scores["logreg"]["macro_f1"] == scores["knn_cosine_k_2"]["macro_f1"] == 1.0
    assert tie.details["chosen_on_dev"] == "knn_cosine_k_2"  # the first of equal ones


def test_two_nearest_neighbours_as_scikit_learn(monkeypatch):
    from sklearn.neighbors import KNeighborsClassifier

    rows, labels = grouped(4, 200, spread=3.0)
    rows[50:60] = rows[:10]  # twins: ties on the first and second place
    rows[60:70] = rows[:10]
    asked, _ = grouped(5, 90, spread=3.0)
    asked[:10] = rows[:10]
    known = KNeighborsClassifier(2, metric="cosine").fit(rows, labels).predict(asked)
    for cells in (200, 2**24):
        monkeypatch.setattr(jmteb_classification, "_CELLS", cells)
        found = jmteb_classification._nearest_two(rows, np.array(labels), Vectors.of(asked))
        assert found.tolist() == known.tolist()


def test_a_label_that_dev_lacks_keeps_the_others_where_they_are():
    train, test = grouped(6, 60, spread=0.1), grouped(8, 30, spread=0.1)
    rows, labels = grouped(7, 40, spread=0.1)
    kept = [i for i, label in enumerate(labels) if label != 0]
    ours = of_labels(train, (rows[kept], [labels[i] for i in kept]), test, "abcd")
    assert ours.exact["macro_f1"] == 1.0
    assert ours.details["dev_scores"]["logreg"]["accuracy"] == 1.0


def test_training_rows_of_one_label_are_refused():
    rows, labels = grouped(1, 20)
    with pytest.raises(DataError, match="at least two labels"):
        of_labels((rows, [1] * 20), (rows, labels), (rows, labels))


def of_clusters(dev, test, **settings):
    def part(rows, labels, mark):
        return ClusterExamples(
            [f"{mark}{i}" for i in range(len(rows))], [(label,) for label in labels], np.array([0, len(rows)])
        )

    examples = DevTest(part(*test, "t"), part(*dev, "d"))
    vectors = {"sentences": Vectors.of(test[0]), "dev_sentences": Vectors.of(dev[0])}
    return jmteb_clustering.score(examples, vectors, settings)


@pytest.mark.parametrize("seed", range(3))
def test_clustering_equals_the_oracle(seed, tmp_path):
    dev, test = grouped(seed + 10, 70, spread=1.5), grouped(seed + 20, 90, spread=1.5)
    ours = of_clusters(dev, test, seed=seed)
    chosen, v, homogeneity, completeness = oracle.clustering(dev, test, seed)
    assert ours.details["chosen_on_dev"] == chosen
    expected = {"v_measure": v, "homogeneity": homogeneity, "completeness": completeness}
    assert ours.exact == pytest.approx(expected, abs=1e-6)
    assert_recomputable(jmteb_clustering, ours, {"seed": seed}, tmp_path)


def test_the_seed_decides_and_is_42_by_default():
    dev, test = grouped(31, 80, spread=3.0), grouped(32, 80, spread=3.0)
    named = of_clusters(dev, test, seed=42)
    assert of_clusters(dev, test).exact == named.exact
    assert any(of_clusters(dev, test, seed=s).details != named.details for s in range(3))


def test_clusters_are_as_many_as_test_has_labels():
    rows, _ = grouped(1, 12)
    dev, test = (rows, [i % 6 for i in range(12)]), (rows, [i % 2 for i in range(12)])
    assert set(of_clusters(dev, test).samples["cluster"].to_pylist()) == {0, 1}
    with pytest.raises(DataError, match="dev data: 3 rows cannot make 6 clusters"):
        of_clusters((rows[:3], [0, 1, 2]), (rows, [i % 6 for i in range(12)]))


def test_one_set_and_one_level():
    _, labels = grouped(1, 4)
    two = ClusterExamples(list("abcd"), [(label,) for label in labels], np.array([0, 2, 4]))
    deep = ClusterExamples(list("abcd"), [(label, 0) for label in labels], np.array([0, 4]))
    for part, words in ((two, "2 sets"), (deep, "several levels")):
        with pytest.raises(DataError, match=words):
            jmteb_clustering.needs(DevTest(part, part), {})


def test_bad_vectors_and_names_are_errors():
    a, b, gold = pair_matrices(9, 8)
    broken = b.copy()
    broken[2, 1] = np.nan
    with pytest.raises(NonFiniteError, match="dev_sentence2 2"):
        of_pairs(jmteb_sts, (a, broken, gold), (a, b, gold), upstream=True)
    with pytest.raises(ModelError, match="8 texts of 'sentence1' got 7 vectors"):
        of_pairs(jmteb_sts, (a, b, gold), (a[:7], b, gold), upstream=True)
    with pytest.raises(UnknownNameError, match="cosine_spearman"):
        of_pairs(jmteb_sts, (a, b, gold), (a, b, gold), upstream=True, main="cosine_spearman")
