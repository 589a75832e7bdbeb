import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from harness.data.examples import BitextExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import bitext
from harness.types import Vectors
from tests.kinds.oracle_pairs import (
    SHAPES,
    SIMILARITIES,
    TableEncoder,
    assert_recomputable,
    assert_same,
    evaluate,
    matrices,
    on_data,
    vectors_for,
)

# mteb wraps a tensor in torch.tensor before it takes the nearest row.
pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")


def examples_of(n, m=None, gold=None):
    gold = np.arange(n) if gold is None else gold
    return BitextExamples(
        [f"l{i}" for i in range(n)], [f"r{i}" for i in range(m or n)], np.asarray(gold, dtype=np.int64)
    )


def upstream(a, b, similarity):
    from mteb.mocks.mock_tasks import MockBitextMiningTask

    table = {f"l{i}": row for i, row in enumerate(a)} | {f"r{i}": row for i, row in enumerate(b)}
    columns = {"sentence1": [f"l{i}" for i in range(len(a))], "sentence2": [f"r{i}" for i in range(len(b))]}
    return evaluate(on_data(MockBitextMiningTask(), columns), TableEncoder(table, similarity))["default"]


def score(a, b, gold=None, **settings):
    vectors = {"sentence1": Vectors.of(a), "sentence2": Vectors.of(b)}
    return bitext.score(examples_of(len(a), len(b), gold), vectors, settings)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_mteb(shape, similarity, tmp_path):
    # From 64 rows on torch.topk keeps the lowest index of a tie, as we always do; 230 is no multiple of 100.
    a, b = matrices(shape, n=230)
    ours = score(a, b, similarity=similarity)
    assert_same(ours, upstream(a, b, similarity))
    assert ours.main == "f1"
    assert_recomputable(bitext, ours, {"similarity": similarity}, tmp_path)


@pytest.mark.parametrize("n", [1, 2, 20, 63, 101, 126])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_sizes_around_the_blocks_equal_mteb(n, similarity):
    a, b = matrices("random", n=n)
    assert_same(score(a, b, similarity=similarity), upstream(a, b, similarity))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_lowest_index_wins_exact_ties_at_any_size(similarity):
    for n in (5, 40, 63, 64, 200):
        a = np.eye(n, dtype=np.float32)
        b = a.copy()
        b[1::2] = b[0 : n - 1 : 2]  # rows 1, 3, 5 ... repeat the row before
        predicted = score(a, b, similarity=similarity).samples["predicted"].to_numpy()
        assert (predicted[::2] == np.arange(0, n, 2)).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mock_tasks(similarity):
    from mteb.mocks.mock_tasks import (
        MockBitextMiningTask,
        MockMultilingualBitextMiningTask,
        MockMultilingualParallelBitextMiningTask,
    )

    encoder = TableEncoder(similarity=similarity)
    subsets = 0
    for task in (
        MockBitextMiningTask(),
        MockMultilingualBitextMiningTask(),
        MockMultilingualParallelBitextMiningTask(),
    ):
        for subset, expected in evaluate(task, encoder).items():
            if task.parallel_subsets:
                one, two = subset.split("-")
                rows = task.dataset["test"]
            else:
                one, two = "sentence1", "sentence2"
                rows = task.dataset["test"] if subset == "default" else task.dataset[subset]["test"]
            ex = BitextExamples(rows[one][:], rows[two][:], np.arange(len(rows)))
            settings = {"similarity": similarity, "main": task.metadata.main_score}
            ours = bitext.score(ex, vectors_for(encoder, bitext.needs(ex, settings)), settings)
            assert_same(ours, expected)
            subsets += 1
    assert subsets == 5


def test_gold_elsewhere_against_scikit_learn():
    # BUCC: fewer source sentences than targets, gold given, several sources with one target.
    a, b = matrices("random", n=90)
    gold = np.random.default_rng(0).integers(0, 90, 40)
    b[gold] = a[:40] + 0.9 * b[gold]
    ours = score(a[:40], b, gold)
    predicted = (
        a[:40] / np.linalg.norm(a[:40], axis=1)[:, None] @ (b / np.linalg.norm(b, axis=1)[:, None]).T
    ).argmax(1)
    assert ours.samples["predicted"].to_pylist() == predicted.tolist()
    options = {"average": "weighted", "zero_division": 0}
    assert ours.metrics == {
        "precision": pytest.approx(precision_score(gold, predicted, **options), abs=1e-12),
        "recall": pytest.approx(recall_score(gold, predicted, **options), abs=1e-12),
        "f1": pytest.approx(f1_score(gold, predicted, **options), abs=1e-12),
        "accuracy": pytest.approx(accuracy_score(gold, predicted), abs=1e-12),
    }
    assert 0 < ours.metrics["accuracy"] < 1


def test_hand_computed():
    a = np.float32([[1, 0], [1, 0.1], [0, 1], [-1, 0]])
    b = np.float32([[1, 0], [0, 1], [0.1, 1], [-1, 0]])  # predicted 0, 0, 1, 3
    ours = score(a, b)
    assert ours.samples["predicted"].to_pylist() == [0, 0, 1, 3]
    assert ours.metrics["accuracy"] == ours.metrics["recall"] == 0.5
    assert ours.metrics["precision"] == pytest.approx((0.5 + 0 + 0 + 1) / 4)
    assert ours.metrics["f1"] == pytest.approx((2 / 3 + 0 + 0 + 1) / 4)


def test_constant_vectors_score_what_the_protocol_says():
    a = np.ones((70, 3), dtype=np.float32)
    ours = score(a, a)
    assert_same(ours, upstream(a, a, "cosine"))
    assert ours.metrics["accuracy"] == pytest.approx(1 / 70)


def test_refusals():
    a, b = matrices("random", n=4)
    with pytest.raises(DataError, match="row 2 points at sentence2 4, which has 4 rows"):
        score(a, b, [0, 1, 4, 2])
    with pytest.raises(DataError, match="columns differ in length: sentence1 4, gold 3"):
        score(a, b, [0, 1, 2])
    with pytest.raises(DataError, match="no examples"):
        score(a[:0], b[:0])
    with pytest.raises(UnknownNameError, match="unknown metric 'ap'"):
        score(a, b, main="ap")
    with pytest.raises(UnknownNameError, match="unknown similarity 'l2'"):
        score(a, b, similarity="l2")
    with pytest.raises(ModelError, match="'sentence2' got 0 vectors"):
        bitext.score(examples_of(4), {"sentence1": Vectors.of(a)}, {})
    b[3, 0] = -np.inf
    with pytest.raises(NonFiniteError, match="sentence2 3: 'r3'"):
        score(a, b)
