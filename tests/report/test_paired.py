from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats as sp

from harness.errors import DataError
from harness.kinds.evidence import evidence
from harness.report.paired import Paired, paired, pooled
from harness.types import Result
from tests.report.make import result


def ranked(values: list[float], ids: list[str] | None = None) -> tuple[Result, pa.Table]:
    names = ids or [f"q{i}" for i in range(len(values))]
    table = pa.table({"group": [""] * len(values), "query_id": names, "ndcg_at_10": values})
    score = float(np.mean(values))
    return result("m", "T", score), table


def correlated(gold: np.ndarray, scores: np.ndarray) -> tuple[Result, pa.Table]:
    table = pa.table({"gold": gold, "cosine": scores, "similarity": scores})
    value = float(sp.spearmanr(gold, scores).statistic)
    return result("m", "T", value, main="cosine_spearman", kind="sts", scorer="correlation@1"), table


def compare(old: tuple[Result, pa.Table], new: tuple[Result, pa.Table], metric: str) -> Paired:
    return paired(old[0], new[0], (old[1], new[1]), metric)


def test_a_mean_over_queries_is_tested_by_sign_flips() -> None:
    generator = np.random.default_rng(0)
    old = generator.random(60)
    new = np.clip(old - 0.1 + generator.normal(0, 0.1, 60), 0, 1)
    found = compare(ranked(old.tolist()), ranked(new.tolist()), "ndcg_at_10")
    assert found.method == "sign flips"
    assert found.gain == pytest.approx(float((new - old).mean()))
    assert found.p_drop < 0.001 < found.p_rise
    assert (found.n, found.unit) == (60, "queries")
    low, high = found.interval()
    assert low < found.gain < high < 0
    worst = int(np.argmax(found.lost))
    assert found.ids[worst] == f"q{int((old - new).argmax())}"


def test_a_correlation_is_tested_by_the_paired_bootstrap() -> None:
    generator = np.random.default_rng(1)
    gold = generator.normal(size=300)
    old, new = gold + generator.normal(0, 0.5, 300), gold + generator.normal(0, 0.8, 300)
    found = compare(correlated(gold, old), correlated(gold, new), "cosine_spearman")
    assert found.method == "paired bootstrap"
    assert found.p_drop < 0.01
    peer = sp.bootstrap(
        (gold, old, new),
        lambda g, a, b: sp.spearmanr(g, b).statistic - sp.spearmanr(g, a).statistic,
        paired=True, vectorized=False, n_resamples=400, rng=np.random.default_rng(2),
    )  # fmt: skip
    assert found.spread.error == pytest.approx(peer.standard_error, rel=0.15)
    assert compare(correlated(gold, old), correlated(gold, new), "cosine_spearman").spread == found.spread


def test_where_lower_is_better_a_rise_is_a_drop() -> None:
    table = {
        "anchor_entailment": np.r_[np.ones(30), np.zeros(10)].astype(np.float32),
        "anchor_negative": np.full(40, 0.5, np.float32),
        "negative_entailment": np.full(40, 0.5, np.float32),
    }
    worse = {**table, "anchor_entailment": np.r_[np.ones(10), np.zeros(30)].astype(np.float32)}
    sides = []
    for values, rate in ((table, 25.0), (worse, 75.0)):
        one = result("m", "T", rate, main="anchor_error_rate", kind="triplet", scorer="negation@1")
        sides.append((one, pa.table(values)))
    found = compare(sides[0], sides[1], "anchor_error_rate")
    assert found.gain == -50.0
    assert found.p_drop < 1e-4
    assert found.lost is not None
    assert found.lost.sum() == 20


def test_equal_results_do_not_differ() -> None:
    one = ranked([0.1, 0.5, 0.9])
    found = compare(one, one, "ndcg_at_10")
    assert (found.gain, found.p_drop, found.p_value, found.spread.error) == (0.0, 1.0, 1.0, 0.0)
    gold = np.arange(20.0)
    same = correlated(gold, gold**2)
    assert compare(same, same, "cosine_spearman").p_drop == 1.0


def test_other_queries_cannot_be_paired() -> None:
    with pytest.raises(DataError, match="not scored on the same queries"):
        compare(ranked([0.1, 0.2]), ranked([0.1, 0.2], ["q0", "other"]), "ndcg_at_10")


