import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from harness.data.examples import PairExamples
from harness.errors import DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import sts
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
    rows_of,
    vectors_for,
)


def examples_of(n, gold):
    return PairExamples(
        [f"l{i}" for i in range(n)], [f"r{i}" for i in range(n)], np.asarray(gold, dtype=np.float64)
    )


def table_of(a, b):
    return {f"l{i}": row for i, row in enumerate(a)} | {f"r{i}": row for i, row in enumerate(b)}


def upstream(a, b, gold, similarity):
    from mteb.mocks.mock_tasks import MockSTSTask

    ex = examples_of(len(a), gold)
    columns = {"sentence1": ex.sentence1, "sentence2": ex.sentence2, "score": list(map(float, gold))}
    return evaluate(on_data(MockSTSTask(), columns), TableEncoder(table_of(a, b), similarity))["default"]


def score(a, b, gold, **settings):
    return sts.score(
        examples_of(len(a), gold), {"sentence1": Vectors.of(a), "sentence2": Vectors.of(b)}, settings
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_mteb(shape, similarity, tmp_path):
    a, b = matrices(shape)
    gold = np.random.default_rng(1).integers(0, 6, len(a))
    ours = score(a, b, gold, similarity=similarity)
    assert_same(ours, upstream(a, b, gold, similarity))
    assert ours.main == "cosine_spearman"
    assert_recomputable(sts, ours, {"similarity": similarity}, tmp_path)


def test_similarities_are_bit_equal_to_mteb():
    from sklearn.metrics.pairwise import paired_cosine_distances

    a, b = matrices("random", n=40)
    samples = score(a, b, np.arange(40), similarity="dot").samples
    assert samples["cosine"].to_pylist() == (1 - paired_cosine_distances(a, b)).tolist()
    assert (
        samples["similarity"].to_pylist() == TableEncoder(similarity="dot").similarity_pairwise(a, b).tolist()
    )


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mock_tasks(similarity):
    from mteb.mocks.mock_tasks import MockMultilingualSTSTask, MockSTSTask

    encoder = TableEncoder(similarity=similarity)
    subsets = 0
    for task in (MockSTSTask(), MockMultilingualSTSTask()):
        for subset, expected in evaluate(task, encoder).items():
            rows = rows_of(task, subset)
            ex = PairExamples(
                rows["sentence1"][:], rows["sentence2"][:], np.asarray(rows["score"][:], dtype=float)
            )
            settings = {"similarity": similarity, "main": task.metadata.main_score}
            assert_same(sts.score(ex, vectors_for(encoder, sts.needs(ex, settings)), settings), expected)
            subsets += 1
    assert subsets == 3


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_constant_secondary_is_undefined_where_mteb_has_nan():
    # Constant dot products, distances that vary.
    a = np.tile(np.float32([1, 0]), (4, 1))
    b = np.float32([[1, 0], [1, 1], [1, 2], [1, 3]])
    gold = [4, 3, 2, 1]
    ours = score(a, b, gold, similarity="dot")
    assert set(ours.undefined) == {"pearson", "spearman"}
    assert "all 4 predicted scores are equal (1)" in ours.undefined["spearman"]
    assert_same(ours, upstream(a, b, gold, "dot"))
    with pytest.raises(ModelError, match=r"^spearman is undefined: all 4 predicted scores are equal"):
        score(a, b, gold, similarity="dot", main="spearman")


def test_hand_computed():
    a = np.float32([[1, 0], [1, 0], [1, 0]])
    b = np.float32([[1, 0], [3, 3], [0, 2]])  # cosines 1, 0.7071, 0; Manhattan 0, 5, 3; Euclidean 0, √13, √5
    ours = score(a, b, [3, 2, 1]).metrics
    assert ours["cosine_spearman"] == pytest.approx(1)
    assert ours["manhattan_spearman"] == pytest.approx(0.5)
    assert ours["euclidean_spearman"] == pytest.approx(0.5)
    assert ours["manhattan_pearson"] == pytest.approx(3 / np.sqrt(2 * (0 + 25 + 9 - 64 / 3)))


def test_constant_gold_is_an_error_of_the_data():
    a, b = matrices("random", n=5)
    with pytest.raises(DataError, match="cosine_spearman is undefined: all 5 gold scores are equal"):
        score(a, b, [2.5] * 5)


def test_constant_vectors_are_an_error_of_the_model():
    a = np.ones((5, 3), dtype=np.float32)
    with pytest.raises(ModelError, match="cosine_spearman is undefined: all 5 predicted scores are equal"):
        score(a, a, range(5))


def test_one_row_and_none():
    a, b = matrices("random", n=4)
    with pytest.raises(DataError, match="at least two examples"):
        score(a[:1], b[:1], [1])
    with pytest.raises(DataError, match="no examples"):
        score(a[:0], b[:0], [])


def test_refusals():
    a, b = matrices("random", n=4)
    with pytest.raises(
        UnknownNameError, match="unknown metric 'cosine_sperman'; did you mean cosine_spearman"
    ):
        score(a, b, range(4), main="cosine_sperman")
    with pytest.raises(UnknownNameError, match="unknown similarity 'cos'"):
        score(a, b, range(4), similarity="cos")
    with pytest.raises(DataError, match="pair 2 is not a finite number"):
        score(a, b, [1, 2, np.nan, 3])
    with pytest.raises(DataError, match="sentence1 4, sentence2 4, gold 3"):
        score(a, b, [1, 2, 3])  # four vectors, three golds
    with pytest.raises(ModelError, match="4 texts of 'sentence2' got 3 vectors"):
        sts.score(examples_of(4, range(4)), {"sentence1": Vectors.of(a), "sentence2": Vectors.of(b[:3])}, {})
    with pytest.raises(ModelError, match="differ in dimension"):
        score(a, b[:, :5], range(4))
    for bad in (np.nan, np.inf, 1e30):
        broken = b.copy()
        broken[2, 3] = bad
        with pytest.raises(NonFiniteError, match="sentence2 2: 'r2'"):
            score(a, broken, range(4))


def test_repeated_texts_share_a_row():
    a, b = matrices("duplicated", n=40)
    gold = np.arange(40) % 7
    shared = Vectors((a[::4],), np.repeat(np.arange(10), 4))
    ex = examples_of(40, gold)
    settings = {"similarity": "cosine"}
    assert (
        sts.score(ex, {"sentence1": shared, "sentence2": Vectors.of(b)}, settings).metrics
        == score(a, b, gold).metrics
    )


def test_gold_scale_does_not_matter():
    a, b = matrices("random")
    gold = np.random.default_rng(0).integers(0, 6, len(a))
    plain, scaled = score(a, b, gold).metrics, score(a, b, gold / 5).metrics
    assert scaled == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("main", [None, "cosine_spearman", "spearman", "euclidean_pearson"])
def test_cross_encoder_against_scipy(main, tmp_path):
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 4, 50).astype(float)
    scores = rng.integers(0, 9, 50).astype(np.float32) / 8
    settings = {"main": main}
    ex = examples_of(50, gold)
    asked = sts.pairs(ex, settings)
    assert (asked.left[3], asked.right[3], len(asked)) == ("l3", "r3", 50)
    ours = sts.score_pairs(ex, scores, settings)
    assert ours.main == ("pearson" if main == "euclidean_pearson" else "spearman")
    assert ours.metrics == {
        "pearson": pytest.approx(stats.pearsonr(gold, scores).statistic, abs=1e-12),
        "spearman": pytest.approx(stats.spearmanr(gold, scores).statistic, abs=1e-12),
    }
    assert_recomputable(sts, ours, settings, tmp_path)


def test_cross_encoder_refusals():
    ex = examples_of(3, [1, 2, 3])
    with pytest.raises(UnknownNameError, match="unknown metric 'ndcg_at_10'"):
        sts.score_pairs(ex, np.float32([1, 2, 3]), {"main": "ndcg_at_10"})
    with pytest.raises(NonFiniteError, match=r"score nan for pair 1: 'l1' \| 'r1'"):
        sts.score_pairs(ex, np.float32([1, np.nan, 3]), {})
    with pytest.raises(ModelError, match="3 pairs got scores of shape"):
        sts.score_pairs(ex, np.float32([[1], [2], [3]]), {})
    with pytest.raises(ModelError, match="all 3 predicted scores are equal"):
        sts.score_pairs(ex, np.float32([1, 1, 1]), {})


def test_metrics_from_chunked_samples():
    a, b = matrices("random")
    samples = score(a, b, np.arange(60)).samples
    chunks = pa.concat_tables([samples.slice(0, 17), samples.slice(17)])
    assert sts.metrics_from(chunks, {}) == sts.metrics_from(samples, {})
