"""The leaderboard's page: its data, and text that nothing in a name can turn into markup."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pandas as pd
import pytest

from harness.report.board.build import leaderboard
from harness.report.board.leaderboard import Leaderboard
from harness.report.board.page import page_data, to_html
from harness.report.markdown import escape, plain
from tests.browser.boards import HOSTILE, board_of, hostile_board
from tests.report.make import result, suite, task

A, B, C = "org/a", "org/b", "org/c"
TOY = suite(task("T1"), task("S", "STS", main="cosine_spearman"), columns=("STS", "Retrieval"))
FOUND = [
    result(A, "T1", 0.5),
    result(A, "S", 0.7, main="cosine_spearman"),
    result(B, "T1", 0.5, provenance={"source": "mteb"}),
    result(B, "S", 1 / 3, main="cosine_spearman", provenance={"source": "mteb"}),
    result(C, "T1", 0.4),
]
METAS = {
    A: {"n_parameters": 22_713_216, "max_tokens": 512.0, "license": "mit", "model_type": ["dense"]},
    B: {"n_parameters": 7_110_000_000, "languages": ["eng-Latn", "zho-Hans"], "model_type": "sparse"},
}


class Page(HTMLParser):
    """What a parser reads: elements with their attributes, rows of the table, text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.scripts: list[str] = []
        self.style = ""
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        elif tag == "script":
            self.scripts.append("")
        if tag in ("th", "td", "script", "style", "section"):
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("th", "td"):
            self.rows[-1][-1] += data
        elif self._open == "script":
            self.scripts[-1] += data
        elif self._open == "style":
            self.style += data

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.scripts[1]))


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return leaderboard(FOUND, TOY, models=METAS)


def test_data_by_hand(board: Leaderboard) -> None:
    data = page_data(board, {"S": {1: (30.123456, 40.0)}})
    assert [(column["name"], column["kind"]) for column in data["columns"]] == [
        ("Rank", "rank"), ("Mean (Task)", "mean"), ("Mean (TaskType)", "mean"), ("Kind", "word"),
        ("Parameters", "number"), ("Max tokens", "number"), ("Licence", "word"), ("Coverage", "coverage"),
        ("STS", "type"), ("Retrieval", "type"), ("T1", "task"), ("S", "task"),
    ]  # fmt: skip
    assert data["columns"][-1] == {
        "name": "S", "kind": "task", "task": "S", "type": "STS", "metric": "cosine_spearman", "lower": False,
        "counts": True,
    }  # fmt: skip
    assert data["models"][0] == {
        "name": A, "marks": "", "languages": [],
        "values": [1, 60.0, 60.0, "bi-encoder", 22_713_216, 512, "mit", "2/2", 70.0, 50.0, 50.0, 70.0],
    }  # fmt: skip
    assert (data["models"][1]["marks"], data["models"][1]["languages"]) == ("§", ["eng-Latn", "zho-Hans"])
    assert data["models"][1]["values"][3] == "lexical"
    assert data["models"][2]["values"] == [None] * 7 + ["1/2", None, None, 40.0, None]
    assert data["intervals"] == {"11": {"1": [30.1235, 40.0]}}
    assert [c.get("more") for c in data["columns"] if c["kind"] == "number"] == [False, True]


def test_the_page_holds_the_frame() -> None:
    board = board_of(30, 9)
    page = Page(board.to_html())
    names = [column["name"] for column in page.data["columns"]]
    frame = pd.DataFrame([m["values"] for m in page.data["models"]], columns=names)
    for name in board.scores:
        expected = [None if math.isnan(value) else value for value in board.frame[name]]
        assert [None if math.isnan(value) else value for value in frame[name]] == expected
    assert [m["name"] for m in page.data["models"]] == list(board.frame["Model"])
    assert page.rows[0] == ["Model", *names]
    assert len(page.rows) == 31
    for row, (_, record) in zip(page.rows[1:], board.frame.iterrows(), strict=True):
        assert row[0] == record["Model"]
        shown = dict(zip(names, row[1:], strict=True))
        for name in board.scores:
            assert shown[name] == ("—" if math.isnan(record[name]) else f"{record[name]:.2f}")
        assert shown["Coverage"] == record["Coverage"]


def test_best_and_second_are_those_of_markdown(board: Leaderboard) -> None:
    text = board.to_html()
    assert '<td class="best">60.00</td>' in text
    assert '<td class="second">41.67</td>' in text
    assert text.count('class="best">50.00</td>') == 4  # ties share: T1 of both, and its type of both
    alone = leaderboard(FOUND[:2], TOY).to_html()
    assert '<td class="best">' not in alone


