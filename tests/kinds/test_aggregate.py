import math

import pytest

from harness.errors import DataError
from harness.kinds import aggregate
from tests.kinds.oracle_pairs import assert_recomputable

FORUMS = {"Android": 0.41231, "English": 0.39, "Gaming": 0.52773, "Gis": 0.3007}


def test_mean_of_members_as_reported(tmp_path):
    ours = aggregate.combine("ndcg_at_10", FORUMS, tuple(FORUMS))
    assert ours.main == "ndcg_at_10"
    assert ours.metrics == {"ndcg_at_10": pytest.approx(1.63074 / 4, abs=1e-15)}
    assert ours.metrics == ours.exact
    assert ours.samples.to_pylist()[1] == {"member": "English", "main_score": 0.39}
    assert_recomputable(aggregate, ours, {"main": "ndcg_at_10"}, tmp_path)


def test_equals_mteb():
    from mteb import get_task
    from mteb.results import TaskResult

    task = get_task("CQADupstackRetrieval")
    scores = {member.metadata.name: round(0.3 + i / 70, 5) for i, member in enumerate(task.tasks)}
    results = [
        TaskResult.from_task_results(
            member,
            {
                "test": {
                    "default": {
                        "ndcg_at_10": scores[member.metadata.name],
                        "main_score": scores[member.metadata.name],
                    }
                }
            },
            evaluation_time=1.0,
            kg_co2_emissions=None,
        )
        for member in task.tasks
    ]
    expected = task.task_results_to_scores(results)["test"]["default"]["main_score"]
    assert len(scores) == 12
    assert aggregate.combine("ndcg_at_10", scores, tuple(scores)).metrics["ndcg_at_10"] == pytest.approx(
        expected, abs=1e-9
    )


def test_missing_members_are_named():
    with pytest.raises(DataError, match="missing: Physics, Stats"):
        aggregate.combine("ndcg_at_10", FORUMS, (*FORUMS, "Physics", "Stats"))
    with pytest.raises(DataError, match="at least one member"):
        aggregate.combine("ndcg_at_10", {})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_member_without_a_finite_score_is_named(value):
    with pytest.raises(DataError, match="without a finite score: Gis"):
        aggregate.combine("ndcg_at_10", {**FORUMS, "Gis": value})
