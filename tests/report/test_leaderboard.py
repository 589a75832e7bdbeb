"""The leaderboard as frame, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.errors import ConfigError
from harness.report.board.build import leaderboard
from harness.report.markdown import escape
from harness.store import Failure, Store
from tests.report.make import result, suite, task

A, B, C = "org/a", "org/b", "org/c"
TOY = suite(task("T1"), task("T2"), task("S", "STS"), columns=("STS", "Retrieval"), title="Toy | suite")
FULL = [
    result(m, t, s)
    for m, scores in ((A, (0.5, 0.6, 0.7)), (B, (0.5, 0.4, 0.8)))
    for t, s in zip(("T1", "T2", "S"), scores, strict=True)
]
PARTIAL = [result(C, "T1", 0.45)]


def cells(markdown: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown.splitlines()
        if line.startswith("|")
    ]


def test_markdown_by_hand() -> None:
    assert leaderboard(FULL + PARTIAL, TOY).to_markdown() == (
        "# Toy \\| suite\n"
        "\n"
        "| Rank | Model | Mean (Task) | Mean (TaskType) | STS | Retrieval | T1 | T2 | S | Coverage |\n"
        "| --: | :-- | --: | --: | --: | --: | --: | --: | --: | --: |\n"
        "| 1 | org/a | **60.00** | **62.50** | <u>70.00</u> | **55.00** "
        "| **50.00** | **60.00** | <u>70.00</u> | 3/3 |\n"
        "| 1 | org/b | <u>56.67</u> | **62.50** | **80.00** | <u>45.00</u> "
        "| **50.00** | <u>40.00</u> | **80.00** | 3/3 |\n"
        "| — | org/c | — | — | — | — | <u>45.00</u> | — | — | 1/3 |\n"
        "\n"
        "- 1 without every result of the suite (see Coverage): no mean and no rank.\n"
    )


def test_a_suite_that_averages_types_shows_that_mean_first() -> None:
    header = cells(leaderboard(FULL, suite(*TOY.tasks, average="types")).to_markdown())[0]
    assert header[2:4] == ["Mean (TaskType)", "Mean (Task)"]


def test_ties_are_what_looks_equal_and_a_lone_row_is_not_the_best() -> None:
    toy = suite(task("T"))
    shown = leaderboard(
        [result(A, "T", 0.50001), result(B, "T", 0.50002), result(C, "T", 0.4)], toy
    ).to_markdown()
    assert [row[-2] for row in cells(shown)[2:]] == ["**50.00**", "**50.00**", "<u>40.00</u>"]
    assert "**" not in leaderboard([result(A, "T", 0.5)], toy).to_markdown()


def test_names_cannot_break_out_of_their_cells() -> None:
    evil = "a|b <script>alert(1)</script> **x** `y` [z](u) _w_ snake_case \\ ~~s~~\nnew"
    toy = suite(task("T|1"), title="<b>\n# x")
    shown = leaderboard([result(evil, "T|1", 0.5)], toy).to_markdown()
    lines = shown.splitlines()
    assert lines[0] == "# &lt;b&gt; # x"
    assert lines[4].startswith(
        r"| 1 | a\|b &lt;script&gt;alert(1)&lt;/script&gt; \*\*x\*\* \`y\` "
        r"\[z\](u) \_w\_ snake_case \\ \~\~s\~\~ new |"
    )
    assert r"T\|1" in lines[2]
    assert len(lines) == 5
    assert escape("a\\|b") == "a\\\\\\|b"


def test_marks_and_footnotes() -> None:
    toy = suite(task("T1"), task("T2", "Retrieval", ("dev", "default")))
    found = [
        result(A, "T1", 0.5, revision="r1"),
        result(A, "T2", 0.5, revision="r2"),
        result(B, "T1", 0.4, provenance={"source": "mteb"}),
        result(B, "T1", 0.4, protocol="jmteb"),
    ]
    failures = [
        Failure(C, "r", ("bf16",), "mteb", "T1", "test", "default", "\nout of memory\nmore"),
        Failure(C, "r", (), "jmteb", "T1", "test", "default", "other protocol"),
        Failure(C, "r", (), "mteb", "T9", "test", "default", "other task"),
    ]
    shown = leaderboard(found, toy, failures=failures, merge_revisions=True, any_split=True).to_markdown()
    table, _, notes = shown.partition("\n\n- ")
    assert [row[1] for row in cells(table)[2:]] == ["org/a †‡", "org/b §"]
    assert ("- " + notes).splitlines() == [
        "- § From files that mteb wrote (published, or in a run of your own), not computed by this harness.",
        "- † Put together from several revisions of the model.",
        "- ‡ Partial: some tasks were scored on another split than the suite's.",
        "- 1 without every result of the suite (see Coverage): no mean and no rank.",
        "- Results: 1 of protocol jmteb, not mteb: left out.",
        "- Failed: org/c+bf16 on T1 (test/default): out of memory",
    ]


def test_labels_tell_rows_apart() -> None:
    toy = suite(task("T"))
    found = [
        result(A, "T", 0.4, revision="0123456789abcdef"),
        result(A, "T", 0.3, revision=None),
        result(A, "T", 0.2, variant=("bf16", "len512")),
        result(B, "T", 0.1),
    ]
    assert leaderboard(found, toy).labels == (
        "org/a@0123456789ab",
        "org/a@none",
        "org/a+bf16+len512",
        "org/b",
    )


def test_frame() -> None:
    frame = leaderboard(FULL + PARTIAL, TOY).frame
    assert list(frame.columns[:6]) == ["Rank", "Model", "Revision", "Variant", "Source", "Coverage"]
    assert list(frame["Rank"].dropna()) == [1, 1]
    assert list(frame["Model"]) == [A, B, C]
    assert list(frame["T1"]) == [50.0, 50.0, 45.0]
    assert list(frame["Mean (Task)"])[:2] == pytest.approx([60.0, 170 / 3])
    assert math.isnan(frame["Mean (Task)"].iloc[2])
    assert frame["Mean (Task)"].dtype == "float64"


def test_facts_about_models() -> None:
    models = {
        A: {"n_parameters": 22_713_216, "embed_dim": 384, "max_tokens": 512.0, "license": "apache-2.0"},
        B: {"n_parameters": 7_110_000_000, "embed_dim": [256, 4096], "max_tokens": math.inf},
    }
    board = leaderboard(FULL + PARTIAL, TOY, models=models)
    shown = cells(board.to_markdown())
    assert shown[0][2:6] == ["Parameters", "Dimension", "Max tokens", "Licence"]
    assert [row[2:6] for row in shown[2:]] == [
        ["22.7M", "384", "512", "apache-2.0"],
        ["7.1B", "4096", "—", "—"],
        ["—", "—", "—", "—"],
    ]
    assert [row["Max tokens"] for row in json.loads(board.to_json())["rows"]] == [512, None, None]
    assert "Parameters" not in leaderboard(FULL, TOY, models={A: {"embed_dim": 1}}).frame


@pytest.mark.parametrize(
    "meta",
    [
        {"n_parameters": "7B", "max_tokens": "inf", "embed_dim": "abc", "license": ["mit"], "languages": 5},
        {"n_parameters": math.nan, "max_tokens": True, "embed_dim": [None, "x"], "license": 5},
        {"n_parameters": 10**30, "max_tokens": -1, "embed_dim": [], "license": "", "model_type": [None]},
    ],
)
def test_facts_that_are_none_are_left_out(meta: dict[str, Any]) -> None:
    board = leaderboard(FULL, TOY, models={A: meta, B: {"n_parameters": 7, "embed_dim": [64, "x", 128.0]}})
    board.to_html()
    rows = json.loads(board.to_json())["rows"]
    assert [row["Parameters"] for row in rows] == [None, 7]
    assert [row["Dimension"] for row in rows] == [None, 128]
    assert {"Max tokens", "Licence"}.isdisjoint(rows[0])


def test_csv_and_json_say_what_was_merged_and_what_is_partial() -> None:
    toy = suite(task("T1"), task("T2", "Retrieval", ("dev", "default")))
    found = [
        result(A, "T1", 0.5, revision="r2"),
        result(A, "T2", 0.5, revision="r1"),
        *(result(B, name, 0.4) for name in ("T1", "T2")),
    ]
    board = leaderboard(found, toy, merge_revisions=True, any_split=True)
    read = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert [row["Merged revisions"] for row in read] == ["r1, r2", ""]
    assert [row["Tasks on other splits"] for row in read] == ["T2", "T2"]
    assert json.loads(board.to_json())["rows"][1]["Merged revisions"] is None
    assert "Merged" not in board.to_markdown().splitlines()[2]  # there a mark says so
    assert "Merged revisions" not in leaderboard(FULL, TOY).to_csv()


def test_csv_and_json_hold_the_same_table() -> None:
    board = leaderboard(FULL + PARTIAL, TOY)
    read = list(csv.DictReader(io.StringIO(board.to_csv())))
    content = json.loads(board.to_json())
    assert (content["suite"], content["title"], content["protocol"]) == ("toy", "Toy | suite", "mteb")
    assert [row["Model"] for row in read] == [A, B, C] == [row["Model"] for row in content["rows"]]
    assert [row["Rank"] for row in read] == ["1", "1", ""]
    assert [row["Rank"] for row in content["rows"]] == [1, 1, None]
    for name in content["scores"]:
        values = [row[name] for row in content["rows"]]
        assert [float(row[name]) if row[name] else None for row in read] == values
    assert content["rows"][1]["Mean (Task)"] == 56.6667
    assert content["notes"] == list(board.notes)


def test_task_names_that_are_column_names() -> None:
    frame = leaderboard(
        [result(A, "STS", 0.5), result(A, "Model", 0.4)], suite(task("STS", "STS"), task("Model", "STS"))
    ).frame
    assert list(frame[["STS", "STS (task)", "Model", "Model (task)"]].iloc[0]) == [45.0, 50.0, A, 40.0]


def test_no_results_is_an_empty_table() -> None:
    board = leaderboard([], TOY)
    assert len(board.frame) == 0
    assert len(cells(board.to_markdown())) == 2
    assert board.to_csv().count("\n") == 1
    assert json.loads(board.to_json())["rows"] == []


def test_the_same_results_in_any_order_give_the_same_bytes() -> None:
    boards = [leaderboard(found, TOY) for found in (FULL + PARTIAL, (FULL + PARTIAL)[::-1])]
    assert len({b.to_markdown() for b in boards}) == 1
    assert len({b.to_csv() for b in boards}) == 1
    assert len({b.to_json() for b in boards}) == 1


def test_the_public_function_reads_stores(tmp_path: Path) -> None:
    import harness

    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    ours.put(result(A, "T1", 0.5))
    ours.write_model_meta({"name": A, "revision": "r1", "embed_dim": 384})
    ours.fail(B, "r1", (), "mteb", "T1", "test", "default", "out of memory")
    theirs.put(replace(result(C, "T1", 0.6), revision=None))
    theirs.put(result(C, "T9", 0.6))
    one = task("T1")
    more = {"protocol": "mteb", "shown": one.main, "column": one.type, "sequence": ()}
    more["scorer"] = SimpleNamespace(name="trec", version=1)
    resolved = [SimpleNamespace(**{**vars(one), **more})]
    aggregated = SimpleNamespace(columns=[], average="tasks")
    public = cast(Any, SimpleNamespace(name="toy", title="Toy", tasks=resolved, aggregate=aggregated))
    for _ in range(2):  # the submodule of the same name must not take the function's place
        board = harness.leaderboard([ours, theirs], public)
    assert list(board.frame["Model"]) == [C, A]
    assert [row[2] for row in cells(board.to_markdown())[2:]] == ["—", "384"]
    assert board.notes == ("Failed: org/b on T1 (test/default): out of memory",)
    assert list(harness.leaderboard(ours, public).frame["Model"]) == [A]


def test_latex_by_hand() -> None:
    shown = leaderboard(
        FULL + PARTIAL, suite(*TOY.tasks, columns=TOY.columns, title="Toy 100 %\n& more")
    ).to_latex()
    assert shown == (
        "% Toy 100 % & more\n"
        "% 1 without every result of the suite (see Coverage): no mean and no rank.\n"
        "% \\usepackage{booktabs}\n"
        "\\begin{tabular}{rlrrrrrrrr}\n"
        "\\toprule\n"
        "Rank & Model & Mean (Task) & Mean (TaskType) & STS & Retrieval & T1 & T2 & S & Coverage \\\\\n"
        "\\midrule\n"
        "1 & org/a & \\textbf{60.00} & \\textbf{62.50} & \\underline{70.00} & \\textbf{55.00} "
        "& \\textbf{50.00} & \\textbf{60.00} & \\underline{70.00} & 3/3 \\\\\n"
        "1 & org/b & \\underline{56.67} & \\textbf{62.50} & \\textbf{80.00} & \\underline{45.00} "
        "& \\textbf{50.00} & \\underline{40.00} & \\textbf{80.00} & 3/3 \\\\\n"
        "--- & org/c & --- & --- & --- & --- & \\underline{45.00} & --- & --- & 1/3 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_names_cannot_break_out_of_latex() -> None:
    toy = suite(task("T_1&2"))
    evil = "a\\b{c}$d$_e^f~g%h#i&j|k<l>"
    shown = leaderboard([result(evil, "T_1&2", 0.5, provenance={"source": "mteb"})], toy).to_latex()
    row = next(line for line in shown.splitlines() if line.startswith("1 &"))
    assert row.startswith(
        r"1 & a\textbackslash{}b\{c\}\$d\$\_e\textasciicircum{}f\textasciitilde{}g\%h\#i\&j\textbar{}k"
        r"\textless{}l\textgreater{} \S{} & 50.00"
    )
    assert r"T\_1\&2" in shown


def test_the_frame_has_types() -> None:
    board = leaderboard(FULL + PARTIAL, TOY)
    assert str(board.frame["Rank"].dtype) == "Int64"
    assert all(board.frame[name].dtype == "float64" for name in board.scores)


@pytest.mark.parametrize("name", ["Model", "Source", "Licence", "Mean (Task)"])
def test_a_column_of_tasks_never_takes_the_place_of_the_boards_own(name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"tasks count in the column {name}")):
        leaderboard([result("org/a", "T", 0.5)], suite(task("T", name)))