def test_lower_is_better_turns_the_marks_round() -> None:
    toy = suite(task("N", "Triplet", main="anchor_error_rate"))
    found = [result(m, "N", s, main="anchor_error_rate") for m, s in ((A, 30.0), (B, 20.0))]
    board = leaderboard(found, toy)
    data = page_data(board, {})
    assert data["lower"] is True
    assert {column["lower"] for column in data["columns"] if "lower" in column} == {True}
    assert '<td class="best">20.00</td>' in board.to_html()
    assert "lower is better" in board.to_html()


def test_second_metrics_do_not_count() -> None:
    from dataclasses import replace

    toy = suite(replace(task("T1"), also=("map_at_10",)))
    both = result(A, "T1", 0.5, metrics={"ndcg_at_10": 0.5, "map_at_10": 0.4})
    columns = page_data(leaderboard([both], toy), {})["columns"]
    assert [(c["name"], c["counts"]) for c in columns if c["kind"] == "task"] == [
        ("T1 ndcg_at_10", True),
        ("T1 map_at_10", False),
    ]


def test_a_task_may_be_called_as_a_column_of_the_page() -> None:
    toy = suite(task("Kind"), task("Languages"))
    found = [result(A, name, 0.5) for name in ("Kind", "Languages")]
    data = page_data(leaderboard(found, toy, models=METAS), {"Kind": {0: (1.0, 2.0)}})
    kinds = [column["kind"] for column in data["columns"] if column["name"] == "Kind"]
    assert kinds == ["word", "task"]
    assert list(data["intervals"]) == [str(len(data["columns"]) - 2)]
    assert data["models"][0]["values"][-2:] == [50.0, 50.0]


def test_a_model_of_two_revisions_is_one_model() -> None:
    toy = suite(task("T"))
    found = [result(A, "T", 0.5), result(A, "T", 0.4, revision="r2")]
    assert "<p>2 rows of 1 model, 1 task, protocol" in leaderboard(found, toy).to_html()
    assert "<p>1 model, 1 task, protocol" in leaderboard(found[:1], toy).to_html()


def test_hostile_names_are_text() -> None:
    board = hostile_board()
    page = Page(board.to_html())
    assert [row[0] for row in page.rows[1:]] == list(HOSTILE)
    assert [model["name"] for model in page.data["models"]] == list(HOSTILE)
    assert page.data["title"] == board.suite.title
    assert len(page.scripts) == 2
    allowed = {
        "html", "head", "meta", "title", "style", "script", "body", "a", "header", "h1", "p", "code", "b",
        "span", "label", "select", "option", "div", "nav", "details", "summary", "form", "button", "main",
        "section", "table", "caption", "thead", "tr", "th", "tbody", "bdi", "td", "wbr", "h2", "output",
        "input", "datalist", "ul", "footer", "li", "colgroup", "col",
    }  # fmt: skip
    assert {tag for tag, _ in page.elements} <= allowed
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_nothing_is_loaded() -> None:
    text = board_of(3, 3).to_html()
    page = Page(text)
    links = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "style", "background")
    ]
    assert all(str(link).startswith("#") for link in links)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", page.style + page.scripts[0])
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)", text)


def test_the_policy_names_exactly_what_stands_in_the_page(board: Leaderboard) -> None:
    page = Page(board.to_html())
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))

    def of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == of(page.scripts[0])
    assert rules["style-src"] == of(page.style)
    assert "unsafe" not in str(policy)


def test_the_same_board_gives_the_same_bytes() -> None:
    first, second = (to_html(board_of(12, 4), {"STSDataset02": {3: (1.0, 2.0)}}) for _ in range(2))
    assert first == second
    assert first != board_of(12, 5).to_html()


def test_our_own_files_cannot_end_their_elements() -> None:
    folder = files("harness.report.board") / "templates"
    for name in ("leaderboard.js", "leaderboard.css"):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"</(script|style)|<!--", text)
        assert "innerHTML" not in text
        assert "\r" not in text


def test_plain_undoes_escape() -> None:
    for name in (*HOSTILE, "a_b _c_ &amp; \\_ \\\\ [x](y) **z** ~q~ |"):
        assert plain(escape(name)) == " ".join(name.split())
    assert html.unescape("&amp;lt;") == "&lt;"


def test_text_has_enough_contrast_in_light_and_dark() -> None:
    style = (files("harness.report.board") / "templates" / "leaderboard.css").read_text(encoding="utf-8")
    tokens = dict(re.findall(r"--(\w+): light-dark\((#\w{6}, #\w{6})\)", style))

    def contrast(one: str, other: str) -> float:
        low, high = sorted(_luminance(colour) for colour in (one, other))
        return (high + 0.05) / (low + 0.05)

    for scheme in (0, 1):
        colour = {name: pair.split(", ")[scheme] for name, pair in tokens.items()}
        for ground in ("ground", "raised"):
            for text in ("ink", "quiet", "accent"):
                assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground, scheme)
        for mark in ("edge", *"012345"):
            assert contrast(colour[mark], colour["ground"]) >= 3, (mark, scheme)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
