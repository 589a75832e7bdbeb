"""A dry run: counts, cached share, tokens and time, and nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import plan
from harness.cli.evaluate import eval_
from harness.models import rates
from harness.models.base import Model
from harness.plan import Cost, plan_run, total
from harness.run import evaluate
from harness.suite import load_task
from harness.types import Int64
from tests.cli.test_cli import harness
from tests.models import tiny
from tests.toys import Toy, ToyCross, retrieval_files, sts_rows, write_task


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_task(tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows())
    write_task(root, "Two", "sts", "cosine_spearman", test=[*sts_rows(5), *sts_rows(3, offset=20)])
    return write_task(root, "Find", "retrieval", "ndcg_at_10", **retrieval_files())


def costs(model: Any, data: Path, cache: Path, *tasks: str, **options: Any) -> list[Cost]:
    planned = plan_run(model, load_task(*tasks, data=[data]), cache=cache, **options)
    return [cost for _, cost in planned]


def test_what_is_shared_and_what_is_cached(tmp_path: Path, data: Path) -> None:
    cache = tmp_path / "cache"
    one, two = costs(Toy(), data, cache, "One", "Two")
    assert (one.texts, one.distinct, one.shared, one.cached, one.missing) == (24, 24, 0, 0, 24)
    assert (two.texts, two.distinct, two.shared, two.cached, two.missing) == (16, 16, 10, 0, 6)
    assert not cache.exists()
    list(evaluate(Toy(), load_task("Two", data=[data]), cache=cache))
    one, two = costs(Toy(), data, cache, "One", "Two")
    assert (one.distinct, one.shared, one.cached, one.missing) == (24, 0, 10, 14)
    assert (two.distinct, two.shared, two.cached, two.missing) == (16, 10, 16, 0)
    whole = total([one, two])
    assert (whole.texts, whole.distinct, whole.cached, whole.missing) == (40, 30, 16, 14)
    assert costs(Toy(), data, cache, "Two", no_cache=True)[0].missing == 16


def test_both_sides_of_a_pair_count(tmp_path: Path, data: Path) -> None:
    (cost,) = costs(ToyCross(), data, tmp_path / "cache", "One")
    characters = sum(len(row["sentence1"]) + len(row["sentence2"]) for row in sts_rows())
    assert (cost.texts, cost.missing, cost.missing_characters) == (12, 12, characters)
    quarters = sum(-(-len(row[side]) // 4) for row in sts_rows() for side in ("sentence1", "sentence2"))
    assert (cost.tokens, cost.tokens_from) == (quarters, "characters")
    assert (cost.seconds, cost.seconds_from) == (None, None)


def test_a_searcher_encodes_nothing(tmp_path: Path, data: Path) -> None:
    from harness.models import load_model

    (cost,) = costs(load_model("bm25", cache=tmp_path), data, tmp_path / "cache", "Find")
    assert cost == Cost(seconds=None)


def exact(model: Model, texts: Sequence[str]) -> Int64:
    count = rates.counter(model)
    assert count is not None
    return count(texts, None)


def test_tokens_of_few_texts_are_exact(tmp_path: Path, data: Path, bi: Path) -> None:
    model = tiny.load(bi, tmp_path / "c")
    (cost,) = costs(model, data, tmp_path / "cache", "One")
    texts = [row[side] for row in sts_rows() for side in ("sentence1", "sentence2")]
    assert (cost.tokens, cost.tokens_from) == (exact(model, texts).sum(), "tokenizer")


def test_tokens_of_pairs(tmp_path: Path, data: Path, cross: Path) -> None:
    model = tiny.load(cross, tmp_path / "c")
    (cost,) = costs(model, data, tmp_path / "cache", "One")
    count = rates.counter(model)
    assert count is not None
    rows = sts_rows()
    assert cost.tokens == count([r["sentence1"] for r in rows], [r["sentence2"] for r in rows]).sum()
    assert cost.seconds_from == "estimated"


def test_tokens_of_many_texts_are_near(tmp_path: Path, bi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SAMPLE_TEXTS", 120)
    random = np.random.default_rng(7)
    lengths = np.exp(random.normal(2.0, 1.2, 3000)).astype(int) + 1  # log-normal; many are cut at 32 tokens
    words = [" ".join(random.choice(tiny.WORDS, size)) + f" {at}" for at, size in enumerate(lengths)]
    rows = [
        {"sentence1": words[at], "sentence2": words[at + 1], "score": at} for at in range(0, len(words), 2)
    ]
    data = write_task(tmp_path / "data", "Many", "sts", "cosine_spearman", test=rows)
    model = tiny.load(bi, tmp_path / "c")
    asked: list[int] = []
    open_counter = rates.counter

    def spied(model: Any) -> rates.Counter:
        count = open_counter(model)
        assert count is not None

        def counted(left: Sequence[str], right: Sequence[str] | None) -> Int64:
            asked.append(len(left))
            return count(left, right)

        return counted

    monkeypatch.setattr(plan, "counter", spied)
    (cost,) = costs(model, data, tmp_path / "cache", "Many")
    assert asked == [120]
    assert cost.tokens == pytest.approx(exact(model, words).sum(), rel=0.02)


def test_a_remembered_rate_gives_the_time(tmp_path: Path, data: Path, bi: Path) -> None:
    model = tiny.load(bi, tmp_path / "c")
    rates.remember(tmp_path / "cache", model.card, "cpu", 100.0)
    found = costs(model, data, tmp_path / "cache", "One", "Two")
    assert [cost.seconds for cost in found] == [pytest.approx(cost.tokens / 100) for cost in found]
    whole = total(found)
    assert whole.seconds == pytest.approx(sum(cost.tokens for cost in found) / 100)
    assert whole.seconds_from == "measured"


def test_nothing_left_takes_no_time(tmp_path: Path, data: Path) -> None:
    cache = tmp_path / "cache"
    list(evaluate(Toy(), load_task("One", data=[data]), cache=cache))
    (cost,) = costs(Toy(), data, cache, "One")
    assert (cost.cached, cost.missing, cost.tokens, cost.seconds) == (24, 0, 0, 0.0)


def test_a_dry_run_leaves_damaged_shards_where_they_are(tmp_path: Path, data: Path) -> None:
    cache = tmp_path / "cache"
    list(evaluate(Toy(), load_task("One", data=[data]), cache=cache))
    for path in (cache / "vectors").rglob("*.safetensors"):
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    costs(Toy(), data, cache, "One")
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before


def test_the_command_shows_it(tmp_path: Path, data: Path, bi: Path) -> None:
    arguments = (
        "eval", bi, "--task", "One", "--task", "Two", "--data", data, "--cache", tmp_path / "cache",
        "--results", tmp_path / "r", "--device", "cpu",
    )  # fmt: skip
    rough = harness(*arguments, "--dry-run")
    assert rough.code == 0, rough.err
    assert "30 distinct: 0 cached (0%), 30 to encode" in rough.out
    assert "a rough guess by the model's size" in rough.out
    assert not (tmp_path / "r").exists()
    assert not (tmp_path / "cache" / "vectors").exists()
    rates.remember(tmp_path / "cache", tiny.load(bi, tmp_path / "cache").card, "cpu", 100.0)
    assert "at the rate of an earlier run" in harness(*arguments, "--dry-run").out
    one, two = json.loads(harness(*arguments, "--dry-run", "--json").out)
    assert set(one) == {
        "task", "split", "subset", "texts", "distinct", "shared", "cached", "missing", "missing_characters",
        "tokens", "tokens_from", "seconds", "seconds_from", "charge", "model", "first_texts",
    }  # fmt: skip
    assert (one["task"], one["missing"], one["tokens_from"], one["seconds_from"]) == (
        "One", 24, "tokenizer", "measured",
    )  # fmt: skip
    assert (two["shared"], two["missing"]) == (10, 6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("char-ngram", "--task", "One"), "time unknown"), (("bm25", "--task", "Find"), "nothing to encode")],
)
def test_the_command_where_nothing_is_known(
    tmp_path: Path, data: Path, arguments: tuple[str, ...], said: str
) -> None:
    answer = harness("eval", *arguments, "--data", data, "--cache", tmp_path / "c", "--dry-run")
    assert answer.code == 0, answer.err
    assert said in answer.out


@pytest.mark.parametrize(("given", "bound"), [(None, {}), ("2GB", {"memory": 2 * 10**9})])
def test_the_memory_bound_reaches_the_run(
    tmp_path: Path, data: Path, given: str | None, bound: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def spy(model: Any, suite: Any, **options: Any) -> list[Any]:
        seen.update(options)
        return []

    monkeypatch.setattr("harness.run.evaluate", spy)
    monkeypatch.setattr("harness.cli.common.hush", lambda verbose: None)
    eval_("char-ngram", task=["One"], data=[data], cache=tmp_path, results=tmp_path / "r", memory=given)
    assert {key: value for key, value in seen.items() if key == "memory"} == bound


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--backend", "onnx"), "backend 'onnx' is not available"),
        (("--memory", "much"), "much"),
        (("--batch-tokens", "0"), "batch-tokens"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, data: Path, options: tuple[str, str], said: str) -> None:
    answer = harness("eval", "org/never-seen", "--task", "One", "--data", data, *options)
    assert answer.code == 2
    assert said in answer.err
    assert len(answer.err.splitlines()) <= 9
    assert "Traceback" not in answer.err


def test_a_run_leaves_its_rate_without_the_time_that_loading_took(
    bi: Path, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.encoding._TELLING", 0.0)
    model = tiny.load(bi, tmp_path)
    prepare = type(model).prepare
    loaded: list[bool] = []

    def slow(own: Any, groups: Any) -> Any:
        if not loaded:
            loaded.append(True)
            time.sleep(1.0)
        return prepare(own, groups)

    monkeypatch.setattr(type(model), "prepare", slow)
    results = list(evaluate(model, load_task("One", data=[data]), cache=tmp_path))
    assert len(results) == 1
    rate = rates.recall(tmp_path, model.card)
    assert rate is not None
    tokens = sum(cost.tokens or 0 for cost in costs(tiny.load(bi, tmp_path), data, tmp_path / "new", "One"))
    assert rate > 1.5 * tokens
    assert costs(tiny.load(bi, tmp_path), data, tmp_path, "One", no_cache=True)[0].seconds_from == "measured"