def test_samples_that_do_not_give_the_stored_score_are_refused() -> None:
    one = ranked([0.1, 0.2])
    wrong = (replace(one[0], exact={"ndcg_at_10": 0.9}, metrics={"ndcg_at_10": 0.9}), one[1])
    with pytest.raises(DataError, match=r"stored as 0\.900000, but its per-example values give 0\.150000"):
        compare(one, wrong, "ndcg_at_10")


def test_an_aggregate_is_its_members() -> None:
    member = ranked([0.1, 0.2])
    whole = (replace(member[0], kind="aggregate"), member[1])
    with pytest.raises(DataError, match="compare its members"):
        compare(whole, whole, "ndcg_at_10")


def test_the_mean_of_differences_has_the_error_of_a_mean() -> None:
    generator = np.random.default_rng(4)
    parts = []
    for _ in range(4):
        old = generator.random(50)
        parts.append(compare(ranked(old.tolist()), ranked((old * 0.9).tolist()), "ndcg_at_10"))
    found = pooled(parts)
    assert found.gain == pytest.approx(np.mean([part.gain for part in parts]))
    assert found.spread.error == pytest.approx(np.sqrt(sum(p.spread.error**2 for p in parts)) / 4)
    with pytest.raises(DataError, match="no difference"):
        pooled([])


def test_two_equal_losses_are_no_proof() -> None:
    """Nothing varies between two examples; that is no standard error of zero."""
    parts = [compare(ranked([a, a]), ranked([a - 0.1, a - 0.1]), "ndcg_at_10") for a in (0.9, 0.8)]
    for part in parts:
        assert part.spread.error == pytest.approx(0.1 / np.sqrt(2))
        assert part.interval()[1] > 0
    assert pooled(parts).p_drop > 0.05
    gold = np.arange(20.0)
    upside_down = compare(correlated(gold, gold), correlated(gold, -gold), "cosine_spearman")
    assert 0 < upside_down.p_drop < 0.001


def test_examples_are_paired_by_name_whatever_their_order() -> None:
    generator = np.random.default_rng(5)
    old, new = generator.random(40), generator.random(40)
    names = [f"q{i}" for i in range(40)]
    mixed = generator.permutation(40)
    straight = compare(ranked(old.tolist(), names), ranked(new.tolist(), names), "ndcg_at_10")
    again = ranked(new[mixed].tolist(), [names[i] for i in mixed])
    shuffled = compare(ranked(old.tolist(), names), again, "ndcg_at_10")
    assert (shuffled.ids, shuffled.p_drop) == (straight.ids, straight.p_drop)
    assert shuffled.lost == pytest.approx(straight.lost)
    rows = pa.table({"row": names, "gold": [0, 1] * 20, "predicted": generator.integers(0, 2, 40)})
    value = evidence("bitext", "bitext", {}, rows, "f1").value
    bitext = result("m", "T", value, main="f1", kind="bitext", scorer="bitext@1")
    assert compare((bitext, rows), (bitext, rows.take(mixed)), "f1").spread.error < 1e-12


def test_examples_of_one_name_cannot_be_paired() -> None:
    twice = ranked([0.1, 0.2], ["q0", "q0"])
    with pytest.raises(DataError, match="have one name"):
        compare(twice, twice, "ndcg_at_10")
    with pytest.raises(DataError, match="not scored on the same"):
        compare(ranked([0.1, 0.2]), twice, "ndcg_at_10")


def test_what_weighs_nothing_adds_no_doubt() -> None:
    """One query alone has an infinite error; it must not make the mean without it one."""
    many = compare(ranked([0.1, 0.5, 0.4]), ranked([0.2, 0.4, 0.1]), "ndcg_at_10")
    one = compare(ranked([0.9]), ranked([0.1]), "ndcg_at_10")
    assert pooled([many, one], [1, 0]).spread.error == many.spread.error


def test_a_single_difference_among_sixty_promises_no_more_than_sign_flips_can_show() -> None:
    old = [1.0] * 60
    found = compare(ranked(old), ranked([0.0, *old[1:]]), "ndcg_at_10")
    least = found.detectable(level=0.05 / 20, tolerance=0.005, power=0.85)
    assert 9 / 60 < least < 0.25
    few = compare(ranked(old[:8]), ranked([0.0, *old[1:8]]), "ndcg_at_10")
    assert few.detectable(level=0.05 / 20, tolerance=0.005, power=0.85) == np.inf
