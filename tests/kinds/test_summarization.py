import numpy as np
import pytest

from harness.data.examples import SummaryExamples
from harness.errors import ConfigError, DataError, ModelError, NonFiniteError, UnknownNameError
from harness.kinds import summarization
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

COUNTS = ((5, 3), (4, 1), (6, 11), (3, 2))  # machine and human summaries of the rows


def make(shape, counts=COUNTS, seed=0, levels=6):
    """Examples with grades below `levels`, and the table of vectors of their summaries."""
    rng = np.random.default_rng(seed)
    machine_vectors, human_vectors = matrices(
        shape, n=max(sum(m for m, _ in counts), sum(h for _, h in counts))
    )
    machine, human, table = [], [], {}
    for i, (m, h) in enumerate(counts):
        machine.append([f"m{i}.{j}" for j in range(m)])
        human.append([f"h{i}.{j}" for j in range(h)])
    for names, vectors in ((machine, machine_vectors), (human, human_vectors)):
        table |= dict(zip([name for row in names for name in row], vectors, strict=False))
    grades = [[float(g) for g in rng.integers(0, levels, m)] for m, _ in counts]
    return SummaryExamples([f"t{i}" for i in range(len(counts))], machine, human, grades), table


def upstream(examples, encoder, with_p):
    from mteb._evaluators.text.summarization_evaluator import (
        DeprecatedSummarizationEvaluator,
        SummarizationEvaluator,
    )
    from mteb.mocks.mock_tasks import MockSummarizationTask

    task = on_data(
        MockSummarizationTask(),
        {
            "text": examples.texts,
            "machine_summaries": examples.machine,
            "human_summaries": examples.human,
            "relevance": examples.relevance,
        },
    )
    task.max_score = 5
    task.evaluator = DeprecatedSummarizationEvaluator if with_p else SummarizationEvaluator
    return evaluate(task, encoder)["default"]


def score(examples, encoder, **settings):
    vectors = vectors_for(encoder, summarization.needs(examples, settings))
    return summarization.score(examples, vectors, settings)


@pytest.mark.filterwarnings("ignore:The used Evaluator is deprecated:DeprecationWarning")
@pytest.mark.parametrize("with_p", [False, True])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_mteb(shape, similarity, with_p, tmp_path):
    examples, table = make(shape)
    encoder = TableEncoder(table, similarity)
    settings = {"similarity": similarity, "average_p_values": with_p, "min_score": 0, "max_score": 5}
    ours = score(examples, encoder, **settings)
    expected = upstream(examples, encoder, with_p)
    assert set(expected) == set(summarization.METRICS)
    assert_same(ours, expected)
    assert ours.main == "cosine_spearman"
    assert_recomputable(summarization, ours, settings, tmp_path)


@pytest.mark.filterwarnings("ignore:The used Evaluator is deprecated:DeprecationWarning")
def test_p_values_change_the_score():
    examples, table = make("random")
    encoder = TableEncoder(table)
    plain, with_p = score(examples, encoder), score(examples, encoder, average_p_values=True)
    assert abs(plain.metrics["cosine_spearman"] - with_p.metrics["cosine_spearman"]) > 0.01


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("shape", ["signs", "small_ints", "float16", "normalised"])
def test_values_are_bit_equal_to_mteb(shape, similarity):
    from mteb.similarity_functions import cos_sim, dot_score

    examples, table = make(shape)
    encoder = TableEncoder(table, similarity)
    samples = score(examples, encoder, similarity=similarity).samples.to_pylist()
    for sample in samples:
        row, one = examples.human[sample["row"]], table[examples.machine[sample["row"]][sample["machine"]]]
        humans = np.stack([table[name] for name in row])
        assert sample["cosine"] == float(cos_sim(one, humans).max())
        assert sample["dot"] == float(dot_score(one, humans).max())
        assert sample["similarity"] == max(float(encoder.similarity(one, human)) for human in humans)


def test_skipped_samples_equal_mteb():
    examples, table = make("random", counts=((4, 2), (4, 2), (4, 2), (4, 2)))
    grades = [[1.0] * 4, [1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, 4.0], [4.0, 2.0, 3.0, 1.0]]
    examples = SummaryExamples(examples.texts, examples.machine, examples.human, grades)
    same = table["m1.0"]
    table |= {f"m1.{j}": same for j in range(4)}  # row 1: equal cosines and dot products
    table |= {f"m2.{j}": same * (j + 1) for j in range(4)}  # row 2: dot products differ, cosines hardly
    encoder = TableEncoder(table)
    ours = score(examples, encoder)
    assert_same(ours, upstream(examples, encoder, with_p=False))
    skipped = {s["row"] for s in ours.samples.to_pylist() if s["skipped"]}
    assert {0, 1} <= skipped
    assert 3 not in skipped


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_own_similarity_constant_in_a_row_that_counts():
    # Row 0: machine vectors at one distance from the human summary, at different angles to it.
    turn = np.float32([[5, 3], [1, 3], [3, 5]])
    table = {f"m0.{j}": v for j, v in enumerate(turn)} | {"h0.0": np.float32([3, 3])}
    examples = SummaryExamples(["t"], [["m0.0", "m0.1", "m0.2"]], [["h0.0"]], [[1.0, 2.0, 4.0]])
    encoder = TableEncoder(table, "euclidean")
    ours = score(examples, encoder, similarity="euclidean")
    assert set(ours.undefined) == {"pearson", "spearman"}
    assert_same(ours, upstream(examples, encoder, with_p=False))
    with pytest.raises(ModelError, match="spearman is undefined: in a row that counts all 3 predicted"):
        score(examples, encoder, similarity="euclidean", main="spearman")


