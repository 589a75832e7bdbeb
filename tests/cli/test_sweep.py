"""`harness sweep`: one model at several lengths, as table and plot."""

from __future__ import annotations

import csv
import io
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.models import load_model
from harness.run import evaluate
from harness.suite import load_task
from tests.cli.test_cli import inside  # noqa: F401
from tests.models import tiny
from tests.toys import sts_rows, write_task


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Texts longer than the shortest length of the tests, and short ones that none of them cuts."""
    long = [
        {**row, "sentence1": f"{'the red sun of venus ' * (i % 3)} {row['sentence1']}"}
        for i, row in enumerate(sts_rows())
    ]
    short = [{"sentence1": "abcd"[: 1 + i % 4], "sentence2": "mars", "score": (i * 5) % 7} for i in range(12)]
    root = write_task(tmp_path / "data", "Long", "sts", "cosine_spearman", test=long, test__b=sts_rows(9))
    return write_task(root, "Short", "sts", "cosine_spearman", test=short)


@pytest.fixture
def call(inside, bi: Path, data: Path, tmp_path: Path):  # noqa: F811
    def sweep(*arguments: object, model: object = None):
        common = (
            "--data",
            data,
            "--results",
            tmp_path / "results",
            "--cache",
            tmp_path / "cache",
            "--offline",
        )
        return inside("sweep", model or bi, *arguments, *common)

    return sweep


def test_scores_are_those_of_eval_at_each_length(call, bi: Path, data: Path, tmp_path: Path) -> None:
    answer = call("--task", "Long", "--task", "Short", "--max-length", "8,48,24", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["lengths"] == [8, 24, 48]
    assert [task["task"] for task in found["tasks"]] == ["Long", "Short"]
    for length in (8, 24, 48):
        model = load_model(str(bi), max_length=length, offline=True)
        results = list(evaluate(model, load_task("Long", "Short", data=[data]), cache=tmp_path / "other"))
        for task in found["tasks"]:
            own = [r.main_score for r in results if r.task == task["task"]]
            assert task["scores"][str(length)] == pytest.approx(100 * sum(own) / len(own), abs=1e-4)
    long, short = found["tasks"]
    assert len(set(long["scores"].values())) > 1  # lengths matter
    assert len(set(short["scores"].values())) == 1
    assert [note for note in found["notes"] if "Short" in note] == [
        "Short: the same score at 8 and 24; no text may be that long",
        next(note for note in found["notes"] if "at 24 and 48" in note),
    ]
    assert len(found["entries"]) == 9
    assert {tuple(e["variant"]) for e in found["entries"]} == {("len8",), ("len24",), ("len48",)}
    mean = (long["scores"]["8"] + short["scores"]["8"]) / 2
    assert found["mean"]["8"] == pytest.approx(mean, abs=2e-4)


def test_tables_and_plot_tell_the_same(call, tmp_path: Path) -> None:
    files = [tmp_path / "new" / name for name in ("a.svg", "a.md", "a.csv", "a.json")]
    options = [option for path in files for option in ("-o", path)]
    answer = call("--task", "Long", "--task", "Short", "--max-length", "8,24", *options)
    assert answer.code == 0, answer.err
    svg, md, table, document = (path.read_text(encoding="utf-8") for path in files)
    assert answer.out == md
    assert "| Task | Metric | 8 | 24 |" in md
    found = json.loads(document)
    lines = list(csv.DictReader(io.StringIO(table)))
    assert len(lines) == 4
    for line in lines:
        (task,) = (t for t in found["tasks"] if t["task"] == line["task"])
        assert float(line["score"]) == task["scores"][line["max_length"]]
        assert f"{float(line['score']):.2f}" in md
        assert f"{line['task']}, max length (tokens) {line['max_length']}: {float(line['score']):.2f}" in svg
    ET.fromstring(svg)
    assert [f"wrote {path}" in answer.err for path in files] == [True] * 4
    assert call("--task", "Long", "--task", "Short", "--max-length", "8,24", "--format", "csv").out == table


def test_a_second_sweep_reuses_what_is_stored_and_adds_a_length(call) -> None:
    assert call("--task", "Long", "--max-length", "8,24").code == 0
    answer = call("--task", "Long", "--max-length", "8,16,24", "--json")
    reused = [(entry["max_length"], entry["reused"]) for entry in json.loads(answer.out)["entries"]]
    assert reused == [(8, True), (8, True), (16, False), (16, False), (24, True), (24, True)]
    assert "is stored and valid" in answer.err


def test_a_length_beyond_the_positions_is_refused_before_any_work(call, tmp_path: Path) -> None:
    answer = call("--task", "Long", "--max-length", "8,49")
    assert answer.code == 2
    assert "has positions for 48 tokens; 49 were asked for" in answer.err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--task", "Long", "--max-length", "8,two"), "split by commas, such as 128,512,2048; not 'two'"),
        (("--task", "Long", "--max-length", "0"), "not '0'"),
        (("--task", "Long", "--max-length", "-3"), "not '-3'"),
        (("--task", "Long", "--max-length", ","), "not ','"),
        (("--task", "Lnog", "--max-length", "8"), "unknown task 'Lnog'; did you mean Long"),
        (("--max-length", "8"), "a sweep needs --task NAME"),
        (("--task", "Long", "--suite", "smoke", "--max-length", "8"), "exclude each other"),
        (
            ("--task", "Long", "--max-length", "8", "-o", "a.pdf"),
            "a.pdf: the ending says what is written: .svg",
        ),
        (("--task", "Long"), "--max-length"),
    ],
)
def test_wrong_input_is_said_before_any_work(call, tmp_path: Path, arguments: tuple, complaint: str) -> None:
    answer = call(*arguments)
    assert answer.code == 2
    assert complaint in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "results").exists()


def test_a_png_without_matplotlib_is_refused_before_any_work(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answer = call("--task", "Long", "--max-length", "8", "-o", tmp_path / "a.png")
    assert answer.code == 2
    assert "pip install 'harness[plots]'" in answer.err
    assert not (tmp_path / "results").exists()


def test_a_png(call, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install 'harness[plots]'")
    assert call("--task", "Long", "--max-length", "8,24", "-o", tmp_path / "a.png").code == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_models_without_a_length_are_refused(call) -> None:
    answer = call("--task", "Long", "--max-length", "8", model="bm25")
    assert answer.code == 2
    assert "it takes no max_length" in answer.err


def test_a_length_in_the_name_contradicts_a_sweep(call, bi: Path) -> None:
    answer = call("--task", "Long", "--max-length", "8,24", model=f"{bi}+len8")
    assert answer.code == 2
    assert "the name says max_length 8, the option 24" in answer.err


def test_a_failed_task_is_a_gap_and_exit_code_one(call, data: Path, tmp_path: Path) -> None:
    path = data / "Short" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "score": 1}) + "\n" for row in rows))  # no correlation
    both = ("--task", "Long", "--task", "Short", "--max-length", "8,24", "-o", tmp_path / "a.svg")
    assert call(*both).code == 2
    answer = call(*both, "--keep-going", "--json")
    assert answer.code == 1
    found = json.loads(answer.out)
    assert found["tasks"][1]["scores"] == {"8": None, "24": None}
    assert found["mean"] == {"8": None, "24": None}
    assert "without a score: Short at 8, 24" in found["notes"]
    assert "Short: 8 none, 24 none" in (tmp_path / "a.svg").read_text()
    alone = call("--task", "Short", "--max-length", "8", "-o", tmp_path / "b.svg", "--keep-going")
    assert alone.code == 1
    assert "| Short | cosine_spearman | — |" in alone.out
    assert "no score to plot" in alone.err
    assert not (tmp_path / "b.svg").exists()


def test_a_cross_encoder_over_a_suite(call, cross: Path, tmp_path: Path) -> None:
    answer = call("--suite", "smoke", "--max-length", "16,32", "--json", model=cross)
    assert answer.code == 0, answer.err
    tasks = {task["task"] for task in json.loads(answer.out)["tasks"]}
    assert "SmokeSTS" in tasks
    assert not any("Clustering" in name for name in tasks)


def test_the_tiny_checkpoint_is_what_the_tests_think() -> None:
    assert tiny.CONFIG["max_position_embeddings"] == 48
