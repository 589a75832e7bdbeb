"""Models side by side: differences, tests, wins and ties, what is left out, and how it reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats as sp

from harness.metrics.stats import holm
from harness.report.compare.page import to_html
from harness.report.compare.pairs import Comparison, compare
from harness.report.compare.render import counts, to_json, to_markdown
from harness.report.compare.tasks import Item, shared_tasks
from harness.report.sides import Side
from harness.store import Store
from harness.types import Result
from tests.cli.test_cli import Answer, inside  # noqa: F401 - a fixture
from tests.report.make import result

A, B, C = "org/a", "org/b", "org/c"
PLACE = (("test", "default"),)


def queries(model: str, name: str, values: Any, **changes: Any) -> Result:
    """A retrieval result with these per-query values; `samples=None` leaves them out."""
    ids = [f"q{i}" for i in range(len(values))]
    table = pa.table({"group": [""] * len(values), "query_id": ids, "ndcg_at_10": list(map(float, values))})
    return result(model, name, float(np.mean(values)), **{"samples": table, **changes})


def side(label: str, *results: Result) -> Side:
    return Side(label, {(r.task, r.split, r.subset): r for r in results}, lambda r: r.samples)


def item(name: str, **changes: Any) -> Item:
    return replace(Item(name, "retrieval", "Retrieval", "ndcg_at_10", PLACE), **changes)


def drawn(seed: int, n: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).random(n).round(3)


def test_every_task_is_tested_two_sided_and_corrected_over_the_tasks() -> None:
    one, two = drawn(0), np.clip(drawn(0) + 0.3, 0, 1)
    other = drawn(1)
    found = compare(
        [
            side(A, queries(A, "T", one), queries(A, "U", one)),
            side(B, queries(B, "T", two), queries(B, "U", other)),
        ],
        [item("T"), item("U")], title="toy",
    )  # fmt: skip
    (match,) = found.matches
    raw = []
    for new in (two, other):
        exact = sp.permutation_test(
            (new - one,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        )
        raw.append(float(exact.pvalue))
    assert [d.p for d in match.duels] == pytest.approx(raw)
    assert [d.p_holm for d in match.duels] == pytest.approx(holm(raw))
    assert match.duels[0].difference == pytest.approx(100 * float((two - one).mean()))
    gap = sp.ttest_rel(two, one).confidence_interval()
    assert match.duels[0].interval == pytest.approx((100 * gap.low, 100 * gap.high))
    assert [d.won for d in match.duels] == ["second", "tie"]
    assert match.mean is not None
    assert match.mean.difference == pytest.approx(np.mean([d.difference for d in match.duels]))
    assert "by significance: B better on 1 (T); A better on 0; tie on 1 (U)" in counts(found, match)


def test_where_lower_is_better_less_wins() -> None:
    rates = [
        result(m, "N", rate, main="anchor_error_rate", kind="triplet", scorer="negation@1")
        for m, rate in ((A, 25.0), (B, 5.0))
    ]
    task = Item("N", "triplet", "Triplet", "anchor_error_rate", PLACE)
    found = compare([side(A, rates[0]), side(B, rates[1])], [task], title="toy")
    (duel,) = found.matches[0].duels
    assert (duel.first, duel.second, duel.difference, duel.gain) == (25.0, 5.0, -20.0, 20.0)
    assert (duel.won, duel.sign, duel.p) == ("untested", "second", None)
    assert "↓" in to_markdown(found)
    mixed = compare(
        [side(A, rates[0], result(A, "T", 0.5)), side(B, rates[1], result(B, "T", 0.6))],
        [task, item("T")], title="toy",
    ).matches[0].mean  # fmt: skip
    assert mixed is not None
    assert (mixed.first, mixed.second, mixed.gain) == (None, None, pytest.approx(15.0))


def pair(**change: Any) -> Comparison:
    fine = (queries(A, "U", drawn(2)), queries(B, "U", drawn(3)))
    old = queries(A, "T", drawn(0), provenance={"settings": {"k": 1}, "dtype": "float32", "device": "cpu"})
    new = replace(old, model=B, **change)
    return compare([side(A, old, fine[0]), side(B, new, fine[1])], [item("T"), item("U")], title="toy")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data_fingerprint": "g"}, "the data differ"),
        ({"scorer": "trec@2"}, "scorer: trec@1 and trec@2"),
        ({"provenance": {"settings": {"k": 2}}}, "settings differ"),
        ({"samples": queries(B, "T", drawn(0, 11)).samples}, "0."),
    ],
)
def test_what_was_scored_otherwise_is_listed_and_enters_no_mean(change: dict[str, Any], why: str) -> None:
    found = pair(**change)
    (match,) = found.matches
    assert [d.task for d in match.duels] == ["U"]
    assert match.mean is not None
    assert match.mean.difference == match.duels[0].difference
    assert why in match.barred["T"]
    assert found.scores["T"] == (None, None)
    assert "Not compared, and in no mean" in to_markdown(found)


def test_how_they_were_run_is_shown_on_top_and_bars_nothing() -> None:
    change = {"settings": {"k": 1}, "dtype": "bfloat16", "device": "cuda"}
    found = pair(provenance=change, variant=("bf16",))
    (match,) = found.matches
    assert dict(match.environment) == {"dtype: float32 and bfloat16": ("T",), "device: cpu and cuda": ("T",)}
    text = to_markdown(found)
    assert 0 < text.index("- dtype: float32 and bfloat16 (in T)") < text.index("| task |")


def test_an_aggregate_is_tested_through_its_members_and_counts_once() -> None:
    sides = []
    for model, seeds in ((A, (0, 1)), (B, (2, 3))):
        parts = [queries(model, name, drawn(seed)) for name, seed in zip(("P", "Q"), seeds, strict=True)]
        mean = result(
            model, "M", float(np.mean([p.main_score for p in parts])), kind="aggregate", scorer="mean@1"
        )
        sides.append(side(model, *parts, mean))
    tasks = shared_tasks(sides, {}, {"M": ["P", "Q"]})
    assert [task.name for task in tasks] == ["M"]
    (duel,) = compare(sides, tasks, title="toy").matches[0].duels
    alone = compare(sides, tasks[0].members, title="toy").matches[0]
    assert alone.mean is not None
    assert duel.difference == pytest.approx(alone.mean.difference)
    assert (duel.p, duel.interval) == (pytest.approx(alone.mean.p), pytest.approx(alone.mean.interval))
    assert {task.name for task in shared_tasks(sides, {}, {})} == {"P", "Q"}  # of a mean of nobody knows what


def test_three_models_make_a_matrix_with_every_pair() -> None:
    sides = [
        side(m, queries(m, "T", drawn(seed)), queries(m, "U", drawn(seed + 9)))
        for seed, m in enumerate("abc")
    ]
    found = compare(sides, [item("T"), item("U"), item("V")], title="toy")
    assert [(m.first, m.second) for m in found.matches] == [(0, 1), (0, 2), (1, 2)]
    assert found.absent == ("V",)
    assert found.means == pytest.approx(
        tuple(np.mean([row[i] for row in found.scores.values()]) for i in range(3))
    )
    text = to_markdown(found)
    means = [m.mean.difference for m in found.matches if m.mean]
    assert means[0] + means[2] == pytest.approx(means[1])
    assert f"| C | {means[1]:+.2f} (0 / 2 / 0) |" in text
    assert f"| A |  | {-means[0]:+.2f} (0 / 2 / 0) |" in text


def test_a_matrix_of_what_nobody_tested_counts_nothing() -> None:
    sides = [side(m, result(m, "T", score)) for m, score in (("a", 0.5), ("b", 0.6), ("c", 0.8))]
    text = to_markdown(compare(sides, [item("T")], title="toy"))
    assert "| A |  | -10.00 (untested) | -30.00 (untested) |" in text


class Tags(HTMLParser):
    """Tags of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_holds_the_same_and_nothing_from_outside() -> None:
    evil = "<script>alert(1)</script>"
    found = pair()
    found = replace(found, models=(evil, "b|*"))
    page = to_html(found)
    parser = Tags()
    parser.feed(page)
    assert "script" not in parser.tags
    assert evil in parser.text
    assert parser.tags.count("svg") == 1
    assert not re.search(r"(src|href)=|url\(|@import", page)
    for duel in found.matches[0].duels:
        assert f"{duel.first:.2f}" in parser.text
    assert to_html(found) == page
    json.dumps(to_json(found), allow_nan=False)