@pytest.mark.filterwarnings("ignore:The used Evaluator is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_two_machine_summaries_have_no_spearman_p_value():
    examples, table = make("random", counts=((2, 3), (4, 3)))
    examples = SummaryExamples(
        examples.texts, examples.machine, examples.human, [[1.0, 2.0], [1.0, 2.0, 4.0, 3.0]]
    )
    encoder = TableEncoder(table)
    settings = {"average_p_values": True, "main": "cosine_pearson"}
    ours = score(examples, encoder, **settings)
    assert set(ours.undefined) == {"spearman", "cosine_spearman", "dot_spearman"}
    assert_same(ours, upstream(examples, encoder, with_p=True))
    assert_same(score(examples, encoder), upstream(examples, encoder, with_p=False))
    with pytest.raises(ModelError, match="too few for Spearman's p-value"):
        score(examples, encoder, average_p_values=True)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_mock_tasks(similarity):
    from mteb.mocks.mock_tasks import MockMultilingualSummarizationTask, MockSummarizationTask

    encoder = TableEncoder(similarity=similarity)
    subsets = 0
    for task in (MockSummarizationTask(), MockMultilingualSummarizationTask()):
        with np.errstate(invalid="ignore"):  # mteb asks scipy for a p-value of two values
            found = evaluate(task, encoder)
        for subset, expected in found.items():
            rows = rows_of(task, subset)
            ex = SummaryExamples(
                rows["text"][:],
                rows["machine_summaries"][:],
                rows["human_summaries"][:],
                rows["relevance"][:],
            )
            settings = {
                "similarity": similarity,
                "min_score": 0,
                "max_score": 1,
                "main": task.metadata.main_score,
            }
            assert_same(score(ex, encoder, **settings), expected)
            subsets += 1
    assert subsets == 3


def test_hand_computed():
    table = {
        "a": np.float32([1, 0]), "b": np.float32([3, 4]), "c": np.float32([0, 1]),
        "h": np.float32([2, 0]), "k": np.float32([0, 0.5]),
    }  # fmt: skip
    examples = SummaryExamples(["t"], [["a", "b", "c"]], [["h", "k"]], [[5, 3, 1]])
    ours = score(examples, TableEncoder(table))
    assert [round(s["dot"], 6) for s in ours.samples.to_pylist()] == [2, 6, 0.5]
    assert [round(s["cosine"], 6) for s in ours.samples.to_pylist()] == [1, 0.8, 1]
    assert [s["gold"] for s in ours.samples.to_pylist()] == [1, 0.6, 0.2]
    assert ours.metrics["dot_spearman"] == pytest.approx(0.5)
    assert ours.metrics["cosine_spearman"] == pytest.approx(0)


def test_all_rows_left_out():
    examples, table = make("random", counts=((3, 2), (3, 2)))
    flat = SummaryExamples(examples.texts, examples.machine, examples.human, [[2, 2, 2], [3, 3, 3]])
    with pytest.raises(DataError, match="cosine_spearman is undefined: every row's grades"):
        score(flat, TableEncoder(table))
    same = dict.fromkeys(table, np.ones(4, dtype=np.float32))
    with pytest.raises(ModelError, match="cosine_spearman is undefined: every row's grades"):
        score(
            SummaryExamples(examples.texts, examples.machine, examples.human, [[1, 2, 3]] * 2),
            TableEncoder(same),
        )


def test_refusals():
    examples, table = make("random", counts=((3, 2), (3, 2)))
    encoder = TableEncoder(table)

    def changed(**new):
        return SummaryExamples(**({**examples.__dict__} | new))

    with pytest.raises(DataError, match="row 1 has 3 machine summaries and 2 grades"):
        score(changed(relevance=[[1, 2, 3], [1, 2]]), encoder)
    with pytest.raises(DataError, match="row 0 has 3 machine and 0 human"):
        score(changed(human=[[], ["h1.0"]]), encoder)
    with pytest.raises(DataError, match="row 1 has a grade that is not a finite number"):
        score(changed(relevance=[[1, 2, 3], [1, np.nan, 3]]), encoder)
    with pytest.raises(DataError, match="columns differ in length"):
        score(changed(relevance=[[1, 2, 3]]), encoder)
    with pytest.raises(DataError, match="no examples"):
        summarization.score(SummaryExamples([], [], [], []), {}, {})
    with pytest.raises(ConfigError, match="both 2"):
        score(examples, encoder, min_score=2, max_score=2)
    with pytest.raises(UnknownNameError, match="unknown metric 'manhattan_spearman'"):
        score(examples, encoder, main="manhattan_spearman")
    with pytest.raises(UnknownNameError, match="unknown similarity"):
        score(examples, encoder, similarity="manhattan")
    vectors = vectors_for(encoder, summarization.needs(examples, {}))
    broken = vectors["human"].gather()
    broken[3] = np.nan
    with pytest.raises(NonFiniteError, match=r"human 3: 'h1\.1'"):
        summarization.score(examples, vectors | {"human": Vectors.of(broken)}, {})


def test_an_empty_source_text_column_is_no_matter():
    examples, table = make("random")
    bare = SummaryExamples([], examples.machine, examples.human, examples.relevance)
    assert score(bare, TableEncoder(table)).metrics == score(examples, TableEncoder(table)).metrics
