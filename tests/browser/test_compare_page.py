"""A comparison's page in a real browser: readable on a phone, and nothing in it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.compare.page import to_html
from harness.report.compare.pairs import compare
from tests.browser.boards import HOSTILE
from tests.browser.conftest import SCREENSHOTS, Visit
from tests.report.test_compare import drawn, item, queries, side

TASKS = [f"ARatherLongNameOfATask{i}" for i in range(12)]


def page_of(names: tuple[str, ...], tasks: list[str], path: Path) -> Path:
    """Models with random scores, some differing in more than the model."""
    sides = [
        side(
            name,
            *(
                queries(name, task, drawn(7 * t + m), provenance={"device": "cuda" if m else "cpu"})
                for t, task in enumerate(tasks)
            ),
        )
        for m, name in enumerate(names)
    ]
    path.write_text(to_html(compare(sides, [item(name) for name in tasks], title="Toy")), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("count", [2, 4])
def test_a_phone_scrolls_the_tables_and_not_the_page(
    visit: Visit, tmp_path: Path, count: int, width: int, scheme: str
) -> None:
    names = ("org/one@0123456789ab+bf16+len512", "org/two@0123456789ab", "org/three", "org/four")[:count]
    page = visit(page_of(names, TASKS, tmp_path / "page.html"), width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"compare-{count}-{width}-{scheme}.png", full_page=True)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"dark": "rgb(18, 22, 27)", "light": "rgb(255, 255, 255)"}[scheme]
    for table in page.locator(".wide").all():
        table.evaluate("box => box.scrollTo(5000, 0)")
        assert table.locator("tbody th").first.bounding_box()["x"] < width / 2  # the names of the tasks stay
    dots = page.locator("svg").first.locator("circle")
    assert dots.count() == 2 * len(TASKS) + 2  # and those of the legend
    smallest = min(text.bounding_box()["height"] for text in page.locator("svg text").all()[:20])
    assert smallest >= 8  # pixels


def test_it_is_whole_without_a_mouse_and_without_scripts(visit: Visit, tmp_path: Path) -> None:
    path = page_of(("org/one", "org/two"), TASKS[:3], tmp_path / "page.html")
    page = visit(path, java_script_enabled=False)
    assert page.get_by_role("img", name="A and B, task by task").count() == 1
    assert page.get_by_role("rowheader").all_inner_texts() == [*TASKS[:3], "mean"]
    page.keyboard.press("Tab")
    assert page.locator(":focus").get_attribute("aria-label") == "Every task"


def test_hostile_names_are_inert(visit: Visit, tmp_path: Path) -> None:
    tasks = [
        "</script><b>T</b>",
        "T\"2' onmouseover=window.hurt=1",
        "</svg><img src=x onerror=window.hurt=1>",
    ]
    page = visit(page_of(HOSTILE, tasks, tmp_path / "page.html"), width=375)
    assert page.evaluate("window.hurt") is None
    assert page.locator("img, iframe, script, b, a").count() == 0
    assert page.locator("li bdi").all_inner_texts() == list(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_names_of_tasks_stay_whole_and_words_start_where_their_column_does(
    visit: Visit, tmp_path: Path
) -> None:
    names = ["SmokeRetrievalMean", "STS"]
    page = visit(page_of(("org/one", "org/two"), names, tmp_path / "page.html"), width=390)
    table = page.get_by_role("table", name="Every task")
    heads = [table.get_by_role("rowheader", name=name, exact=True) for name in names]
    assert heads[0].bounding_box()["height"] == heads[1].bounding_box()["height"]  # a line each
    align = "cells => cells.map(e => getComputedStyle(e).textAlign)"
    row = table.get_by_role("row").nth(1).get_by_role("cell")
    assert row.evaluate_all(align) == ["start", "end", "end", "end", "end", "end", "start"]
