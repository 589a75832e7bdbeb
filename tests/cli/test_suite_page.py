"""`harness show SUITE`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.models import load_model
from harness.models.rates import remember
from tests.cli.test_cli import Answer, inside
from tests.test_suites import changed

__all__ = ["inside"]


def test_a_suite_with_sizes_and_time(inside: Callable[..., Answer]) -> None:
    answer = inside("show", "cmteb", "--rate", "10000", "--json")
    assert answer.code == 0, answer.err
    shown = json.loads(answer.out)
    assert len(shown["tasks"]) == 35
    assert shown["unknown"] == []
    assert shown["total"]["texts"] == sum(task["size"]["texts"] for task in shown["tasks"])
    assert shown["total"]["seconds"] == round(shown["total"]["tokens"] / 10000, 1)
    ocnli = next(task for task in shown["tasks"] if task["name"] == "Ocnli")
    assert (ocnli["kind"], ocnli["main"], ocnli["shown"]) == (
        "pair_classification",
        "max_accuracy",
        "cosine_ap",
    )
    assert ocnli["entries"] == [{"split": "validation", "subset": "default"}]
    assert ocnli["expect"] == {"jinaai/jina-embeddings-v2-base-zh": 0.8062}


def test_a_suite_for_people(inside: Callable[..., Answer]) -> None:
    answer = inside("show", "ja-retrieval")
    assert "recall_at_5, hit_rate_at_5" in answer.out
    assert "--rate TOKENS_PER_SECOND" in answer.out
    assert "dev/ja" in answer.out


def test_what_has_no_statistics_is_said(inside: Callable[..., Answer]) -> None:
    answer = inside("show", "negation")
    assert answer.code == 0
    assert "no statistics of JinaNegation; harness eval MODEL --suite negation --dry-run" in answer.out


def test_the_tested_split_of_a_suite_that_chooses_on_dev_is_the_least(inside: Callable[..., Answer]) -> None:
    shown = json.loads(inside("show", "jmteb", "--json").out)
    jsts, reviews = (
        next(task["size"] for task in shown["tasks"] if task["name"] == name)
        for name in ("jsts", "amazon_review_classification")
    )
    assert (jsts["partly"], jsts["texts"]) == (True, 2_837)  # 1,457 pairs, as mteb counts different texts
    assert (reviews["partly"], reviews["texts"]) == (True, 5_000)
    assert shown["total"]["partly"] is True
    assert "jaqket" in shown["unknown"]
    text = inside("show", "jmteb").out
    assert " 2,837+ " in text
    assert "+: of the tested split alone" in text
    assert "+" not in inside("show", "cmteb").out


def test_a_benchmark_of_mteb(inside: Callable[..., Answer]) -> None:
    assert "20 tasks" in inside("show", "mteb:MTEB(kor, v2)").out
    missing = inside("show", "mteb:MTEB(kor, v9)")
    assert missing.code == 2
    assert "did you mean MTEB(kor, v" in missing.err


def test_the_rate_and_max_length_of_a_model(
    inside: Callable[..., Answer], bi: Path, shared_cache: Path
) -> None:
    unknown = inside("show", "cmteb", "--model", bi)
    assert "was not timed here yet" in unknown.out
    card = load_model(str(bi), cache=shared_cache, offline=True).card
    remember(shared_cache, card, None, 500.0)
    shown = json.loads(inside("show", "cmteb", "--model", bi, "--json").out)
    assert (shown["tokens_per_second"], shown["max_length"]) == (500.0, card.max_length)
    assert shown["total"]["seconds"] == round(shown["total"]["tokens"] / 500, 1)
    assert shown["total"]["tokens"] < shown["total"]["characters"]  # its max length cuts
    both = json.loads(inside("show", "cmteb", "--model", bi, "--rate", "1000", "--json").out)
    assert both["total"]["seconds"] == round(shown["total"]["tokens"] / 1000, 1)


def test_a_model_of_the_catalog_that_is_not_here(inside: Callable[..., Answer]) -> None:
    shown = json.loads(inside("show", "cmteb", "--model", "multilingual-e5-small", "--json").out)
    assert (shown["max_length"], shown["tokens_per_second"], shown["total"]["seconds"]) == (512, None, None)
    wrong = inside("show", "cmteb", "--model", "multilingual-e5-smal")
    assert wrong.code == 2
    assert "unknown model" in wrong.err


def test_tasks_that_are_left_out_are_named(
    inside: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, "MNIST")
    shown = inside("show", "mteb:MTEB(cmn, v1)").out
    assert "31 of 32 tasks" in shown
    assert "left out: MNIST (it is a task on image, not on text)" in shown


def test_a_rate_is_for_suites(inside: Callable[..., Answer]) -> None:
    answer = inside("show", "SciFact", "--rate", "10")
    assert answer.code == 2
    assert "--rate and --model are for suites" in answer.err