def test_of_several_models_what_differs_stands_on_top() -> None:
    def scored(model: str, seed: int, dtype: str) -> Side:
        return side(model, queries(model, "T", drawn(seed), provenance={"dtype": dtype}))

    sides = [scored(A, 0, "float32"), scored(B, 1, "bfloat16"), scored(C, 2, "bfloat16")]
    found = compare(sides, [item("T")], title="toy")
    line = "dtype: float32 and bfloat16 (A and B; A and C)"
    text, page = to_markdown(found), Tags()
    page.feed(to_html(found))
    assert text.index(f"- {line}") < text.index("| task |")
    assert page.text.index(line) < page.text.index("All models")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    store = Store(tmp_path / "one")
    for model, seed in ((A, 0), (B, 1)):
        store.put(queries(model, "SciFact", drawn(seed)))
    store.put(queries(A, "NFCorpus", drawn(2)))
    store.put(queries(C, "NFCorpus", drawn(3)))
    return store.root


def test_the_command_compares_what_is_stored(
    stored: Path,
    tmp_path: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    answer = inside("compare", A, B, "--results", str(stored), "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    (match,) = found["matches"]
    assert [task["task"] for task in match["tasks"]] == ["SciFact"]
    assert match["tasks"][0]["difference"] == pytest.approx(100 * float((drawn(1) - drawn(0)).mean()))
    page = tmp_path / "new" / "page.html"
    answer = inside("compare", A, B, "--results", str(stored), "--format", "html", "-o", str(page))
    assert (answer.code, answer.out) == (0, "")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_plot_alone(stored: Path, tmp_path: Path, inside: Callable[..., Answer]) -> None:  # noqa: F811
    drawn = inside("compare", A, B, "--results", str(stored), "--format", "svg")
    assert drawn.code == 0, drawn.err
    assert drawn.out.startswith("<svg")
    assert "SciFact" in drawn.out
    three = inside("compare", A, B, C, "--results", str(stored), "--format", "svg")
    assert three.code == 2
    assert "one plot, of two models" in three.err


def test_what_is_missing_comes_with_the_command_that_makes_it(
    stored: Path,
    inside: Callable[..., Answer],  # noqa: F811
) -> None:
    unknown = inside("compare", A, "org/bb", "--results", str(stored))
    assert unknown.code == 2
    assert "harness eval org/bb" in unknown.err
    apart = inside("compare", B, C, "--results", str(stored))
    assert apart.code == 2
    assert "no task in common" in apart.err
    assert "harness eval org/c --task SciFact" in apart.err
    part = inside("compare", A, B, "--results", str(stored), "--suite", "mteb:MTEB(eng, v1)")
    assert part.code == 2
    assert "org/b@r1 has no result for NFCorpus" in part.err
    assert "harness eval org/b --suite 'mteb:MTEB(eng, v1)'" in part.err
    nowhere = inside("compare", A, B, "--results", str(stored / "none"))
    assert nowhere.code == 2
    assert "there is no such folder" in nowhere.err
    same = inside("compare", A, f"{A}@r1", "--results", str(stored))
    assert same.code == 2
    assert "org/a and org/a@r1 are both org/a@r1" in same.err
    closed = inside("compare", A, B, "--results", str(stored), "-o", str(stored))
    assert closed.code == 2
    assert f"-o {stored} cannot be written" in closed.err
    alone = inside("compare", A, "--results", str(stored))
    assert alone.code == 2
