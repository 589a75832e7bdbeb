"""The gate's decisions: what fails, what is noise, what is no comparison, and the reason for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from harness.errors import StoreError
from harness.metrics.stats import holm, sign_flip
from harness.report.gate.decide import Gate, gate
from harness.report.gate.rules import Gates
from harness.report.sides import Side
from harness.scorers import scorer
from harness.types import Result
from tests.report.gates import by_name, queries, rules, side, suite, task
from tests.report.make import result

RANDOM = np.random.default_rng(0)
BASE = RANDOM.random(200)
NOISY = np.clip(BASE + RANDOM.normal(0, 0.1, 200), 0, 1)
NOISY = NOISY + (BASE.mean() - 0.007 - NOISY.mean())  # 0.7 points lower, by chance as far as anybody can tell
WORSE = BASE - 0.1 * RANDOM.random(200)


def decide(old: dict[str, Any], new: dict[str, Any], given: Gates | None = None, **options: Any) -> Gate:
    """A gate over retrieval tasks with these per-query values."""
    names = dict.fromkeys([*old, *new])
    sides = [
        side(label, *(queries(n, v) for n, v in each.items())) for label, each in (("o", old), ("n", new))
    ]
    return gate(*sides, suite(*map(task, names)), given or Gates(), **options)


def test_a_model_does_not_regress_against_itself() -> None:
    found = decide({"A": BASE, "B": NOISY}, {"A": BASE, "B": NOISY})
    assert (found.exit_code, found.failed) == (0, ())
    assert {check.verdict for check in found.checks} == {"same"}
    assert [check.name for check in found.checks] == ["A", "B", "toy"]


def test_a_significant_drop_beyond_the_tolerance_fails() -> None:
    found = decide({"A": BASE, "B": BASE}, {"A": WORSE, "B": BASE})
    assert found.exit_code == 1
    checks = by_name(found.checks)
    assert (checks["A"].verdict, checks["B"].verdict, checks["toy"].verdict) == (
        "regressed",
        "same",
        "regressed",
    )
    assert "lost 5." in checks["A"].reason
    assert "0.50 are allowed; p = " in checks["A"].reason
    raw = [sign_flip(WORSE - BASE)[0], 1.0]
    assert checks["A"].p == pytest.approx(holm([*raw, 1e-9])[0], rel=1e-6)
    assert [check.name for check in found.failed] == ["A", "toy"]  # the worst first


def test_a_drop_within_noise_passes_and_says_so() -> None:
    check = by_name(decide({"A": BASE}, {"A": NOISY}).checks)["A"]
    assert check.verdict == "noise"
    assert check.reason.startswith("lost 0.70, within noise (p = 0.")
    assert check.detectable > 0.7


def test_a_significant_drop_within_the_tolerance_passes() -> None:
    shifted = {"A": BASE - 0.004}
    assert by_name(decide({"A": BASE}, shifted).checks)["A"].verdict == "pass"
    assert by_name(decide({"A": BASE}, shifted, rules(tasks={"A": {"max_drop": 0.3}})).checks)["A"].bad
    relative = rules(tasks={"default": {"max_relative_drop": 0.5}})
    check = by_name(decide({"A": BASE}, shifted, relative).checks)["A"]
    assert check.bad
    assert check.allowed == pytest.approx(0.5 * BASE.mean())


def test_the_number_of_checks_is_corrected_for() -> None:
    """A p-value between level / 10 and level fails alone and passes among ten."""
    few = BASE.copy()
    few[:7] -= 0.3  # seven queries lost: p = 1/128
    alone = decide({"A": BASE}, {"A": few})
    assert alone.exit_code == 1
    rest = {f"T{i}": BASE for i in range(12)}
    among = decide({"A": BASE, **rest}, {"A": few, **rest})
    assert by_name(among.checks)["A"].verdict == "noise"


def test_floors_and_improvements() -> None:
    better = BASE + 0.02 * RANDOM.random(200)
    floor = 100 * float(BASE.mean())
    assert (
        by_name(decide({"A": BASE}, {"A": BASE}, rules(tasks={"A": {"floor": floor + 1}})).checks)[
            "A"
        ].verdict
        == "below floor"
    )
    assert not decide({"A": BASE}, {"A": BASE}, rules(tasks={"A": {"floor": floor - 1}})).failed
    must = rules(tasks={"A": {"must_improve": 0.5}})
    assert not decide({"A": BASE}, {"A": better}, must).failed
    same = decide({"A": BASE}, {"A": BASE}, must)
    assert same.exit_code == 1
    assert same.failed[0].reason == "gained 0.00, must gain 0.5"
    lucky = decide({"A": NOISY}, {"A": BASE}, rules(tasks={"A": {"must_improve": 0.1}}))
    assert lucky.failed[0].reason.startswith("gained 0.70, within noise (p = 0.")


def test_without_per_example_values_the_tolerance_alone_decides() -> None:
    old = side("o", result("m", "A", 0.6), queries("B", BASE))
    new = side("n", queries("A", np.full(10, 0.59)), queries("B", BASE))
    found = gate(old, new, suite(task("A"), task("B")), Gates())
    assert found.untested == ("A",)
    check = by_name(found.checks)["A"]
    assert check.verdict == "regressed"
    assert check.reason == "lost 1.00, 0.50 are allowed; no per-example values to test"
    assert (check.p, check.detectable, check.interval) == (None, None, None)
    mean = by_name(found.checks)["toy"]
    assert (mean.p, mean.verdict) == (None, "regressed")


def test_limits_include_what_stands_on_them() -> None:
    """0.29 is 28.999999999999996 points, and 0.2664 less 0.2614 more than 0.5."""
    high, low = result("m", "A", 0.2664), result("m", "A", 0.2614)
    assert 100 * 0.2664 - 100 * 0.2614 > 0.5
    drop = side("o", high), side("n", low)
    assert not gate(*drop, suite(task("A")), Gates()).failed
    assert not gate(*drop, suite(task("A")), rules(exact=0.5), exact=True).failed
    assert gate(*drop, suite(task("A")), rules(tasks={"A": {"max_drop": 0.499}})).failed
    assert 100 * 0.0055 - 100 * 0.0005 < 0.5
    rise = side("o", result("m", "A", 0.0005)), side("n", result("m", "A", 0.0055))
    assert not gate(*rise, suite(task("A")), rules(tasks={"A": {"must_improve": 0.5}})).failed
    same = side("o", result("m", "A", 0.29))
    assert not gate(same, same, suite(task("A")), rules(tasks={"A": {"floor": 29}})).failed
    assert gate(same, same, suite(task("A")), rules(tasks={"A": {"floor": 29.001}})).failed


def test_a_tolerance_of_its_own_where_nothing_can_be_tested() -> None:
    given = rules(tasks={"A": {"max_drop": 0.1, "max_drop_untested": 1.5}}, mean={"max_drop_untested": 2})
    bare = [
        side(label, result("m", "A", score), queries("B", BASE)) for label, score in (("o", 0.6), ("n", 0.59))
    ]
    both = suite(task("A"), task("B"))
    checks = by_name(gate(*bare, both, given).checks)
    assert [(checks[name].allowed, checks[name].bad) for name in ("A", "toy")] == [(1.5, False), (2, False)]
    assert gate(*bare, both, rules(tasks={"A": {"max_drop": 0.1}})).failed
    tested = decide({"A": BASE, "B": BASE}, {"A": BASE - 0.01 * RANDOM.random(200), "B": BASE}, given)
    assert [(c.name, c.allowed) for c in tested.failed] == [("A", 0.1)]


def test_exact_mode_fails_for_any_change_up_or_down() -> None:
    for change in (-1e-4, 1e-4):
        found = decide({"A": BASE}, {"A": BASE + change}, exact=True)
        assert (found.exit_code, found.failed[0].verdict) == (1, "changed")
    assert decide({"A": BASE}, {"A": BASE + 1e-9}, exact=True).exit_code == 0
    assert decide({"A": BASE}, {"A": BASE - 1e-4}, rules(exact=0.1), exact=True).exit_code == 0
    floor = decide({"A": BASE}, {"A": BASE}, rules(tasks={"A": {"floor": 99}}), exact=True)
    assert [check.verdict for check in floor.failed] == ["below floor"]


def test_exact_mode_looks_at_every_metric_of_every_entry() -> None:
    """Neither a metric that is not shown nor two subsets that cancel each other out get by."""
    one = queries("A", BASE)
    metrics = {"ndcg_at_10": float(BASE.mean()), "recall_at_5": 0.5}
    for other, said in (
        (
            {**metrics, "recall_at_5": 0.51},
            "recall_at_5 was 50.000000 and is 51.000000; it may move by 0.0001",
        ),
        (
            {"ndcg_at_10": metrics["ndcg_at_10"]},
            "recall_at_5 was 50.000000 and is nan; it may move by 0.0001",
        ),
        ({**metrics, "recall_at_5": 0.5000000001}, ""),
    ):
        sides = [side(label, replace(one, exact=exact)) for label, exact in (("o", metrics), ("n", other))]
        (check,) = gate(*sides, suite(task("A")), Gates(), exact=True).checks
        assert (check.reason, check.bad) == (said, bool(said))
        assert not gate(*sides, suite(task("A")), Gates()).failed
    entries = (("test", "x"), ("test", "y"))
    sides = [
        side(
            label,
            *(queries("A", BASE + by * at, subset=s) for (_, s), at in zip(entries, (1, -1), strict=True)),
        )
        for label, by in (("o", 0.0), ("n", 0.01))
    ]
    (check,) = gate(*sides, suite(task("A", entries=entries)), Gates(), exact=True).checks
    assert (check.verdict, round(check.gain, 9)) == ("changed", 0.0)
    assert check.reason.startswith("ndcg_at_10 on test/")


def test_where_lower_is_better_a_rise_fails() -> None:
    def one(rate: float) -> Result:
        negation = {
            "anchor_entailment": np.r_[np.ones(100 - int(rate)), np.zeros(int(rate))].astype(np.float32),
            "anchor_negative": np.full(100, 0.5, np.float32),
            "negative_entailment": np.full(100, 0.5, np.float32),
        }
        return result(
            "m", "N", rate, main="anchor_error_rate", kind="triplet", scorer="negation@1",
            samples=pa.table(negation),
        )  # fmt: skip

    lower = task("N", kind="triplet", main="anchor_error_rate", shown="anchor_error_rate", type="Triplet")
    found = gate(side("o", one(20)), side("n", one(50)), suite(lower), rules(tasks={"N": {"floor": 60}}))
    (check,) = found.checks
    assert (check.old, check.new, check.gain, check.verdict) == (20.0, 50.0, -30.0, "regressed")
    found = gate(side("o", one(20)), side("n", one(10)), suite(lower), rules(tasks={"N": {"floor": 15}}))
    assert found.exit_code == 0
    found = gate(side("o", one(20)), side("n", one(20)), suite(lower), rules(tasks={"N": {"floor": 15}}))
    assert found.failed[0].reason == "20.00 is above 15"


def test_types_and_weights_of_the_mean() -> None:
    old, new = {"A": BASE, "B": BASE}, {"A": BASE - 0.02, "B": BASE + 0.03}
    by_type = rules(types={"Retrieval": {"max_drop": 0}}, tasks={"default": {"max_drop": 3}})
    checks = decide(old, new, by_type).checks
    assert [c.level for c in checks] == ["task", "task", "type", "suite"]
    assert checks[2].gain == pytest.approx(0.5)
    weighted = rules(tasks={"A": {"max_drop": 3, "weight": 9}, "B": {"weight": 1}})
    found = decide(old, new, weighted)
    assert [(c.name, c.verdict) for c in found.failed] == [("toy", "regressed")]
    assert found.failed[0].gain == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_fingerprint": "g" * 20}, "A: the data differ (fingerprints f and gggggggggggg)"),
        ({"scorer": "trec@2"}, "A: scorer: trec@1 and trec@2"),
        ({"provenance": {"dtype": "bfloat16"}}, "A: dtype: float32 and bfloat16"),
        ({"provenance": {"max_length": 16}}, "A: max length: 512 and 16"),
        ({"provenance": {"max_length": None}}, "A: max length: 512 and without limit"),
        ({"provenance": {"prompts": {"q": "x"}}}, "A: prompts: of q \"p\" and \"x\""),
        ({"provenance": {"settings": {"top_k": 10}}}, "A: the scorer's settings differ"),
        (
            {"provenance": {"first_stage": {"name": "bm25", "fingerprint": "ab", "depth": 50}}},
            "A: first stage: bm25 (ab), 100 a query and bm25 (ab), 50 a query",
        ),
        (
            {"provenance": {"first_stage": None}},
            "A: first stage: bm25 (ab), 100 a query and none, all documents are searched",
        ),
    ],
)  # fmt: skip
def test_what_was_made_otherwise_is_no_comparison(change: dict[str, Any], said: str) -> None:
    known = {
        "dtype": "float32", "max_length": 512, "prompts": {"q": "p"}, "settings": {"top_k": 1000},
        "first_stage": {"name": "bm25", "fingerprint": "ab", "depth": 100},
    }  # fmt: skip
    other = {**known, **change.get("provenance", {})}
    old = side("o", queries("A", BASE, provenance=known))
    new = side("n", queries("A", BASE, **{**change, "provenance": other}))
    found = gate(old, new, suite(task("A")), Gates())
    assert (found.exit_code, found.invalid) == (2, (said,))
    what = next(iter(change.get("provenance", {"data" if "data_fingerprint" in change else "scorer": 0})))
    accepted = gate(old, new, suite(task("A")), rules(accept=[what]))
    assert (accepted.exit_code, accepted.invalid) == (0, ())
    assert accepted.accepted == (said.removeprefix("A: "),)


def test_two_models_may_have_their_own_prompts_and_lengths() -> None:
    old = queries(
        "A", BASE, provenance={"max_length": 512, "prompts": {"queries": ""}, "prompt_policy": "card"}
    )
    new = queries(
        "A", BASE, provenance={"max_length": 128, "prompts": {"queries": "q"}, "prompt_policy": "card"}
    )
    new = replace(new, model="other")
    assert not gate(side("o", old), side("n", new), suite(task("A")), Gates()).invalid
    asked = replace(new, variant=("len128",))
    found = gate(side("o", old), side("n", asked), suite(task("A")), Gates())
    assert found.invalid == ("A: max length: as the model prescribes and len128",)


def test_prompts_are_told_by_role_and_short() -> None:
    """Roles of the same texts once, long texts cut, and what is equal not at all."""
    texts = {"query": "a", "passage": "say: " + 200 * "x", "title": "t", "left": "a"}
    moved = {"query": "b", "passage": "", "title": "t", "left": "b"}
    old, new = (queries("A", BASE, provenance={"prompts": prompts}) for prompts in (texts, moved))
    (line,) = gate(side("o", old), side("n", new), suite(task("A")), Gates()).invalid
    assert line == f'A: prompts: of left, query "a" and "b"; of passage "say: {50 * "x"}..." and ""'
    without = replace(new, provenance={"prompts": {**moved, "query": "a", "left": "a", "passage": "p"}})
    lacking = replace(new, provenance={"prompts": {"query": "a", "title": "t", "left": "a"}})
    (line,) = gate(side("o", without), side("n", lacking), suite(task("A")), Gates()).invalid
    assert line == 'A: prompts: of passage "p" and none'


def test_fewer_dimensions_or_bits_of_one_model_are_gated_and_shown() -> None:
    """What they cost is the question; dtype, max length and prompts are what makes no comparison."""
    old = queries("A", BASE)
    new = queries("A", BASE - 0.2, variant=("dim128", "int8"))
    found = gate(side("o", old), side("n", new), suite(task("A")), Gates())
    assert found.exit_code == 1
    assert found.environment == ("variant: vectors as the model gives them and dim128+int8",)
    other = gate(side("o", old), side("n", replace(new, model="other")), suite(task("A")), Gates())
    assert other.environment == ()


def test_the_environment_is_shown_apart() -> None:
    old = queries("A", BASE, provenance={"device": "cpu", "libraries": {"torch": "2.12", "numpy": "2"}})
    new = queries("A", BASE, provenance={"device": "cuda", "libraries": {"torch": "2.13", "numpy": "2"}})
    sides = side("o", old), side("n", new)
    found = gate(*sides, suite(task("A")), Gates())
    assert found.exit_code == 0
    assert found.environment == ("device: cpu and cuda", "libraries: torch 2.12 and 2.13")
    found = gate(*sides, suite(task("A")), rules(accept=["libraries", "device"]))
    assert (found.environment, len(found.accepted)) == ((), 2)
    committed = replace(old, provenance={"libraries": {"torch": "2.13"}})  # references do not name a device
    assert not gate(side("o", committed), sides[1], suite(task("A")), Gates()).environment


def test_missing_tasks() -> None:
    one_sided = decide({"A": BASE, "B": BASE}, {"A": BASE})
    assert (one_sided.exit_code, one_sided.invalid) == (2, ("n has no result for B",))
    not_needed = decide({"A": BASE, "B": BASE}, {"A": BASE}, rules(required=["A"]))
    assert (not_needed.exit_code, not_needed.absent) == (0, ("B",))
    both = gate(
        side("o", queries("A", BASE)), side("n", queries("A", BASE)), suite(task("A"), task("B")), Gates()
    )
    assert (both.exit_code, both.absent) == (0, ("B",))
    required = rules(required=["A", "B"])
    both = gate(
        side("o", queries("A", BASE)), side("n", queries("A", BASE)), suite(task("A"), task("B")), required
    )
    assert both.invalid == ("o has no result for B", "n has no result for B")
    nothing = gate(side("o"), side("n"), suite(task("A")), rules(required=[]))
    assert nothing.invalid == ("no task of toy has results on both sides",)


def test_an_entry_that_is_missing_is_named() -> None:
    entries = (("test", "en"), ("test", "ja"))
    old = side("o", *(queries("A", BASE, subset=s) for s in ("en", "ja")))
    found = gate(old, side("n", queries("A", BASE, subset="en")), suite(task("A", entries=entries)), Gates())
    assert found.invalid == ("n has no result for A (test/ja)",)


def test_a_task_of_several_entries_is_the_mean_of_them() -> None:
    many = task("A", entries=(("test", "en"), ("test", "ja")))
    old = side("o", *(queries("A", BASE, subset=s) for s in ("en", "ja")))
    new = side("n", queries("A", WORSE, subset="en"), queries("A", BASE, subset="ja"))
    (check,) = gate(old, new, suite(many), Gates()).checks
    assert check.gain == pytest.approx(100 * float(WORSE.mean() - BASE.mean()) / 2)
    assert check.verdict == "regressed"
    assert check.test == "standard errors, 2 differences"


def test_an_aggregate_is_judged_by_its_members() -> None:
    members = (task("A"), task("B"))
    mean = task("M", kind="aggregate", scorer=scorer("aggregate", None, "mteb"), members=members)

    def whole(*values: Any) -> Side:
        score = float(np.mean([v.mean() for v in values]))
        parts = [queries(n, v) for n, v in zip("AB", values, strict=True)]
        return side("s", result("m", "M", score, kind="aggregate", samples=parts[0].samples), *parts)

    (check,) = gate(whole(BASE, BASE), whole(WORSE, BASE), suite(mean), Gates()).checks
    assert check.verdict == "regressed"
    assert check.gain == pytest.approx(100 * float(WORSE.mean() - BASE.mean()) / 2)
    alone = side("s", result("m", "M", 0.5, kind="aggregate"))
    found = gate(alone, alone, suite(mean), Gates())
    assert found.untested == ("M",)


def test_examples_that_cannot_be_paired_are_no_comparison() -> None:
    found = decide({"A": BASE}, {"A": BASE[:-1]})
    assert found.exit_code == 2
    assert (
        "A (test/default): the two results were not scored on the same queries (200 and 199)"
        in found.invalid[0]
    )

    def broken(result: Result) -> pa.Table:
        raise StoreError("the file is missing; score the task again")

    old = side("o", queries("A", BASE))
    found = gate(old, replace(old, samples=broken), suite(task("A")), Gates())
    assert found.invalid == ("A: the file is missing; score the task again",)


def test_other_numbers_of_experiments_are_no_comparison() -> None:
    def predicted(experiments: int) -> Result:
        table = pa.table(
            {
                "experiment": np.repeat(np.arange(experiments), 40),
                "row": np.tile(np.arange(40), experiments),
                "gold": np.tile(np.arange(40) % 2, experiments),
                "prediction": np.zeros(40 * experiments, dtype=np.int64),
            }
        )
        return result(
            "m", "C", 0.5, main="accuracy", kind="classification", scorer="few_shot@1", samples=table
        )

    few = task("C", kind="classification", main="accuracy", shown="accuracy", type="Classification")
    found = gate(side("o", predicted(10)), side("n", predicted(3)), suite(few), Gates())
    assert found.invalid == ("C: one result has 10 experiments, the other 3: not comparable",)


def test_rules_for_what_the_suite_does_not_have() -> None:
    named = rules(tasks={"Aa": {}}, types={"Retreival": {}}, required=["Zebra"])
    found = decide({"A": BASE}, {"A": BASE}, named)
    assert found.exit_code == 2
    assert found.invalid[:3] == (
        "the rules name Aa, which is no task of toy; did you mean A?",
        "the rules name Zebra, which is no task of toy; rules for another suite stand under suites: NAME:",
        "the rules name Retreival, which is no type of toy; did you mean Retrieval?",
    )


def test_the_same_seed_gives_the_same_answer() -> None:
    one, other, third = (decide({"A": BASE}, {"A": NOISY}, seed=s).checks[0].p for s in (1, 1, 2))
    assert one == other != third


def test_what_is_not_a_number_is_no_pass() -> None:
    """Without per-example values nothing else looks at the score."""
    nan = replace(result("m", "A", 0.5), exact={"ndcg_at_10": float("nan")}, samples=None)
    for pair in ((nan, queries("A", BASE)), (queries("A", BASE), nan), (nan, nan)):
        found = gate(side("o", pair[0]), side("n", pair[1]), suite(task("A")), Gates())
        assert found.exit_code == 2
        assert "ndcg_at_10 of" in found.invalid[0]
        assert "is not a number" in found.invalid[0]


def test_an_aggregate_beside_its_members_is_no_further_evidence() -> None:
    """The mean of A, B and (A + B) / 2 is that of A and B, and as uncertain."""
    members = (task("A"), task("B"))
    whole = task("M", kind="aggregate", members=members)
    values = {"A": (BASE, NOISY), "B": (NOISY, NOISY[::-1].copy())}
    sides = []
    for at in (0, 1):
        own = [queries(name, each[at]) for name, each in values.items()]
        mean = replace(
            result("m", "M", sum(r.exact["ndcg_at_10"] for r in own) / 2), kind="aggregate", samples=None
        )
        sides.append(side("on"[at], *own, mean))
    alone, beside = (gate(*sides, suite(*tasks), Gates()) for tasks in (members, (*members, whole)))
    means = [by_name(found.checks)["toy"] for found in (alone, beside)]
    assert means[0].interval == pytest.approx(means[1].interval)
    assert means[0].gain == pytest.approx(means[1].gain)
