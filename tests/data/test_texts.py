"""The text of an example under the name that per-example values give it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.data.load import load_examples
from harness.data.texts import text_of
from harness.suite import load_suite, load_task
from tests.toys import retrieval_files, write_task


@pytest.mark.parametrize(
    ("kind", "rows", "name", "text"),
    [
        ("sts", [{"sentence1": "a", "sentence2": "b\nc", "score": 1}], "0", "a | b c"),
        ("bitext", [{"sentence1": "a", "sentence2": "b"}], "0", "a | b"),
        ("clustering", [{"sentences": "a", "labels": "x"}, {"sentences": "b", "labels": "y"}], "1", "b"),
        ("triplet", [{"anchor": "a", "entailment": "b", "negative": "c"}], "0", "a | b | c"),
        (
            "clustering",
            [{"sentences": list(pair), "labels": ["x", "y"]} for pair in ("ab", "cd")],
            "1/1",
            "d",
        ),
    ],
)  # fmt: skip
def test_of_rows(tmp_path: Path, kind: str, rows: list[dict[str, Any]], name: str, text: str) -> None:
    mains = {"sts": "cosine_spearman", "bitext": "f1", "clustering": "v_measure", "triplet": "anchor_score"}
    write_task(tmp_path, "T", kind, mains[kind], test=rows)
    (task,) = load_task("T", data=[tmp_path]).tasks
    assert text_of(load_examples(task, "test", "default", {}, offline=True), name) == text


def test_of_queries_and_labelled_texts(tmp_path: Path) -> None:
    write_task(tmp_path, "R", "retrieval", "ndcg_at_10", **retrieval_files())
    (task,) = load_task("R", data=[tmp_path]).tasks
    examples = load_examples(task, "test", "default", {}, offline=True)
    assert text_of(examples, "q3") == "d question"
    assert text_of(examples, "unknown") == ""
    topics = next(task for task in load_suite("smoke").tasks if task.name == "SmokeTopics")
    labelled = load_examples(topics, *topics.entries[0], {}, offline=True)
    assert text_of(labelled, "0") == labelled.texts[0][:200]  # type: ignore[union-attr]


def test_long_texts_are_cut(tmp_path: Path) -> None:
    write_task(
        tmp_path, "T", "sts", "cosine_spearman", test=[{"sentence1": "x" * 900, "sentence2": "y", "score": 1}]
    )
    (task,) = load_task("T", data=[tmp_path]).tasks
    shown = text_of(load_examples(task, "test", "default", {}, offline=True), "0")
    assert shown == "x" * 197 + "... | y"
